/**
 * Many histories, one seed after the other, and what they came to. Decides how many from the environment:
 * `BUCKETLOCK_SIMULATION=<n>` runs n of them, `BUCKETLOCK_SEED=<seed>` runs that one and prints its log.
 */
import { type HistoryOptions, type HistoryResult, runHistory } from "./history.js";

const DEFAULT = 5_000;
/** Counted over 1000 histories; far below what they come to, far above what a broken simulation would. */
const FLOORS: Readonly<Record<string, number>> = {
  acquired: 3000,
  takeOver: 300,
  lossesTold: 100,
  withdrew: 1000,
  abandoned: 100,
  resume: 20,
  calm: 50,
  freeze: 100,
  suspend: 50,
  hold: 50,
  jump: 50,
  crash: 100,
  restart: 50,
  stall: 50,
  stray: 100,
  requestLost: 100,
  answerLost: 200,
  slowRequest: 100,
  slowAnswer: 100,
  ghost: 100,
  serverError: 100,
  doubled: 50,
  deleteFailed: 20,
  refusedLate: 10,
};

export interface Sum {
  readonly histories: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly broken: readonly HistoryResult[];
}

export function wanted(): number {
  const value = process.env.BUCKETLOCK_SIMULATION;
  if (value === undefined || value === "") return DEFAULT;
  const count = Number(value);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new Error(`BUCKETLOCK_SIMULATION: no count of histories: ${value}`);
  return count;
}

export function wantedSeed(): number | undefined {
  const value = process.env.BUCKETLOCK_SEED;
  if (value === undefined || value === "") return undefined;
  const seed = Number(value);
  if (!Number.isSafeInteger(seed)) throw new Error(`BUCKETLOCK_SEED: no whole number: ${value}`);
  return seed;
}

/** Every seed from `first` on, in steps of `step`, up to and including `last`. Stops after a few broken ones. */
export async function runHistories(first: number, last: number, step = 1, options: HistoryOptions = {}): Promise<Sum> {
  const counts = new Map<string, number>();
  const broken: HistoryResult[] = [];
  let histories = 0;
  for (let seed = first; seed <= last && broken.length < 5; seed += step) {
    const result = await runHistory(seed, options);
    histories++;
    for (const [kind, by] of result.counts) counts.set(kind, (counts.get(kind) ?? 0) + by);
    if (result.violations.length > 0) broken.push(result);
  }
  return { histories, counts, broken };
}

export function describeBroken(sum: Sum): string {
  return sum.broken
    .map(({ seed, violations }) => `BUCKETLOCK_SEED=${seed}: ${violations.slice(0, 3).join("; ")}`)
    .join("\n");
}

/** What stayed below its floor: an empty simulation proves nothing. */
export function belowFloors(sum: Sum): string[] {
  // Chance is not even: a few hundred histories say nothing about rare faults.
  if (sum.histories < 500) return [];
  return Object.entries(FLOORS)
    .map(([kind, floor]) => ({ kind, floor: (floor * sum.histories) / 1000, is: sum.counts.get(kind) ?? 0 }))
    .filter(({ floor, is }) => is < floor)
    .map(({ kind, floor, is }) => `${kind}: ${is}, floor ${floor}`);
}

export function describeSum(name: string, sum: Sum): string {
  const counts = [...sum.counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, by]) => `${kind} ${by}`);
  return `${name}: ${sum.histories} histories\n  ${counts.join(", ")}`;
}
