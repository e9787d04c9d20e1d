/** The bench's numbers as goals, as a table and as JSON. Rounds only what is printed; a goal that is missed says so. */
import type { ContentionResult } from "./contention.js";
import type { ImportsResult } from "./imports.js";
import type { LocksResult } from "./locks.js";
import type { RequestsResult } from "./requests.js";
import type { SignaturesResult } from "./signatures.js";
import type { Summary } from "./statistics.js";

export interface TargetResult {
  readonly name: string;
  readonly requests?: RequestsResult;
  readonly locks?: LocksResult;
  readonly contention?: ContentionResult;
}
export interface BenchResult {
  readonly node: string;
  readonly cpus: number;
  /** The machine's load (1 minute) at the beginning and at the end: numbers of a busy machine are worth less. */
  readonly load: readonly [number, number];
  readonly seconds: number;
  readonly targets: readonly TargetResult[];
  readonly signatures?: SignaturesResult;
  readonly imports?: ImportsResult;
}

export interface Goal {
  readonly target: string;
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly atLeast: boolean;
  readonly met: boolean;
}

interface Row {
  readonly target: string;
  readonly what: string;
  readonly ours: string;
  readonly baseline?: string;
  readonly ratio?: number;
  readonly n: number;
  readonly goal?: Goal;
}

export function goalsOf(result: BenchResult): Goal[] {
  return rows(result).flatMap((row) => row.goal ?? []);
}

export function toJson(result: BenchResult): string {
  return JSON.stringify({ ...result, goals: goalsOf(result) }, undefined, 2);
}

export function table(result: BenchResult): string[] {
  const head = ["", "", "ours", "compared with", "ratio", "samples", "goal", ""];
  const cells = rows(result).map(({ target, what, ours, baseline, ratio, n, goal }, index, all) => [
    all[index - 1]?.target === target ? "" : target,
    what,
    ours,
    baseline ?? "",
    ratio === undefined ? "" : ratio.toFixed(2),
    String(n),
    goal === undefined ? "" : `${goal.atLeast ? ">=" : "<="} ${goal.limit}`,
    goal === undefined ? "" : goal.met ? "met" : "NOT MET",
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]!.length)));
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  return [line(head), ...cells.map(line)];
}

function rows({ targets, signatures, imports }: BenchResult): Row[] {
  const list = targets.flatMap(ofTarget);
  const everywhere = "this machine";
  if (signatures !== undefined) {
    const { headerUs, queryUs } = signatures;
    const goal = atMost(everywhere, "signature, us", headerUs.p50, 12);
    list.push({ target: everywhere, what: "signature", ours: us(headerUs), n: headerUs.n, goal });
    list.push({ target: everywhere, what: "signature in the query", ours: us(queryUs), n: queryUs.n });
  }
  if (imports !== undefined) {
    const { overEmptyMs, lockMs, emptyMs } = imports;
    list.push({
      target: everywhere,
      what: "import over an empty script",
      ours: `${overEmptyMs.toFixed(1)} ms`,
      baseline: `${lockMs.p50.toFixed(1)} ms less ${emptyMs.p50.toFixed(1)} ms`,
      n: lockMs.n,
      goal: atMost(everywhere, "import, ms", overEmptyMs, 15),
    });
  }
  return list;
}

function ofTarget({ name, requests, locks, contention }: TargetResult): Row[] {
  const list: Row[] = [];
  if (requests !== undefined) {
    for (const [verb, { ours, raw, ratio }] of Object.entries(requests.verbs)) {
      const goal = verb === "PUT" ? { goal: atMost(name, "PUT over undici", ratio, 1.15) } : {};
      const baseline = `${ms(raw)} undici, ${requests.raw}`;
      list.push({ target: name, what: verb, ours: ms(ours), baseline, ratio, n: ours.n, ...goal });
    }
  }
  if (locks !== undefined) {
    const by = requests === undefined ? "by the store itself" : "raw";
    for (const [what, { ours, raw, ratio }] of Object.entries(locks)) {
      const isAcquire = what === "acquire";
      const goal = isAcquire ? { goal: atMost(name, "acquire over its four requests", ratio, 1.15) } : {};
      const baseline = `${ms(raw)} ${isAcquire ? "four requests" : "one delete of two"}, ${by}`;
      list.push({ target: name, what, ours: ms(ours), baseline, ratio, n: ours.n, ...goal });
    }
  }
  if (contention !== undefined) {
    const { perSecond, handOverMs, requestsPerAcquisition, processes, workMs, share } = contention;
    const { n } = handOverMs;
    list.push({
      target: name,
      what: `${processes} processes x ${workMs} ms`,
      ours: `${perSecond.toFixed(1)} /s`,
      baseline: `${(1000 / workMs).toFixed(0)} /s without any lock; each ${share[1]} to ${share[0]} times`,
      n,
      goal: atLeast(name, "acquisitions per second", perSecond, 25),
    });
    list.push({
      target: name,
      what: "hand-over p50",
      ours: `${handOverMs.p50.toFixed(1)} ms`,
      n,
      goal: atMost(name, "hand-over p50, ms", handOverMs.p50, 25),
    });
    list.push({
      target: name,
      what: "hand-over p99",
      ours: `${handOverMs.p99.toFixed(1)} ms`,
      n,
      goal: atMost(name, "hand-over p99, ms", handOverMs.p99, 120),
    });
    list.push({ target: name, what: "requests an acquisition", ours: requestsPerAcquisition.toFixed(1), n });
  }
  return list;
}

const ms = (summary: Summary): string => `${summary.p50.toFixed(2)} ms`;
const us = (summary: Summary): string => `${summary.p50.toFixed(1)} us`;
const atMost = (target: string, what: string, value: number, limit: number): Goal => {
  return { target, what, value, limit, atLeast: false, met: value <= limit };
};
const atLeast = (target: string, what: string, value: number, limit: number): Goal => {
  return { target, what, value, limit, atLeast: true, met: value >= limit };
};
