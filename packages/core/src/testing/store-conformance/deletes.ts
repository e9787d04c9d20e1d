/**
 * Conformance: DELETE of one and of many, and what a store that keeps versions leaves behind.
 */
import assert from "node:assert/strict";
import type { ConformanceTest } from "./room.js";

export const deleteTests: readonly ConformanceTest[] = [
  {
    title: "deletes exactly one object, and what is absent without an error",
    async run(room) {
      for (const name of ["a", "ab", "a/b"]) if (name !== "a/b") await room.put(name);
      await room.store.delete({ key: room.key("a") });
      assert.deepEqual(await room.names(), ["ab"]);
      await room.store.delete({ key: room.key("a") });
      await room.store.delete({ key: room.key("never") });
      assert.deepEqual(await room.names(), ["ab"]);
    },
  },
  {
    title: "deletes many at once, missing and repeated ones included",
    async run(room) {
      const names = ["a", "b", "c d", "e&<f>", "g%"];
      for (const name of [...names, "stays"]) await room.put(name);
      const targets = [...names, "never", "a"].map((name) => ({ key: room.key(name) }));
      // One by one, where the store has no request for many.
      assert.deepEqual((await room.store.deleteMany(targets, { timeoutMs: 90_000 })).failed, []);
      assert.deepEqual(await room.names(), ["stays"]);
    },
  },
  {
    title: "deletes nothing when given no targets",
    async run(room) {
      await room.put("k");
      assert.deepEqual((await room.store.deleteMany([])).failed, []);
      assert.deepEqual(await room.names(), ["k"]);
    },
  },
  {
    title: "deletes more than 1000 targets",
    async run(room) {
      const targets = Array.from({ length: 1005 }, (_, i) => ({ key: room.key(`k${i}`) }));
      for (const i of [0, 999, 1000, 1004]) await room.put(`k${i}`);
      await room.put("stays");
      // One by one, where the store has no request for many.
      assert.deepEqual((await room.store.deleteMany(targets, { timeoutMs: 90_000 })).failed, []);
      assert.deepEqual(await room.names(), ["stays"]);
    },
  },
  {
    title: "lists each present object as the latest version",
    async run(room) {
      await room.put("a");
      await room.put("b");
      const latest = (await room.versions("", { pageSize: 1 })).filter((version) => version.isLatest);
      assert.deepEqual(
        latest.map(({ key, isDeleteMarker }) => [key, isDeleteMarker]),
        [
          [room.key("a"), false],
          [room.key("b"), false],
        ],
      );
      assert.ok(
        latest.every((version) => version.lastModifiedMs > 0),
        "a version without a timestamp",
      );
    },
  },
  {
    title: "keeps versions, lays a marker, and removes each by its id",
    topic: "versions",
    async run(room) {
      const key = room.key("k");
      const first = await room.put("k", "one");
      const second = await room.put("k", "two");
      assert.ok(first.versionId && second.versionId, "a put without a version id");
      assert.notEqual(first.versionId, second.versionId);
      assert.equal((await room.head("k")).versionId, second.versionId);
      await room.store.delete({ key });
      assert.equal((await room.store.head(key)).found, false);
      assert.deepEqual(await room.names(), []);

      const all = await room.versions("k", { pageSize: 1 });
      assert.equal(all.length, 3);
      const marker = all.find((version) => version.isDeleteMarker);
      assert.ok(marker?.isLatest, "the delete marker is not the latest");
      await room.store.delete({ key, versionId: marker.versionId });
      assert.equal(await room.text("k"), "two");
      await room.store.delete({ key, versionId: second.versionId });
      assert.equal(await room.text("k"), "one");
      const { failed } = await room.store.deleteMany([{ key, versionId: first.versionId }]);
      assert.deepEqual(failed, []);
      assert.deepEqual(await room.versions(), []);
    },
  },
];
