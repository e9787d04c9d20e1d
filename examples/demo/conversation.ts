/**
 * What the demo's processes say to each other, as types. All times are this machine's monotonic clock in ms, which every
 * process of one machine reads the same (`nowMs`). Does nothing itself.
 */
import { hrtime } from "node:process";
import type { OpenStoreOptions } from "@bucketlock/core";

/** How a process finds what it shares with the others: nothing but this. Credentials come from the environment. */
export interface Shared {
  /** As `openStore` takes it. */
  readonly store: string;
  readonly s3: OpenStoreOptions["s3"];
  /** Every object of this run begins with it, so that runs do not meet. */
  readonly prefix: string;
  readonly leaseMs: number;
}

/** To a worker. */
export type Order =
  /** Acquire, work, release. Exclusive work is the nightly job, shared work reads its report. `untilTold`: work on until "enough". */
  | {
      readonly do: "job";
      readonly mode: "exclusive" | "shared";
      readonly workMs: number;
      readonly untilTold?: true;
    }
  /** Work that goes on until told may end. */
  | { readonly do: "enough" }
  /** Finish what is under way, leave nothing behind, end. */
  | { readonly do: "end" };

/** From a worker. */
export type Told =
  | { readonly is: "ready" }
  | { readonly is: "asks"; readonly atMs: number }
  | {
      readonly is: "holds";
      readonly atMs: number;
      readonly mode: "exclusive" | "shared";
      readonly ticketId: string;
      readonly waitedMs: number;
      readonly requests: number;
    }
  /** The work is done and written, the release comes next: from here on another may hold. */
  | { readonly is: "leaves"; readonly atMs: number }
  | { readonly is: "lost"; readonly atMs: number; readonly why: string }
  | { readonly is: "tookOver"; readonly victim: string }
  /** The job is done and released. */
  | { readonly is: "done" }
  | { readonly is: "failed"; readonly code: string | undefined; readonly message: string };

export const nowMs = (): number => Number(hrtime.bigint()) / 1e6;

export const lockKey = (shared: Shared): string => `${shared.prefix}jobs/nightly`;
/** What the job writes. Nothing guards it but the lock. */
export const reportKey = (shared: Shared): string => `${shared.prefix}nightly-report`;
