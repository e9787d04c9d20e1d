/** The bench's numbers as goals, as a table and as JSON. Rounds only what is printed; a goal that is missed says so. */
import type { ContentionResult } from "./contention.js";
import type { ImportsResult } from "./imports.js";
import type { LocksResult } from "./locks.js";
import type { PassesResult } from "./passes.js";
import type { RecordsResult } from "./records.js";
import type { RequestsResult, Signed } from "./requests.js";
import type { RivalResult } from "./rivals.js";
import type { SignaturesResult } from "./signatures.js";
import type { Summary } from "./statistics.js";
import type { WaitersResult } from "./waiters.js";

export interface TargetResult {
  readonly name: string;
  readonly requests?: RequestsResult;
  readonly locks?: LocksResult;
  readonly contention?: ContentionResult;
  readonly waiters?: readonly WaitersResult[];
  readonly conditional?: ConditionalResult;
}
export interface ConditionalResult {
  /** Why the bucket may not be used so; then nothing was measured. */
  readonly refused?: string;
  readonly records?: RecordsResult;
  readonly contention?: ContentionResult;
  readonly waiters?: readonly WaitersResult[];
}
export interface BenchResult {
  readonly node: string;
  readonly cpus: number;
  /** The machine's load (1 minute) at the beginning and at the end: numbers of a busy machine are worth less. */
  readonly load: readonly [number, number];
  readonly seconds: number;
  readonly targets: readonly TargetResult[];
  readonly passes?: readonly PassesResult[];
  /** Other people's locks: no goals. */
  readonly rivals?: readonly RivalResult[];
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

function rows({ targets, passes = [], rivals = [], signatures, imports }: BenchResult): Row[] {
  const list = [...targets.flatMap(ofTarget), ...rivals.flatMap(ofRival)];
  const everywhere = "this machine";
  for (const { waiters, passUs, requests } of passes) {
    const what = `passed on within a process, ${waiters} waiters`;
    const goal = atMost(everywhere, `${what}, us`, passUs.p50, 50);
    const baseline = requests === 0 ? "no request" : `${requests} REQUESTS`;
    list.push({ target: everywhere, what, ours: us(passUs), baseline, n: passUs.n, goal });
  }
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

function ofTarget({ name, requests, locks, contention, waiters, conditional }: TargetResult): Row[] {
  const list: Row[] = [];
  if (requests !== undefined) {
    for (const [verb, { ours, raw, ratio }] of Object.entries(requests.verbs)) {
      const goal = verb === "PUT" ? { goal: atMost(name, "PUT over undici", ratio, 1.15) } : {};
      const baseline = `${ms(raw)} undici, ${requests.raw}`;
      list.push({ target: name, what: verb, ours: ms(ours), baseline, ratio, n: ours.n, ...goal });
      if (verb !== "PUT") continue;
      list.push(signedRow(name, ours, "undici", requests.signedPut));
    }
  }
  if (locks !== undefined) {
    const by = requests === undefined ? "by the store itself" : "raw";
    const { signed, ...both } = locks;
    for (const [what, { ours, raw, ratio }] of Object.entries(both)) {
      const isAcquire = what === "acquire";
      const goal = isAcquire ? { goal: atMost(name, "acquire over its four requests", ratio, 1.15) } : {};
      const baseline = `${ms(raw)} ${isAcquire ? "four requests" : "one delete of two"}, ${by}`;
      list.push({ target: name, what, ours: ms(ours), baseline, ratio, n: ours.n, ...goal });
      if (!isAcquire || signed === undefined) continue;
      list.push(signedRow(name, ours, "four requests", signed));
    }
  }
  if (contention !== undefined) list.push(...ofContention(name, contention, TWO_OBJECT_GOALS));
  if (waiters !== undefined) list.push(...waiters.map((crowd) => ofWaiters(name, crowd)));
  if (conditional !== undefined) list.push(...ofConditional(`${name}, conditional`, conditional));
  return list;
}

/** How much of it is the server's work on a signature. */
function signedRow(target: string, ours: Summary, by: string, { raw, ratio }: Signed): Row {
  const baseline = `${ms(raw)} ${by}, signed beforehand`;
  return { target, what: "the same", ours: ms(ours), baseline, ratio, n: raw.n };
}

function ofConditional(name: string, { refused, records, contention, waiters }: ConditionalResult): Row[] {
  if (refused !== undefined) return [{ target: name, what: "not safe here", ours: "", baseline: refused, n: 0 }];
  const list: Row[] = [];
  if (records !== undefined) {
    const { warm, underIfMatch, requestsPerAcquisition } = records;
    const { ours, raw, ratio } = warm;
    list.push({
      target: name,
      what: "acquire + release, warm",
      ours: ms(ours),
      baseline: `${ms(raw)} two raw PUTs; ${requestsPerAcquisition.toFixed(1)} requests`,
      ratio,
      n: ours.n,
      goal: atMost(name, "acquire + release over two raw PUTs", ratio, 1.15),
    });
    list.push({
      target: name,
      what: "the same",
      ours: ms(ours),
      baseline: `${ms(underIfMatch.raw)} two raw PUTs under If-Match`,
      ratio: underIfMatch.ratio,
      n: underIfMatch.raw.n,
    });
  }
  if (contention !== undefined) list.push(...ofContention(name, contention, CONDITIONAL_GOALS));
  if (waiters !== undefined) list.push(...waiters.map((crowd) => ofWaiters(name, crowd)));
  return list;
}

function ofRival({ name, alone, contention }: RivalResult): Row[] {
  return [
    { target: name, what: "acquire + release", ours: ms(alone), n: alone.n },
    ...ofContention(name, contention, undefined),
  ];
}

interface ContentionGoals {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}
const TWO_OBJECT_GOALS: ContentionGoals = { perSecond: 25, p50Ms: 25, p99Ms: 120 };
const CONDITIONAL_GOALS: ContentionGoals = { perSecond: 30, p50Ms: 15, p99Ms: 80 };

function ofContention(name: string, contention: ContentionResult, goals: ContentionGoals | undefined): Row[] {
  const { perSecond, handOverMs, requestsPerAcquisition, processes, workMs, share } = contention;
  const { n, p50, p99 } = handOverMs;
  const row = (what: string, ours: string, goal: Goal | undefined, baseline?: string): Row => {
    return { target: name, what, ours, n, ...(goal && { goal }), ...(baseline === undefined ? {} : { baseline }) };
  };
  const list = [
    row(
      `${processes} processes x ${workMs} ms`,
      `${perSecond.toFixed(1)} /s`,
      goals && atLeast(name, "acquisitions per second", perSecond, goals.perSecond),
      `${(1000 / workMs).toFixed(0)} /s without any lock; each ${share[1]} to ${share[0]} times`,
    ),
    row("hand-over p50", `${p50.toFixed(1)} ms`, goals && atMost(name, "hand-over p50, ms", p50, goals.p50Ms)),
    row("hand-over p99", `${p99.toFixed(1)} ms`, goals && atMost(name, "hand-over p99, ms", p99, goals.p99Ms)),
  ];
  if (requestsPerAcquisition !== undefined)
    list.push(row("requests an acquisition", requestsPerAcquisition.toFixed(1), undefined));
  return list;
}

function ofWaiters(name: string, crowd: WaitersResult): Row {
  const { processes, waiters, comingPerSecond, waitingPerSecond, inLine, failed, holderLost } = crowd;
  const troubles = `${failed === 0 ? "" : `, ${failed} failed`}${holderLost ? ", THE HOLDER LOST ITS LEASE" : ""}`;
  return {
    target: name,
    what: `${waiters} waiters, ${processes} process${processes === 1 ? "" : "es"}`,
    ours: `${waitingPerSecond.toFixed(0)} requests/s`,
    baseline: `${comingPerSecond.toFixed(0)} /s while they came; in line ${inLine[0]}, then ${inLine[1]}${troubles}`,
    n: Math.round((waitingPerSecond * crowd.windowMs) / 1000),
  };
}

const ms = (summary: Summary): string => `${summary.p50.toFixed(2)} ms`;
const us = (summary: Summary): string => `${summary.p50.toFixed(1)} us`;
const atMost = (target: string, what: string, value: number, limit: number): Goal => {
  return { target, what, value, limit, atLeast: false, met: value <= limit };
};
const atLeast = (target: string, what: string, value: number, limit: number): Goal => {
  return { target, what, value, limit, atLeast: true, met: value >= limit };
};
