/**
 * What the experiments of a probe saw: plain facts, as the store answered and as a read showed afterwards. Types and the
 * arithmetic of clock readings only; what the facts mean is decided in probe-judge.ts.
 */

/** What a lock asks of a store. */
export const PROBE_VERBS = ["put", "get", "head", "list", "listVersions", "delete", "deleteMany"] as const;
export type ProbeVerb = (typeof PROBE_VERBS)[number];

/** `denied`: rights. `refused`: this store does not do it. `untried`: something it needs is missing. */
export type Right = "allowed" | "denied" | "refused" | "untried";

/** One conditional write: what the store said, and whether a GET afterwards showed our body. */
export interface WriteSeen {
  readonly said: "stored" | "conflict" | "unknown" | "refused";
  /** The store's code, where it refused or was unclear. */
  readonly code?: string | undefined;
  readonly landed: boolean;
}

/** A round of one race. `final`: what the writer was told whose body is there at the end. */
export interface RoundSeen {
  readonly race: "create" | "replace";
  readonly stored: number;
  readonly conflicts: number;
  readonly unknown: number;
  readonly refused: number;
  readonly final: WriteSeen["said"] | "none of ours";
}

export interface ConditionsSeen {
  /** If-None-Match: * on a key that was never there. */
  readonly create: WriteSeen;
  /** ... on one that is. Undefined: the store refuses creates altogether. */
  readonly createAgain: WriteSeen | undefined;
  /** ... on one that was deleted (a delete marker on top, where versions are kept). Undefined: a trace would have stayed. */
  readonly createAfterDelete: WriteSeen | undefined;
  /** No answer carried an ETag: nothing to put into If-Match. */
  readonly hasEtag: boolean;
  /** If-Match with the present ETag as the store gave it, and without its quotes. Undefined: not tried, or it has none. */
  readonly replaceAsGiven: WriteSeen | undefined;
  readonly replaceBare: WriteSeen | undefined;
  /** If-Match with an ETag of before, in the form that works. */
  readonly replaceStale: WriteSeen | undefined;
  /** If-Match on a key that is not there. */
  readonly replaceMissing: WriteSeen | undefined;
  /** GET with If-None-Match: which form of the ETag spares the body. */
  readonly notModified: "asGiven" | "bare" | "never";
}

/** One object as listed, and when its PUT was under way on the monotonic clock. */
export interface StampSeen {
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly listMs: number | undefined;
  readonly headMs: number | undefined;
}

export interface ListingSeen {
  readonly rounds: number;
  /** A finished PUT that the next LIST did not show. */
  readonly missedAfterPut: number;
  /** A finished DELETE whose object the next LIST still showed. */
  readonly seenAfterDelete: number;
  /** A finished PUT that the next HEAD did not find, or a finished DELETE whose object it did. */
  readonly staleReads: number;
  /** The listed timestamp of an object changed although nobody wrote it. */
  readonly timestampMoved: boolean;
  readonly stamps: readonly StampSeen[];
}

/** Server less host, in ms, as far as `Date` tells. `contradictions`: readings that did not fit the ones before. */
export interface ClockSeen {
  readonly lowMs: number;
  readonly highMs: number;
  readonly contradictions: number;
}

export interface Observations {
  readonly store: string;
  readonly endpoint: string | undefined;
  /** Endpoints that took part, the first included. */
  readonly endpoints: number;
  readonly declaredStepMs: number;
  readonly bareIfMatch: boolean;
  readonly rights: Readonly<Record<ProbeVerb, Right>>;
  /** The store's code for each verb that is not allowed. */
  readonly codes: Readonly<Partial<Record<ProbeVerb, string>>>;
  readonly versions: "kept" | "none" | "unknown";
  readonly conditions: ConditionsSeen | undefined;
  readonly rounds: readonly RoundSeen[];
  readonly racers: number;
  readonly conditionalDelete: "honoured" | "ignored" | "refused" | "unclear" | "untried";
  readonly multiDelete: "works" | "one by one" | "fails" | "untried";
  readonly listing: ListingSeen | undefined;
  readonly clock: ClockSeen | undefined;
  /** What could not be removed. */
  readonly left: readonly string[];
  readonly requests: number;
  readonly durationMs: number;
}

// `Date` has steps of 1 s, and some servers refresh it late (measured: up to 1.8 s behind).
const DATE_STEP_MS = 2_000;

/** Narrows what is known of the server's clock by one answer: its `Date`, and the host's wall clock before and after. */
export function narrow(
  known: ClockSeen | undefined,
  serverMs: number,
  sentWallMs: number,
  receivedWallMs: number,
): ClockSeen {
  const lowMs = serverMs - receivedWallMs;
  const highMs = serverMs + DATE_STEP_MS - sentWallMs;
  if (known === undefined) return { lowMs, highMs, contradictions: 0 };
  const low = Math.max(lowMs, known.lowMs);
  const high = Math.min(highMs, known.highMs);
  // Another node's clock, or one of the clocks was set: the wider of both is what can still be said.
  if (low > high) {
    return {
      lowMs: Math.min(lowMs, known.lowMs),
      highMs: Math.max(highMs, known.highMs),
      contradictions: known.contradictions + 1,
    };
  }
  return { lowMs: low, highMs: high, contradictions: known.contradictions };
}
