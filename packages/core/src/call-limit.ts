/**
 * The end of one call: the caller's signal and its time limit, asked between steps. Never starts a timer by itself, and
 * cannot interrupt a step that is under way.
 */
import { checkCall } from "./call-checks.js";
import type { Clock } from "./clock.js";
import { StoreError } from "./errors.js";
import type { CallOptions } from "./store.js";

export class CallLimit {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #limitMs: number;
  readonly #endMs: number;
  readonly #what: string;

  /** `what` names the call in the message of a time-out. Throws like `checkCall`. */
  constructor(clock: Clock, options: CallOptions, what: string) {
    this.#limitMs = checkCall(options);
    this.#clock = clock;
    this.#signal = options.signal;
    this.#endMs = clock.monotonicMs() + this.#limitMs;
    this.#what = what;
  }

  /** Throws the signal's own reason, or STORE_TIMEOUT. */
  check(): void {
    this.#signal?.throwIfAborted();
    if (this.#clock.monotonicMs() >= this.#endMs) throw this.#timeout();
  }

  /** Sleeps, at most until the limit. */
  async sleep(ms: number): Promise<void> {
    const leftMs = this.#endMs - this.#clock.monotonicMs();
    await this.#clock.sleep(Math.min(ms, leftMs), { signal: this.#signal });
    this.check();
  }

  /** Waits for `turn`, which must not reject, at most until the limit. */
  async wait(turn: Promise<void>): Promise<void> {
    const signal = this.#signal;
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.after(this.#endMs - this.#clock.monotonicMs(), () => end(this.#timeout()));
      const onAbort = () => end(signal?.reason);
      const end = (reason: unknown) => {
        settle();
        reject(reason);
      };
      const settle = () => {
        cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      void turn.then(settle).then(resolve);
    });
    this.check();
  }

  #timeout(): StoreError {
    return new StoreError(`The store did not finish in time: ${this.#what}; limit ${this.#limitMs} ms`, {
      code: "STORE_TIMEOUT",
      kind: "unavailable",
      details: { timeoutMs: this.#limitMs },
    });
  }
}
