/** A cron job on many hosts that must run on one: who comes second goes home. A holder that died is taken over. */
import { createLocks, openStore } from "@bucketlock/lock";

const locks = createLocks(openStore(process.argv[2] ?? "memory:"), { leaseMs: 60_000 });

const lease = await locks.lock("cron/backup").tryAcquire();
if (lease === undefined) {
  console.log("another host makes the backup");
} else {
  console.log("making the backup");
  await lease.release();
}
await locks.close();
