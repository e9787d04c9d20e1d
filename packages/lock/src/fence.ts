/**
 * Fenced writes into an object store: the object carries the token of its writer, and a write with a lower token is refused.
 * Carries out what fence-rule.ts decides. Never takes or frees a lock, and never writes once the lease is lost.
 */
import {
  BucketlockError,
  type CallOptions,
  type Clock,
  type Condition,
  durationMs,
  InvalidError,
  type ProbeReport,
  type PutAnswer,
  type PutStored,
  type Random,
  type Store,
  systemClock,
  systemRandom,
} from "@bucketlock/core";
import { withForm } from "./conditional/bare-etags.js";
import { admit, checkProbed, type EtagForm } from "./conditional/probed.js";
import {
  ABSENT,
  decide,
  OURS,
  type Seen,
  STAMP,
  type Stamp,
  seenOf,
  stampLine,
  TOKEN,
  unstamped,
  WRITE,
  type Writing,
} from "./fence-rule.js";
import type { Lease } from "./lease.js";

const TIMEOUT_MS = 10_000;
const PAUSE_MIN_MS = 10;
const PAUSE_MAX_MS = 500;

/** What a fence needs of a lease. */
export type FencingLease = Pick<Lease, "token" | "throwIfLost" | "signal">;

export interface FenceOptions {
  /**
   * The store's conditional writes hold: `true` after a probe of this bucket. Default: what the store's features say for certain
   * (memory and file stores: yes; S3: not known, so no), or its probe (`probed`). Without them a write is read-then-write: a pause
   * between the two is not caught.
   */
  readonly conditional?: boolean | undefined;
  /**
   * The report of a probe of this bucket: writes are conditional, in the form of ETags that it found, if it passed; else they are
   * checked (with `conditional: true`: PROTOCOL_UNSAFE).
   */
  readonly probed?: ProbeReport | undefined;
  /**
   * `metadata` (default) leaves the body as it is. `body` puts one line before it, which `get` takes away again: then no two
   * writes have the same ETag. On S3 the ETag is the MD5 of the body, so with `metadata` a late write still lands when a later holder
   * wrote the very bytes that the late one had read.
   */
  readonly stamp?: Stamp | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

export interface FencedPutOptions {
  readonly signal?: AbortSignal | undefined;
  /** Limit for the whole write, all tries and readings back included, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Default: application/octet-stream. */
  readonly contentType?: string | undefined;
  /** As in `store.put`; names that begin with `fencing-` are ours. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** What `get` answered, when this write is made from it: refused with OBJECT_CHANGED unless the object is still that. */
  readonly basedOn?: FencedGet | undefined;
}

export interface FencedPut {
  readonly token: bigint;
  /**
   * `conditional`: the store itself refuses a late write. `checked`: we looked and then wrote; a stop in between is not caught.
   */
  readonly guarded: "conditional" | "checked";
  /** Undefined where the store did not tell, or an unclear write was found by reading back. */
  readonly etag?: string | undefined;
  readonly lastModifiedMs?: number | undefined;
  readonly versionId?: string | undefined;
}

export type FencedGet =
  | {
      readonly found: true;
      readonly body: Uint8Array;
      /** Of its last writer; 0 when nobody fenced it. */
      readonly token: bigint;
      readonly etag: string | undefined;
      /** Unique to the fenced write that left it. */
      readonly writeId: string | undefined;
      readonly lastModifiedMs: number | undefined;
      /** Without ours. */
      readonly metadata: Readonly<Record<string, string>>;
    }
  | { readonly found: false; readonly token: 0n };

export interface Fence {
  /**
   * Writes the object with the lease's token. After return the write landed, and the lease was still held when that was known.
   * Throws FencedError (FENCED) when a later holder wrote the object; LockLostError when the lease is lost, before the write or by the
   * time its outcome was known (it may have landed then); OBJECT_CHANGED (see `basedOn`); WRITE_UNKNOWN when the outcome could not be
   * found out in time; WRITE_CONFLICTED when others kept changing it; store errors; the signal's own reason.
   */
  put(key: string, body: Uint8Array | string, options?: FencedPutOptions): Promise<FencedPut>;
  /** The object with the token of its writer. Needs no valid lease. Throws store errors, FENCE_CORRUPT. */
  get(key: string, options?: CallOptions): Promise<FencedGet>;
}

/**
 * Guards writes of objects in `store` (it may be another than the lock's) by the fencing token of `lease`. Every writer of those
 * objects must use a fence of the same lock. Source of the idea: Kleppmann, "How to do distributed locking" (2016).
 * Throws InvalidError for a bad argument, PROTOCOL_UNSAFE (see `probed`). Asks the store nothing.
 */
export function fence(store: Store, lease: FencingLease, options: FenceOptions = {}): Fence {
  if (typeof store?.put !== "function" || typeof store.head !== "function")
    throw new InvalidError("store", "must be a Store (openStore, createMemoryStore, session.store())", store);
  if (typeof lease?.token !== "function" || typeof lease.throwIfLost !== "function")
    throw new InvalidError("lease", "must be a held Lease", lease);
  const stamp = options.stamp ?? "metadata";
  if (stamp !== "metadata" && stamp !== "body") throw new InvalidError("stamp", "must be metadata or body", stamp);
  const { conditional } = options;
  if (conditional !== undefined && typeof conditional !== "boolean")
    throw new InvalidError("conditional", "must be true or false", conditional);
  if (conditional === true && store.features.conditionalWrites === "no")
    throw new InvalidError("conditional", `must be false on a store without conditional writes (${store.name})`, true);
  const probed = checkProbed(options.probed, store);
  const form = probed === undefined || conditional === false ? undefined : formOf(probed, store, conditional === true);
  const known = probed === undefined ? store.features.conditionalWrites === "yes" : form !== undefined;
  return new StoreFence(form === undefined ? store : withForm(store, form), lease, {
    conditional: conditional ?? known,
    stamp,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  });
}

/** Undefined where the probe failed, unless that is to be an error. */
function formOf(probed: ProbeReport, store: Store, must: boolean): EtagForm | undefined {
  return must || probed.protocols.conditional.safe ? admit(probed, store) : undefined;
}

interface Hows {
  readonly conditional: boolean;
  readonly stamp: Stamp;
  readonly clock: Clock;
  readonly random: Random;
}

/** The limits of one write. */
interface Call {
  readonly signal: AbortSignal;
  readonly endMs: number;
}

class StoreFence implements Fence {
  readonly #store: Store;
  readonly #lease: FencingLease;
  readonly #how: Hows;

