/**
 * A clock that moves only when told: monotonic, wall and uptime apart from each other, so that a test can let one drift,
 * jump or stop. It never reads real time and never starts a real timer.
 */
import type { Clock, SleepOptions } from "../clock.js";

export interface ManualClockOptions {
  /** Where the monotonic clock starts, in ms. Default 0. */
  readonly monotonicMs?: number | undefined;
  /** Where the wall clock starts, in ms since the Unix epoch. Default 1 700 000 000 000 (14 November 2023). */
  readonly wallMs?: number | undefined;
  /** Where the uptime starts, in ms. Default: as `monotonicMs`. */
  readonly uptimeMs?: number | undefined;
}

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #monotonicMs: number;
  #wallMs: number;
  #uptimeMs: number;
  /** In the order in which they were set; sleeps and timers alike. Due on the monotonic clock, as the real ones are. */
  readonly #timers = new Set<Timer>();

  constructor(options: ManualClockOptions = {}) {
    this.#monotonicMs = options.monotonicMs ?? 0;
    this.#wallMs = options.wallMs ?? 1_700_000_000_000;
    this.#uptimeMs = options.uptimeMs ?? this.#monotonicMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  uptimeMs(): number {
    return this.#uptimeMs;
  }

  /** Resolves in the `advance` that reaches it; even `sleep(0)` waits for one. */
  sleep(ms: number, options: SleepOptions = {}): Promise<void> {
    const { signal } = options;
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        cancel();
        reject(signal!.reason);
      };
      const cancel = this.after(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  after(ms: number, fire: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + Math.max(ms, 0), fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Sleeps and timers that have not fired: zero proves that nothing waits. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next sleep or timer is due, on the monotonic clock, in ms; undefined when nothing waits. */
  get nextDueMs(): number | undefined {
    return this.#next()?.dueMs;
  }

  /**
   * Moves all three clocks by `ms` and fires what comes due on the way, in order (ties: first set, first fired), each at
   * its own time and with all microtasks run before the next.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await drained();
    for (let next = this.#next(); next !== undefined && next.dueMs <= endMs; next = this.#next()) {
      this.#timers.delete(next);
      this.#move(next.dueMs - this.#monotonicMs);
      next.fire();
      await drained();
    }
    this.#move(endMs - this.#monotonicMs);
    await drained();
  }

  /**
   * Moves on from one due time to the next until `promise` settles, and answers as it does. Throws when nothing is left
   * to wait for, or when `limitMs` (default: an hour) have gone by: what would hang in a test with real time.
   */
  async settle<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    const endMs = this.#monotonicMs + limitMs;
    for (await drained(); !settled; ) {
      const dueMs = this.nextDueMs;
      if (dueMs === undefined) throw new Error("The promise waits for something that is no timer of this clock");
      if (dueMs > endMs) throw new Error(`The promise did not settle within ${limitMs} ms of this clock`);
      await this.advance(Math.max(dueMs - this.#monotonicMs, 0));
    }
    return promise;
  }

  /** The machine sleeps: wall clock and uptime go on, the monotonic clock and with it every timer stand still. */
  suspend(ms: number): void {
    this.#wallMs += ms;
    this.#uptimeMs += ms;
  }

  /** Jumps the wall clock, either way. Fires nothing. */
  setWall(wallMs: number): void {
    this.#wallMs = wallMs;
  }

  /** Fires nothing, even if it passes a due time: the next `advance` does. */
  setMonotonic(monotonicMs: number): void {
    this.#monotonicMs = monotonicMs;
  }

  setUptime(uptimeMs: number): void {
    this.#uptimeMs = uptimeMs;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.dueMs < first.dueMs) first = timer;
    return first;
  }

  // A timer that `setMonotonic` left behind is fired late, as a real one after a stop: time never goes back for it.
  #move(ms: number): void {
    const stepMs = Math.max(ms, 0);
    this.#monotonicMs += stepMs;
    this.#wallMs += stepMs;
    this.#uptimeMs += stepMs;
  }
}

/**
 * Resolves when the microtask queue has run dry. Node runs the next-tick queue only then; the first hop is for a caller
 * that is not in a microtask itself, where next ticks come first.
 */
export async function drained(): Promise<void> {
  for (let hop = 0; hop < 2; hop++) await new Promise<void>((resolve) => process.nextTick(resolve));
}
