/** The price of a lock in requests: what a warm, uncontended acquire and release send, and in which order. */
import { createMemoryStore } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { expect, test } from "vitest";

test("an uncontended acquire is exactly PUT, LIST, PUT, LIST and a release one multi-delete", async () => {
  const store = new RecordingStore(createMemoryStore());
  const locks = createLocks(store);
  const lease = await locks.lock("jobs/nightly").acquire();
  expect(store.calls.map((call) => call.verb)).toEqual(["put", "list", "put", "list"]);
  await lease.release();
  expect(store.calls.slice(4).map((call) => call.verb)).toEqual(["deleteMany"]);
  await locks.close();
});
