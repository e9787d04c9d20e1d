/**
 * How the time of a lease is shared out between working, the command's grace and safety. Pure arithmetic on one clock.
 *
 * The library gives a lease up a tenth before its end. Nothing of the command may live into that tenth, so the grace comes
 * before it: the lease is given up a grace earlier than usual, TERM is sent, and KILL when the tenth begins.
 */

export interface LeasePlan {
  readonly leaseMs: number;
  /** For the locks: the lease is given up this long before its end. */
  readonly marginMs: number;
  /** Between giving up and the moment when everything must be dead. As asked, but at most two fifths of the lease. */
  readonly graceMs: number;
}

export function leasePlan(leaseMs: number, graceMs: number): LeasePlan {
  const reserveMs = leaseMs / 10;
  // Half the lease, less the reserve: what is left must hold a third, between two renewals, and a late one.
  const grace = Math.min(graceMs, leaseMs / 2 - reserveMs);
  return { leaseMs, marginMs: reserveMs + grace, graceMs: grace };
}

// A timer may fire a little early.
const EARLY_MS = 50;

/**
 * How long the command may clean up after the lease was lost, in ms. `lateMs`: since the moment when the last renewal known would
 * have been given up; below zero before it.
 */
export function graceAfterLossMs(plan: LeasePlan, lateMs: number): number {
  // Lost before its time: another removed it, and may hold now. Nothing is left to be graceful with.
  if (lateMs < -EARLY_MS) return 0;
  return Math.max(0, plan.graceMs - Math.max(0, lateMs));
}
