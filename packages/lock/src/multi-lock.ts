/**
 * Several locks at once, all or none. Takes them one after the other in an order that is the same for everybody (lock-order.ts),
 * by locks as any other; gives them back in the reverse order. Adds nothing to the protocols.
 */
import { type BucketlockError, type Clock, durationMs, InvalidError, knownOptions } from "@bucketlock/core";
import { NotAcquiredError, NotReleasedError } from "./errors.js";
import type { Lease } from "./lease.js";
import type { AcquireOptions, Lock } from "./lock.js";
import type { Ordered } from "./lock-order.js";
import { attach, runUnder } from "./routine.js";

export type AllOptions = Omit<AcquireOptions, "mode">;

/** What it needs of the locks it belongs to. */
export interface MultiContext {
  readonly clock: Clock;
  /** Of `acquire` unless told, in ms. */
  readonly waitMs: number;
  lock(key: string): Lock;
}

interface Part {
  readonly lock: Lock;
  readonly mode: Ordered["mode"];
}

export class MultiLock {
  readonly #context: MultiContext;
  readonly #locks: readonly Part[];

  /** Users get theirs from `locks.all`. */
  constructor(wanted: readonly Ordered[], context: MultiContext) {
    this.#context = context;
    this.#locks = wanted.map(({ key, mode }) => ({ lock: context.lock(key), mode }));
  }

  /** In the order in which they are taken. */
  get keys(): readonly string[] {
    return this.#locks.map(({ lock }) => lock.key);
  }

  /**
   * Stands in line for one after the other until all are held. `waitMs` and `signal` are of the whole. After return every lease is
   * valid and renews itself. Throws NotAcquiredError naming the key that was not to be had, LockLostError when one was lost while
   * another was waited for, the signal's reason, or a store error; then all that was got is given back, and nothing is left in line.
   */
  async acquire(options: AllOptions = {}): Promise<MultiLease> {
    const { clock } = this.#context;
    knownOptions(options, ["waitMs", "signal"]);
    const waitMs = durationMs("waitMs", options.waitMs ?? this.#context.waitMs);
    const startedMs = clock.monotonicMs();
    return this.#take(async ({ lock, mode }, signal) => {
      const leftMs = Math.max(0, startedMs + waitMs - clock.monotonicMs());
      try {
        return await lock.acquire({ mode, waitMs: leftMs, signal });
      } catch (error) {
        // The time is that of the whole, not of this key alone.
        if (!(error instanceof NotAcquiredError)) throw error;
        throw new NotAcquiredError(lock.key, clock.monotonicMs() - startedMs, error.details.by as string[]);
      }
    }, options.signal);
  }

  /** One try, no wait: undefined when another holds one of them; then nothing is held. Throws store errors. */
  async tryAcquire(options: Omit<AllOptions, "waitMs"> = {}): Promise<MultiLease | undefined> {
    knownOptions(options, ["waitMs", "signal"]);
    if ("waitMs" in options)
      throw new InvalidError("waitMs", "is no option of tryAcquire; use acquire", (options as AllOptions).waitMs);
    try {
      return await this.#take(async ({ lock, mode }, signal) => {
        const lease = await lock.tryAcquire({ mode, signal });
        if (lease === undefined) throw TAKEN;
        return lease;
      }, options.signal);
    } catch (error) {
      if (error !== TAKEN) throw error;
      return undefined;
    }
  }

  /** Acquires all, runs `fn`, releases all; errors as of `lock.run`. */
  run<T>(fn: (lease: MultiLease) => T | Promise<T>, options: AllOptions = {}): Promise<T> {
    return runUnder(() => this.acquire(options), fn);
  }

  async #take(
    one: (wanted: Part, signal: AbortSignal | undefined) => Promise<Lease>,
    signal: AbortSignal | undefined,
  ): Promise<MultiLease> {
    const leases: Lease[] = [];
    try {
      for (const wanted of this.#locks) {
        // Who has lost one of them need not wait for the others.
        const signals = [...(signal === undefined ? [] : [signal]), ...leases.map((lease) => lease.signal)];
        leases.push(await one(wanted, signals.length === 0 ? undefined : AbortSignal.any(signals)));
      }
      for (const lease of leases) lease.throwIfLost();
      return new MultiLease(leases);
    } catch (error) {
      const given = releaseAll(leases);
      if (error === TAKEN) await given;
      else await given.catch((releaseError: unknown) => attach(error, releaseError));
      throw error;
    }
  }
}

