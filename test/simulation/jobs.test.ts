/**
 * Jobs and elections, in seeded histories; and for each rule of a claim, that its absence is noticed.
 * `BUCKETLOCK_JOBS=<n>` runs n histories by each protocol, `BUCKETLOCK_SEED=<seed>` that one, with its log.
 */
import { describe, expect, it, test } from "vitest";
import { wantedSeed } from "./histories.js";
import { type JobsOptions, type JobsResult, runJobs } from "./jobs.js";
import { type Plan, PROTOCOLS } from "./plan.js";
import type { OnceRules } from "./under-test.js";

const HISTORIES = Number(process.env.BUCKETLOCK_JOBS || 100);
/** Over a hundred histories; far below what they come to, so that an empty simulation fails. */
const FLOORS: Readonly<Record<string, number>> = {
  jobs: 45,
  leaders: 45,
  atMostOnce: 10,
  atLeastOnce: 10,
  slots: 250,
  ran: 200,
  jobFailed: 15,
  died: 3,
  led: 150,
  "acted as job": 1000,
  "acted as leader": 2000,
  ledToTheEnd: 15,
  sawLeader: 200,
  sawNone: 100,
  crash: 8,
  restart: 8,
  freeze: 10,
  stall: 5,
  ghost: 50,
  requestLost: 50,
  answerLost: 100,
};

async function histories(from: number, to: number, options: JobsOptions) {
  const counts = new Map<string, number>();
  const broken: JobsResult[] = [];
  for (let seed = from; seed <= to && broken.length < 5; seed++) {
    const result = await runJobs(seed, options);
    for (const [kind, by] of result.counts) counts.set(kind, (counts.get(kind) ?? 0) + by);
    if (result.violations.length > 0) broken.push(result);
  }
  return { counts, broken };
}

const show = (broken: readonly JobsResult[]): string[] =>
  broken.map(({ seed, violations }) => `BUCKETLOCK_SEED=${seed}: ${violations.slice(0, 3).join("; ")}`);

describe.each(PROTOCOLS)("%s", (protocol) => {
  const seed = wantedSeed();
  test.runIf(seed !== undefined)("one history of jobs", { timeout: 600_000 }, async () => {
    const { log, violations } = await runJobs(seed!, { protocol, log: true });
    console.log(log.join("\n"));
    expect(violations).toEqual([]);
  });

  test("no history of jobs or leaders breaks a promise", { timeout: 3_600_000 }, async () => {
    const { counts, broken } = await histories(1, HISTORIES, { protocol });
    const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, by]) => `${kind} ${by}`);
    console.log(`jobs and leaders, ${protocol}: ${HISTORIES} histories\n  ${sorted.join(", ")}`);
    expect(show(broken)).toEqual([]);
    const floors = Object.entries(FLOORS).map(([kind, floor]) => ({ kind, floor: (floor * HISTORIES) / 100 }));
    const below = floors.filter(({ kind, floor }) => (counts.get(kind) ?? 0) < floor);
    expect(HISTORIES < 100 ? [] : below).toEqual([]);
  });

  test("the same seed gives the same history", async () => {
    for (const seed of [3, 4]) {
      const [one, two] = [await runJobs(seed, { protocol, log: true }), await runJobs(seed, { protocol, log: true })];
      expect(one.log.length).toBeGreaterThan(100);
      expect(two.log).toEqual(one.log);
    }
  });
});

interface Mutant {
  readonly name: string;
  readonly once: Partial<OnceRules>;
  readonly change: Partial<Plan>;
  readonly found: RegExp;
}

const QUIET = { faultRate: 0, stallRate: 0, upsets: 0, crashes: false, latencyMs: 10, hosts: 3 } as const;
const MUTANTS: readonly Mutant[] = [
  {
    name: "the claim written after the run",
    once: { claimFirst: false },
    change: { ...QUIET, upsets: 8, crashes: true },
    found: /ran \d+ times/,
  },
  {
    name: "the mark taken from the host's clock",
    once: { markBySlot: false },
    change: QUIET,
    found: /ran \d+ times|not claimed/,
  },
  {
    name: "a claim without a fence, by one that was stopped",
    once: { fenceClaim: false },
    change: { ...QUIET, stallRate: 0.3 },
    found: /ran \d+ times/,
  },
  {
    name: "the claim taken back when the job fails",
    once: { keepOnFailure: false },
    change: QUIET,
    found: /ran \d+ times|not claimed/,
  },
];
const WITHIN_SEEDS = 40;

describe("a rule of a claim taken away is noticed", () => {
  for (const { name, once, change, found } of MUTANTS) {
    it.each(PROTOCOLS)(`%s: ${name}`, { timeout: 600_000 }, async (protocol) => {
      const options = { protocol, change, what: "jobs", guarantee: "atMostOnce" } as const;
      let at = 1;
      let violation: string | undefined;
      for (; at <= WITHIN_SEEDS && violation === undefined; at++)
        violation = (await runJobs(at, { ...options, mutation: { once } })).violations.find((one) => found.test(one));
      console.log(
        `mutant of ${protocol} '${name}': ${violation === undefined ? "not found" : `seed ${at - 1}: ${violation}`}`,
      );
      expect(violation).toMatch(found);
      // The same seeds, and some more, show that this is the rule's doing.
      expect(show((await histories(1, Math.max(at - 1, 3), options)).broken)).toEqual([]);
    });
  }
});
