/**
 * The lock: a named thing that has no state of its own. Every call asks the store.
 * Holds no decision of the protocol and no I/O; it turns verdicts into leases and errors.
 */
import { durationMs, InvalidError, knownOptions, oneOf, type Store } from "@bucketlock/core";
import { type AttemptContext, attempt } from "./attempt.js";
import { recordLine } from "./conditional/driver.js";
import { forgetRecord } from "./conditional/forget.js";
import { breakEntries, inspectRecord } from "./conditional/inspect.js";
import type { Hands } from "./conditional/record-hands.js";
import { NotAcquiredError } from "./errors.js";
import { type BreakOptions, breakTickets, inspectLock, type LockInfo } from "./inspect.js";
import { Lease } from "./lease.js";
import type { Answer, Queue } from "./local/queue.js";
import { askEntries, askTickets, type RequestOptions, releaseRequest } from "./revoke.js";
import { runUnder } from "./routine.js";
import { type LockMode, lockKey, type Mode, parseOwnId } from "./two-object/ticket.js";

export interface AcquireOptions {
  /** Default "exclusive". Shared leases exclude only exclusive ones. */
  readonly mode?: LockMode | undefined;
  /** How long to stand in line, in ms. 0: try once. Default: the locks' `waitMs`. */
  readonly waitMs?: number | undefined;
  /** Leaves the line at once; its reason is thrown unchanged. */
  readonly signal?: AbortSignal | undefined;
}

export interface ForgetOptions {
  /** Default true. False: the highest token goes too, for a name that is never to be used again. */
  readonly keepToken?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a lock needs of the locks it belongs to. */
export interface LockContext extends AttemptContext {
  /** Registers an acquire under way: answers the signal that also ends it when the locks close, and what to call at its end. */
  begin(signal: AbortSignal | undefined): { readonly signal: AbortSignal; done(): void };
  /** Where acquires of that key wait within this process. Undefined: nowhere, each is for itself. */
  queue(key: string): Queue | undefined;
}

export class Lock {
  readonly #context: LockContext;
  readonly #permits: number | undefined;
  readonly #isAlone: boolean;

  /**
   * `permits`: of a semaphore's line; `isAlone`: every acquire has a ticket of its own, passed on to nobody. Users get their locks from
   * `locks.lock`.
   */
  constructor(
    readonly key: string,
    context: LockContext,
    permits?: number,
    isAlone = permits !== undefined,
  ) {
    lockKey(key, permits);
    this.#context = context;
    this.#permits = permits;
    this.#isAlone = isAlone;
  }

  /**
   * Stands in line until the lock is held. After return the lease is valid and renews itself.
   * Throws NotAcquiredError when `waitMs` is over, the signal's reason, or a store error; then nothing of ours is left in line.
   * The conditional protocol first probes an S3 bucket once (some seconds, not part of `waitMs`): PROTOCOL_UNSAFE when that fails.
   */
  async acquire(options: AcquireOptions = {}): Promise<Lease> {
    const { lease, by, waitedMs } = await this.#acquire(options, undefined);
    if (lease === undefined) throw new NotAcquiredError(this.key, waitedMs, by);
    return lease;
  }

