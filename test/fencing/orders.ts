/** What the fencing workload and its workers say to each other: types only. One JSON object a line. */

/**
 * `none`: the lease is asked right before the write, and that is all. `fence`: fenced writes, as a program makes them. `token`: fenced
 * writes by a process whose clocks see nothing, so that its lease never seems lost: what is left is the token.
 */
export type Guard = "none" | "fence" | "token";

export interface RunOrders {
  readonly order: "run";
  /** Told again in every line of this run. */
  readonly run: string;
  readonly dir: string;
  readonly protocol: "two-object" | "conditional";
  readonly guard: Guard;
  readonly leaseMs: number;
  /** Longest pause between reading and writing, in ms. */
  readonly pauseMaxMs: number;
  /** First part of this worker's elements. */
  readonly name: string;
}

export type Order =
  | RunOrders
  /** The write that was told of may leave. */
  | { readonly order: "go"; readonly element: string }
  | { readonly order: "end" };

export type Line =
  | { readonly event: "hello" }
  /** Past its last check of the lease; the write leaves when told to go. */
  | { readonly event: "about"; readonly run: string; readonly element: string }
  /** The store has the element, as far as the worker knows. */
  | { readonly event: "added"; readonly run: string; readonly element: string; readonly guarded?: string }
  /** Not acknowledged: it may be there or not. */
  | { readonly event: "refused"; readonly run: string; readonly element: string; readonly code: string }
  | { readonly event: "trouble"; readonly run: string; readonly code: string; readonly text: string }
  | { readonly event: "ended"; readonly run: string };

/** The object that holds the set: a JSON list. */
export const SET = "set";
