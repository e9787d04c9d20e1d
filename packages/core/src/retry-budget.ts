/**
 * How many retries a session may still make, all its calls together, so that a store that fails for good is not hammered. As
 * the "standard" retry mode of the AWS SDKs: every retry takes tokens, every success gives some back. Unlike there, tokens also
 * come back with time: a session that asks seldom must not stay without retries after one bad hour. Pure: time is handed in.
 */
import type { StoreCode } from "./classify.js";

const CAPACITY = 500;
/** Two retries a second for ever, whatever happens. */
const PER_SECOND = 10;

/** A server that does not answer costs it, and us, more than one that answers with an error. */
export function retryCost(code: StoreCode): number {
  return code === "STORE_TIMEOUT" || code === "STORE_UNREACHABLE" ? 10 : 5;
}

export class RetryBudget {
  #tokens = CAPACITY;
  #atMs: number | undefined;

  /** False: there are not enough, and none is taken. */
  take(cost: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** A success: what its last retry took, or one token where it needed none. */
  giveBack(taken: number, nowMs: number): void {
    // Nothing is missing, as nearly always: nothing to reckon.
    if (this.#tokens === CAPACITY) return;
    this.#refill(nowMs);
    this.#tokens = Math.min(this.#tokens + Math.max(taken, 1), CAPACITY);
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(nowMs - (this.#atMs ?? nowMs), 0);
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#tokens + (elapsedMs / 1000) * PER_SECOND, CAPACITY);
  }
}
