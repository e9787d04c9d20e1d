/**
 * From what a probe saw to its report: which protocols are safe, why or why not, what to change. Pure and total: every
 * observation has a verdict, and nothing counts as honoured because the store said so; only what a read showed counts.
 */
import { bestForm, conditionFaults, judgeConditions, losersOf, raceFaults } from "./probe-conditions.js";
import type { ListingSeen, Observations, ProbeVerb } from "./probe-observations.js";
import { costOf, type RequestCounts, vendorOf } from "./probe-prices.js";
import type { Finding, ProbeReport, ProtocolReport } from "./probe-report.js";
import { backwardMs, stepOf } from "./probe-timestamps.js";

/** What each protocol cannot do without. */
const NEEDED: Readonly<Record<"two-object" | "conditional", readonly ProbeVerb[]>> = {
  "two-object": ["put", "get", "head", "list", "delete"],
  conditional: ["put", "get", "list"],
};

/** The report. `probedAt`: ISO 8601. */
export function judge(seen: Observations, probedAt: string): ProbeReport {
  const vendor = vendorOf(seen.endpoint);
  const { listing } = seen;
  const stamps = listing?.stamps ?? [];
  const listStepMs = stepOf(stamps, "listMs");
  const headStepMs = stepOf(stamps, "headMs");
  const cost = (counts: RequestCounts) => {
    const usdPer1000 = costOf(counts, vendor);
    return { requests: counts, ...(usdPer1000 !== undefined && { usdPer1000 }) };
  };
  const deletes = seen.multiDelete === "works" ? 1 : 2;
  const twoObject = [...rightFaults(seen, "two-object"), ...listingFaults(listing)];
  const single = [...rightFaults(seen, "conditional"), ...conditionFaults(seen)];
  // Where single writes fail no race is run: that reason stands by itself.
  const races = raceFaults(seen).filter(({ code }) => single.length === 0 || code !== "RACES_UNTRIED");
  const conditional = [...single, ...races];
  return {
    format: 1,
    store: seen.store,
    ...(seen.endpoint !== undefined && { endpoint: seen.endpoint }),
    endpoints: seen.endpoints,
    vendor,
    probedAt,
    protocols: {
      "two-object": protocol(twoObject, twoObjectBecause(seen), cost({ put: 2, list: 2, get: 0, delete: deletes })),
      conditional: protocol(conditional, conditionalBecause(seen), cost({ put: 2, list: 0, get: 0, delete: 0 })),
    },
    changes: changes(seen, twoObject, conditional),
    notes: notes(seen, listStepMs),
    rights: seen.rights,
    versions: seen.versions,
    conditions: judgeConditions(seen),
    listing: {
      rounds: listing?.rounds ?? 0,
      missedAfterPut: listing?.missedAfterPut ?? 0,
      seenAfterDelete: listing?.seenAfterDelete ?? 0,
      staleReads: listing?.staleReads ?? 0,
    },
    timestamps: {
      ...(listStepMs !== undefined && { listStepMs }),
      ...(headStepMs !== undefined && { headStepMs }),
      backwardMs: backwardMs(stamps),
      moved: listing?.timestampMoved ?? false,
    },
    ...(seen.clock !== undefined && { clock: seen.clock }),
    multiDelete: seen.multiDelete,
    left: seen.left,
    requests: seen.requests,
    durationMs: seen.durationMs,
  };
}

function protocol(
  reasons: readonly Finding[],
  because: readonly string[],
  cost: ProtocolReport["cost"],
): ProtocolReport {
  const safe = reasons.length === 0;
  return { safe, because: safe ? because : [], reasons, cost };
}

function rightFaults(seen: Observations, name: "two-object" | "conditional"): Finding[] {
  return NEEDED[name].flatMap((verb) => {
    const code = seen.codes[verb];
    const said = code === undefined ? "" : ` (${code})`;
    switch (seen.rights[verb]) {
      case "denied":
        return [{ code: "RIGHT_MISSING", text: `these keys may not ${WORDS[verb]}${said}` }];
      case "refused":
        return [{ code: "VERB_REFUSED", text: `this store does not ${WORDS[verb]}${said}` }];
      default:
        return [];
    }
  });
}

const WORDS: Readonly<Record<ProbeVerb, string>> = {
  put: "PUT an object",
  get: "GET an object",
  head: "HEAD an object",
  list: "LIST a prefix",
  listVersions: "list versions",
  delete: "DELETE an object",
  deleteMany: "delete several objects at once",
};

function listingFaults(listing: ListingSeen | undefined): Finding[] {
  if (listing === undefined)
    return [{ code: "LISTING_UNTRIED", text: "the listing could not be tried: a verb it needs is missing" }];
  const { rounds, missedAfterPut, seenAfterDelete, staleReads, timestampMoved } = listing;
  const found: Finding[] = [];
  if (missedAfterPut > 0)
    found.push({
      code: "LISTING_MISSES_NEW",
      text: `${missedAfterPut} of ${rounds} listings missed an object whose PUT had finished`,
    });
  if (seenAfterDelete > 0)
    found.push({
      code: "LISTING_SHOWS_DELETED",
      text: `${seenAfterDelete} of ${rounds} listings showed an object whose DELETE had finished`,
    });
  if (staleReads > 0)
    found.push({ code: "READ_STALE", text: `${staleReads} HEADs did not show a PUT or DELETE that had finished` });
  if (timestampMoved)
    found.push({
      code: "TIMESTAMP_MOVES",
      text: "the listed timestamp of an object changed although nobody wrote it: the line has no order",
    });
  return found;
}

