/**
 * A user's program, compiled against the installed packages and run from their folder: takes a lock, does its work under
 * it, gives it back. It may import nothing but what a user can.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as b2 from "@bucketlock/b2";
import { BucketlockError, openStore } from "@bucketlock/core";
import { createLocks, type Lease } from "@bucketlock/lock";

const directory = await mkdtemp(join(tmpdir(), "bucketlock-user-"));
try {
  const store = openStore(`file:${directory}`);
  const locks = createLocks(store, { leaseMs: 30_000 });
  const lock = locks.lock("jobs/nightly");
  const first: Lease = await lock.acquire({ waitMs: 5_000 });
  first.throwIfLost();
  const whileHeld = await lock.tryAcquire();
  await first.release();
  const afterwards = await lock.run(async (lease) => !lease.signal.aborted);
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map(({ key }) => key));
  await locks.close();
  await store.close();
  let refused: string | undefined;
  try {
    openStore("ftp://nowhere");
  } catch (error) {
    refused = error instanceof BucketlockError ? error.kind : "not ours";
  }
  // As people read it: what the bundler makes of the class must not show.
  const closed = String(await lock.acquire().catch((error: unknown) => error));
  console.log(JSON.stringify({ whileHeld: whileHeld === undefined, afterwards, keys, refused, closed, b2: typeof b2 }));
} finally {
  await rm(directory, { recursive: true, force: true });
}
