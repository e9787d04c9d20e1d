/**
 * What does not change during one acquire by the conditional protocol: what is wanted, and by which rules. Decides nothing.
 */
import type { Mode } from "../two-object/ticket.js";

export interface Line {
  readonly mode: Mode;
  /** Of a semaphore: how many may hold at once. */
  readonly permits?: number | undefined;
  readonly label: string;
  readonly leaseMs: number;
  readonly marginMs: number;
  readonly clockSkewMs: number;
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  /** On the caller's monotonic clock. At or before the start: try once. */
  readonly deadlineMs: number;
  readonly rules: Rules;
}

/** Every rule that a test removes to see it caught. Users always get ALL_RULES. */
export interface Rules {
  /** An unknown outcome is read back; without: taken for a conflict, or for a success. */
  readonly unknown: "read back" | "conflict" | "stored";
  /** The line is left only when no write of ours can land any more. */
  readonly burnUnclear: boolean;
  /** A record is confirmed by a LIST before anybody holds by it. */
  readonly confirmByList: boolean;
  /** What another's write granted is claimed by a write of our own. */
  readonly claimGranted: boolean;
  /** The lease counts from the sending of our last write, and a claim that comes too late is none. */
  readonly validAtClaim: boolean;
  /** A renewal is conditional like every other write. */
  readonly renewUnderIfMatch: boolean;
  /** The next token is above every earlier one: a record is emptied, never begun anew. */
  readonly keepToken: boolean;
  /** A token for another lease by the same ticket is counted up in the record. */
  readonly drawnInRecord: boolean;
  /** How old a record is, the store's own clock says; without: the reader's. */
  readonly storeClock: boolean;
  /** Nobody joins those who count other permits. */
  readonly permitsCompared: boolean;
  /** No more than the permits hold. */
  readonly permitsCounted: boolean;
}
export const ALL_RULES: Rules = {
  unknown: "read back",
  burnUnclear: true,
  confirmByList: true,
  claimGranted: true,
  validAtClaim: true,
  renewUnderIfMatch: true,
  keepToken: true,
  drawnInRecord: true,
  storeClock: true,
  permitsCompared: true,
  permitsCounted: true,
};
