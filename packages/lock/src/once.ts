/**
 * Once: a job that runs on one host for each slot (a scheduled time), whatever the clocks. The slot is claimed in the store
 * before the run, inside the job's lock, and the claim stays: that is what stops the next host, however late its clock.
 * Carries out what once-rule.ts decides.
 */
import {
  BucketlockError,
  type Instant,
  InvalidError,
  integer,
  knownOptions,
  oneOf,
  type Store,
} from "@bucketlock/core";
import { LockLostError, NotAcquiredError } from "./errors.js";
import { fence } from "./fence.js";
import type { Lease } from "./lease.js";
import { Lock, type LockContext } from "./lock.js";
import {
  ALL_ONCE_RULES,
  checkSlot,
  claimKey,
  decideOnce,
  encodeRun,
  ended,
  endKey,
  type Guarantee,
  type OnceDecision,
  type OnceRules,
  type Overlap,
  onceLock,
  type Run,
  type Seen,
  type Slot,
  slotKey,
  tooOld,
  type Why,
} from "./once-rule.js";
import { runSignal } from "./run-signal.js";
import { runOf, slotsOf } from "./runs.js";
import { breathe, callOf, lookPauseMs, putSurely, removeAll, type Side } from "./side-objects.js";
import { isStanding } from "./standing.js";

export interface OnceOptions {
  /**
   * `atMostOnce` (default): a slot whose runner died is not run again. `atLeastOnce`: it is, by whoever is asked for it or waits for
   * it. A slot keeps the guarantee with which it was first claimed.
   */
  readonly guarantee?: Guarantee | undefined;
  /** While an earlier slot of the job runs: wait for its end (`queue`, the default), or leave this one out (`skip`). */
  readonly overlap?: Overlap | undefined;
  /** How long to wait for others that hold the job's lock, in ms. 0: not at all. Default: the locks' `waitMs`. */
  readonly waitMs?: number | undefined;
  /** How many slots the store remembers. 1 to 1000, default 30. */
  readonly keep?: number | undefined;
  /** Ends the wait, and is handed on to the job. Its reason is thrown unchanged. */
  readonly signal?: AbortSignal | undefined;
}

/** What the job gets. */
export interface OnceRun {
  readonly slotMs: number;
  /** 1, or more when earlier runners died (`atLeastOnce`). */
  readonly attempt: number;
  /** Aborts when the lease is lost: another may run the next slot, or this one again. Hand it to your work. */
  readonly signal: AbortSignal;
  /** For what the job writes to; its `token()` rises with every run. */
  readonly lease: Lease;
}

/** The job itself. */
export type OnceJob<T> = (run: OnceRun) => T | Promise<T>;

export type OnceResult<T> =
  | { readonly ran: true; readonly value: T; readonly slotMs: number; readonly attempt: number }
  | {
      readonly ran: false;
      readonly slotMs: number;
      /** See `Why`: done, claimed, behind, overlap, busy. */
      readonly reason: Why;
      /** The label of who ran or runs it, where that is known. */
      readonly by: string | undefined;
    };

/** The names of its options. */
export const ONCE: readonly string[] = ["guarantee", "overlap", "waitMs", "keep", "signal"];
const KEEP = 30;
const KEEP_MAX = 1000;
/** For a claim; more would be a listing that never shows what is there. */
const LOOKS_MAX = 4;

/**
 * Runs `fn` for this slot, unless it was run before, here or on any other host. After return with `ran: true`, `fn` has ended, its end
 * is recorded, and the lease was held throughout. An error of `fn` is recorded and thrown as it is; it does not make the slot run
 * again. Throws LockLostError when the lease was lost meanwhile (the job was told by its signal), RUN_NOT_RECORDED when the end could
 * not be written (with `atLeastOnce` the slot will run again), WRITE_UNKNOWN when the claim may or may not have been written (nothing
 * ran; asking again is safe), the signal's reason, store errors.
 */
export async function once<T>(
  context: LockContext,
  name: string,
  slot: Instant,
  fn: OnceJob<T>,
  options: OnceOptions = {},
): Promise<OnceResult<T>> {
  if (typeof fn !== "function") throw new InvalidError("fn", "must be a function", fn);
  knownOptions(options, ONCE);
  const result = await runSlot(context, name, checkSlot(slot), fn, options);
  if (result === "outdated") throw new Error("bug: nothing can be outdated where nothing was believed");
  return result;
}

/** What a schedule knows and wants to know of a slot. */
export interface Scheduled {
  /** It believes that no slot was ever claimed. */
  readonly first?: boolean | undefined;
  /** Called before the claim is written: from here on the slot is ours, and only `signal` and a lost lease keep it from running. */
  readonly onClaim?: (() => void) | undefined;
}

