/**
 * One lock, several processes, a little work each: how many acquisitions a second, and how long the lock lies idle between
 * two holders. All times on the machine's monotonic clock. Also sees to it that no two held at once: a fast lock that does
 * not lock would win every bench.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Summary, summarize } from "./statistics.js";
import type { StoreAddress, Target } from "./targets.js";

export interface Turn {
  readonly acquiredMs: number;
  /** When `release` was called, and when it returned. */
  readonly leftMs: number;
  readonly releasedMs: number;
}

/** To a worker, as its argument. */
export interface ContentionTask {
  readonly address: StoreAddress;
  readonly key: string;
  readonly workMs: number;
  readonly seconds: number;
}
export interface ContentionShare {
  readonly turns: readonly Turn[];
  readonly requests: number;
}

export interface ContentionResult {
  readonly processes: number;
  readonly workMs: number;
  readonly perSecond: number;
  /** From the end of one release to the return of the next acquire. Below 0: the next held before the release's answer was back. */
  readonly handOverMs: Summary;
  /** From the call of release to the return of the next acquire. */
  readonly idleMs: Summary;
  readonly requestsPerAcquisition: number;
  /** Most and fewest acquisitions of a process. */
  readonly share: readonly [most: number, fewest: number];
}

const WORKER = fileURLToPath(new URL("./contention.worker.ts", import.meta.url));
const PROCESSES = 4;
const WORK_MS = 20;
// Connections are opened and code is compiled meanwhile. On a store this slow, less: a fifth of all.
const WARM_UP_TURNS = 12;

export async function measureContention(target: Target, seconds: number): Promise<ContentionResult> {
  const task: ContentionTask = {
    address: target.address,
    key: `${target.prefix}contended`,
    workMs: WORK_MS,
    seconds,
  };
  const children = Array.from({ length: PROCESSES }, () =>
    spawn(process.execPath, [...process.execArgv, WORKER, JSON.stringify(task)], {
      env: { ...process.env, ...target.env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    }),
  );
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
  return {
    processes: shares.length,
    workMs,
    perSecond: ((turns.length - 1) * 1000) / (last.acquiredMs - first.acquiredMs),
    handOverMs: summarize(handOvers),
    idleMs: summarize(idle),
    requestsPerAcquisition: shares.reduce((sum, share) => sum + share.requests, 0) / all.length,
    share: [Math.max(...counts), Math.min(...counts)],
  };
}

function message<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once("message", (value) => resolve(value as T));
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`a worker ended (${signal ?? code}) before it told ${what}`)),
    );
  });
}
