/**
 * The report of a probe, as types. Plain JSON: what is written to a file or sent to another process reads back the same.
 */
import type { ClockSeen, ProbeVerb, Right } from "./probe-observations.js";
import type { RequestCounts, Vendor } from "./probe-prices.js";

/** Something found: a stable code for programs, a sentence for people. */
export interface Finding {
  readonly code: string;
  readonly text: string;
}

/** What an acquisition and its release cost while nobody contends; renewals and looks while waiting come on top. */
export interface ProtocolCost {
  /** Requests of one acquisition and its release. */
  readonly requests: RequestCounts;
  /** USD for 1,000 of them at the vendor's list prices; absent where those are not known. */
  readonly usdPer1000?: number;
}

export interface ProtocolReport {
  readonly safe: boolean;
  /** Why it is safe: what was seen. Empty when it is not. */
  readonly because: readonly string[];
  /** Why not. Empty when it is safe. */
  readonly reasons: readonly Finding[];
  readonly cost: ProtocolCost;
}

export interface ConditionsReport {
  /** How a write that must not happen was answered: 412, or an unclear answer that only a read resolves. */
  readonly losers: "refused" | "unclear" | "untold";
  /**
   * Which form of the ETag If-Match honours. `bareOnly`: without its quotes; open the session with `bareIfMatch: true`.
   * createLocks does the same by itself when it finds this here.
   */
  readonly ifMatch: "asGiven" | "both" | "bareOnly" | "never" | "untried";
  /** Which form of the ETag a GET with If-None-Match honours. */
  readonly notModified: "asGiven" | "bare" | "never" | "untried";
  readonly onDelete: "honoured" | "ignored" | "refused" | "unclear" | "untried";
  readonly races: {
    readonly racers: number;
    readonly rounds: number;
    /** Rounds with exactly one winner; the rest had several, the wrong one, or (`withoutWinner`) none. */
    readonly oneWinner: number;
    readonly withoutWinner: number;
  };
}

export interface ProbeReport {
  readonly format: 1;
  readonly store: string;
  readonly endpoint?: string;
  /** Endpoints of the same bucket that took part. */
  readonly endpoints: number;
  readonly vendor: Vendor;
  /** ISO 8601, by this host's clock. */
  readonly probedAt: string;
  readonly protocols: { readonly "two-object": ProtocolReport; readonly conditional: ProtocolReport };
  /** What to change, most important first. */
  readonly changes: readonly Finding[];
  /** What to know: none of it makes a protocol unsafe. */
  readonly notes: readonly Finding[];
  readonly rights: Readonly<Record<ProbeVerb, Right>>;
  readonly versions: "kept" | "none" | "unknown";
  readonly conditions: ConditionsReport;
  readonly listing: {
    readonly rounds: number;
    readonly missedAfterPut: number;
    readonly seenAfterDelete: number;
    readonly staleReads: number;
  };
  readonly timestamps: {
    /** The step of the timestamps in a LIST, in ms; absent where too few differed to tell. */
    readonly listStepMs?: number;
    readonly headStepMs?: number;
    /** How far a later object was dated before an earlier one, in ms, at most. */
    readonly backwardMs: number;
    readonly moved: boolean;
  };
  /** The server's clock less this host's, in ms: between these. Absent: no answer carried a date. */
  readonly clock?: ClockSeen;
  readonly multiDelete: "works" | "one by one" | "fails" | "untried";
  /** Keys that could not be removed again. Empty, unless deleting is not allowed. */
  readonly left: readonly string[];
  readonly requests: number;
  readonly durationMs: number;
}