function twoObjectBecause({ listing, endpoints }: Observations): string[] {
  const over = endpoints > 1 ? ` over ${endpoints} endpoints` : "";
  return [
    `${listing?.rounds} of ${listing?.rounds} listings${over} showed every finished PUT and no finished DELETE (this can only disprove)`,
    "the timestamp of an object stayed the same in every listing",
  ];
}

function conditionalBecause(seen: Observations): string[] {
  const form = bestForm(seen.conditions);
  return [
    "a second create and a stale replace left the first body, read back",
    `${seen.rounds.length} races of ${seen.racers} writers${seen.endpoints > 1 ? ` over ${seen.endpoints} endpoints` : ""} had exactly one winner each`,
    ...(form === "bare" ? ["If-Match is honoured without the quotes of the ETag, and only so"] : []),
    ...(seen.versions === "kept" ? ["all of it on a bucket that keeps versions"] : []),
  ];
}

function changes(seen: Observations, twoObject: readonly Finding[], conditional: readonly Finding[]): Finding[] {
  const has = (found: readonly Finding[], ...codes: string[]) => found.some(({ code }) => codes.includes(code));
  const found: Finding[] = [];
  const missing = Object.entries(seen.rights).filter(([, right]) => right === "denied");
  if (missing.length > 0) {
    const verbs = missing.map(([verb]) => WORDS[verb as ProbeVerb]).join(", ");
    found.push({ code: "GRANT_RIGHTS", text: `allow these keys to: ${verbs}` });
  }
  if (has(twoObject, "LISTING_MISSES_NEW", "LISTING_SHOWS_DELETED", "READ_STALE"))
    found.push({
      code: "SET_SETTLE",
      text: 'take another store; or set settleMs above the longest lag you know of; or use protocol "conditional" if it is safe here',
    });
  if (has(twoObject, "TIMESTAMP_MOVES"))
    found.push({ code: "OTHER_STORE", text: "take another store for the two-object protocol" });
  if (has(conditional, "CONDITIONS_IGNORED_WITH_VERSIONS"))
    found.push({
      code: "USE_BUCKET_WITHOUT_VERSIONS",
      text: 'take a new bucket without versioning and probe that, or stay with protocol "two-object"',
    });
  else if (conditional.some(({ code }) => code !== "RIGHT_MISSING" && code !== "CONDITIONS_UNTRIED"))
    found.push({ code: "STAY_TWO_OBJECT", text: 'use protocol "two-object" here' });
  if (bestForm(seen.conditions) === "bare" && !seen.bareIfMatch)
    found.push({
      code: "OPEN_WITH_BARE_IF_MATCH",
      text: "open the session with bareIfMatch: true for conditional writes of your own; createLocks sends them so by itself",
    });
  if (seen.left.length > 0)
    found.push({ code: "DELETE_WHAT_IS_LEFT", text: `delete what the probe could not: ${seen.left.join(", ")}` });
  return found;
}

function notes(seen: Observations, listStepMs: number | undefined): Finding[] {
  const found: Finding[] = [];
  const note = (code: string, text: string) => found.push({ code, text });
  if (losersOf(seen) === "unclear")
    note("LOSERS_UNCLEAR", "some writes that must not happen got an error instead of 412: each costs one more read");
  if (seen.conditionalDelete === "ignored")
    note("DELETE_CONDITION_IGNORED", "DELETE ignores If-Match and deletes: never rely on a conditional DELETE here");
  if (seen.versions === "kept")
    note(
      "VERSIONS_KEPT",
      "the bucket keeps versions: every write of a lock makes one, and locks of either protocol remove them by their ids",
    );
  if (seen.rights.listVersions === "denied")
    note("VERSIONS_UNSEEN", "versions cannot be listed: on a bucket that keeps them, some would stay behind");
  if (seen.multiDelete === "one by one")
    note("NO_MULTI_DELETE", "there is no multi-delete: a release is two requests instead of one");
  if (seen.multiDelete === "fails") note("MULTI_DELETE_FAILS", "a multi-delete did not delete what it was given");
  const backward = backwardMs(seen.listing?.stamps ?? []);
  if (backward > 0)
    note("TIMESTAMPS_BACKWARD", `timestamps run backwards by up to ${backward} ms; the protocols allow for it`);
  if (listStepMs !== undefined && listStepMs > seen.declaredStepMs)
    note(
      "TIMESTAMPS_COARSE",
      `timestamps have steps of about ${listStepMs} ms, more than the ${seen.declaredStepMs} ms allowed for: leases below ${10 * listStepMs} ms may be taken over while they are valid`,
    );
  const { clock } = seen;
  if (clock !== undefined && clock.contradictions > 0)
    note("CLOCKS_DISAGREE", "the server's dates contradict each other: several clocks answer, or one was set");
  if (clock !== undefined && (clock.lowMs > 60_000 || clock.highMs < -60_000))
    note("CLOCK_FAR", "this host's clock is more than a minute off the server's: 15 minutes are refused");
  return found;
}
