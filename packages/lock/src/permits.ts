/**
 * The permits of a semaphore: what a number of them may be, and the refusal when two clients do not agree on it.
 * Pure; counts nobody. Who holds is decided by the machine of each protocol.
 */
import { BucketlockError, integer } from "@bucketlock/core";
import { PERMITS_MAX } from "./two-object/ticket.js";

/** 1 to 9999. Throws InvalidError. */
export function checkPermits(value: unknown): number {
  return integer("permits", value, { min: 1, max: PERMITS_MAX });
}

/** Somebody in line who counts otherwise than we do. */
export interface Dissenter {
  readonly ticketId: string;
  /** Undefined: to it the key is a lock. */
  readonly permits: number | undefined;
  /** Undefined: not known, or gone meanwhile. */
  readonly label: string | undefined;
}

/** PERMITS_MISMATCH: who disagrees, and with which number. `details` has all of it. */
export function permitsMismatch(
  key: string,
  permits: number | undefined,
  others: readonly Dissenter[],
): BucketlockError {
  const who = others
    .slice(0, 3)
    .map((one) => `${what(one.permits)} to ${one.label ?? "a client"} (ticket ${one.ticketId})`)
    .join(", ");
  const more = others.length > 3 ? ` and ${others.length - 3} more` : "";
  return new BucketlockError(`the key is ${what(permits)} here, but ${who}${more}: ${key}`, {
    code: "PERMITS_MISMATCH",
    kind: "invalid",
    details: { key, permits, others },
  });
}

const what = (permits: number | undefined): string =>
  permits === undefined ? "a lock" : `a semaphore of ${permits} ${permits === 1 ? "permit" : "permits"}`;
