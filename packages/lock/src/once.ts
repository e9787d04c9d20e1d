/**
 * Once: a job that runs on one host for each slot (a scheduled time), whatever the clocks. The slot is claimed in the store
 * before the run, inside the job's lock, and the claim stays: that is what stops the next host, however late its clock.
 * Carries out what once-rule.ts decides.
 */
import { BucketlockError, type Instant, InvalidError, integer, oneOf, type Store } from "@bucketlock/core";
import { LockLostError, NotAcquiredError } from "./errors.js";
import { type FencedGet, fence } from "./fence.js";
import type { Lease } from "./lease.js";
import { Lock, type LockContext } from "./lock.js";
import {
  ALL_ONCE_RULES,
  begun,
  checkSlot,
  decideOnce,
  decodeSlot,
  encodeSlot,
  ended,
  type Guarantee,
  type OnceDecision,
  type OnceRules,
  type Overlap,
  onceLock,
  type Run,
  type Seen,
  type SlotRecord,
  slotKey,
  slotPrefix,
  slotsIn,
  tooOld,
  type Why,
} from "./once-rule.js";
import { callOf, listAll, lookPauseMs, readText, removeAll, type Side } from "./side-objects.js";
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

export interface HistoryOptions {
  /** How many slots, the newest first. 1 to 1000, default 30. */
  readonly limit?: number | undefined;
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

/** One run of a job, as it was recorded. */
export interface RunInfo {
  readonly slotMs: number;
  readonly attempt: number;
  readonly label: string;
  /**
   * `ok`, `failed` (it threw `error`), `running`, or `died`: its end was never written, and its lease is over. It may have done part
   * of its work, or all of it.
   */
  readonly outcome: "ok" | "failed" | "running" | "died";
  /** By the clock of the host that ran it: a claim, not to be compared with other hosts'. */
  readonly startedMs: number;
  readonly endedMs: number | undefined;
  readonly error: string | undefined;
  readonly token: bigint;
}

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

const KEEP = 30;
const KEEP_MAX = 1000;
/** Requests at a time when the history is read. */
const AT_A_TIME = 8;

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
  return new Job(context, name, checkSlot(slot), options).run(fn);
}

/** The last runs of a job, newest slot first: one LIST, one GET a slot, one request more for a run without an end. Throws store errors. */
export async function history(context: LockContext, name: string, options: HistoryOptions = {}): Promise<RunInfo[]> {
  const limit = integer("limit", options.limit ?? KEEP, { min: 1, max: KEEP_MAX });
  const lock = new Lock(onceLock(name), context);
  const { gate, settings } = context;
  const { signal, done } = context.begin(options.signal);
  try {
    const side = { store: gate.ready ?? (await gate.open(signal)), settings, signal };
    const slots = (await slotsOf(side, name)).slice(-limit).reverse();
    const runs: RunInfo[] = [];
    for (let at = 0; at < slots.length; at += AT_A_TIME) {
      const records = await Promise.all(slots.slice(at, at + AT_A_TIME).map((slotMs) => recordOf(side, name, slotMs)));
      for (const record of records)
        if (record !== undefined) runs.push(...(await infosOf(context, side, lock.key, record)));
    }
    return runs;
  } finally {
    done();
  }
}

async function infosOf(context: LockContext, side: Side, key: string, record: SlotRecord): Promise<RunInfo[]> {
  const infos: RunInfo[] = [];
  for (const [index, run] of record.runs.entries()) {
    const isLast = index === record.runs.length - 1;
    const isOpen = run.outcome === "running";
    const runs = isOpen && isLast && (await isStanding(context, side.store, key, run.ticketId, callOf(side)));
    infos.push({
      slotMs: record.slotMs,
      attempt: record.attempts - (record.runs.length - 1 - index),
      label: run.label,
      outcome: isOpen && !runs ? "died" : run.outcome,
      startedMs: run.startedMs,
      endedMs: run.endedMs,
      error: run.error,
      token: BigInt(run.token),
    });
  }
  return infos.reverse();
}

/** Slots that stand in the store, oldest first. */
export async function slotsOf(side: Side, name: string): Promise<number[]> {
  const { objects } = await listAll(side, slotPrefix(name));
  return slotsIn(
    name,
    objects.map(({ key }) => key),
  );
}

