/**
 * Conformance: which keys are taken, exactly as they are, and which are refused before anything is sent.
 */
import assert from "node:assert/strict";
import { type ConformanceTest, drain, ODD_KEYS, type OddKey, type Room, refused } from "./room.js";

const BAD_KEYS: Readonly<Record<string, string>> = {
  empty: "",
  "1025 bytes": "k".repeat(1025),
  "1026 bytes in 513 characters": "é".repeat(513),
  "a dot segment": "a/./b",
  "a dot-dot segment": "a/../b",
  "only dots": "..",
  "a lone surrogate": "a\ud800b",
};

/** As long as the limit allows, in segments short enough for stores that keep keys as paths. */
function longest(prefix: string): string {
  const room = 1024 - Buffer.byteLength(prefix);
  return `${"s".repeat(99)}/`
    .repeat(11)
    .slice(0, room - 1)
    .concat("e");
}

async function takesKey(room: Room, name: string): Promise<void> {
  const { store } = room;
  const key = room.key(name);
  await room.put(name, name);
  assert.equal(await room.text(name), name);
  assert.equal((await room.head(name)).size, Buffer.byteLength(name));
  assert.deepEqual(await room.names(), [name]);
  assert.deepEqual(await room.names(name), [name]);
  assert.deepEqual(
    (await room.versions(name)).map((version) => version.key),
    [key],
  );
  await store.delete({ key });
  assert.equal((await store.head(key)).found, false);
  await room.put(name);
  assert.deepEqual((await store.deleteMany([{ key }])).failed, []);
  assert.deepEqual(await room.names(), []);
}

export const keyTests: readonly ConformanceTest[] = [
  ...Object.entries(ODD_KEYS).map(
    ([what, name]): ConformanceTest => ({
      title: `takes a key with ${what}: ${JSON.stringify(name)}`,
      topic: `key: ${what as OddKey}`,
      run: (room) => takesKey(room, name),
    }),
  ),
  { title: "takes a key of 1024 bytes", run: (room) => takesKey(room, longest(room.prefix)) },
  {
    title: "takes a key and one below it",
    topic: "nested-keys",
    async run(room) {
      await room.put("a", "outer");
      await room.put("a/b", "inner");
      assert.deepEqual([await room.text("a"), await room.text("a/b")], ["outer", "inner"]);
      await room.store.delete({ key: room.key("a") });
      assert.deepEqual(await room.names(), ["a/b"]);
    },
  },
  {
    title: "refuses bad keys with InvalidError, in every verb",
    async run({ store }) {
      for (const [what, key] of Object.entries(BAD_KEYS)) {
        await refused(store.put(key, "x"), `put, ${what}`);
        await refused(store.get(key), `get, ${what}`);
        await refused(store.head(key), `head, ${what}`);
        await refused(store.delete({ key }), `delete, ${what}`);
        await refused(store.deleteMany([{ key }]), `deleteMany, ${what}`);
      }
    },
  },
  {
    title: "refuses bad settings with InvalidError",
    async run(room) {
      const key = room.key("k");
      for (const timeoutMs of [0, -1, Number.NaN])
        await refused(room.store.get(key, { timeoutMs }), `timeoutMs ${timeoutMs}`);
      for (const pageSize of [0, 1001, 1.5])
        await refused(drain(room.store.list(key, { pageSize })), `pageSize ${pageSize}`);
      await refused(room.store.put(key, "x", { metadata: { "Upper Case": "v" } }), "metadata name");
      await refused(room.store.put(key, "x", { metadata: { name: "line\nbreak" } }), "metadata value");
      assert.deepEqual(await room.names(), []);
    },
  },
];
