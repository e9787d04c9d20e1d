/** Ctrl-C or a SIGTERM releases what is held, so that nobody waits for the lease to run out. Your own handlers run as ever. */
import { setTimeout as sleep } from "node:timers/promises";
import { createLocks, openStore } from "@bucketlock/lock";

const locks = createLocks(openStore(process.argv[2] ?? "memory:"), { releaseOnSignal: true });

await locks.lock("deploy").run(async (lease) => {
  console.log("deploying; press Ctrl-C");
  await sleep(60_000, undefined, { signal: lease.signal });
});
