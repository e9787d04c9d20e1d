/**
 * Conformance: one object. What PUT, GET and HEAD answer, absent objects, rewriting, bodies, metadata.
 */
import assert from "node:assert/strict";
import type { ConformanceTest, Room } from "./room.js";

const YEAR_2001_MS = 1e12;

async function bodySurvives(room: Room, body: Uint8Array | string): Promise<void> {
  const bytes = Buffer.from(body);
  await room.put("body", body);
  const answer = await room.store.get(room.key("body"));
  assert.ok(answer.found, "put, but absent");
  assert.ok(bytes.equals(answer.body), `body of ${bytes.length} bytes came back as ${answer.body.length} others`);
  assert.equal(answer.size ?? bytes.length, bytes.length);
  assert.equal((await room.list("body"))[0]?.size, bytes.length);
}

export const objectTests: readonly ConformanceTest[] = [
  {
    title: "says what it can do",
    async run({ store }) {
      const { conditionalWrites, versions, timestampStepMs, deleteMany } = store.features;
      assert.ok(["yes", "no", "unknown"].includes(conditionalWrites));
      assert.ok(["yes", "no", "unknown"].includes(versions));
      assert.ok(timestampStepMs >= 1, `timestampStepMs ${timestampStepMs}`);
      assert.equal(typeof deleteMany, "boolean");
      assert.notEqual(store.name, "");
    },
  },
  {
    title: "gives back what was put, with the same facts from PUT, GET, HEAD and LIST",
    async run(room) {
      const stored = await room.put("k", "hello");
      const got = await room.store.get(room.key("k"));
      const head = await room.head("k");
      const [listed] = await room.list("k");
      assert.ok(got.found, "put, but absent");
      assert.ok(listed, "put, but not listed");
      assert.equal(Buffer.from(got.body).toString(), "hello");
      assert.deepEqual([got.size, head.size, listed.size], [5, 5, 5]);
      for (const etag of [stored.etag, got.etag, listed.etag]) {
        if (etag !== undefined) assert.equal(etag, head.etag);
      }
      assert.deepEqual([got.metadata, head.metadata], [{}, {}]);
      assert.equal(got.lastModifiedMs, head.lastModifiedMs);
      for (const ms of [head.lastModifiedMs, listed.lastModifiedMs])
        assert.ok((ms ?? 0) > YEAR_2001_MS, `last modified ${ms}`);
      // HEAD tells whole seconds (an HTTP date), LIST may tell more.
      const apartMs = Math.abs(listed.lastModifiedMs - (head.lastModifiedMs ?? 0));
      assert.ok(apartMs < 1000, `LIST and HEAD differ by ${apartMs} ms`);
      for (const { serverTimeMs } of [stored, got, head]) {
        assert.ok((serverTimeMs ?? Infinity) > YEAR_2001_MS, `server time ${serverTimeMs}`);
      }
    },
  },
  {
    title: "spares the body of an object that still has the ETag, and gives it once it has another",
    async run(room) {
      const key = room.key("k");
      await room.put("k", "one");
      const first = await room.store.get(key);
      if (!first.found || first.etag === undefined) return;
      const same = await room.store.get(key, { unlessEtag: first.etag });
      assert.ok(same.found, "there, but absent");
      // A server that does not know the condition gives the body again: no harm.
      if (same.unchanged === true) assert.equal(same.body.length, 0);
      else assert.equal(Buffer.from(same.body).toString(), "one");
      await room.put("k", "two");
      const changed = await room.store.get(key, { unlessEtag: first.etag });
      assert.ok(changed.found && changed.unchanged !== true, "rewritten, but unchanged");
      assert.equal(Buffer.from(changed.body).toString(), "two");
      assert.equal((await room.store.get(room.key("none"), { unlessEtag: first.etag })).found, false);
    },
  },
  {
    title: "answers that an object is absent, without an error",
    async run(room) {
      assert.equal((await room.store.get(room.key("none"))).found, false);
      assert.equal((await room.store.head(room.key("none"))).found, false);
      await room.put("k");
      await room.store.delete({ key: room.key("k") });
      assert.equal((await room.store.get(room.key("k"))).found, false);
      assert.equal((await room.store.head(room.key("k"))).found, false);
    },
  },
  {
    title: "replaces body, metadata and ETag when an object is written again",
    async run(room) {
      const first = await room.put("k", "one", { metadata: { a: "1", b: "2" } });
      const second = await room.put("k", "two", { metadata: { b: "3" } });
      if (first.etag !== undefined) assert.notEqual(first.etag, second.etag);
      assert.equal(await room.text("k"), "two");
      assert.deepEqual((await room.head("k")).metadata, { b: "3" });
      assert.deepEqual(await room.names(), ["k"]);
    },
  },
  {
    title: "moves the timestamp when an object is rewritten, and only then",
    async run(room) {
      await room.put("old");
      await room.put("k");
      const before = await room.list();
      await room.clock.sleep(room.store.features.timestampStepMs + 20);
      assert.deepEqual(await room.list(), before);
      await room.put("old");
      const [k, old] = await room.list();
      assert.deepEqual(k, before[0]);
      assert.ok(old && old.lastModifiedMs > (before[1]?.lastModifiedMs ?? Infinity), "the timestamp did not move");
      assert.ok(old.lastModifiedMs > (k?.lastModifiedMs ?? Infinity), "rewritten last, but not the newest");
    },
  },
  { title: "takes an empty body", run: (room) => bodySurvives(room, "") },
  { title: "writes text as UTF-8", run: (room) => bodySurvives(room, "grün 🔒") },
  {
    title: "takes bodies of every byte, and around 4 KiB",
    async run(room) {
      await bodySurvives(
        room,
        Uint8Array.from({ length: 256 }, (_, i) => i),
      );
      for (const size of [4095, 4096, 4097]) await bodySurvives(room, Buffer.alloc(size, "ab"));
    },
  },
  {
    title: "takes a body of 1 MiB, and another in its place",
    async run(room) {
      await bodySurvives(
        room,
        Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7919) >> 3),
      );
      await bodySurvives(room, Buffer.alloc((1 << 20) + 1, "z"));
    },
  },
  {
    title: "hands out a body that is the caller's own",
    async run(room) {
      await room.put("k", "abc");
      const answer = await room.store.get(room.key("k"));
      assert.ok(answer.found, "put, but absent");
      answer.body.fill(0);
      assert.equal(await room.text("k"), "abc");
    },
  },
  {
    title: "keeps metadata",
    topic: "metadata",
    async run(room) {
      const metadata = { holder: "Ada, host-7 (pid 42); a=b%20c", renewal: "12", "long-name-0": "-" };
      await room.put("k", "x", { metadata });
      const got = await room.store.get(room.key("k"));
      assert.ok(got.found, "put, but absent");
      assert.deepEqual({ ...got.metadata }, metadata);
      assert.deepEqual({ ...(await room.head("k")).metadata }, metadata);
    },
  },
  {
    title: "takes 24 puts at once",
    async run(room) {
      const names = Array.from({ length: 24 }, (_, i) => `k${String(i).padStart(2, "0")}`);
      await Promise.all(names.map((name) => room.put(name, name)));
      assert.deepEqual(await room.names(), names);
      for (const name of names) assert.equal(await room.text(name), name);
    },
  },
  {
    title: "leaves one whole body when many write one object",
    async run(room) {
      const bodies = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(5000));
      const reads = bodies.map(() => room.text("k"));
      await Promise.all(bodies.map((body) => room.put("k", body)));
      for (const text of [...(await Promise.all(reads)), await room.text("k")]) {
        assert.ok(text === undefined || bodies.includes(text), "a body that nobody wrote");
      }
    },
  },
];
