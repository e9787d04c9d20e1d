/**
 * Conformance: LIST. Strong after every write and delete, whole over all pages, exact in its prefix, in byte order.
 */
import assert from "node:assert/strict";
import { compareKeys } from "../../byte-order.js";
import type { ConformanceTest, Room } from "./room.js";

async function fill(room: Room, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => room.put(name, "")));
}

export const listingTests: readonly ConformanceTest[] = [
  {
    title: "lists nothing as one page without objects",
    async run({ store, prefix }) {
      const pages = [];
      for await (const page of store.list(prefix)) pages.push(page);
      assert.deepEqual(
        pages.map((page) => page.objects),
        [[]],
      );
    },
  },
  {
    title: "lists in the byte order of UTF-8",
    async run(room) {
      // U+FF5E sorts before U+1F512 in UTF-8, after it in UTF-16.
      const names = ["a", "A", "a-", "a/b", "a0", "aa", "b", "é", "\uff5e", "\u{1f512}", "Z", "_"];
      await fill(room, names);
      assert.deepEqual(await room.names(), [...names].sort(compareKeys));
      assert.deepEqual(await room.names("", { pageSize: 5 }), [...names].sort(compareKeys));
    },
  },
  {
    title: "lists by the exact prefix: no pattern, no folder",
    async run(room) {
      await fill(room, ["a", "a.b", "a/b", "ab", "b", "A", "a%", "a_", "a*"]);
      assert.deepEqual(await room.names("a"), ["a", "a%", "a*", "a.b", "a/b", "a_", "ab"]);
      assert.deepEqual(await room.names("a/"), ["a/b"]);
      assert.deepEqual(await room.names("a%"), ["a%"]);
      assert.deepEqual(await room.names("a_"), ["a_"]);
      assert.deepEqual(await room.names("ab"), ["ab"]);
      assert.deepEqual(await room.names("abc"), []);
    },
  },
  {
    title: "gives every object once, whatever the page size",
    async run(room) {
      const names = Array.from({ length: 12 }, (_, i) => `k${String(i).padStart(2, "0")}`);
      await fill(room, names);
      for (const pageSize of [1, 5, 6, 11, 12, 13, 1000]) {
        const pages = [];
        for await (const page of room.store.list(room.prefix, { pageSize })) pages.push(page.objects);
        assert.ok(
          pages.every((page) => page.length <= pageSize),
          `a page longer than ${pageSize}`,
        );
        assert.deepEqual(
          pages.flat().map((object) => object.key),
          names.map((name) => room.key(name)),
        );
      }
    },
  },
  {
    title: "can be left in the middle",
    async run(room) {
      await fill(room, ["a", "b", "c"]);
      for await (const page of room.store.list(room.prefix, { pageSize: 1 })) {
        assert.equal(page.objects.length, 1);
        break;
      }
      assert.deepEqual(await room.names(), ["a", "b", "c"]);
    },
  },
  {
    title: "shows every finished PUT and no finished DELETE, round after round",
    async run(room) {
      for (let round = 0; round < room.rounds; round++) {
        await room.put("k", String(round));
        assert.deepEqual(await room.names(), ["k"], `round ${round}: put, but not listed`);
        await room.store.delete({ key: room.key("k") });
        assert.deepEqual(await room.names(), [], `round ${round}: deleted, but listed`);
      }
    },
  },
  {
    title: "never misses an object while it and its neighbours are rewritten",
    async run(room) {
      await fill(room, ["a", "k", "z"]);
      let done = false;
      const rewrite = async (name: string) => {
        for (let i = 0; !done; i++) await room.put(name, String(i));
      };
      const come = async () => {
        for (let i = 0; !done; i++) {
          await room.put(`m${i % 3}`, "");
          await room.store.delete({ key: room.key(`m${i % 3}`) });
        }
      };
      const looks = async () => {
        try {
          for (let round = 0; round < room.rounds; round++) {
            const names = await room.names("", { pageSize: round % 2 ? 2 : 1000 });
            // Others come and go: those named m, and what some servers show of a write under way.
            const steady = names.filter((name) => ["a", "k", "z"].includes(name));
            assert.deepEqual(steady, ["a", "k", "z"], `round ${round}`);
          }
        } finally {
          done = true;
        }
      };
      await Promise.all([looks(), rewrite("k"), rewrite("z"), come()]);
    },
  },
];