  /** One try, no wait: undefined when another holds the lock. A dead holder is taken over. Throws store errors. */
  async tryAcquire(options: Omit<AcquireOptions, "waitMs"> = {}): Promise<Lease | undefined> {
    knownOptions(options, ["mode", "waitMs", "signal"]);
    if ("waitMs" in options)
      throw new InvalidError("waitMs", "is no option of tryAcquire; use acquire", (options as AcquireOptions).waitMs);
    return (await this.#acquire({ ...options, waitMs: 0 }, undefined)).lease;
  }

  /**
   * Acquires, runs `fn`, releases. The first error wins: `fn`'s own error is thrown as it is, with a failing release attached as its
   * `releaseError`. When `fn` succeeds but the lease was lost meanwhile, rejects with LockLostError: the work may have overlapped.
   */
  run<T>(fn: (lease: Lease) => T | Promise<T>, options: AcquireOptions = {}): Promise<T> {
    return runUnder(() => this.acquire(options), fn);
  }

  /**
   * Finds a ticket again by its id, after a restart or from another process that abandoned it, and runs the line again: it is never
   * believed to be held. Keeps its place unless another stands behind it or its lease may be over. The earlier owner must have stopped, and one
   * program at a time may ask for it: two would share the ticket and both hold.
   * Throws TICKET_NOT_FOUND when the ticket is gone.
   */
  async resume(id: string, options: Omit<AcquireOptions, "mode"> = {}): Promise<Lease> {
    const own = typeof id === "string" ? parseOwnId(id) : undefined;
    if (own === undefined) throw new InvalidError("ticketId", "must be the ticketId of a lease of this library", id);
    if (own.leaseMs !== this.#context.settings.leaseMs) {
      throw new InvalidError(
        "ticketId",
        `must be of a lease of this leaseMs (${this.#context.settings.leaseMs}); others watch it by the lease in its id`,
        id,
      );
    }
    if (own.permits !== this.#permits)
      throw new InvalidError("ticketId", "must be of a lock, or of a semaphore of as many permits, as this is", id);
    const mode = own.mode === "permit" ? undefined : own.mode;
    const { lease, by, waitedMs } = await this.#acquire({ ...options, mode }, id);
    if (lease === undefined) throw new NotAcquiredError(this.key, waitedMs, by);
    return lease;
  }

  /** Who holds, who waits, since when, alive or dead: two LISTs and one HEAD a ticket (two-object), one GET (conditional). */
  async inspect(options: { signal?: AbortSignal } = {}): Promise<LockInfo> {
    const { store, settings } = this.#context;
    knownOptions(options, ["signal"]);
    const call = { signal: options.signal, timeoutMs: settings.requestTimeoutMs };
    return this.#isConditional ? inspectRecord(this.#hands(store), call) : inspectLock(store, this.key, settings, call);
  }

  /** Removes tickets that look forgotten, foreign ones too. Its holder finds out at its next renewal. Answers the removed ids. */
  async breakLock(options: BreakOptions = {}): Promise<string[]> {
    const { store, settings, gate } = this.#context;
    knownOptions(options, ["olderThanMs", "ticketIds", "signal"]);
    if (!this.#isConditional) return breakTickets(store, this.key, settings, options);
    return breakEntries(this.#hands(await gate.open(options.signal)), recordLine(settings, "exclusive", 0), options);
  }

  /**
   * Asks those who hold now to release, and answers their ticket ids. Cooperative: `lease.revocation` tells them, with the reason, at
   * the latest with their next renewal; nobody is forced, and nothing is waited for. Who holds later is never meant. Throws InvalidError
   * for a bad reason, store errors, WRITE_UNKNOWN.
   */
  async requestRelease(reason: string, options: RequestOptions = {}): Promise<string[]> {
    const { store, settings, gate } = this.#context;
    knownOptions(options, ["ticketIds", "signal"]);
    const request = releaseRequest(reason, options, settings);
    const call = { signal: options.signal, timeoutMs: settings.requestTimeoutMs };
    if (!this.#isConditional) return askTickets(store, this.key, request, options.ticketIds, call);
    const line = recordLine(settings, "exclusive", 0);
    return askEntries(this.#hands(await gate.open(options.signal)), line, request, options.ticketIds, call);
  }

  /**
   * Deletes what the conditional protocol keeps of a lock that nobody uses any more: its record. Its highest token stays as a small
   * object, so that tokens never go back, whoever uses the name again, by either protocol. `keepToken: false`: that goes too, and tokens
   * begin anew. Answers false when there was nothing. Throws LOCK_IN_USE while somebody holds or waits. Where the store can delete under
   * a condition (memory, file, buckets that keep versions or whose probe found it) whoever comes in at the same time makes it refuse; elsewhere
   * only while nobody acquires: who comes in between loses its lease, though its token stays below all later ones.
   */
  async forget(options: ForgetOptions = {}): Promise<boolean> {
    const { settings, gate } = this.#context;
    knownOptions(options, ["keepToken", "signal"]);
    if (!this.#isConditional)
      throw new InvalidError("protocol", "must be conditional to forget a record", settings.protocol);
    const keepToken = options.keepToken ?? true;
    if (typeof keepToken !== "boolean") throw new InvalidError("keepToken", "must be true or false", keepToken);
    const hands = this.#hands(await gate.open(options.signal));
    return forgetRecord(
      hands,
      { keepToken, deletesIf: gate.deletesIf },
      {
        signal: options.signal,
        timeoutMs: settings.requestTimeoutMs,
      },
    );
  }

  get #isConditional(): boolean {
    return this.#context.settings.protocol === "conditional";
  }

  #hands(store: Store): Hands {
    const { settings, memory } = this.#context;
    return { store, settings, key: this.key, memory };
  }

  #modeOf(options: AcquireOptions): Mode {
    if (this.#permits === undefined) return oneOf("mode", options.mode ?? "exclusive", ["exclusive", "shared"]);
    if (options.mode !== undefined) throw new InvalidError("mode", "is no option of a semaphore", options.mode);
    return "permit";
  }

  async #acquire(
    options: AcquireOptions,
    ticketId: string | undefined,
  ): Promise<{ lease?: Lease; by: readonly string[]; waitedMs: number }> {
    const { settings, gate } = this.#context;
    knownOptions(options, ["mode", "waitMs", "signal"]);
    const mode = this.#modeOf(options);
    const waitMs = durationMs("waitMs", options.waitMs ?? settings.waitMs);
    const underway = this.#context.begin(options.signal);
    try {
      if (gate.ready === undefined) await gate.open(underway.signal);
      // A ticket found again is somebody else's: it is not passed on.
      const queue = ticketId === undefined && !this.#isAlone ? this.#context.queue(this.key) : undefined;
      const answer = await (queue?.ask(mode, waitMs, options.signal) ??
        this.#alone(mode, waitMs, underway.signal, ticketId));
      const { turn, by, waitedMs } = answer;
      if (turn === undefined) return { by, waitedMs };
      const { requests } = turn.holding;
      turn.holding.tell({ type: "acquired", waitedMs, requests: answer.local ? 0 : requests, local: answer.local });
      return { lease: new Lease(turn), by, waitedMs };
    } finally {
      underway.done();
    }
  }

  /** With a ticket of its own. */
  async #alone(mode: Mode, waitMs: number, signal: AbortSignal, ticketId: string | undefined): Promise<Answer> {
    const { clock } = this.#context.settings;
    const startedMs = clock.monotonicMs();
    const { holding, by } = await attempt(this.#context, {
      key: this.key,
      mode,
      deadlineMs: () => startedMs + waitMs,
      permits: this.#permits,
      signal,
      ticketId,
    });
    return { turn: holding?.turn(false), by, waitedMs: clock.monotonicMs() - startedMs, local: false };
  }
}
