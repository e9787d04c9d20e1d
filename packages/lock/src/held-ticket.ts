/**
 * What keeper and lease ask of a ticket, whichever protocol drew it: types only.
 */
import type { CallOptions, DeleteTarget } from "@bucketlock/core";
import type { Parting } from "./conditional/parting.js";
import type { Revocation } from "./revocation.js";
import type { Mode } from "./two-object/ticket.js";

/** What came of one renewal. */
export type Renewal =
  /** The sign of life is in the store; its write was sent then, on the keeper's clock. */
  | { readonly is: "renewed"; readonly sentAtMs: number }
  /** The ticket is not there any more: another took it for dead, or a person broke it. */
  | { readonly is: "gone" }
  /** Not known to be renewed. */
  | { readonly is: "unclear"; readonly cause: unknown }
  /** Nothing was written: the keeper said no. */
  | { readonly is: "stopped" };

export interface RenewalCall {
  /** The count to write. */
  readonly renewals: number;
  /** Limit for the next request. */
  limit(): { readonly timeoutMs: number };
  /** Ends what only reads. A write under way is awaited: cut off, it could land later. */
  readonly stop: AbortSignal;
  /** The keeper's clock. */
  nowMs(): number;
  /** Asked just before the write. */
  mayWrite(): boolean;
}

/** What a ticket leaves behind when its process ends at once. */
export interface Remains {
  /** What another process could delete for us, without asking the store. */
  targets(): DeleteTarget[];
  /** How it could leave a record for us; undefined where there is none, or nothing of us in it as far as we know. */
  parting?(): Parting | undefined;
}

export interface HeldTicket extends Remains {
  readonly key: string;
  readonly id: string;
  readonly mode: Mode;
  /** Told after a renewal that found a request to release. */
  readonly revocation: Revocation;
  renew(call: RenewalCall): Promise<Renewal>;
  /** Tidies up behind a renewal, and looks whether somebody asks for the release. Failing is no harm. */
  afterRenewal(options: CallOptions): Promise<void>;
  /** The fencing token, drawn once for each turn. The lease must be checked after it resolves. */
  token(options: CallOptions): Promise<bigint>;
  /** From now on another lease of this process holds by it: the next token is above every one given so far. Asks the store nothing. */
  nextTurn(): void;
  /** Does the store still show it? */
  isThere(options: CallOptions): Promise<boolean>;
  /** Out of the store. Doing it twice is harmless. Throws when that is not sure. */
  delete(options: CallOptions): Promise<void>;
}
