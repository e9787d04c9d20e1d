/**
 * A store behind a bad network: requests and answers of another store get lost, late or doubled, by script or by plan.
 * It never invents a fault: which call suffers what is the test's decision. A request once sent lands even if its caller
 * has given up, as on a real network; `idle()` waits for those.
 */
import { CALL_TIMEOUT_MS } from "../call-checks.js";
import type { Clock } from "../clock.js";
import { StoreError } from "../errors.js";
import type { CallOptions, PutUnknown, Store } from "../store.js";
import { InterceptedStore, type StoreCall, type StoreVerb } from "./intercept.js";

/** What happens to one request. Everything absent: nothing. */
export interface Fault {
  /** The request reaches the store this much later, in ms. */
  readonly arriveMs?: number | undefined;
  /** The answer takes this much longer, in ms. */
  readonly answerMs?: number | undefined;
  /** `request`: it never reaches the store. `answer`: it does, and nobody hears of it. Reported like a reset connection. */
  readonly lost?: "request" | "answer" | undefined;
  /** The request reaches the store once more, this much after the first time, in ms. The answer is the first one's. */
  readonly againMs?: number | undefined;
  /** Thrown as it is; the request does not reach the store. */
  readonly error?: unknown;
}

export interface ExpectedCall {
  readonly verb: StoreVerb;
  /** Default: any. */
  readonly key?: string | RegExp | undefined;
  readonly fault?: Fault | undefined;
}

export interface FaultyStoreOptions {
  /** For the delays; without it a fault with a delay throws. */
  readonly clock?: Clock | undefined;
  /** Decides for every call that `expect` does not rule; undefined lets it pass. Default: all pass. */
  readonly plan?: ((call: StoreCall) => Fault | undefined) | undefined;
}

export class FaultyStore extends InterceptedStore {
  readonly #clock: Clock | undefined;
  readonly #plan: (call: StoreCall) => Fault | undefined;
  readonly #expected: ExpectedCall[] = [];
  readonly #flights = new Set<Promise<unknown>>();
  #strict = false;
  #surprise: Error | undefined;

  constructor(inner: Store, options: FaultyStoreOptions = {}) {
    super(inner, (call, callOptions, run) => this.#request(call, callOptions, run));
    this.#clock = options.clock;
    this.#plan = options.plan ?? (() => undefined);
  }

  /**
   * Scripts the next calls. From here on every call must be the next one of the script: any other, and any call after the
   * last, throws, and `assertDone` throws the same again in case the code under test swallowed it.
   */
  expect(...calls: readonly ExpectedCall[]): void {
    this.#strict = true;
    this.#expected.push(...calls);
  }

  /** Throws unless every scripted call was made, and no other. */
  assertDone(): void {
    if (this.#surprise) throw this.#surprise;
    if (this.#expected.length === 0) return;
    throw new Error(`Scripted calls that were never made: ${this.#expected.map(showExpected).join(", ")}`);
  }

  /** Resolves when no request is on its way any more, those of callers who gave up included. */
  async idle(): Promise<void> {
    while (this.#flights.size > 0) await Promise.allSettled([...this.#flights]);
  }

  async #request<T>(call: StoreCall, options: CallOptions, run: (options: CallOptions) => Promise<T>): Promise<T> {
    const fault = this.#faultFor(call);
    if (fault === undefined) return run(options);
    options.signal?.throwIfAborted();
    if (fault.error !== undefined) throw fault.error;
    // On its way a request no longer knows its caller: neither the signal nor the limit reaches the store.
    const flight = this.#fly(call, fault, () => run({ signal: undefined, timeoutMs: undefined }));
    this.#track(flight);
    try {
      return await this.#watch(call, fault, options, flight);
    } catch (error) {
      if (call.verb !== "put" || !(error instanceof LostError)) throw error;
      const unknown: PutUnknown = { outcome: "unknown", cause: error };
      return unknown as T;
    }
  }

  #faultFor(call: StoreCall): Fault | undefined {
    if (!this.#strict) return this.#plan(call);
    const next = this.#expected[0];
    if (next === undefined || next.verb !== call.verb || !matches(next.key, call)) {
      const wanted = next === undefined ? "none" : showExpected(next);
      const surprise = new Error(`Unscripted call: ${call.verb} ${call.key}; the script's next: ${wanted}`);
      this.#surprise ??= surprise;
      throw surprise;
    }
    this.#expected.shift();
    return next.fault;
  }

  async #fly<T>(call: StoreCall, fault: Fault, run: () => Promise<T>): Promise<T> {
    await this.#sleep(fault.arriveMs);
    if (fault.lost === "request") {
      await this.#sleep(fault.answerMs);
      throw lost(call, "The request was lost");
    }
    const answer = run();
    if (fault.againMs !== undefined) this.#track(this.#sleep(fault.againMs).then(run));
    await answer;
    await this.#sleep(fault.answerMs);
    if (fault.lost === "answer") throw lost(call, "The answer was lost");
    return answer;
  }

  /** The flight as its caller sees it: until the signal or the limit ends the wait. */
  #watch<T>(call: StoreCall, fault: Fault, options: CallOptions, flight: Promise<T>): Promise<T> {
    if (!fault.arriveMs && !fault.answerMs) return flight;
    const { signal, timeoutMs = CALL_TIMEOUT_MS } = options;
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => giveUp(signal?.reason);
      const cancel = this.#clock?.after(timeoutMs, () => giveUp(lost(call, `No answer within ${timeoutMs} ms`)));
      const settled = () => {
        cancel?.();
        signal?.removeEventListener("abort", onAbort);
      };
      const giveUp = (reason: unknown) => {
        settled();
        reject(reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      flight.finally(settled).then(resolve, reject);
    });
  }

  #track(flight: Promise<unknown>): void {
    this.#flights.add(flight);
    const landed = () => this.#flights.delete(flight);
    flight.then(landed, landed);
  }

  async #sleep(ms: number | undefined): Promise<void> {
    if (!ms) return;
    if (this.#clock === undefined) throw new Error(`A fault with a delay needs a clock; delay: ${ms} ms`);
    await this.#clock.sleep(ms);
  }
}

/** Nobody knows whether the request landed. */
class LostError extends StoreError {}

function lost(call: StoreCall, fact: string): LostError {
  return new LostError(`${fact}: ${call.verb} ${call.key}`, { code: "STORE_UNREACHABLE", kind: "unavailable" });
}

function matches(key: string | RegExp | undefined, call: StoreCall): boolean {
  if (key === undefined) return true;
  return typeof key === "string" ? key === call.key : key.test(call.key);
}

function showExpected(call: ExpectedCall): string {
  return call.key === undefined ? call.verb : `${call.verb} ${call.key}`;
}
