/** `run`: acquire, work, release. The work gets a signal that aborts before the lease can end; a slow job passes it on. */
import { setTimeout as sleep } from "node:timers/promises";
import { createLocks, LockLostError, openStore } from "@bucketlock/lock";

const locks = createLocks(openStore(process.argv[2] ?? "memory:"), { leaseMs: 10_000 });

try {
  const written = await locks.lock("reports/daily").run(
    async (lease) => {
      await sleep(50, undefined, { signal: lease.signal }); // fetch(url, { signal: lease.signal }) works the same way
      lease.throwIfLost(); // right before what must not happen twice
      return "the report";
    },
    { waitMs: 5_000 },
  );
  console.log(`wrote ${written}`);
} catch (error) {
  // Lost: another may hold the lock now. Stop touching what it guards.
  if (error instanceof LockLostError) console.error(error.message);
  else throw error;
} finally {
  await locks.close();
}
