/**
 * `createLocks`: the way in. Binds a store and settings, hands out locks, and ends everything it started.
 * Starts nothing: no timer, socket or listener exists before the first acquire, and none after `close`.
 */
import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import { BucketlockError, type Instant, InvalidError, knownOptions, type Store } from "@bucketlock/core";
import { attempt } from "./attempt.js";
import { Gate } from "./conditional/gate.js";
import { RecordMemory } from "./conditional/record-hands.js";
import { type CronJob, type CronOptions, cron } from "./cron.js";
import { Election, type ElectionOptions } from "./election.js";
import type { LockEvent } from "./events.js";
import { type Pending, track, untrack } from "./finalizer.js";
import type { Remains } from "./held-ticket.js";
import type { Holding } from "./holding.js";
import { Latch } from "./latch.js";
import { Queue } from "./local/queue.js";
import { ALL_RULES } from "./local/turns.js";
import { Lock, type LockContext } from "./lock.js";
import { inOrder, type Wanted } from "./lock-order.js";
import { Members, type MembersOptions } from "./members.js";
import { MultiLock } from "./multi-lock.js";
import { type OnceJob, type OnceOptions, type OnceResult, once } from "./once.js";
import { checkPermits } from "./permits.js";
import { type RunCoordinator, type RunCoordinatorOptions, runCoordinator } from "./run-coordinator.js";
import { type HistoryOptions, history, type RunInfo } from "./runs.js";
import type { Schedule } from "./schedule.js";
import { Semaphore, type SemaphoreOptions } from "./semaphore.js";
import { type LocksOptions, type Settings, settle } from "./settings.js";
import type { Mutation } from "./two-object/driver.js";

/** Locks over one store. Throws InvalidError for a bad option, PROTOCOL_UNSAFE when `probed` says that the protocol is not safe here. */
export function createLocks(store: Store, options: LocksOptions = {}): Locks {
  if (
    typeof store !== "object" ||
    store === null ||
    typeof store.put !== "function" ||
    typeof store.list !== "function"
  ) {
    throw new InvalidError("store", "must be a Store (openStore, createMemoryStore, session.store())", store);
  }
  return new Locks(store, settle(options, store, `${hostname().replace(/[^\x21-\x7e]/g, "?")}:${process.pid}`));
}

export class Locks {
  readonly #store: Store;
  readonly #settings: Settings;
  readonly #memory = new RecordMemory();
  readonly #gate: Gate;
  readonly #mutation: Mutation;
  readonly #closing = new AbortController();
  readonly #underway = new Set<Promise<void>>();
  readonly #holdings = new Set<Holding>();
  readonly #queues = new Map<string, Queue>();
  readonly #tickets = new Map<Remains, Pending>();
  #closed: Promise<void> | undefined;