  constructor(store: Store, lease: FencingLease, how: Hows) {
    this.#store = store;
    this.#lease = lease;
    this.#how = how;
  }

  async put(key: string, body: Uint8Array | string, options: FencedPutOptions = {}): Promise<FencedPut> {
    checkPut(body, options);
    const timeoutMs = durationMs("timeoutMs", options.timeoutMs ?? TIMEOUT_MS, { min: 1 });
    const { signal } = this.#lease;
    const call: Call = {
      signal: options.signal === undefined ? signal : AbortSignal.any([options.signal, signal]),
      endMs: this.#how.clock.monotonicMs() + timeoutMs,
    };
    options.signal?.throwIfAborted();
    this.#lease.throwIfLost();
    const token = await this.#lease.token({ signal: call.signal });
    const answer = await this.#write(
      { key, token, sent: [], unclear: false, basedOn: seenBy(options.basedOn) },
      body,
      options,
      call,
    );
    // A write that landed after the lease may have come between another's read and write: not to be called a success.
    this.#lease.throwIfLost();
    return answer;
  }

  async get(key: string, options: CallOptions = {}): Promise<FencedGet> {
    const answer = await this.#store.get(key, options);
    if (!answer.found) return { found: false, token: 0n };
    const { etag, lastModifiedMs, metadata } = answer;
    const { token, writeId } = seenOf(key, etag, metadata);
    const theirs = Object.fromEntries(Object.entries(metadata).filter(([name]) => !name.startsWith(OURS)));
    return {
      found: true,
      body: unstamped(key, answer.body, metadata),
      token,
      etag,
      writeId,
      lastModifiedMs,
      metadata: theirs,
    };
  }

