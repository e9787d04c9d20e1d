/**
 * A holder is paused for longer than its lease, right before its write. Another takes over and writes. The late write is refused
 * where it lands: a lease alone could not have stopped it.
 */
import { createLocks, FencedError, type FencingLease, fence, openStore } from "@bucketlock/lock";

const store = openStore(process.argv[2] ?? "memory:");
const one = createLocks(store, { leaseMs: 1000, label: "one" });
const two = createLocks(store, { leaseMs: 1000, label: "two" });

const first = await one.lock("reports").acquire();
const token = await first.token();
console.log(`one holds the lock, token ${token}`);
await first.abandon(); // as if the machine stood still from here on: nobody renews

await two.lock("reports").run(async (lease) => {
  await fence(store, lease).put("reports/today.json", '{ "by": "two" }');
  console.log(`two took over and wrote, token ${await lease.token()}`);
});

// The machine of the first goes on. It was past its last check, so nothing here asks the lease: only its token is left.
const pastItsChecks: FencingLease = {
  token: async () => token,
  throwIfLost: () => {},
  signal: new AbortController().signal,
};
try {
  await fence(store, pastItsChecks).put("reports/today.json", '{ "by": "one, too late" }');
} catch (error) {
  if (!(error instanceof FencedError)) throw error;
  console.log("the late write of one was refused");
}

const report = await fence(store, first).get("reports/today.json");
if (report.found) console.log(`the report: ${new TextDecoder().decode(report.body)} token ${report.token}`);
await one.close({ keepStore: true });
await two.close();
