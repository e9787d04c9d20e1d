/**
 * What one test of the lock conformance suite works in: a store, keys below the prefix it may use, and locks that are
 * closed when the test ends. Touches nothing outside its prefix and leaves nothing in it.
 */
import assert from "node:assert/strict";
import { type BucketlockError, type Clock, BucketlockError as Failure, type Store, StoreError } from "@bucketlock/core";
import { FaultyStore } from "@bucketlock/core/testing";
import { decode, recordKey } from "../../conditional/record.js";
import type { LockEvent } from "../../events.js";
import { createLocks, type Locks } from "../../locks.js";
import type { LocksOptions } from "../../settings.js";

/** What can be left out, with the reason in words. */
export type LockTopic = "resume" | "break" | "inspect";

/** What the two-object protocol keeps on purpose after a release. */
const MARKER = /\.lock\.token\.\d+$/;

/** Leases that no test lets end are so many times as long as those that some do. */
const LASTING = 10;

const isRecord = (key: string): boolean => key.endsWith(recordKey(""));

export class Room {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #options: LocksOptions;
  readonly #locks: Locks[] = [];
  #wasHeldUp = false;

  constructor(
    store: Store,
    prefix: string,
    options: LocksOptions,
    readonly clock: Clock,
    readonly leaseMs: number,
  ) {
    this.#store = store;
    this.#prefix = prefix;
    this.#options = options;
  }

  key(name = "k"): string {
    return `${this.#prefix}${name}`;
  }

  /** A program of its own, as far as the store can tell. Its leases last: a busy machine may hold it up, and no test waits for their end. */
  locks(options: LocksOptions = {}): Locks {
    return this.#on(this.#store, { leaseMs: LASTING * this.leaseMs, ...options });
  }

  /** One whose leases end when it does not renew them. */
  mortal(options: LocksOptions = {}): Locks {
    return this.#on(this.#store, options);
  }

  /** The same behind a switch: while `broken`, no request gets through. A lease lost before shows nothing: see `wasHeldUp`. */
  breakable(options: LocksOptions = {}): { readonly locks: Locks; broken: boolean } {
    let wasBroken = false;
    let isBroken = false;
    const error = new StoreError("the network is down", { code: "STORE_UNREACHABLE", kind: "unavailable" });
    const store = new FaultyStore(this.#store, { plan: () => (isBroken ? { error } : undefined) });
    const onEvent = (event: LockEvent) => {
      if (event.type === "lost" && !wasBroken) this.#wasHeldUp = true;
    };
    return {
      locks: this.#on(store, { onEvent, ...options }),
      get broken() {
        return isBroken;
      },
      set broken(value) {
        isBroken = value;
        wasBroken ||= value;
      },
    };
  }

  /** The machine stood still for longer than a short lease, which was lost before the test broke anything: begin again. Asked once. */
  wasHeldUp(): boolean {
    const was = this.#wasHeldUp;
    this.#wasHeldUp = false;
    return was;
  }

  #on(store: Store, options: LocksOptions): Locks {
    const locks = createLocks(store, { leaseMs: this.leaseMs, clock: this.clock, ...this.#options, ...options });
    this.#locks.push(locks);
    return locks;
  }

  /** What a person may do, and this library never does to the living. */
  async remove(key: string): Promise<void> {
    const targets: { key: string; versionId?: string }[] = [];
    for await (const page of this.#store.listVersions(key))
      for (const { versionId } of page.versions) targets.push(versionId === undefined ? { key } : { key, versionId });
    await this.#store.deleteMany(targets);
  }

  /** Locks that tell when they stand in line. */
  waiter(options: LocksOptions = {}): { readonly locks: Locks; readonly inLine: Promise<void> } {
    let tell = () => {};
    const inLine = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const onEvent = (event: LockEvent) => {
      if (event.type === "waiting") tell();
    };
    return { locks: this.locks({ ...options, onEvent }), inLine };
  }

  /** What stands in somebody's way now: lock objects, and the tickets in records, which themselves stay on purpose. */
  async left(): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of this.#store.list(this.#prefix)) keys.push(...page.objects.map((object) => object.key));
    const left: string[] = [];
    for (const key of keys) {
      if (isRecord(key)) left.push(...(await this.#tickets(key)));
      else if (!MARKER.test(key)) left.push(key);
    }
    return left;
  }

  async #tickets(key: string): Promise<string[]> {
    const answer = await this.#store.get(key);
    if (!answer.found || answer.unchanged === true) return [];
    const { holders, queue } = decode(key, new TextDecoder().decode(answer.body));
    return [...holders, ...queue].map((entry) => `${key}: ${entry.id}`);
  }

  /** Aborts, or the test fails. */
  async aborted(signal: AbortSignal): Promise<unknown> {
    const endMs = this.clock.monotonicMs() + 30 * this.leaseMs;
    while (!signal.aborted) {
      assert.ok(this.clock.monotonicMs() < endMs, "the signal did not abort");
      await this.clock.sleep(this.leaseMs / 50);
    }
    return signal.reason;
  }

  /** Ends everything the test left open, and empties the prefix. */
  async empty(): Promise<void> {
    await Promise.allSettled(this.#locks.map((locks) => locks.close({ keepStore: true })));
    for (let tries = 0; tries < 5; tries++) {
      const targets: { key: string; versionId?: string }[] = [];
      for await (const page of this.#store.listVersions(this.#prefix)) {
        for (const { key, versionId } of page.versions)
          targets.push(versionId === undefined ? { key } : { key, versionId });
      }
      if (targets.length === 0) return;
      await this.#store.deleteMany(targets);
    }
    assert.fail(`the prefix could not be emptied: ${this.#prefix}`);
  }
}

export interface LockTest {
  readonly title: string;
  /** Left out when the caller says that the protocol cannot do it. */
  readonly topic?: LockTopic;
  run(room: Room): Promise<void>;
}

/** Rejects with a BucketlockError of that code. */
export async function fails(promise: Promise<unknown>, code: string): Promise<BucketlockError> {
  let caught: unknown;
  await assert.rejects(promise, (error) => {
    caught = error;
    assert.ok(error instanceof Failure, `no BucketlockError: ${error}`);
    assert.equal(error.code, code);
    return true;
  });
  return caught as BucketlockError;
}
