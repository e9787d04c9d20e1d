/**
 * Many histories, one seed after the other, and what they came to. Decides how many from the environment:
 * `BUCKETLOCK_SIMULATION=<n>` runs n of them, `BUCKETLOCK_SEED=<seed>` runs that one and prints its log.
 */
import { describe, expect, test } from "vitest";
import { type HistoryOptions, type HistoryResult, runHistory } from "./history.js";
import { type Plan, PROTOCOLS } from "./plan.js";

const DEFAULT = 5_000;
/** The part of them that the conditional protocol gets. */
const CONDITIONAL = 0.5;
/** Counted over 1000 histories; far below what they come to, far above what a broken simulation would. */
const BOTH: Readonly<Record<string, number>> = {
  acquired: 3000,
  lossesTold: 100,
  token: 800,
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
  requestLost: 100,
  answerLost: 200,
  slowRequest: 100,
  slowAnswer: 100,
  ghost: 100,
  serverError: 100,
  doubled: 50,
  refusedLate: 10,
};
const FLOORS: Readonly<Record<Plan["protocol"], Readonly<Record<string, number>>>> = {
  "two-object": { ...BOTH, takeOver: 300, withdrew: 1000, stray: 100, deleteFailed: 20 },
  // Who comes in gives way when writes conflict: fewer requests, and so fewer that are doubled.
  conditional: { ...BOTH, conflictOfOwn: 25, doubled: 35 },
};

/** Half of the tokens are drawn: what is not drawn costs nothing, and both must hold. Of four seeds two have several programs in each process. */
export function changeOf(seed: number): Partial<Plan> {
  return { tokenRate: 0.5, locals: seed % 4 === 3 || seed % 4 === 0 ? 3 : 1 };
}

/** One suite, whatever the protocol. */
export function historiesOf(protocol: Plan["protocol"], seeds: "odd" | "even"): void {
  const first = seeds === "odd" ? 1 : 2;
  const runs = [
    { name: "", from: first, floors: FLOORS[protocol] },
    { name: ", several programs each", from: first + 2, floors: { ...FLOORS[protocol], local: 500 } },
  ];
  for (const { name, from, floors } of runs) {
    test(`${protocol}: no history breaks a promise (${seeds} seeds${name})`, { timeout: 3_600_000 }, async () => {
      const sum = await runHistories(from, Math.ceil(wanted(protocol) / 2), 4, { protocol, change: changeOf(from) });
      console.log(describeSum(`simulation, ${protocol}, ${seeds} seeds${name}`, sum));
      expect(describeBroken(sum)).toBe("");
      expect(belowFloors(sum, floors)).toEqual([]);
    });
  }
}

/** Worlds of a kind, and what must have happened in them often enough. */
export type Kinds = Readonly<
  Record<string, { readonly change: Partial<Plan>; readonly floors: Readonly<Record<string, number>> }>
>;

/** The first `count` seeds of each kind, by both protocols; with BUCKETLOCK_SEED that one, and its log. */
export function historiesOfKinds(kinds: Kinds, count: number): void {
  const seed = wantedSeed();
  describe.each(PROTOCOLS)("%s", (protocol) => {
    test.each(Object.entries(kinds))(
      "%s: no history breaks a promise",
      { timeout: 3_600_000 },
      async (name, { change, floors }) => {
        if (seed !== undefined) {
          const { log, violations } = await runHistory(seed, { log: true, protocol, change });
          console.log(log.join("\n"));
          expect(violations).toEqual([]);
          return;
        }
        const sum = await runHistories(1, count, 1, { protocol, change });
        console.log(describeSum(`simulation, ${protocol}, ${name}`, sum));
        expect(describeBroken(sum)).toBe("");
        expect(belowFloors(sum, floors)).toEqual([]);
      },
    );
  });
}

export interface Sum {
  readonly histories: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly broken: readonly HistoryResult[];
}

export function wanted(protocol: Plan["protocol"]): number {
  const value = process.env.BUCKETLOCK_SIMULATION;
  if (value === undefined || value === "") return protocol === "conditional" ? DEFAULT * CONDITIONAL : DEFAULT;
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
export function belowFloors(sum: Sum, floors: Readonly<Record<string, number>>): string[] {
  // Chance is not even: a few hundred histories say nothing about rare faults.
  if (sum.histories < 300) return [];
  return Object.entries(floors)
    .map(([kind, floor]) => ({ kind, floor: (floor * sum.histories) / 1000, is: sum.counts.get(kind) ?? 0 }))
    .filter(({ floor, is }) => is < floor)
    .map(({ kind, floor, is }) => `${kind}: ${is}, floor ${floor}`);
}

export function describeSum(name: string, sum: Sum): string {
  const counts = [...sum.counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, by]) => `${kind} ${by}`);
  return `${name}: ${sum.histories} histories\n  ${counts.join(", ")}`;
}
