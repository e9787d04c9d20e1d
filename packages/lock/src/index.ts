/** Everything a user of @bucketlock/lock may import. Anything not named here may change without notice. */

export {
  BucketlockError,
  createMemoryStore,
  InvalidError,
  openFileStore,
  openS3Session,
  openStore,
  type Store,
  StoreError,
} from "@bucketlock/core";
export { LockLostError, NotAcquiredError } from "./errors.js";
export type { LockEvent, OnEvent } from "./events.js";
export {
  type Fence,
  type FencedGet,
  type FencedPut,
  type FencedPutOptions,
  type FenceOptions,
  type FencingLease,
  fence,
} from "./fence.js";
export { FencedError } from "./fence-rule.js";
export type { BreakOptions, LockInfo, TicketInfo } from "./inspect.js";
export type { Lease } from "./lease.js";
export type { AcquireOptions, Lock } from "./lock.js";
export { createLocks, type Locks } from "./locks.js";
export type { Semaphore, SemaphoreOptions } from "./semaphore.js";
export type { LocksOptions } from "./settings.js";
export type { LockMode, Mode } from "./two-object/ticket.js";