const TAKEN = Symbol("another holds one of them");

/** Several leases as one: over as soon as one of them is. */
export class MultiLease {
  readonly #leases: readonly Lease[];
  /** Aborts with the first of them that is lost. Reason: its LockLostError. */
  readonly signal: AbortSignal;
  #revocation: AbortSignal | undefined;
  #release: Promise<void> | undefined;

  constructor(leases: readonly Lease[]) {
    this.#leases = leases;
    this.signal = AbortSignal.any(leases.map((lease) => lease.signal));
  }

  /** In the order in which they were taken. */
  get keys(): readonly string[] {
    return this.#leases.map((lease) => lease.key);
  }

  /** The lease of one key: its ticket, its token for a fence. Release it with the others only. Throws InvalidError for another key. */
  lease(key: string): Lease {
    const lease = this.#leases.find((one) => one.key === key);
    if (lease === undefined) throw new InvalidError("key", `must be one of ${this.keys.join(", ")}`, key);
    return lease;
  }

  /** Aborts when somebody asks for the release of any of them. Reason: ReleaseRequestedError. */
  get revocation(): AbortSignal {
    this.#revocation ??= AbortSignal.any(this.#leases.map((lease) => lease.revocation));
    return this.#revocation;
  }

  /** The earliest of theirs: epoch ms by this host's wall clock. For people and children. */
  get heldUntil(): number {
    return Math.min(...this.#leases.map((lease) => lease.heldUntil));
  }

  /** True while all are held, by the clock of this very moment. */
  get isHeld(): boolean {
    return this.#leases.every((lease) => lease.isHeld);
  }

  /** Throws the LockLostError of the first that can no longer be proved. */
  throwIfLost(): void {
    for (const lease of this.#leases) lease.throwIfLost();
  }

  /** The fencing token of each key, in the order of the keys. Throws as `lease.token` does. */
  async tokens(options: { signal?: AbortSignal } = {}): Promise<ReadonlyMap<string, bigint>> {
    const tokens = new Map<string, bigint>();
    for (const lease of this.#leases) tokens.set(lease.key, await lease.token(options));
    this.throwIfLost();
    return tokens;
  }

  /** Asks the store about all of them. */
  async verify(options: { signal?: AbortSignal } = {}): Promise<boolean> {
    const there = await Promise.all(this.#leases.map((lease) => lease.verify(options)));
    return there.every((one) => one) && this.isHeld;
  }

  /**
   * Gives all of them back, the last one first and at once, whatever becomes of the others. Rejects when one was lost before or a release did not
   * reach the store: with that error, or with a NotReleasedError that has them all. Calling it again gives the same answer.
   */
  release(): Promise<void> {
    this.#release ??= releaseAll(this.#leases);
    return this.#release;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // As of each: what was lost has been told, and is not thrown from the end of a block.
    this.#release ??= releaseAll(this.#leases, (lease) => lease[Symbol.asyncDispose]());
    await this.#release;
  }
}

/** The last one first, but none waits for another: on a slow store the others would run out meanwhile. */
async function releaseAll(leases: readonly Lease[], release = (lease: Lease) => lease.release()): Promise<void> {
  const released = await Promise.allSettled([...leases].reverse().map(release));
  const failures = released.flatMap((one) => (one.status === "rejected" ? [one.reason as BucketlockError] : []));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new NotReleasedError(failures);
}
