/** Who holds a lock, who waits, since when; and how a person removes a claim that will never come back. */
import { createLocks, openStore } from "@bucketlock/lock";

const locks = createLocks(openStore(process.argv[2] ?? "memory:"), { label: "host-7 nightly import" });
const lock = locks.lock("import");

const lease = await lock.acquire();
await lease.abandon(); // stands for a process that is gone: nothing renews this claim any more

const { holders, waiters } = await lock.inspect();
for (const holder of holders)
  console.log(`held by ${holder.label}, last sign of life ${holder.ageMs} ms ago, ${holder.life}`);
console.log(`${waiters.length} waiting`);

// Without `olderThanMs` only claims without a sign of life for two hours are removed. 0 removes what may be alive: be sure.
const removed = await lock.breakLock({ olderThanMs: 0 });
console.log(`removed ${removed.length} claim`);
await locks.close();
