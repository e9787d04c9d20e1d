/**
 * One lock, several processes, a little work each: how many acquisitions a second, and how long the lock lies idle between
 * two holders. All times on the machine's monotonic clock. Also sees to it that no two held at once: a fast lock that does
 * not lock would win every bench.
 */
import { fileURLToPath } from "node:url";
import { message, startCrew } from "./crew.js";
import type { Player } from "./players.js";
import { type Summary, summarize } from "./statistics.js";

export interface Turn {
  readonly acquiredMs: number;
  /** When `release` was called, and when it returned. */
  readonly leftMs: number;
  readonly releasedMs: number;
}

/** To a worker, as its argument. */
export interface ContentionTask {
  readonly player: Player;
  readonly key: string;
  readonly workMs: number;
  readonly seconds: number;
}
export interface ContentionShare {
  readonly turns: readonly Turn[];
  /** Undefined: not counted. */
  readonly requests?: number | undefined;
}

export interface ContentionResult {
  readonly processes: number;
  readonly workMs: number;
  readonly perSecond: number;
  /** From the end of one release to the return of the next acquire. Below 0: the next held before the release's answer was back. */
  readonly handOverMs: Summary;
  /** From the call of release to the return of the next acquire. */
  readonly idleMs: Summary;
  /** Undefined: not counted. */
  readonly requestsPerAcquisition?: number;
  /** Most and fewest acquisitions of a process. */
  readonly share: readonly [most: number, fewest: number];
}

const WORKER = fileURLToPath(new URL("./contention.worker.ts", import.meta.url));
const PROCESSES = 4;
const WORK_MS = 20;
// Connections are opened and code is compiled meanwhile. On a store this slow, less: a fifth of all.
const WARM_UP_TURNS = 12;

export async function measureContention(
  player: Player,
  key: string,
  seconds: number,
  env: Readonly<Record<string, string>> = {},
): Promise<ContentionResult> {
  const task: ContentionTask = { player, key, workMs: WORK_MS, seconds };
  const children = startCrew(WORKER, PROCESSES, task, env);
  try {
    await Promise.all(children.map((child) => message(child, "ready")));
    const shares = children.map((child) => message<ContentionShare>(child, "its turns"));
    for (const child of children) child.send("go");
    return evaluate(await Promise.all(shares), WORK_MS);
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

export function evaluate(shares: readonly ContentionShare[], workMs: number): ContentionResult {
  const all = shares.flatMap((share) => share.turns).sort((a, b) => a.acquiredMs - b.acquiredMs);
  // In the end nobody stands in line any more: what is measured ends when the first process stopped asking.
  const endMs = Math.min(...shares.map((share) => share.turns.at(-1)?.releasedMs ?? 0));
  const turns = all
    .slice(Math.min(WARM_UP_TURNS, Math.floor(all.length / 5)))
    .filter((turn) => turn.acquiredMs < endMs);
  const [first, last] = [turns[0], turns.at(-1)];
  if (first === undefined || last === undefined || turns.length < 2) {
    throw new Error(
      `too few acquisitions to measure: ${shares.map((share) => share.turns.length).join(", ")} by process`,
    );
  }
  const handOvers: number[] = [];
  const idle: number[] = [];
  for (const [index, next] of turns.slice(1).entries()) {
    const before = turns[index]!;
    if (next.acquiredMs < before.leftMs) throw new Error("two processes held the lock at once");
    handOvers.push(next.acquiredMs - before.releasedMs);
    idle.push(next.acquiredMs - before.leftMs);
  }
  const counts = shares.map((share) => share.turns.length);
  const requests = shares.reduce((sum, share) => sum + (share.requests ?? Number.NaN), 0);
  return {
    processes: shares.length,
    workMs,
    perSecond: ((turns.length - 1) * 1000) / (last.acquiredMs - first.acquiredMs),
    handOverMs: summarize(handOvers),
    idleMs: summarize(idle),
    ...(Number.isNaN(requests) ? {} : { requestsPerAcquisition: requests / all.length }),
    share: [Math.max(...counts), Math.min(...counts)],
  };
}