/** The same for a schedule. "outdated": slots were claimed before, against its belief, so it must look what is owed. */
export function runSlot<T>(
  context: LockContext,
  name: string,
  slotMs: number,
  fn: OnceJob<T>,
  options: OnceOptions,
  scheduled: Scheduled = {},
): Promise<OnceResult<T> | "outdated"> {
  return new Job(context, name, slotMs, options, scheduled).run(fn);
}

/** One slot of a job, from the first look to the recorded end. */
class Job {
  readonly #context: LockContext;
  readonly #name: string;
  readonly #slotMs: number;
  readonly #lock: Lock;
  readonly #guarantee: Guarantee;
  readonly #overlap: Overlap;
  readonly #keep: number;
  readonly #options: OnceOptions;
  readonly #scheduled: Scheduled;
  readonly #rules: OnceRules;

  constructor(context: LockContext, name: string, slotMs: number, options: OnceOptions, scheduled: Scheduled) {
    this.#context = context;
    this.#scheduled = scheduled;
    this.#name = name;
    this.#slotMs = slotMs;
    // A run is known by its ticket: no two share one.
    this.#lock = new Lock(onceLock(name), context, undefined, true);
    this.#guarantee = oneOf("guarantee", options.guarantee ?? "atMostOnce", ["atMostOnce", "atLeastOnce"]);
    this.#overlap = oneOf("overlap", options.overlap ?? "queue", ["skip", "queue"]);
    this.#keep = integer("keep", options.keep ?? KEEP, { min: 1, max: KEEP_MAX });
    this.#options = options;
    this.#rules = { ...ALL_ONCE_RULES, ...context.mutation.once };
  }

  async run<T>(fn: OnceJob<T>): Promise<OnceResult<T> | "outdated"> {
    const { gate, settings } = this.#context;
    const { signal, done } = this.#context.begin(this.#options.signal);
    let side: Side;
    let lease: Lease;
    let claim: Claim;
    try {
      side = { store: gate.ready ?? (await gate.open(signal)), settings, signal };
      const first = this.#judge(false, (await this.#look(side)).seen);
      if (first.do === "leave") return this.#left(first.why, first.by);
      const taken = await this.#inLine(side);
      if ("why" in taken) return this.#left(taken.why, taken.by);
      lease = taken.lease;
      try {
        const claimed = await this.#claim(side, lease);
        if ("do" in claimed) {
          await lease.release().catch(() => {});
          return this.#left(claimed.why, claimed.by);
        }
        claim = claimed;
      } catch (error) {
        await lease.release().catch((releaseError: unknown) => attach(error, releaseError));
        throw error;
      }
    } finally {
      done();
    }
    return this.#work(side, lease, claim, fn);
  }

  #left(reason: Why | "outdated", by: Run | undefined): Extract<OnceResult<never>, { ran: false }> | "outdated" {
    if (reason === "outdated") return reason;
    return { ran: false, slotMs: this.#slotMs, reason, by: by?.label };
  }

  // -- Looking -----------------------------------------------------------------------------------------------------------

  /** `prefix`: all slots, or only ours where the mark does not matter. */
  async #look(side: Side, prefix?: string): Promise<{ readonly slots: readonly Slot[]; readonly seen: Seen }> {
    const slots = await slotsOf(side, this.#name, prefix);
    const slot = slots.find(({ slotMs }) => slotMs === this.#slotMs);
    const attempt = slot?.ended[0] ?? slot?.attempts.at(-1);
    const run = slot && attempt ? await runOf(side, this.#name, slot, attempt) : undefined;
    return { slots, seen: { markMs: slots.at(-1)?.slotMs, slot, run, earlier: undefined } };
  }

  #judge(holding: boolean, seen: Seen): OnceDecision {
    const { first } = this.#scheduled;
    return decideOnce(
      { slotMs: this.#slotMs, guarantee: this.#guarantee, overlap: this.#overlap, holding, first },
      // A mark that is a host's time says nothing about slots.
      this.#rules.markBySlot ? seen : { ...seen, markMs: undefined },
    );
  }

  // -- In line -----------------------------------------------------------------------------------------------------------

  /** Stands in line for the job's lock, with an eye on the slot: another may settle it meanwhile. */
  async #inLine(side: Side): Promise<{ lease: Lease } | { why: Why | "outdated"; by: Run | undefined }> {
    const over = new AbortController();
    const settled = new Error("the slot was settled by another");
    const signal = AbortSignal.any([side.signal!, over.signal]);
    let left: Extract<OnceDecision, { do: "leave" }> | undefined;
    const watching = this.#settledBy({ ...side, signal }).then(
      (decision) => {
        left = decision;
        over.abort(settled);
      },
      // The line itself will tell what is wrong.
      () => {},
    );
    try {
      return { lease: await this.#lock.acquire({ signal, waitMs: this.#options.waitMs }) };
    } catch (error) {
      if (error === settled && left !== undefined) return left;
      if (!(error instanceof NotAcquiredError)) throw error;
      return { why: "busy", by: undefined };
    } finally {
      over.abort(settled);
      await watching;
    }
  }

  /** Resolves when the slot needs no runner any more. */
  async #settledBy(side: Side): Promise<Extract<OnceDecision, { do: "leave" }>> {
    const { clock } = side.settings;
    const sinceMs = clock.monotonicMs();
    for (;;) {
      await clock.sleep(lookPauseMs(side, sinceMs), { signal: side.signal });
      const watchesOthers = this.#overlap === "skip";
      const { slots, seen } = await this.#look(side, watchesOthers ? undefined : slotKey(this.#name, this.#slotMs));
      const earlier = watchesOthers && seen.slot === undefined ? await this.#earlier(side, slots) : undefined;
      const decision = this.#judge(false, { ...seen, earlier });
      if (decision.do === "leave") return decision;
    }
  }

