/**
 * The fencing workload, after Jepsen's set test: processes add elements to one list under a lock, and some are stopped between
 * their last check and their write until others have written. Counts what was acknowledged and is not there; expects nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { openFileStore } from "@bucketlock/core";
import type { Worker } from "../processes.js";
import { temporaryDirectory } from "../servers/guard.js";
import { type Line, type Order, type RunOrders, SET } from "./orders.js";

export interface Workload extends Pick<RunOrders, "protocol" | "guard" | "leaseMs" | "pauseMaxMs"> {
  /** How many writes are held back in a stopped process. */
  readonly stops: number;
  /** Writes by others before the stopped one goes on: then it certainly comes too late. */
  readonly othersFirst: number;
}

export interface Outcome {
  readonly acknowledged: number;
  readonly lost: readonly string[];
  /** In the list twice, or never even tried. */
  readonly invented: readonly string[];
  /** How the stopped writes ended: `added`, or the code of the refusal. */
  readonly stopped: readonly string[];
  readonly refusals: Readonly<Record<string, number>>;
  readonly guarded: readonly string[];
  readonly trouble: readonly string[];
}

let runs = 0;

/** One run with workers that said hello. They are ready for the next one after it. */
export async function runWorkload(workers: readonly Worker[], workload: Workload): Promise<Outcome> {
  const { stops, othersFirst, ...orders } = workload;
  const directory = temporaryDirectory("fencing");
  const run = `run ${++runs}`;
  const stoppedElements: string[] = [];
  let writes = 0;
  let next = 0;
  const lines = () =>
    workers.map((worker) => (worker.messages as Line[]).filter((line) => "run" in line && line.run === run));
  const send = (worker: Worker, order: Order) => worker.send(order);

  /** Lets every write go at once, but for the one that is to be stopped. */
  const attend = async (worker: Worker, until: AbortSignal): Promise<void> => {
    let at = 0;
    while (!until.aborted) {
      const line = worker.messages[at] as Line | undefined;
      if (line === undefined) {
        await sleep(2);
        continue;
      }
      at++;
      if (!("run" in line) || line.run !== run) continue;
      if (line.event === "added") writes++;
      if (line.event !== "about") continue;
      // Spread over the run: a stop begins when the one before is over and others have written since.
      if (stoppedElements.length < stops && !someoneStopped && writes >= next && !ending) {
        stoppedElements.push(line.element);
        someoneStopped = true;
        worker.signal("SIGSTOP");
        const enough = writes + othersFirst;
        while (writes < enough && !until.aborted) await sleep(5);
        worker.signal("SIGCONT");
        next = writes + 2;
        someoneStopped = false;
      }
      send(worker, { order: "go", element: line.element });
    }
  };
  let someoneStopped = false;
  let ending = false;

  const over = new AbortController();
  const attended = workers.map((worker) => attend(worker, over.signal));
  workers.forEach((worker, at) => {
    send(worker, { order: "run", run, dir: directory.path, name: `p${at}`, ...orders });
  });
  try {
    const resolved = () => stoppedElements.filter((element) => endOf(lines().flat(), element) !== undefined).length;
    // Others' writes after the last late one, which it must not have taken away either.
    await until(() => resolved() >= stops && !someoneStopped && writes >= next, "the stopped writes to end");
    ending = true;
    for (const worker of workers) send(worker, { order: "end" });
    await until(() => lines().every((of) => of.some((line) => line.event === "ended")), "the workers to end");
    const set = await openFileStore({ dir: directory.path }).get(SET);
    const list = set.found ? (JSON.parse(new TextDecoder().decode(set.body)) as string[]) : [];
    return judge(lines().flat(), list, stoppedElements);
  } finally {
    over.abort();
    await Promise.all(attended);
    directory.remove();
  }
}

const endOf = (lines: readonly Line[], element: string): string | undefined => {
  const end = lines.find((line) => (line.event === "added" || line.event === "refused") && line.element === element);
  return end?.event === "refused" ? end.code : end?.event;
};

async function until(holds: () => boolean, what: string): Promise<void> {
  const limitMs = performance.now() + 180_000;
  while (!holds()) {
    if (performance.now() > limitMs) throw new Error(`waited three minutes in vain for ${what}`);
    await sleep(10);
  }
}

/** Pure: what the lines say against what the list holds. */
export function judge(lines: readonly Line[], list: readonly string[], stoppedElements: readonly string[]): Outcome {
  const added = lines.filter((line) => line.event === "added");
  const tried = new Set(lines.flatMap((line) => (line.event === "about" ? [line.element] : [])));
  const refusals: Record<string, number> = {};
  for (const line of lines) if (line.event === "refused") refusals[line.code] = (refusals[line.code] ?? 0) + 1;
  return {
    acknowledged: added.length,
    lost: added.map((line) => line.element).filter((element) => !list.includes(element)),
    invented: list.filter((element, at) => !tried.has(element) || list.indexOf(element) !== at),
    stopped: stoppedElements.map((element) => endOf(lines, element) ?? "nothing"),
    refusals,
    guarded: [...new Set(added.flatMap((line) => line.guarded ?? []))],
    trouble: lines.flatMap((line) => (line.event === "trouble" ? [`${line.code}: ${line.text}`] : [])),
  };
}
