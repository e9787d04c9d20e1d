/**
 * The lock conformance suite in two: what is about the lock itself, one test after the other, and what stands on locks. Those
 * tests mostly wait for leases to end, each below a prefix of its own, so several run at a time.
 */
import { type LockConformanceOptions, type LockPart, lockConformance } from "@bucketlock/lock/testing";
import { describe, it } from "vitest";

const LOCK: readonly LockPart[] = ["line", "lease", "outside", "semaphore", "revoke"];
const FLEET: readonly LockPart[] = ["election", "once"];
/** The same by either protocol. */
const ANY_PROTOCOL: readonly LockPart[] = ["latch", "members"];

export function lockConformanceInParts(options: LockConformanceOptions): void {
  const isConditional = options.locksOptions?.protocol === "conditional";
  lockConformance({ describe, it }, { ...options, parts: LOCK });
  const runner = { describe, it: it.concurrent as unknown as typeof it };
  const name = `${options.name}, what stands on locks`;
  lockConformance(runner, { ...options, name, parts: isConditional ? FLEET : [...FLEET, ...ANY_PROTOCOL] });
}