export async function recordOf(side: Side, name: string, slotMs: number): Promise<SlotRecord | undefined> {
  const key = slotKey(name, slotMs);
  const text = await readText(side, key);
  return text === undefined ? undefined : decodeSlot(key, text);
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
  readonly #rules: OnceRules;

  constructor(context: LockContext, name: string, slotMs: number, options: OnceOptions) {
    this.#context = context;
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

  async run<T>(fn: OnceJob<T>): Promise<OnceResult<T>> {
    const { gate, settings } = this.#context;
    const { signal, done } = this.#context.begin(this.#options.signal);
    let side: Side;
    let lease: Lease;
    let claim: Claim;
    try {
      side = { store: gate.ready ?? (await gate.open(signal)), settings, signal };
      const first = await this.#decide(side, false);
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

  #left(reason: Why, by: Run | undefined): { ran: false; slotMs: number; reason: Why; by: string | undefined } {
    return { ran: false, slotMs: this.#slotMs, reason, by: by?.label };
  }

  // -- Looking -----------------------------------------------------------------------------------------------------------

  async #decide(side: Side, holding: boolean): Promise<OnceDecision> {
    const slots = await slotsOf(side, this.#name);
    const record = slots.includes(this.#slotMs) ? await recordOf(side, this.#name, this.#slotMs) : undefined;
    return this.#judge(holding, { markMs: slots.at(-1), record, earlier: undefined });
  }

  #judge(holding: boolean, seen: Seen): OnceDecision {
    return decideOnce(
      { slotMs: this.#slotMs, guarantee: this.#guarantee, overlap: this.#overlap, holding },
      // A mark that is a host's time says nothing about slots.
      this.#rules.markBySlot ? seen : { ...seen, markMs: undefined },
    );
  }

  // -- In line -----------------------------------------------------------------------------------------------------------

  /** Stands in line for the job's lock, with an eye on the slot: another may settle it meanwhile. */
  async #inLine(side: Side): Promise<{ lease: Lease } | { why: Why; by: Run | undefined }> {
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
      const record = await recordOf(side, this.#name, this.#slotMs);
      const earlier = this.#overlap === "skip" && record === undefined ? await this.#earlier(side) : undefined;
      const decision = this.#judge(false, { markMs: undefined, record, earlier });
      if (decision.do === "leave") return decision;
    }
  }

  /** The run of an earlier slot whose runner still stands. */
  async #earlier(side: Side): Promise<Run | undefined> {
    const newest = (await slotsOf(side, this.#name)).filter((slotMs) => slotMs < this.#slotMs).at(-1);
    const record = newest === undefined ? undefined : await recordOf(side, this.#name, newest);
    const run = record?.runs.at(-1);
    if (run === undefined || run.outcome !== "running") return undefined;
    const stands = await isStanding(this.#context, side.store, this.#lock.key, run.ticketId, callOf(side));
    return stands ? run : undefined;
  }

  // -- The claim ---------------------------------------------------------------------------------------------------------

  /**
   * Looks again, now that nobody else may run it, and writes the claim. It is ours only if the store took it under a condition; or if
   * it took it and then still shows our ticket, so that whoever holds next reads the slot after it was written.
   */
  async #claim(side: Side, lease: Lease): Promise<Claim | Extract<OnceDecision, { do: "leave" }>> {
    const { clock, label } = this.#context.settings;
    const claimedMs = this.#rules.markBySlot ? this.#slotMs : Math.floor(clock.wallMs());
    const key = slotKey(this.#name, claimedMs);
    const call = callOf(side);
    const guard = this.#fence(side.store, lease);
    const slots = await slotsOf(side, this.#name);
    // By its own name too, whatever the listing shows: some listings lag.
    const read = await guard.get(key, call);
    const before = read.found ? decodeSlot(key, new TextDecoder().decode(read.body)) : undefined;
    const decision = this.#judge(true, { markMs: slots.at(-1), record: before, earlier: undefined });
    if (decision.do === "leave") return decision;
    const token = await lease.token({ signal: side.signal! });
    const startedMs = Math.floor(clock.wallMs());
    const run: Run = { ticketId: lease.ticketId, token: String(token), label, startedMs, outcome: "running" };
    const record = begun(before, this.#slotMs, this.#guarantee, run);
    const claim = { key, record, slots: [...slots, claimedMs] };
    if (this.#rules.claimFirst) await this.#write(side, lease, claim, read);
    return claim;
  }

  async #write(side: Side, lease: Lease, { key, record }: Claim, basedOn: FencedGet): Promise<void> {
    const text = encodeSlot(record);
    if (!this.#rules.fenceClaim) {
      await side.store.put(key, text, callOf(side));
      return;
    }
    const { guarded } = await this.#fence(side.store, lease).put(key, text, {
      ...callOf(side),
      contentType: "application/json",
      basedOn,
    });
    if (guarded === "conditional") return;
    if (!(await lease.verify({ signal: side.signal! })))
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
    const { attempts: attempt } = claim.record;
    const signal = AbortSignal.any([side.signal!, lease.signal]);
    // Whatever ended the wait: what was done is recorded.
    const after: Side = { store: side.store, settings: side.settings };
    let value: T;
    try {
      value = await fn({ slotMs: this.#slotMs, attempt, signal, lease });
    } catch (error) {
      await this.#finish(after, lease, claim, { error }).catch((recordError: unknown) => attach(error, recordError));
      throw error;
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

  /** The end of the run into the store, old slots out of it, the lock back. Throws when the end was not written. */
  async #finish(side: Side, lease: Lease, claim: Claim, failure: { error: unknown } | undefined): Promise<void> {
    try {
      if (failure !== undefined && !this.#rules.keepOnFailure) return await removeAll(side, [claim.key]);
      const record = ended(claim.record, Math.floor(side.settings.clock.wallMs()), failure);
      await this.#fence(side.store, lease).put(claim.key, encodeSlot(record), {
        ...callOf(side),
        contentType: "application/json",
      });
      // What is not removed now is with the next run.
      await this.#forget(side, claim).catch(() => {});
    } finally {
      // The run is recorded, and the lock frees itself; the locks' own events tell of a release that failed.
      await lease.release().catch(() => {});
    }
  }

  async #forget(side: Side, { slots }: Claim): Promise<void> {
    const old: number[] = [];
    for (const slotMs of tooOld(slots, this.#keep)) {
      // Somebody must still run it.
      const record = this.#guarantee === "atLeastOnce" ? await recordOf(side, this.#name, slotMs) : undefined;
      if (record?.guarantee !== "atLeastOnce" || record.runs.at(-1)?.outcome !== "running") old.push(slotMs);
    }
    await removeAll(
      side,
      old.map((slotMs) => slotKey(this.#name, slotMs)),
    );
  }
}

interface Claim {
  readonly key: string;
  readonly record: SlotRecord;
  /** That stand in the store, ours too. */
  readonly slots: readonly number[];
}

function attach(error: unknown, recordError: unknown): void {
  if (typeof error !== "object" || error === null || !Object.isExtensible(error)) return;
  Object.defineProperty(error, "recordError", { value: recordError, configurable: true });
}
