/** `await using`: the lease is released at the end of the block, however the block is left. */
import { createLocks, openStore } from "@bucketlock/lock";

await using locks = createLocks(openStore(process.argv[2] ?? "memory:"));

{
  await using lease = await locks.lock("invoices").acquire({ waitMs: 10_000, signal: AbortSignal.timeout(15_000) });
  console.log("held:", lease.isHeld); // true
}
console.log("free again:", (await locks.lock("invoices").inspect()).holders.length === 0); // true
