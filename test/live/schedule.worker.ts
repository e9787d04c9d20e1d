/**
 * One host of a fleet that runs a schedule: with a clock of its own, seconds off, and a job that takes a moment. Tells each run's
 * begin and end synchronously, so that what happened before a SIGKILL has been told. Judges nothing; ends by itself.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openFileStore, openS3Session, type Store, systemClock } from "@bucketlock/core";
import { SeededRandom } from "@bucketlock/core/testing";
import { BucketlockError, createLocks, type OnceRun, type Schedule } from "@bucketlock/lock";
import type { JobLine, JobOrders } from "./schedule-campaign.js";

const orders = JSON.parse(process.argv[2]!) as JobOrders;
const { label, skewMs, everyMs, slots, guarantee, leaseMs, protocol, probed } = orders;
const random = new SeededRandom(orders.seed);
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** The pipe may be full for a moment while the reader is busy. */
function tell(line: JobLine): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let from = 0; from < bytes.length; ) {
    try {
      from += writeSync(1, bytes, from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

function open(): Store {
  const { store } = orders;
  if (store.kind === "file") return openFileStore({ dir: store.dir });
  return openS3Session({ ...store, credentials: store }).store();
}

/** Told when everybody is up: before the first slot nobody may be late. */
function whenToBegin(): Promise<number> {
  return new Promise((resolve) => {
    const input = createInterface({ input: process.stdin });
    input.once("line", (line) => {
      input.close();
      process.stdin.destroy();
      resolve((JSON.parse(line) as { firstMs: number }).firstMs);
    });
  });
}

tell({ event: "hello" });
const firstMs = await whenToBegin();
const slotAt = (n: number) => firstMs + n * everyMs;
/** So many slots, and then none any more. */
const schedule: Schedule = {
  next(afterMs) {
    const n = Math.max(0, Math.floor((afterMs - firstMs) / everyMs) + 1);
    return n < slots ? slotAt(n) : undefined;
  },
  last(atMs) {
    const n = Math.min(slots - 1, Math.floor((atMs - firstMs) / everyMs));
    return n < 0 ? undefined : slotAt(n);
  },
};

async function job({ slotMs, attempt, signal }: OnceRun): Promise<void> {
  tell({ event: "began", slot: slotMs, attempt, at: now() });
  await new Promise((resolve) => setTimeout(resolve, random.float() * orders.jobMs));
  signal.throwIfAborted();
  tell({ event: "ended", slot: slotMs, attempt, at: now() });
}

const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + skewMs };
const locks = createLocks(open(), { protocol, probed, leaseMs, label, clock, pollMaxMs: 100 });
const running = locks.cron(orders.name, schedule, job, {
  guarantee,
  catchUp: 1000,
  keep: 1000,
  onError(error, slot) {
    const code = error instanceof BucketlockError ? error.code : String(error);
    tell({ event: "failed", slot, code });
  },
});
await running.ended;
await locks.close();
tell({ event: "bye" });
