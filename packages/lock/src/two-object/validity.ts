/**
 * How long a lease may be believed: the law of renewals. Pure: every instant is handed in.
 * Never extends a lease that is lost, and never counts an answer that came too late.
 */

export interface Validity {
  /** The lease ends here unless renewed, on the holder's steady clock, in ms: last successful PUT's sending + leaseMs. */
  readonly heldUntilMs: number;
  /** Renewals so far; written with each, so that a watcher sees two within one timestamp step. */
  readonly renewals: number;
  /** Why it is lost. Once set it stays. */
  readonly lost: string | undefined;
}

export interface ValidityRules {
  readonly leaseMs: number;
  /** The lease is given up this long before its end, in ms. */
  readonly marginMs: number;
  /** Mutant switch for the tests: believe an answer that came after the lease ended. */
  readonly believeLateRenewal?: boolean;
}

/** A ticket whose first `-0` was sent then, and known to be stored. */
export function begin(sentAtMs: number, rules: ValidityRules, renewals = 0): Validity {
  return { heldUntilMs: sentAtMs + rules.leaseMs, renewals, lost: undefined };
}

export function isValid(validity: Validity, nowMs: number, rules: ValidityRules): boolean {
  return validity.lost === undefined && nowMs < validity.heldUntilMs - rules.marginMs;
}

/** At `nowMs`: the same, or lost because nothing renewed it in time. */
export function at(validity: Validity, nowMs: number, rules: ValidityRules): Validity {
  if (validity.lost !== undefined || nowMs < validity.heldUntilMs - rules.marginMs) return validity;
  return lose(validity, "it was not renewed in time");
}

export function lose(validity: Validity, why: string): Validity {
  return validity.lost === undefined ? { ...validity, lost: why } : validity;
}

/** A PUT of `-0`, sent at `sentAtMs`, was answered with success, known at `nowMs`. Late successes change nothing: lost is for ever. */
export function renewed(validity: Validity, sentAtMs: number, nowMs: number, rules: ValidityRules): Validity {
  const now = rules.believeLateRenewal === true ? validity : at(validity, nowMs, rules);
  if (now.lost !== undefined) return now;
  return { ...now, heldUntilMs: Math.max(now.heldUntilMs, sentAtMs + rules.leaseMs), renewals: now.renewals + 1 };
}
