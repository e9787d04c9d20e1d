/**
 * The errors of the lock that a caller acts on differently; all others are plain BucketlockError with a code (docs/errors.md).
 */
import { BucketlockError } from "@bucketlock/core";

/** The lock was not to be had within `waitMs`. Nothing of ours is left in line. */
export class NotAcquiredError extends BucketlockError {
  constructor(key: string, waitedMs: number, by: readonly string[]) {
    const who =
      by.length === 0
        ? ""
        : `; before us: ${by.slice(0, 3).join(", ")}${by.length > 3 ? ` and ${by.length - 3} more` : ""}`;
    super(`the lock was not acquired within ${Math.round(waitedMs)} ms: ${key}${who}`, {
      code: "NOT_ACQUIRED",
      kind: "contended",
      details: { key, waitedMs, by },
    });
  }
}

/** Several locks held as one, and more than one of them lost or not given back. With one that was lost: LEASE_LOST, else RELEASE_FAILED. */
export class NotReleasedError extends BucketlockError {
  /** What became of each, the first released first. */
  readonly errors: readonly BucketlockError[];

  constructor(errors: readonly BucketlockError[]) {
    const lost = errors.some((error) => error.kind === "lost");
    super(`${errors.length} locks were lost or not released: ${errors.map((error) => error.message).join("; ")}`, {
      code: lost ? "LEASE_LOST" : "RELEASE_FAILED",
      kind: lost ? "lost" : "unavailable",
      details: { keys: errors.map((error) => error.details.key) },
    });
    this.errors = errors;
  }
}

/** Somebody asks for the release of a lock that we hold. It is held as before: finish what you do, then release. */
export class ReleaseRequestedError extends BucketlockError {
  /** Why, in the words of who asks. */
  readonly reason: string;
  /** The label of who asks. */
  readonly by: string;

  constructor(key: string, ticketId: string, { reason, by }: { readonly reason: string; readonly by: string }) {
    super(`${by} asks for the release, ${reason}: ${key} (ticket ${ticketId})`, {
      code: "RELEASE_REQUESTED",
      kind: "contended",
      details: { key, ticketId, reason, by },
    });
    this.reason = reason;
    this.by = by;
  }
}

/** We can no longer prove that we hold the lock: stop touching what it guards. Another may hold it now. */
export class LockLostError extends BucketlockError {
  constructor(key: string, ticketId: string, why: string) {
    super(`the lease is lost, ${why}: ${key} (ticket ${ticketId})`, {
      code: "LEASE_LOST",
      kind: "lost",
      details: { key, ticketId, why },
    });
  }
}
