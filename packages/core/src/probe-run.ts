/**
 * A probe from its first request to its report: which experiments, in which order, and the cleaning, whatever happened.
 * Decides nothing about the store: probe-judge.ts does.
 */
import { formatInstant } from "./clock.js";
import { type BenchParts, ProbeBench } from "./probe-bench.js";
import { bestForm } from "./probe-conditions.js";
import { tryConditionalDelete, tryConditions, tryRace, worthRacing } from "./probe-experiments.js";
import { judge } from "./probe-judge.js";
import type { ConditionsSeen, ListingSeen, Observations, RoundSeen } from "./probe-observations.js";
import type { ProbeReport } from "./probe-report.js";
import { tryListing, tryVerbs, type VerbsSeen } from "./probe-verbs.js";

export interface ProbePlan {
  readonly races: number;
  readonly racers: number;
  readonly listings: number;
}

interface Seen extends VerbsSeen {
  readonly conditions: ConditionsSeen | undefined;
  readonly rounds: readonly RoundSeen[];
  readonly conditionalDelete: Observations["conditionalDelete"];
  readonly listing: ListingSeen | undefined;
}

export async function runProbe(parts: BenchParts, plan: ProbePlan): Promise<ProbeReport> {
  const { clock } = parts;
  const startMs = clock.monotonicMs();
  const probedAt = formatInstant(clock.wallMs());
  const bench = new ProbeBench(parts);
  let seen: Seen | undefined;
  let left: readonly string[] = [];
  try {
    seen = await experiments(bench, plan);
  } finally {
    left = await bench.clean();
  }
  const { store } = bench;
  return judge(
    {
      ...seen,
      ...{ store: store.name, endpoint: store.endpoint, endpoints: bench.endpoints },
      declaredStepMs: store.features.timestampStepMs,
      bareIfMatch: store.features.bareIfMatch ?? false,
      ...{ racers: plan.racers, clock: bench.clockSeen, left },
      requests: bench.requests,
      durationMs: Math.round(clock.monotonicMs() - startMs),
    },
    probedAt,
  );
}

async function experiments(bench: ProbeBench, plan: ProbePlan): Promise<Seen> {
  const verbs = await tryVerbs(bench);
  const may = (...names: (keyof VerbsSeen["rights"])[]) => names.every((name) => verbs.rights[name] === "allowed");
  let conditions: ConditionsSeen | undefined;
  let conditionalDelete: Observations["conditionalDelete"] = "untried";
  const rounds: RoundSeen[] = [];
  if (may("put", "get", "delete")) {
    const mayMark = verbs.versions === "none" || may("listVersions");
    conditions = await tryConditions(bench, mayMark);
    if (mayMark) conditionalDelete = await tryConditionalDelete(bench, bestForm(conditions));
    const form = worthRacing(conditions);
    for (let n = 0; form !== undefined && n < plan.races; n++) {
      rounds.push(await tryRace(bench, "create", plan.racers, n, form));
      rounds.push(await tryRace(bench, "replace", plan.racers, n, form));
    }
  }
  const listing = may("put", "head", "list", "delete") ? await tryListing(bench, plan.listings) : undefined;
  return { ...verbs, conditions, conditionalDelete, rounds, listing };
}
