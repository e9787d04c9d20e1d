/**
 * A lease passed on within one process: from the call of `release` to the moment at which the next one of the process has its lease.
 * On the memory store, which is asked nothing meanwhile; the bounds are set so wide that no pass goes by the store.
 */
import { createMemoryStore } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { type Summary, summarize } from "./statistics.js";

export interface PassesResult {
  /** How many wait their turn. */
  readonly waiters: number;
  readonly passUs: Summary;
  /** Sent while they were passed on: none, or the numbers are no passes. */
  readonly requests: number;
}

const WARM_UP_SHARE = 0.2;

export async function measurePasses(waiters: number, seconds: number): Promise<PassesResult> {
  const store = new RecordingStore(createMemoryStore());
  await using locks = createLocks(store, {
    localTurns: Number.MAX_SAFE_INTEGER,
    localMs: 3_600_000,
    waitMs: 3_600_000,
  });
  const lock = locks.lock("passed");
  const samples: number[] = [];
  const first = await lock.acquire();
  store.clear();
  const beganMs = performance.now();
  const isOver = () => performance.now() - beganMs >= seconds * 1000;
  let releasedMs = Number.NaN;
  const take = async () => {
    for (;;) {
      const lease = await lock.acquire();
      samples.push((performance.now() - releasedMs) * 1000);
      // The last ones only leave.
      const ends = isOver();
      releasedMs = performance.now();
      const released = lease.release();
      if (ends) return released;
      await released;
    }
  };
  const all = Array.from({ length: waiters }, take);
  releasedMs = performance.now();
  await first.release();
  await Promise.race(all);
  const requests = store.count();
  await Promise.all(all);
  return { waiters, passUs: summarize(samples.slice(Math.floor(samples.length * WARM_UP_SHARE))), requests };
}
