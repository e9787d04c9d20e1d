/**
 * One process that leads whenever it can, and tells when it is elected, when it acts as leader, and when its term is over.
 * Writes synchronously; judges nothing; ends when it is told to stop.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openFileStore } from "@bucketlock/core";
import { createLocks, type LocksOptions } from "@bucketlock/lock";

export type ElectionLine =
  | { readonly event: "hello" | "bye" }
  | { readonly event: "elected" | "acted" | "over"; readonly token: string; readonly at: number };

const { dir, options } = JSON.parse(process.argv[2]!) as { dir: string; options: LocksOptions };
const now = () => Number(process.hrtime.bigint()) / 1e6;
const tell = (line: ElectionLine) => writeSync(1, `${JSON.stringify(line)}\n`);

const stop = new AbortController();
createInterface({ input: process.stdin }).once("line", () => {
  stop.abort("told to stop");
  process.stdin.destroy();
});
const locks = createLocks(openFileStore({ dir }), { ...options, label: `process ${process.pid}` });
tell({ event: "hello" });
await locks
  .election("work")
  .lead(
    async (leadership) => {
      const token = String(leadership.token);
      tell({ event: "elected", token, at: now() });
      while (!leadership.signal.aborted) {
        // Before the question: what comes after it may be late.
        const at = now();
        try {
          leadership.throwIfLost();
        } catch {
          break;
        }
        tell({ event: "acted", token, at });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      tell({ event: "over", token, at: now() });
      leadership.signal.throwIfAborted();
    },
    { signal: stop.signal },
  )
  .catch((error: unknown) => {
    if (error !== "told to stop") throw error;
  });
await locks.close();
tell({ event: "bye" });
