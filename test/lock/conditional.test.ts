/** The conditional protocol through the public calls: what it costs, whom it serves, what it survives. On a memory store and a manual clock. */
import { createMemoryStore, type Store, StoreError } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, SeededRandom, type StoreCall } from "@bucketlock/core/testing";
import { createLocks, type LockEvent, type LocksOptions } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";

function setUp(options: LocksOptions = {}, plan?: (call: StoreCall) => object | undefined) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock });
  const events: LockEvent[] = [];
  let seed = 1;
  const open = (label = `l${seed}`, more: LocksOptions = {}) => {
    const store = new RecordingStore(plan === undefined ? memory : new FaultyStore(memory, { clock, plan }));
    const random = new SeededRandom(seed++);
    const locks = createLocks(store, {
      protocol: "conditional",
      clock,
      random,
      label,
      onEvent: (event) => events.push(event),
      ...options,
      ...more,
    });
    return { store, locks, lock: locks.lock("k") };
  };
  const record = async () => {
    const answer = await memory.get("k.lock.record");
    return answer.found ? JSON.parse(new TextDecoder().decode(answer.body)) : undefined;
  };
  return { clock, memory, events, open, record };
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

describe("requests", () => {
  test("the first acquire ever looks, creates and looks again, at the markers last; then 2 cold, 1 warm, 1 for the release", async () => {
    const { open } = setUp();
    const a = open();
    const first = await a.lock.acquire();
    expect(a.store.verbs).toEqual(["get", "list", "put", "list", "list"]);
    a.store.clear();
    await first.release();
    expect(a.store.verbs).toEqual(["put"]);
    a.store.clear();
    const warm = await a.lock.acquire();
    await warm.release();
    expect(a.store.verbs).toEqual(["put", "put"]);
    const b = open();
    const cold = await b.lock.acquire();
    expect(b.store.verbs).toEqual(["get", "put"]);
    await cold.release();
    await a.locks.close();
    await b.locks.close();
  });

  test("a waiter polls with If-None-Match and pays one write to join and one to claim", async () => {
    const { open, clock } = setUp();
    const holder = await open().lock.acquire();
    await holder.release();
    const again = await open().lock.acquire();
    const { store, lock } = open();
    const got = lock.acquire();
    await clock.advance(500);
    expect(store.verbs.slice(0, 2)).toEqual(["get", "put"]);
    expect(new Set(store.verbs.slice(2))).toEqual(new Set(["get"]));
    store.clear();
    await again.release();
    const lease = await clock.settle(got);
    expect(store.verbs).toEqual(["get", "put"]);
    await lease.release();
  });
});

describe("requests of those who contend", () => {
  const delayed = (call: StoreCall) =>
    call.verb === "put" ? { arriveMs: 2, answerMs: 2 } : { arriveMs: 1, answerMs: 1 };

  /** A lease whose holder stood in line for it; its requests from now on. */
  async function stoodInLine() {
    const { open, clock } = setUp();
    const holder = await open().lock.acquire();
    const { store, lock } = open();
    const got = lock.acquire();
    await clock.advance(100);
    await holder.release();
    const lease = await clock.settle(got);
    store.clear();
    return { open, clock, store, lease };
  }

  test("who stood in line and held for a while asks before it releases: others came meanwhile, and a refused write costs more", async () => {
    const { open, clock, store, lease } = await stoodInLine();
    await clock.advance(10);
    const another = open().lock.acquire();
    await clock.advance(10);
    await lease.release();
    expect(store.verbs).toEqual(["get", "put"]);
    await (await clock.settle(another)).release();
  });

  test("who stood in line and lets go at once writes at once", async () => {
    const { store, lease } = await stoodInLine();
    await lease.release();
    expect(store.verbs).toEqual(["put"]);
  });

  test("who comes gives way to who was granted the lock and claims it just now: no write of either is refused", async () => {
    const { open, clock, memory } = setUp({}, delayed);
    const first = open();
    const second = open();
    const lease = await clock.settle(first.lock.acquire());
    const got = second.lock.acquire();
    await clock.advance(100);
    second.store.clear();
    await clock.settle(lease.release());
    first.store.clear();
    // Back at once, while the second sees its grant and claims.
    const again = first.lock.acquire();
    const claimed = await clock.settle(got);
    await clock.advance(50);
    expect(first.store.verbs.filter((verb) => verb === "put")).toHaveLength(1);
    expect(second.store.verbs.filter((verb) => verb === "put")).toHaveLength(1);
    const answer = await memory.get("k.lock.record");
    const record = answer.found ? JSON.parse(new TextDecoder().decode(answer.body)) : undefined;
    expect(record).toMatchObject({ holders: [{ id: claimed.ticketId, granted: false }], queue: [{}] });
    await clock.settle(claimed.release());
    await clock.settle((await clock.settle(again)).release());
  });

  test("who comes gives way a few times only: one who never claims does not keep others out of the line", async () => {
    const { open, clock, record } = setUp();
    const holder = await open().lock.acquire();
    const lost = new AbortController();
    const ghost = open("ghost", { clock: stopped(clock, lost.signal) }).lock.acquire();
    ghost.catch(() => {});
    await clock.advance(10);
    lost.abort();
    await holder.release();
    expect(await record()).toMatchObject({ holders: [{ granted: true }], queue: [] });
    const late = open().lock.acquire();
    late.catch(() => {});
    await clock.advance(20);
    expect(await record()).toMatchObject({ holders: [{ granted: true }], queue: [{}] });
    await (await clock.settle(late)).release();
  });
});