  /** `mutation`: only for tests that remove a rule; users get their locks from createLocks. */
  constructor(store: Store, settings: Settings, mutation: Mutation = {}) {
    this.#store = store;
    this.#settings = settings;
    this.#mutation = mutation;
    // Every waiter listens to it; Node would warn of a leak at the eleventh.
    setMaxListeners(0, this.#closing.signal);
    this.#gate = new Gate(store, settings, this.#closing.signal, (underway) => this.#watch(underway));
  }

  /** A named lock. Asks the store nothing. Throws InvalidError for a key the protocol refuses. */
  lock(key: string): Lock {
    return new Lock(key, this.#context);
  }

  /**
   * Several locks at once, all or none: `locks.all(["a", { key: "b", mode: "shared" }])`. Whatever order they are named in, they are
   * taken in one that is the same for everybody, so nobody waits for each other. Asks the store nothing. Throws InvalidError for a
   * bad key, or one that is named twice.
   */
  all(keys: readonly Wanted[]): MultiLock {
    const { clock, waitMs } = this.#settings;
    return new MultiLock(inOrder(keys), { clock, waitMs, lock: (key) => this.lock(key) });
  }

  /** A named semaphore: so many may hold it at once. Asks the store nothing. Throws InvalidError for a bad key or number. */
  semaphore(key: string, options: SemaphoreOptions): Semaphore {
    knownOptions(options ?? {}, ["permits"]);
    const permits = checkPermits(options?.permits);
    return new Semaphore(new Lock(key, this.#context, permits), permits);
  }

  /** One leader at a time among those who campaign (docs/election.md). Asks the store nothing. */
  election(key: string, options?: ElectionOptions): Election {
    return new Election(key, this.#context, options);
  }

  /** Runs `fn` for a slot (a scheduled time) on one host only, whatever the clocks (docs/once.md). See `once`. */
  once<T>(name: string, slot: Instant, fn: OnceJob<T>, options?: OnceOptions): Promise<OnceResult<T>> {
    return once(this.#context, name, slot, fn, options);
  }

  /** The last runs of a job of `once` or `cron`, newest slot first. See `history`. */
  history(name: string, options?: HistoryOptions): Promise<RunInfo[]> {
    return history(this.#context, name, options);
  }

  /** Runs `fn` on a schedule, each slot on one host only (docs/once.md). Starts at once; ends with `stop`. */
  cron<T>(name: string, schedule: string | Schedule, fn: OnceJob<T>, options?: CronOptions<T>): CronJob {
    return cron(this.#context, name, schedule, fn, options);
  }

  /** Opens when `count` have arrived (docs/latch.md). Asks the store nothing. */
  latch(key: string, count: number): Latch {
    return new Latch(key, count, this.#context);
  }

  /** Who is alive, with labels (docs/members.md). Asks the store nothing. */
  members(key: string, options?: MembersOptions): Members {
    return new Members(key, this.#context, options);
  }

  /** Lets node-cron ask here which host runs a slot: its option `runCoordinator` (docs/once.md). */
  runCoordinator(options?: RunCoordinatorOptions): RunCoordinator {
    return runCoordinator(this.#context, options);
  }

  /**
   * Ends all: acquires under way reject with LOCKS_CLOSED, held leases are released, then the store is closed (unless `keepStore`).
   * After return no timer, socket, listener or lock object of ours is left. Rejects with the first release that failed.
   */
  close(options: { keepStore?: boolean } = {}): Promise<void> {
    this.#closed ??= this.#close(options.keepStore ?? false);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(keepStore: boolean): Promise<void> {
    this.#closing.abort(
      new BucketlockError("these locks were closed", {
        code: "LOCKS_CLOSED",
        kind: "invalid",
        details: { store: this.#store.name },
      }),
    );
    await Promise.all([...this.#queues.values()].map((queue) => queue.close(this.#closing.signal.reason)));
    await Promise.all(this.#underway);
    const released = await Promise.allSettled([...this.#holdings].map((holding) => holding.release()));
    // The deletes of leases that were lost.
    await Promise.all(this.#underway);
    if (!keepStore) await this.#store.close();
    const failed = released.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  readonly #context: LockContext = this.#makeContext();

  #makeContext(): LockContext {
    const locks = this;
    return {
      get store() {
        return locks.#store;
      },
      get settings() {
        return locks.#settings;
      },
      get gate() {
        return locks.#gate;
      },
      get memory() {
        return locks.#memory;
      },
      get mutation() {
        return locks.#mutation;
      },
      emit: (event) => this.#emit(event),
      begin: (signal) => this.#begin(signal),
      queue: (key) => this.#queue(key),
      opened: (objects) => this.#opened(objects),
      closed: (objects) => this.#forget(objects),
      held: (holding) => this.#holdings.add(holding),
      ended: (holding, rest) => {
        this.#holdings.delete(holding);
        this.#watch(rest);
      },
    };
  }

  #emit(event: LockEvent): void {
    try {
      this.#settings.onEvent?.(event);
    } catch (error) {
      // A listener's mistake must not end a lease.
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }

  #begin(signal: AbortSignal | undefined): { readonly signal: AbortSignal; done(): void } {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    let done = () => {};
    const ended = new Promise<void>((resolve) => {
      done = resolve;
    });
    this.#underway.add(ended);
    const closing = this.#closing.signal;
    return {
      // Made only where it is needed: it costs more than waiting in this process does.
      get signal() {
        return signal === undefined ? closing : AbortSignal.any([signal, closing]);
      },
      done: () => {
        this.#underway.delete(ended);
        done();
      },
    };
  }

  #queue(key: string): Queue | undefined {
    this.#closing.signal.throwIfAborted();
    const { clock, localTurns, localMs } = this.#settings;
    if (localTurns <= 1) return undefined;
    const there = this.#queues.get(key);
    if (there !== undefined) return there;
    const queue = new Queue({
      clock,
      rules: { ...ALL_RULES, localTurns, localMs, ...this.#mutation.localRules },
      attempt: (options) => attempt(this.#context, { ...options, key }),
      idle: () => {
        if (this.#queues.get(key) === queue) this.#queues.delete(key);
      },
    });
    this.#queues.set(key, queue);
    return queue;
  }

  #watch(rest: Promise<void>): void {
    this.#underway.add(rest);
    void rest.then(() => this.#underway.delete(rest));
  }

  /** A waiting ticket is left behind by process.exit() too. */
  #opened(ticket: Remains): void {
    const entry: Pending = {
      store: this.#gate.ready ?? this.#store,
      remains: ticket,
      release: undefined,
      signals: this.#settings.signals,
    };
    this.#tickets.set(ticket, entry);
    track(entry);
  }

  #forget(ticket: Remains): void {
    const entry = this.#tickets.get(ticket);
    if (entry === undefined) return;
    this.#tickets.delete(ticket);
    untrack(entry);
  }
}
