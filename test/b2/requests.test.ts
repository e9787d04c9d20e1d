/** The price of a lock on B2 in requests: cold, warm, renewed and released, and what the calls cost. */
import { createLocks } from "@bucketlock/lock";
import { expect, test } from "vitest";
import { BUCKET, callsOf, useEmulator, useSession } from "./rig.js";

test("a warm acquire is 2 uploads on pooled URLs and 2 lists, no more; a release 2 deletes", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  const locks = createLocks(session.store());
  const cold = await locks.lock("jobs/nightly").acquire();
  await cold.release();
  // Once for the session: the token, the bucket's id, and two upload URLs.
  expect(callsOf(emulator).slice(0, 4)).toEqual([
    "authorize_account",
    "list_buckets",
    "get_upload_url",
    "get_upload_url",
  ]);
  expect(callsOf(emulator).length).toBe(4 + 4 + 2);

  emulator.seen.length = 0;
  emulator.costs.clear();
  const lease = await locks.lock("jobs/nightly").acquire();
  expect(callsOf(emulator)).toEqual(["upload_file", "list_file_names", "upload_file", "list_file_names"]);
  await lease.release();
  expect(callsOf(emulator).slice(4)).toEqual(["delete_file_version", "delete_file_version"]);
  expect(emulator.costs.classes).toEqual({ A: 4, B: 0, C: 2 });
  expect(emulator.stored).toEqual([]);
  await locks.close();
});

test("a key restricted to one bucket need not ask for the bucket, nor be told it", async () => {
  const emulator = await useEmulator();
  const capabilities = ["listFiles", "readFiles", "writeFiles", "deleteFiles"];
  const bucketIds = [emulator.world.bucketNamed(BUCKET)!.id];
  const key = emulator.makeKey({ capabilities, bucketIds, namePrefix: "locks/" });
  const credentials = { applicationKeyId: key.id, applicationKey: key.secret };
  const session = useSession(emulator, { bucket: undefined, credentials });
  const locks = createLocks(session.store({ prefix: "locks/" }));
  const lease = await locks.lock("k").acquire();
  await lease.release();
  await locks.close();
  expect(callsOf(emulator)).not.toContain("list_buckets");
  expect(emulator.stored).toEqual([]);
});

test("a renewal is one HEAD, one upload, and the delete of the version before", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  const locks = createLocks(session.store(), { leaseMs: 60_000, renewEveryMs: 500 });
  const lease = await locks.lock("k").acquire();
  emulator.seen.length = 0;
  await expect.poll(() => callsOf(emulator).length).toBeGreaterThanOrEqual(6);
  expect(callsOf(emulator).slice(0, 6)).toEqual([
    "download_file_by_name",
    "upload_file",
    "delete_file_version",
    "download_file_by_name",
    "upload_file",
    "delete_file_version",
  ]);
  expect(emulator.stored.length).toBeLessThanOrEqual(3);
  await lease.release();
  await locks.close();
  expect(emulator.stored).toEqual([]);
});