  /** Looks, decides, writes; and again from the look while the answer is no answer. */
  async #write(first: Writing, body: Uint8Array | string, options: FencedPutOptions, call: Call): Promise<FencedPut> {
    const { conditional, stamp } = this.#how;
    let writing = first;
    // What the write is made from was read: under a condition that is as good as a look, where no two writes have the same ETag.
    const isRead = conditional && stamp === "body" && first.basedOn?.etag !== undefined;
    let seen = isRead ? first.basedOn : undefined;
    let trouble: unknown;
    for (let tries = 0; ; tries++) {
      if (tries > 0) await this.#pause(tries, writing, call, trouble);
      try {
        seen ??= await this.#look(writing.key, call);
        const decision = decide(writing, seen);
        if (decision.do === "refuse") throw decision.error;
        const { token } = writing;
        if (decision.do === "done") return { token, guarded: conditional ? "conditional" : "checked", etag: seen.etag };
        const condition = conditional ? decision.condition : undefined;
        const writeId = this.#how.random.hex(8);
        writing = { ...writing, sent: [...writing.sent, writeId] };
        const put = await this.#send(writing, writeId, body, condition, options, call);
        if (put.outcome === "stored") return stored(token, put, condition === undefined ? "checked" : "conditional");
        if (put.outcome === "unknown") {
          writing = { ...writing, unclear: true };
          trouble = put.cause;
        }
      } catch (error) {
        call.signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        trouble = error;
      }
      seen = undefined;
    }
  }

  async #look(key: string, call: Call): Promise<Seen> {
    const head = await this.#store.head(key, { signal: call.signal, timeoutMs: this.#leftMs(call) });
    return head.found ? seenOf(key, head.etag, head.metadata) : ABSENT;
  }

  async #send(
    { key, token }: Writing,
    writeId: string,
    body: Uint8Array | string,
    condition: Condition | undefined,
    options: FencedPutOptions,
    call: Call,
  ): Promise<PutAnswer> {
    const leftMs = this.#leftMs(call);
    const inBody = this.#how.stamp === "body";
    const metadata = {
      ...options.metadata,
      [TOKEN]: String(token),
      [WRITE]: writeId,
      ...(inBody && { [STAMP]: "body" }),
    };
    const bytes = inBody ? Buffer.concat([Buffer.from(stampLine(token, writeId)), Buffer.from(body as string)]) : body;
    // No timer fires while a process is stopped: the lease is asked right before the request leaves.
    this.#lease.throwIfLost();
    return this.#store.put(key, bytes, {
      signal: call.signal,
      timeoutMs: leftMs,
      metadata,
      contentType: options.contentType,
      condition,
      // Repeated blindly, it could land after another's write.
      once: true,
      validForMs: leftMs,
    });
  }

  #leftMs(call: Call): number {
    return Math.max(call.endMs - this.#how.clock.monotonicMs(), 1);
  }

  /** A little longer each time, shortened by chance. Throws when the time is up. */
  async #pause(tries: number, writing: Writing, call: Call, trouble: unknown): Promise<void> {
    const leftMs = call.endMs - this.#how.clock.monotonicMs();
    if (leftMs <= 0) throw outOfTime(writing, trouble);
    // The first time at once: somebody else was faster, and is done.
    if (tries === 1 && trouble === undefined) return;
    const ms = Math.min(PAUSE_MIN_MS * 2 ** (tries - 1), PAUSE_MAX_MS, leftMs) * (0.5 + this.#how.random.float() / 2);
    await this.#how.clock.sleep(ms, { signal: call.signal });
  }
}

function checkPut(body: unknown, options: FencedPutOptions): void {
  if (typeof body !== "string" && !(body instanceof Uint8Array))
    throw new InvalidError("body", "must be a Uint8Array or a string", body);
  for (const name of Object.keys(options.metadata ?? {})) {
    if (name.startsWith(OURS)) throw new InvalidError("metadata", `names must not begin with ${OURS}`, name);
  }
}

function seenBy(read: FencedGet | undefined): Seen | undefined {
  if (read === undefined) return undefined;
  if (!read.found) return ABSENT;
  const { token, writeId, etag } = read;
  return { found: true, token, writeId, etag };
}

function stored(token: bigint, put: PutStored, guarded: FencedPut["guarded"]): FencedPut {
  const { etag, lastModifiedMs, versionId } = put;
  return { token, guarded, etag, lastModifiedMs, versionId };
}

/** A fault of the store that may be over at the next try. What we refuse ourselves is contended or lost, not that. */
function isPassing(error: unknown): boolean {
  return error instanceof BucketlockError && (error.kind === "unavailable" || error.kind === "unknown");
}

function outOfTime({ key, token, unclear }: Writing, cause: unknown): BucketlockError {
  const details = { key, token };
  if (unclear) {
    const message = `the fenced write may have landed, and reading back did not tell in time: ${key}`;
    return new BucketlockError(message, { code: "WRITE_UNKNOWN", kind: "unknown", cause, details });
  }
  if (cause instanceof BucketlockError) return cause;
  const message = `others kept changing the object, and our write did not come in between in time: ${key}`;
  return new BucketlockError(message, { code: "WRITE_CONFLICTED", kind: "contended", details });
}
