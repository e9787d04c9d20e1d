/**
 * The semaphore: a lock that so many may hold at once. The same line, the same leases, the same keeper; only the number differs.
 * Holds no decision and no I/O of its own.
 */
import type { BreakOptions, LockInfo } from "./inspect.js";
import type { Lease } from "./lease.js";
import type { AcquireOptions, Lock } from "./lock.js";
import type { RequestOptions } from "./revoke.js";

export interface SemaphoreOptions {
  /** How many may hold at once: 1 to 9999, the same for every client of the key. */
  readonly permits: number;
}

export type PermitOptions = Omit<AcquireOptions, "mode">;

export class Semaphore {
  readonly #lock: Lock;

  /** `lock`: made for as many permits. Users get their semaphores from `locks.semaphore`. */
  constructor(
    lock: Lock,
    readonly permits: number,
  ) {
    this.#lock = lock;
  }

  get key(): string {
    return this.#lock.key;
  }

  /**
   * Stands in line until fewer than `permits` stand before us. After return the lease is valid and renews itself. Throws as
   * `lock.acquire` does, and PERMITS_MISMATCH when somebody in line counts another number, or uses the key as a lock.
   */
  acquire(options: PermitOptions = {}): Promise<Lease> {
    return this.#lock.acquire(options);
  }

  /** One try, no wait: undefined when as many as may hold do. A dead holder is taken over. Throws store errors, PERMITS_MISMATCH. */
  tryAcquire(options: Omit<PermitOptions, "waitMs"> = {}): Promise<Lease | undefined> {
    return this.#lock.tryAcquire(options);
  }

  /** Acquires, runs `fn`, releases; errors as of `lock.run`. */
  run<T>(fn: (lease: Lease) => T | Promise<T>, options: PermitOptions = {}): Promise<T> {
    return this.#lock.run(fn, options);
  }

  /** Finds a ticket again by its id, as `lock.resume` does. */
  resume(id: string, options: PermitOptions = {}): Promise<Lease> {
    return this.#lock.resume(id, options);
  }

  /** Who holds and who waits. */
  inspect(options: { signal?: AbortSignal } = {}): Promise<LockInfo> {
    return this.#lock.inspect(options);
  }

  /** Removes tickets that look forgotten, whatever number of permits they count. */
  breakLock(options: BreakOptions = {}): Promise<string[]> {
    return this.#lock.breakLock(options);
  }

  /** Asks those who hold now to release, as `lock.requestRelease` does. */
  requestRelease(reason: string, options: RequestOptions = {}): Promise<string[]> {
    return this.#lock.requestRelease(reason, options);
  }
}
