/**
 * Many who wait for one lock that somebody holds all the while: how many requests a second they send, while they come and once
 * they stand in line. What is asked is whether it grows with their number. The crowd is killed at the end, not asked to leave.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createLocks } from "@bucketlock/lock";
import { message, startCrew } from "./crew.js";
import { lockOptions, type Player } from "./players.js";
import { openTarget, type Target } from "./targets.js";

/** To a worker, as its argument. */
export interface WaitersTask {
  readonly player: Extract<Player, { kind: "bucketlock" }>;
  readonly key: string;
  readonly waiters: number;
}
/** Of a worker, up to now. */
export interface WaitersCount {
  readonly requests: number;
  readonly inLine: number;
  readonly failed: number;
}

export interface WaitersResult {
  readonly processes: number;
  readonly waiters: number;
  /** While they come: from the start for `windowMs`. Then for as long again. */
  readonly comingPerSecond: number;
  readonly waitingPerSecond: number;
  readonly windowMs: number;
  /** At the end of each window: how many had been told that they wait. */
  readonly inLine: readonly [number, number];
  readonly failed: number;
  /** The crowd kept the holder from renewing, or from releasing. */
  readonly holderLost: boolean;
}

const WORKER = fileURLToPath(new URL("./waiters.worker.ts", import.meta.url));
const RELEASE_LIMIT_MS = 20_000;

export async function measureWaiters(
  target: Target,
  player: Extract<Player, { kind: "bucketlock" }>,
  crowd: { readonly processes: number; readonly waitersEach: number; readonly seconds: number },
): Promise<WaitersResult> {
  const { processes, waitersEach, seconds } = crowd;
  const key = `${target.prefix}crowd-${player.protocol}-${processes}-${waitersEach}`;
  const locks = createLocks(openTarget(target), lockOptions(player));
  const children = startCrew(
    WORKER,
    processes,
    { player, key, waiters: waitersEach } satisfies WaitersTask,
    target.env,
  );
  try {
    await Promise.all(children.map((child) => message(child, "ready")));
    const lease = await locks.lock(key).acquire();
    const ask = async (word: "go" | "count"): Promise<{ atMs: number; count: WaitersCount }> => {
      const answers = children.map((child) => message<WaitersCount>(child, "its requests"));
      for (const child of children) child.send(word);
      const count = sum(await Promise.all(answers));
      return { atMs: performance.now(), count };
    };
    const first = await ask("go");
    await sleep(seconds * 1000);
    const second = await ask("count");
    await sleep(seconds * 1000);
    const third = await ask("count");
    let holderLost = lease.signal.aborted;
    for (const child of children) child.kill("SIGKILL");
    await Promise.race([lease.release(), sleep(RELEASE_LIMIT_MS, undefined, { ref: false })]).catch(() => {
      holderLost = true;
    });
    return { processes, waiters: processes * waitersEach, holderLost, ...rates([first, second, third]) };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await locks.close().catch(() => {});
  }
}

/** From three counts, each with the moment it was complete. */
export function rates(
  looks: readonly [first: Look, second: Look, third: Look],
): Pick<WaitersResult, "comingPerSecond" | "waitingPerSecond" | "windowMs" | "inLine" | "failed"> {
  const [first, second, third] = looks;
  const rate = (from: Look, to: Look) => ((to.count.requests - from.count.requests) * 1000) / (to.atMs - from.atMs);
  return {
    comingPerSecond: rate(first, second),
    waitingPerSecond: rate(second, third),
    windowMs: third.atMs - second.atMs,
    inLine: [second.count.inLine, third.count.inLine],
    failed: third.count.failed,
  };
}

export interface Look {
  readonly atMs: number;
  readonly count: WaitersCount;
}

function sum(counts: readonly WaitersCount[]): WaitersCount {
  const total = (of: (count: WaitersCount) => number) => counts.reduce((all, count) => all + of(count), 0);
  return {
    requests: total((one) => one.requests),
    inLine: total((one) => one.inLine),
    failed: total((one) => one.failed),
  };
}
