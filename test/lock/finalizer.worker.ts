/**
 * A program that takes a lock and then ends in the way its first argument says, without releasing. Second argument: the store; third: the protocol.
 * Tells in lines of JSON what happens; decides nothing.
 */
import { createLocks, openStore } from "@bucketlock/lock";

const [how, url, protocol] = process.argv.slice(2) as [string, string, "two-object" | "conditional" | undefined];
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
const store = openStore(url);
let released = false;
const NAMES = ["exit", "beforeExit", "SIGTERM", "SIGINT"];
// The loader that runs this file may have listeners of its own.
const before = NAMES.map((name) => process.listenerCount(name));
const locks = createLocks(store, {
  protocol,
  leaseMs: 60_000,
  onEvent: (event) => {
    released ||= event.type === "released";
    say({ event: event.type });
  },
  releaseOnSignal: how.startsWith("signal"),
});
const lock = locks.lock("k");

if (how === "leak") {
  // In a function of its own, so that nothing on this stack refers to the lease afterwards.
  const take = async () => void (await lock.acquire());
  await take();
  const keepAlive = setInterval(() => (globalThis as { gc?: () => void }).gc?.(), 50);
  process.on("warning", (warning) => {
    say({ warning: warning.name });
    clearInterval(keepAlive);
  });
} else {
  const lease = await lock.acquire();
  say({ held: lease.ticketId, listeners: NAMES.map((name, at) => process.listenerCount(name) - before[at]!) });
  switch (how) {
    case "beforeExit":
      break;
    case "exit":
      process.exit(7);
      break;
    case "throw":
      setTimeout(() => {
        throw new Error("on purpose");
      }, 10);
      break;
    case "waiting-exit":
      // By the clock it might be in the middle of coming into line.
      void createLocks(store, {
        protocol,
        leaseMs: 60_000,
        onEvent: ({ type }) => type === "waiting" && setImmediate(() => process.exit(8)),
      })
        .lock("k")
        .acquire();
      break;
    case "signal-own-handler":
      process.on("SIGTERM", () => {
        say({ handler: "ran" });
        // Not before the lock is released.
        setInterval(() => released && process.exit(9), 10);
      });
      say({ handler: "is there" });
      setInterval(() => {}, 1000);
      break;
    case "signal":
    case "no-release-on-signal":
      setInterval(() => {}, 1000);
      break;
    case "close": {
      await locks.close();
      say({
        listeners: NAMES.map((name, at) => process.listenerCount(name) - before[at]!),
        resources: process.getActiveResourcesInfo().filter((name) => name === "Timeout" || name.startsWith("TCP")),
      });
      break;
    }
  }
}