  /** The run of an earlier slot whose runner still stands. */
  async #earlier(side: Side, slots: readonly Slot[]): Promise<Run | undefined> {
    const newest = slots.filter(({ slotMs }) => slotMs < this.#slotMs).at(-1);
    if (newest === undefined || newest.ended.length > 0) return undefined;
    const run = await runOf(side, this.#name, newest, newest.attempts.at(-1)!);
    if (run === undefined) return undefined;
    const stands = await isStanding(this.#context, side.store, this.#lock.key, run.ticketId, callOf(side));
    return stands ? run : undefined;
  }

  // -- The claim ---------------------------------------------------------------------------------------------------------

  /** Looks again, now that nobody else may run it, and writes the claim. */
  async #claim(side: Side, lease: Lease): Promise<Claim | Extract<OnceDecision, { do: "leave" }>> {
    const { clock, label } = this.#context.settings;
    const claimedMs = this.#rules.markBySlot ? this.#slotMs : Math.floor(clock.wallMs());
    for (let tries = 1; ; tries++) {
      const { slots, seen } = await this.#look(side);
      const decision = this.#judge(true, seen);
      if (decision.do === "leave") return decision;
      if (decision.do === "line") throw new Error("bug: whoever holds the lock need not stand in line");
      const { attempt } = decision;
      const token = await lease.token({ signal: side.signal! });
      const run: Run = {
        slotMs: this.#slotMs,
        attempt,
        guarantee: seen.run?.guarantee ?? this.#guarantee,
        ticketId: lease.ticketId,
        token: String(token),
        label,
        startedMs: Math.floor(clock.wallMs()),
      };
      const claim = { key: claimKey(this.#name, claimedMs, attempt), claimedMs, run, slots };
      side.signal?.throwIfAborted();
      this.#scheduled.onClaim?.();
      try {
        // Not to be given up half-way: a claim that landed unseen would be a slot that nobody runs.
        if (this.#rules.claimFirst) await this.#write({ ...side, signal: undefined }, lease, claim);
        return claim;
      } catch (error) {
        // By its name it is there, though the listing did not show it: somebody's write has only now arrived, or the listing lags.
        const isThere = error instanceof BucketlockError && error.code === "OBJECT_CHANGED";
        if (!isThere || tries >= LOOKS_MAX) throw error;
        await breathe(side);
      }
    }
  }

  /**
   * The claim is ours only if the store took it under the condition that there was none; or if it took it and then still shows our
   * ticket, so that whoever holds the lock next looks for claims after ours was written. Whoever was stopped meanwhile learns here that
   * its lease is over.
   */
  async #write(side: Side, lease: Lease, { key, run }: Claim): Promise<void> {
    const text = encodeRun(run);
    if (!this.#rules.fenceClaim) {
      await side.store.put(key, text, callOf(side));
      return;
    }
    const { guarded } = await this.#fence(side.store, lease).put(key, text, {
      ...callOf(side),
      contentType: "application/json",
      basedOn: { found: false, token: 0n },
    });
    if (guarded === "conditional") return;
    if (!(await lease.verify()))
      throw new LockLostError(this.#lock.key, lease.ticketId, "another removed its ticket before the slot was claimed");
  }

  #fence(store: Store, lease: Lease) {
    const { settings } = this.#context;
    const { clock, random, protocol, probed } = settings;
    // The gate has let this store pass, in the form of ETags that it honours.
    if (protocol === "conditional") return fence(store, lease, { conditional: true, clock, random });
    return fence(store, lease, { clock, random, probed });
  }

  // -- The run -----------------------------------------------------------------------------------------------------------

  async #work<T>(side: Side, lease: Lease, claim: Claim, fn: OnceJob<T>): Promise<OnceResult<T>> {
    const { attempt } = claim.run;
    const { signal, over } = runSignal([side.signal!, lease.signal]);
    // Whatever ended the wait: what was done is recorded.
    const after: Side = { store: side.store, settings: side.settings };
    if (side.signal?.aborted) {
      over();
      return this.#notBegun(after, lease, claim, side.signal.reason);
    }
    let value: T;
    try {
      value = await fn({ slotMs: this.#slotMs, attempt, signal, lease });
    } catch (error) {
      await this.#finish(after, lease, claim, { error }).catch((recordError: unknown) => attach(error, recordError));
      throw error;
    } finally {
      over();
    }
    try {
      await this.#finish(after, lease, claim, undefined);
    } catch (cause) {
      if (cause instanceof BucketlockError && cause.kind === "lost") throw cause;
      throw new BucketlockError(`the job ran, but its end could not be recorded: ${claim.key}`, {
        code: "RUN_NOT_RECORDED",
        kind: "unknown",
        cause,
        details: { name: this.#name, slotMs: this.#slotMs },
      });
    }
    return { ran: true, value, slotMs: this.#slotMs, attempt };
  }

  /** Claimed, but the caller wants no run any more. At most once: that is its end. Else the slot is for the next who asks. */
  async #notBegun(side: Side, lease: Lease, claim: Claim, reason: unknown): Promise<never> {
    if (claim.run.guarantee === "atLeastOnce") await lease.release().catch(() => {});
    else await this.#finish(side, lease, claim, { error: reason }).catch((error: unknown) => attach(reason, error));
    throw reason;
  }

  /** The end of the run into the store, old slots out of it, the lock back. Throws when the end was not written, or the lease was lost. */
  async #finish(side: Side, lease: Lease, claim: Claim, failure: { error: unknown } | undefined): Promise<void> {
    const { key, claimedMs, run } = claim;
    try {
      if (failure !== undefined && !this.#rules.keepOnFailure) return await removeAll(side, [key]);
      // Who lost its lease was told to stop in the middle: that is no end.
      lease.throwIfLost();
      const text = encodeRun(ended(run, Math.floor(side.settings.clock.wallMs()), failure));
      await putSurely(side, endKey(this.#name, claimedMs, run.attempt), text);
      lease.throwIfLost();
      // What is not removed now is with the next run.
      await this.#forget(side, claim).catch(() => {});
    } finally {
      // The run is recorded, and the lock frees itself; the locks' own events tell of a release that failed.
      await lease.release().catch(() => {});
    }
  }

  async #forget(side: Side, { slots, claimedMs }: Claim): Promise<void> {
    const ours: Slot = { slotMs: claimedMs, attempts: [], ended: [] };
    const all = [...slots.filter(({ slotMs }) => slotMs !== claimedMs), ours].sort((a, b) => a.slotMs - b.slotMs);
    const claims: string[] = [];
    const ends: string[] = [];
    for (const slot of tooOld(all, this.#keep)) {
      if (await this.#isOwed(side, slot)) continue;
      for (const attempt of slot.attempts) claims.push(claimKey(this.#name, slot.slotMs, attempt));
      for (const attempt of slot.ended) ends.push(endKey(this.#name, slot.slotMs, attempt));
    }
    // Ends last: a claim without its end would be run again.
    await removeAll(side, claims);
    await removeAll(side, ends);
  }

  /** Somebody must still run it. */
  async #isOwed(side: Side, slot: Slot): Promise<boolean> {
    if (slot.ended.length > 0 || slot.attempts.length === 0) return false;
    const run = await runOf(side, this.#name, slot, slot.attempts.at(-1)!);
    return run?.guarantee === "atLeastOnce";
  }
}

interface Claim {
  readonly key: string;
  /** The slot, as its objects are named. */
  readonly claimedMs: number;
  readonly run: Run;
  /** That stood in the store before. */
  readonly slots: readonly Slot[];
}

function attach(error: unknown, recordError: unknown): void {
  if (typeof error !== "object" || error === null || !Object.isExtensible(error)) return;
  Object.defineProperty(error, "recordError", { value: recordError, configurable: true });
}
