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
export type { CronJob, CronOptions } from "./cron.js";
export type { CampaignOptions, Election, ElectionOptions, Leadership, LeadOptions } from "./election.js";
export type { Leader } from "./election-rule.js";
export { LockLostError, NotAcquiredError, NotReleasedError, ReleaseRequestedError } from "./errors.js";
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
export type { ArriveOptions, Latch, LatchWaitOptions } from "./latch.js";
export type { Lease } from "./lease.js";
export type { AcquireOptions, ForgetOptions, Lock } from "./lock.js";
export type { Wanted } from "./lock-order.js";
export { createLocks, type Locks } from "./locks.js";
export type { Card, Member } from "./member-rule.js";
export type { JoinOptions, Members, MembersChange, Membership, MembersOptions } from "./members.js";
export type { AllOptions, MultiLease, MultiLock } from "./multi-lock.js";
export type { OnceJob, OnceOptions, OnceResult, OnceRun } from "./once.js";
export type { Guarantee, Overlap, Why } from "./once-rule.js";
export type { ReleaseRequest } from "./revocation.js";
export type { RequestOptions } from "./revoke.js";
export type { RunCoordinator, RunCoordinatorOptions } from "./run-coordinator.js";
export type { HistoryOptions, RunInfo } from "./runs.js";
export { cronSchedule, everySchedule, type Schedule } from "./schedule.js";
export type { Semaphore, SemaphoreOptions } from "./semaphore.js";
export type { LocksOptions } from "./settings.js";
export type { LockMode, Mode } from "./two-object/ticket.js";