describe("the line", () => {
  test("waitMs over, an abort, a try: nothing of ours is left in the record", async () => {
    const { open, clock, record, events } = setUp();
    const holder = await open().lock.acquire();
    const late = open().lock.acquire({ waitMs: 300 });
    late.catch(() => {});
    await clock.advance(400);
    await expect(late).rejects.toMatchObject({ code: "NOT_ACQUIRED", details: { by: [holder.ticketId] } });
    expect(await open().lock.tryAcquire()).toBeUndefined();
    const abort = new AbortController();
    const aborted = open().lock.acquire({ signal: abort.signal });
    aborted.catch(() => {});
    await clock.advance(100);
    abort.abort("mine");
    await clock.advance(10);
    await expect(aborted).rejects.toBe("mine");
    expect(await record()).toMatchObject({ holders: [{ id: holder.ticketId }], queue: [] });
    expect(events.filter((event) => event.type === "withdrew").map((event) => "why" in event && event.why)).toEqual([
      "the wait is over",
      "the caller gave up, or the store failed",
    ]);
    await holder.release();
    expect(await record()).toMatchObject({ holders: [], queue: [] });
  });

  test("tokens grow for ever: across release, take-over, a new process", async () => {
    const { open, clock } = setUp({ leaseMs: 3000 });
    const tokens: bigint[] = [];
    for (let i = 0; i < 3; i++) {
      const lease = await open().lock.acquire();
      tokens.push(await lease.token());
      await lease.release();
    }
    const dead = await open().lock.acquire();
    tokens.push(await dead.token());
    await dead.abandon();
    const heir = await clock.settle(open().lock.acquire());
    tokens.push(await heir.token());
    await heir.release();
    expect(tokens).toEqual([...tokens].sort((a, b) => Number(a - b)));
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});

describe("the dead", () => {
  test("a waiter takes over a holder that has not renewed for a lease; a granted one that never claims is skipped", async () => {
    const { open, clock, record } = setUp({ leaseMs: 3000, clockSkewMs: 100_000 });
    const dead = await open().lock.acquire();
    await dead.abandon();
    const lost = new AbortController();
    const ghost = open("ghost", { clock: stopped(clock, lost.signal) }).lock.acquire();
    ghost.catch(() => {});
    await clock.advance(10);
    lost.abort();
    const began = clock.monotonicMs();
    const lease = await clock.settle(open().lock.acquire());
    const waited = clock.monotonicMs() - began;
    expect(waited).toBeGreaterThanOrEqual(2 * 3000);
    expect(await record()).toMatchObject({ holders: [{ id: lease.ticketId }], queue: [] });
    await lease.release();
  });

  test("who looks only once takes over by the store's clock", async () => {
    const { open, clock, events } = setUp({ leaseMs: 3000 });
    await (await open().lock.acquire()).abandon();
    await clock.advance(12_000);
    expect(await open().lock.tryAcquire()).toBeUndefined();
    await clock.advance(1_100);
    const lease = await open().lock.tryAcquire();
    expect(lease?.isHeld).toBe(true);
    expect(events).toContainEqual(expect.objectContaining({ type: "tookOver", ticketId: lease?.ticketId }));
    await lease?.release();
  });

  test("a holder that renews is never taken over, and finds out when it was", async () => {
    const { open, clock, record } = setUp({ leaseMs: 3000 });
    const holder = await open().lock.acquire();
    const late = open().lock.acquire({ waitMs: 20_000 });
    late.catch(() => {});
    await clock.advance(20_100);
    await expect(late).rejects.toMatchObject({ code: "NOT_ACQUIRED" });
    expect(holder.isHeld).toBe(true);
    expect(await open().lock.breakLock({ olderThanMs: 0 })).toEqual([holder.ticketId]);
    await clock.advance(1_100);
    expect(holder.signal.reason).toMatchObject({ code: "LEASE_LOST" });
    expect(await record()).toMatchObject({ holders: [], queue: [] });
  });
});

describe("unknown outcomes", () => {
  test.each(["request", "answer"] as const)(
    "the %s of every third write is lost: locks are still taken in turn, and nothing is left",
    async (lost) => {
      let puts = 0;
      const { open, clock, record } = setUp({}, (call) =>
        call.verb === "put" && ++puts % 3 === 0 ? { lost, answerMs: 5 } : undefined,
      );
      let inside = 0;
      let most = 0;
      const work = Array.from({ length: 6 }, () =>
        open().lock.run(async () => {
          most = Math.max(most, ++inside);
          await clock.sleep(30);
          inside--;
        }),
      );
      await clock.settle(Promise.all(work));
      expect(most).toBe(1);
      expect(await record()).toMatchObject({ holders: [], queue: [] });
    },
  );

  test("where no write is ever answered nor lands, the acquire ends when its time is over, with pauses and by name", async () => {
    const { open, clock } = setUp({}, (call) => (call.verb === "put" ? { lost: "request" } : undefined));
    const { lock, store } = open();
    const failed = lock.acquire({ waitMs: 5_000 });
    failed.catch(() => {});
    await clock.advance(20_000);
    await expect(failed).rejects.toMatchObject({ code: "WRITE_UNKNOWN", kind: "unknown" });
    // A write and a look at what became of it, then a pause of half a second or more.
    expect(store.count("put")).toBeLessThan(20);
    expect(clock.pending).toBe(0);
  });

  test("a write that fails by an exception after it landed is read back, never sent again as it was", async () => {
    let fails = true;
    const { memory, clock, record } = setUp();
    const store = new RecordingStore(
      new Proxy(memory, {
        get(target, name) {
          const value = Reflect.get(target, name, target) as unknown;
          if (typeof value !== "function") return value;
          if (name !== "put" || !fails) return value.bind(target);
          return async (...call: Parameters<Store["put"]>) => {
            fails = false;
            await target.put(...call);
            throw new StoreError("the answer was cut", { code: "STORE_UNREACHABLE", kind: "unavailable" });
          };
        },
      }),
    );
    const locks = createLocks(store, { protocol: "conditional", clock, random: new SeededRandom(1) });
    const lease = await clock.settle(locks.lock("k").acquire());
    expect(store.verbs).toEqual(["get", "list", "put", "get", "list", "list"]);
    expect(await record()).toMatchObject({ holders: [{ id: lease.ticketId, token: "1" }], queue: [] });
    await lease.release();
  });

  test("a release that reaches nobody ends within the limit of one request", async () => {
    let isDown = false;
    const { open, clock } = setUp({ requestTimeoutMs: 2_000 }, () =>
      isDown ? { arriveMs: 60_000, lost: "answer" } : undefined,
    );
    const lease = await open().lock.acquire();
    isDown = true;
    const beganMs = clock.monotonicMs();
    await expect(clock.settle(lease.release())).rejects.toMatchObject({ code: "RELEASE_FAILED" });
    expect(clock.monotonicMs() - beganMs).toBeLessThanOrEqual(2_001);
  });

  test("a creation that lands late does not bring back a ticket that left", async () => {
    let first = true;
    const { open, clock, record } = setUp({}, (call) => {
      if (call.verb !== "put" || !first) return undefined;
      first = false;
      return { arriveMs: 20_000 };
    });
    const abort = new AbortController();
    const failed = open().lock.acquire({ signal: abort.signal });
    failed.catch(() => {});
    await clock.advance(100);
    abort.abort("mine");
    await expect(clock.settle(failed)).rejects.toBe("mine");
    await clock.advance(30_000);
    expect(await record()).toMatchObject({ holders: [], queue: [] });
  });
});

describe("on a bucket that keeps versions", () => {
  test("each process removes what it replaced; a try and a waiter that gives up too", async () => {
    const clock = new ManualClock();
    const memory = createMemoryStore({ clock, versions: true });
    let seed = 1;
    const open = () => {
      const store = new RecordingStore(memory);
      const random = new SeededRandom(seed++);
      return { store, lock: createLocks(store, { protocol: "conditional", clock, random, leaseMs: 3000 }).lock("k") };
    };
    const versions = async () => {
      let count = 0;
      for await (const page of memory.listVersions("")) count += page.versions.length;
      return count;
    };
    const a = open();
    const lease = await clock.settle(a.lock.acquire());
    await clock.advance(10_000);
    // The record, and the write that created it or renewed it last.
    expect(await versions()).toBeLessThanOrEqual(2);
    const b = open();
    const late = clock.settle(b.lock.acquire({ waitMs: 200 }));
    await expect(late).rejects.toMatchObject({ code: "NOT_ACQUIRED" });
    await clock.settle(lease.release());
    for (let round = 0; round < 5; round++) {
      const next = await clock.settle((round % 2 === 0 ? a : b).lock.acquire());
      await clock.settle(next.release());
    }
    expect(await versions()).toBe(1);
  });

  test("a store that keeps none is asked nothing more", async () => {
    const { open } = setUp();
    const { lock, store } = open();
    await (await lock.acquire()).release();
    expect(store.count("deleteMany")).toBe(0);
  });
});

describe("beside the other protocol", () => {
  test("tickets under the prefix are a protocol mismatch, and the prefix stays as it was", async () => {
    const { open, memory } = setUp();
    await memory.put("k.lock.0123456789abc-0", "1");
    await expect(open().lock.acquire()).rejects.toMatchObject({
      code: "PROTOCOL_MISMATCH",
      message: expect.stringContaining("0123456789abc-0"),
    });
    expect(await keysOf(memory)).toEqual(["k.lock.0123456789abc-0"]);
  });

  test("a record under the prefix is one for the two-object protocol", async () => {
    const { open, memory, clock } = setUp();
    await (await open().lock.acquire()).release();
    await expect(createLocks(memory, { clock }).lock("k").acquire()).rejects.toMatchObject({
      code: "PROTOCOL_MISMATCH",
    });
  });

  test("tokens go on where the other protocol's markers stopped", async () => {
    const { open, memory, clock } = setUp();
    const other = createLocks(memory, { clock }).lock("k");
    const lease = await other.acquire();
    expect(await lease.token()).toBe(1n);
    await lease.release();
    const next = await open().lock.acquire();
    expect(await next.token()).toBe(2n);
    await next.release();
  });

  test("a record of a later format, a cut one and a foreign one are refused by name", async () => {
    const { open, memory } = setUp();
    for (const [body, code] of [
      ['{"format":3}', "RECORD_TOO_NEW"],
      ['{"format":1,"tok', "RECORD_CORRUPT"],
      ["<html>", "RECORD_CORRUPT"],
      ["[]", "RECORD_CORRUPT"],
    ]) {
      await memory.put("k.lock.record", body!);
      await expect(open().lock.acquire()).rejects.toMatchObject({
        code,
        message: expect.stringContaining("k.lock.record"),
      });
    }
  });
});

describe("for people", () => {
  test("inspect, forget, resume", async () => {
    const { open, record, clock } = setUp({ leaseMs: 3000 });
    const a = open("worker-1");
    const lease = await a.lock.acquire();
    const waiting = open("worker-2").lock.acquire();
    await clock.advance(100);
    expect(await open().lock.inspect()).toMatchObject({
      holders: [{ ticketId: lease.ticketId, label: "worker-1", state: "holds", life: "alive" }],
      waiters: [{ label: "worker-2", state: "waits" }],
    });
    await expect(open().lock.forget()).rejects.toMatchObject({ code: "LOCK_IN_USE" });
    await lease.abandon();
    const resumed = await open().lock.resume(lease.ticketId);
    expect(resumed.isHeld).toBe(true);
    // Not the token it had: whoever abandoned it may have been told that one.
    expect(await resumed.token()).toBe(2n);
    await resumed.release();
    await expect(open().lock.resume(lease.ticketId)).rejects.toMatchObject({ code: "TICKET_NOT_FOUND" });
    await (await clock.settle(waiting)).release();
    expect(await open().lock.forget()).toBe(true);
    expect(await record()).toBeUndefined();
  });
});

/** A clock whose sleeps never end once the signal has aborted: a process that was killed. */
function stopped(clock: ManualClock, dead: AbortSignal): ManualClock {
  const sleep = clock.sleep.bind(clock);
  return Object.assign(Object.create(clock, {}), {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    uptimeMs: () => clock.uptimeMs(),
    after: clock.after.bind(clock),
    sleep: async (ms: number, options?: object) => {
      await sleep(ms, options);
      if (dead.aborted) await new Promise(() => {});
    },
  });
}
