/** What a lock tells about itself: plain typed objects, enough to log or trace from. Never holds a secret. */
import type { Mode } from "./two-object/ticket.js";

interface Base {
  readonly key: string;
  readonly ticketId: string;
  readonly mode: Mode;
}

export type LockEvent = Base &
  /** `local`: the ticket of another lease of this process was passed on or is shared, without a request. */
  (
    | { readonly type: "acquired"; readonly waitedMs: number; readonly requests: number; readonly local: boolean }
    /** Emitted once per attempt, when others stand before us. */
    | { readonly type: "waiting"; readonly for: readonly string[] }
    | { readonly type: "renewed"; readonly renewals: number }
    | { readonly type: "renewalFailed"; readonly error: unknown; readonly leftMs: number }
    | { readonly type: "lost"; readonly why: string }
    | { readonly type: "released" }
    | { readonly type: "releaseFailed"; readonly error: unknown }
    /** The attempt ended without the lock; its objects were deleted, or `error` says why that is not sure. */
    | { readonly type: "withdrew"; readonly why: string; readonly error?: unknown }
    /** `victim`: the ticket that was dead and has been removed. */
    | { readonly type: "tookOver"; readonly victim: string }
    /** A lease was garbage collected while held: it is released now, and the program has a bug. */
    | { readonly type: "leaked" }
  );

export type OnEvent = (event: LockEvent) => void;
export type EventFacts = LockEvent extends infer E ? (E extends Base ? Omit<E, keyof Base> : never) : never;
