/**
 * Latch: opens when so many have arrived, and stays open. Each arrival is an object of its own that nobody rewrites, so
 * counting needs no lock, no lease and no clock. What an object is called says how many are awaited, and who arrived.
 */
import { BucketlockError, durationMs, InvalidError, integer, knownOptions } from "@bucketlock/core";
import type { LockContext } from "./lock.js";
import { listAll, lookPauseMs, patiently, putSurely, removeAll, type Side } from "./side-objects.js";
import { lockKey } from "./two-object/ticket.js";

export interface ArriveOptions {
  /**
   * Who arrives: 1 to 100 printable ASCII characters. The same id counts once, however often it comes, also after a restart.
   * Default: a new one for each call.
   */
  readonly id?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LatchWaitOptions {
  /** How long to wait, in ms. Default: the locks' `waitMs`. */
  readonly waitMs?: number | undefined;
  /** Ends the wait; its reason is thrown unchanged. */
  readonly signal?: AbortSignal | undefined;
}

const COUNT_MAX = 100_000;
const ID = /^[\x21-\x7e]{1,100}$/;

export class Latch {
  readonly #context: LockContext;
  readonly #prefix: string;
  /** An open latch never closes by itself. */
  #isOpen = false;

  constructor(
    readonly key: string,
    /** How many are awaited. The same for everybody. */
    readonly count: number,
    context: LockContext,
  ) {
    integer("count", count, { min: 1, max: COUNT_MAX });
    lockKey(`${key}.latch`);
    this.#context = context;
    this.#prefix = `${key}.latch.`;
  }

  /**
   * Arrives. After return the arrival counts. Throws WRITE_UNKNOWN when the store did not say that it was written: with an id of
   * your own, arriving again is safe.
   */
  async arrive(options: ArriveOptions = {}): Promise<void> {
    const { settings } = this.#context;
    knownOptions(options, ["id", "signal"]);
    const id = options.id ?? settings.random.hex(8);
    if (typeof id !== "string" || !ID.test(id))
      throw new InvalidError("id", "must be 1 to 100 printable ASCII characters, no space", id);
    await this.#within(options.signal, (side) =>
      putSurely(side, `${this.#prefix}${this.count}.${encodeURIComponent(id)}`, `${settings.label}\n`, {
        contentType: "text/plain",
      }),
    );
  }

  /** How many have arrived; may be more than awaited. One LIST. Throws LATCH_MISMATCH when somebody awaits another number. */
  arrived(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#within(options.signal, (side) => this.#count(side));
  }

  /** Resolves when all have arrived; at once ever after. Throws LATCH_NOT_OPEN when `waitMs` is over, LATCH_MISMATCH, store errors. */
  async wait(options: LatchWaitOptions = {}): Promise<void> {
    const { clock, waitMs } = this.#context.settings;
    knownOptions(options, ["waitMs", "signal"]);
    const limitMs = durationMs("waitMs", options.waitMs ?? waitMs);
    const sinceMs = clock.monotonicMs();
    await this.#within(options.signal, async (side) => {
      while (!this.#isOpen) {
        const arrived = await patiently(side, () => this.#count(side));
        if (this.#isOpen) return;
        const leftMs = sinceMs + limitMs - clock.monotonicMs();
        if (leftMs <= 0) throw notOpen(this.key, arrived, this.count, limitMs);
        await clock.sleep(Math.min(lookPauseMs(side, sinceMs), leftMs), { signal: side.signal });
      }
    });
  }

  /**
   * Forgets all arrivals: for the next round, when nobody arrives or waits any more. Who still waits may have missed that it was open,
   * and who arrives meanwhile may be forgotten; a key for each round has neither trouble.
   */
  async reset(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#within(options.signal, async (side) => {
      const { objects } = await listAll(side, this.#prefix);
      await removeAll(
        side,
        objects.map(({ key }) => key).filter((key) => this.#parse(key) !== undefined),
      );
    });
    this.#isOpen = false;
  }

  async #count(side: Side): Promise<number> {
    const { objects } = await listAll(side, this.#prefix);
    let arrived = 0;
    for (const { key } of objects) {
      const count = this.#parse(key);
      if (count === undefined) continue;
      if (count !== this.count) throw mismatch(this.key, this.count, count);
      arrived++;
    }
    if (arrived >= this.count) this.#isOpen = true;
    return arrived;
  }

  /** How many the one who arrived awaited; undefined: no arrival. */
  #parse(objectKey: string): number | undefined {
    const match = /^([1-9]\d{0,5})\.[^/]+$/.exec(objectKey.slice(this.#prefix.length));
    return match === null ? undefined : Number(match[1]);
  }

  async #within<T>(given: AbortSignal | undefined, work: (side: Side) => Promise<T>): Promise<T> {
    const { store, settings } = this.#context;
    const { signal, done } = this.#context.begin(given);
    try {
      return await work({ store, settings, signal });
    } finally {
      done();
    }
  }
}

function notOpen(key: string, arrived: number, count: number, waitedMs: number): BucketlockError {
  return new BucketlockError(
    `the latch did not open within ${waitedMs} ms, ${arrived} of ${count} have arrived: ${key}`,
    {
      code: "LATCH_NOT_OPEN",
      kind: "contended",
      details: { key, arrived, count, waitedMs },
    },
  );
}

function mismatch(key: string, ours: number, theirs: number): BucketlockError {
  return new BucketlockError(`the latch awaits ${ours} here and ${theirs} elsewhere; use one number per key: ${key}`, {
    code: "LATCH_MISMATCH",
    kind: "invalid",
    details: { key, ours, theirs },
  });
}
