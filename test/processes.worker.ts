/** The worker of processes.test.ts: says hello, echoes its input, and ends as it is told. */
import { createInterface } from "node:readline";
import { systemClock } from "@bucketlock/core";

const say = (message: unknown) => console.log(JSON.stringify(message));

say({ event: "hello", args: process.argv.slice(2), clock: typeof systemClock.monotonicMs() });
console.log("not JSON");
createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line) as { exit?: number };
  if (message.exit !== undefined) process.exit(message.exit);
  say({ event: "echo", message });
});
