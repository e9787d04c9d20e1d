/**
 * The demo's three acts, told as they happen: taking turns, reading together, a death and its take-over. Says what it sees;
 * what was claimed is checked at the end (verdict.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Chronicle } from "./chronicle.js";
import { nowMs, type Order, type Shared, type Told } from "./conversation.js";
import { Crew } from "./crew.js";

export const workers = ["worker-1", "worker-2", "worker-3", "worker-4"] as const;
export const readers = ["reader-1", "reader-2"] as const;
export const victim = workers[1];

const JOB_MS = 250;
const READ_MS = 900;
const KILL_AFTER_MS = 600;
const STEP_LIMIT_MS = 60_000;

export interface Stage {
  readonly shared: Shared;
  readonly chronicle: Chronicle;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export interface Played {
  readonly startMs: number;
  readonly endMs: number;
  /** How often the job was to be done. */
  readonly jobsOrdered: number;
}

export async function play({ shared, chronicle, signal, say }: Stage): Promise<Played> {
  let startMs = nowMs();
  let killedMs: number | undefined;
  const tell = (name: string, told: Told) => {
    const line = inWords(name, told, killedMs);
    if (line !== undefined) say(`  ${((nowMs() - startMs) / 1000).toFixed(1).padStart(4)} s  ${line}`);
  };
  const crew = new Crew({ shared, chronicle, signal, onTold: tell });
  try {
    const names = [...workers, ...readers];
    await crew.start(names);
    startMs = nowMs();
    const idle = (list: readonly string[]) => () => list.every((name) => crew.isIdle(name));

    say(
      "\n1. Four workers, one nightly job that must never run twice at once. Each runs it twice; first come, first served.",
    );
    const job: Order = { do: "job", mode: "exclusive", workMs: JOB_MS };
    for (const name of workers) crew.order(name, job, job);
    await crew.until(idle(workers), STEP_LIMIT_MS, "the workers to take their turns");

    say("\n2. Two readers share the lock: they may hold it together, but no worker meanwhile.");
    crew.order(workers[2], job);
    // Not when it asks: a worker that came between the readers would wait for one, the other for it, and all for both.
    const holdsOrHeld = () => chronicle.state(workers[2]) === "exclusive" || crew.isIdle(workers[2]);
    await crew.until(holdsOrHeld, STEP_LIMIT_MS, "a worker to hold");
    for (const name of readers) crew.order(name, { do: "job", mode: "shared", workMs: READ_MS, untilTold: true });
    await crew.until(() => readers.every((name) => chronicle.state(name) === "shared"), STEP_LIMIT_MS, "both to read");
    crew.order(workers[0], job);
    // Not by the clock: on a slow machine one would be done before the other begins.
    for (const name of readers) crew.tell(name, { do: "enough" });
    await crew.until(idle(names), STEP_LIMIT_MS, "the readers to finish");

    say(`\n3. ${victim} takes the lock and is killed in the middle of the job. It can release nothing any more.`);
    crew.order(victim, { do: "job", mode: "exclusive", workMs: 60_000 });
    await crew.until(() => chronicle.state(victim) === "exclusive", STEP_LIMIT_MS, `${victim} to hold`);
    const others = workers.filter((name) => name !== victim);
    for (const name of others) {
      crew.order(name, job);
      await crew.until(() => chronicle.state(name) === "waits", STEP_LIMIT_MS, `${name} to wait`);
    }
    await sleep(KILL_AFTER_MS, undefined, { signal });
    await crew.kill(victim);
    killedMs = chronicle.kills[0]!.atMs;
    say(`  ${((killedMs - startMs) / 1000).toFixed(1).padStart(4)} s  ${victim} is killed (SIGKILL)`);
    say(`          its lease of ${shared.leaseMs / 1000} s is not renewed any more; the others watch it run out`);
    await crew.until(idle(others), STEP_LIMIT_MS, "the lock of the dead to be taken over");
    return { startMs, endMs: nowMs(), jobsOrdered: workers.length * 2 + 2 + others.length };
  } finally {
    await crew.end();
  }
}

function inWords(name: string, told: Told, killedMs: number | undefined): string | undefined {
  switch (told.is) {
    case "holds": {
      const what = told.mode === "shared" ? "has the lock, shared, and reads" : "has the lock and runs the job";
      const waited = `waited ${(told.waitedMs / 1000).toFixed(2)} s`;
      return `${name} ${what} (${waited})`;
    }
    case "tookOver": {
      const after = killedMs === undefined ? "" : ` ${((nowMs() - killedMs) / 1000).toFixed(1)} s after the kill`;
      return `${name} finds the holder dead${after} and removes its claim`;
    }
    case "lost":
      return `${name} lost its lease, because this machine stood still for too long; it stops and asks again`;
    default:
      return undefined;
  }
}
