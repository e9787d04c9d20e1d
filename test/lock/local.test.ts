/** Several acquires of one lock in one process: whose turn it is, what it costs, and that each lease is one of its own. Both protocols. */
import { createMemoryStore } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, SeededRandom, type StoreCall } from "@bucketlock/core/testing";
import { createLocks, type Lease, type LockEvent, LockLostError, type LocksOptions } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";
import { watched } from "./watched.js";

const protocols = ["two-object", "conditional"] as const;
type Protocol = (typeof protocols)[number];

function setUp(protocol: Protocol, options: LocksOptions = {}) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock });
  const events: LockEvent[] = [];
  let seed = 1;
  /** A process of its own. */
  const open = (more: LocksOptions & { plan?: (call: StoreCall) => object | undefined } = {}) => {
    const { plan, ...rest } = more;
    const store = new RecordingStore(plan === undefined ? memory : new FaultyStore(memory, { clock, plan }));
    const random = new SeededRandom(seed++);
    const onEvent = (event: LockEvent) => events.push(event);
    const locks = createLocks(store, { protocol, clock, random, leaseMs: 3000, onEvent, ...options, ...rest });
    return { store, locks, lock: locks.lock("k") };
  };
  /** Tickets that stand in somebody's way. */
  const left = async () => {
    const found = await memory.get("k.lock.record");
    if (found.found) {
      const { holders, queue } = JSON.parse(new TextDecoder().decode(found.body));
      return holders.length + queue.length;
    }
    let objects = 0;
    for await (const page of memory.list("k.lock.0")) objects += page.objects.length;
    return objects / 2;
  };
  return { clock, memory, events, open, left };
}

describe.each(protocols)("%s: within one process", (protocol) => {
  test("a lease is passed on without a request, first in first out, and each is one of its own", async () => {
    const { clock, open, left, events } = setUp(protocol);
    const { store, lock } = open();
    const first = await clock.settle(lock.acquire());
    const waits = [1, 2, 3].map(() => watched(lock.acquire()));
    await clock.advance(100);
    store.clear();
    let holder = first;
    for (const [at, wait] of waits.entries()) {
      await holder.release();
      await clock.advance(0);
      const next: Lease = wait.value!;
      expect(next).not.toBe(holder);
      expect([next.isHeld, holder.isHeld, next.signal.aborted, holder.signal.aborted]).toEqual([
        true,
        false,
        false,
        false,
      ]);
      expect(() => holder.throwIfLost()).toThrow(/was released/);
      expect(waits.slice(at + 1).every(({ value }) => value === undefined)).toBe(true);
      holder = next;
    }
    expect(store.calls).toEqual([]);
    // Again the same answer, and no harm to whoever holds now.
    await first.release();
    expect(holder.isHeld).toBe(true);
    expect(await holder.verify()).toBe(true);
    await holder.release();
    expect(await left()).toBe(0);
    const told = events.flatMap((event) => (event.type === "acquired" ? [event.local] : []));
    expect(told).toEqual([false, true, true, true]);
    expect(events.filter(({ type }) => type === "released")).toHaveLength(4);
  });

  test("after localTurns the store is asked again, and a waiter of another host has its turn", async () => {
    const { clock, open } = setUp(protocol, { localTurns: 3, localMs: 60_000 });
    const order: string[] = [];
    const work = (name: string, from: { lock: ReturnType<typeof open>["lock"] }) =>
      from.lock.run(async () => {
        order.push(name);
        await clock.sleep(50);
      });
    const mine = open();
    const all = Array.from({ length: 7 }, () => work("mine", mine));
    await clock.advance(20);
    all.push(work("other", open()));
    await clock.settle(Promise.all(all));
    expect(order).toEqual(["mine", "mine", "mine", "other", "mine", "mine", "mine", "mine"]);
  });

  test("after localMs too", async () => {
    const { clock, open } = setUp(protocol, { localMs: 120 });
    const order: string[] = [];
    const work = (name: string, from: { lock: ReturnType<typeof open>["lock"] }) =>
      from.lock.run(async () => {
        order.push(name);
        await clock.sleep(50);
      });
    const mine = open();
    const all = Array.from({ length: 5 }, () => work("mine", mine));
    await clock.advance(20);
    all.push(work("other", open()));
    await clock.settle(Promise.all(all));
    expect(order.indexOf("other")).toBe(3);
  });

  test("readers join a shared lease without a request, but not before a writer who waits, nor for ever", async () => {
    const { clock, open, left } = setUp(protocol);
    const { store, lock } = open();
    const first = await clock.settle(lock.acquire({ mode: "shared" }));
    store.clear();
    const second = await lock.acquire({ mode: "shared" });
    expect([second.mode, second.ticketId, store.calls.length]).toEqual(["shared", first.ticketId, 0]);
    // A writer of this process: who comes after it waits.
    const writer = watched(lock.acquire());
    await clock.advance(100);
    const third = watched(lock.acquire({ mode: "shared" }));
    const refused = watched(lock.tryAcquire({ mode: "shared" }));
    await clock.advance(100);
    expect([third.value, refused]).toEqual([undefined, { value: undefined }]);
    await first.release();
    expect([first.isHeld, second.isHeld]).toEqual([false, true]);
    await second.release();
    await clock.advance(500);
    expect(writer.value?.mode).toBe("exclusive");
    await writer.value!.release();
    await clock.advance(500);
    // A writer of another host: after localMs readers stand behind it.
    const other = watched(open().lock.acquire());
    await clock.advance(600);
    const late = watched(lock.acquire({ mode: "shared" }));
    await clock.advance(1000);
    expect(late.value).toBeUndefined();
    await third.value!.release();
    await clock.advance(1000);
    expect([other.value?.isHeld, late.value]).toEqual([true, undefined]);
    await other.value!.release();
    await clock.advance(1000);
    await late.value!.release();
    expect(await left()).toBe(0);
  });

  test("each has its own patience: time over, an abort, a try; the ticket in the store's line stays for the others", async () => {
    const { clock, open, left } = setUp(protocol);
    const holder = await clock.settle(open().lock.acquire());
    const { store, lock } = open();
    const abort = new AbortController();
    const patient = watched(lock.acquire());
    const short = watched(lock.acquire({ waitMs: 500 }));
    const fickle = watched(lock.acquire({ signal: abort.signal }));
    await clock.advance(200);
    expect(await left()).toBe(2);
    expect(watched(lock.tryAcquire())).toEqual({});
    expect(await lock.tryAcquire()).toBeUndefined();
    const putsBefore = store.count("put");
    abort.abort("mine");
    await clock.advance(0);
    expect(fickle.error).toBe("mine");
    await clock.advance(400);
    expect(short.error).toMatchObject({ code: "NOT_ACQUIRED", details: { by: [holder.ticketId] } });
    expect([store.count("put"), patient.value, patient.error]).toEqual([putsBefore, undefined, undefined]);
    await holder.release();
    await clock.advance(500);
    expect(patient.value?.isHeld).toBe(true);
    // By a holder of this process the time is over too, and without a request.
    store.clear();
    const behind = watched(lock.acquire({ waitMs: 300 }));
    await clock.advance(310);
    expect(behind.error).toMatchObject({ code: "NOT_ACQUIRED", details: { by: [patient.value!.ticketId] } });
    expect(store.calls).toEqual([]);
    await patient.value!.release();
    expect([await left(), clock.pending]).toEqual([0, 0]);
  });

  test("the last one who gives up is told when nothing is left in the store's line", async () => {
    const { clock, open, left } = setUp(protocol);
    const holder = await clock.settle(open().lock.acquire());
    const { lock } = open();
    const abort = new AbortController();
    const both = [watched(lock.acquire({ signal: abort.signal })), watched(lock.acquire({ waitMs: 200 }))];
    await clock.advance(250);
    expect(both[1]!.error).toMatchObject({ code: "NOT_ACQUIRED" });
    expect(await left()).toBe(2);
    abort.abort("mine");
    await clock.advance(10);
    expect(both[0]!.error).toBe("mine");
    expect(await left()).toBe(1);
    await holder.release();
  });

  test("a loss is told to all who share the ticket, and those who wait go on at the store", async () => {
    const { clock, open } = setUp(protocol);
    let broken = "";
    const isBroken = (key: string) => broken !== "" && (key.includes(broken) || key.endsWith(".record"));
    const { lock, locks } = open({ plan: ({ key }) => (isBroken(key) ? { lost: "request" } : undefined) });
    const readers = [
      await clock.settle(lock.acquire({ mode: "shared" })),
      await lock.acquire({ mode: "shared" }),
      await lock.acquire({ mode: "shared" }),
    ];
    await readers[0]!.release();
    const waiting = watched(lock.acquire({ waitMs: 60_000 }));
    broken = readers[0]!.ticketId;
    await clock.advance(3000);
    for (const reader of readers.slice(1)) {
      expect(reader.signal.reason).toBeInstanceOf(LockLostError);
      expect(() => reader.throwIfLost()).toThrow(LockLostError);
      await expect(clock.settle(reader.release())).rejects.toBe(reader.signal.reason);
    }
    // What was over is over: it cannot be lost any more.
    expect(readers[0]!.signal.aborted).toBe(false);
    broken = "";
    await clock.advance(30_000);
    expect(waiting.value?.isHeld).toBe(true);
    await clock.settle(locks.close());
  });

  test("a holder that finds itself lost passes nothing on", async () => {
    const { clock, open } = setUp(protocol);
    const { lock, locks } = open();
    const holder = await clock.settle(lock.acquire());
    const waiting = watched(lock.acquire({ waitMs: 60_000 }));
    clock.suspend(10_000);
    await expect(clock.settle(holder.release())).rejects.toMatchObject({ code: "LEASE_LOST" });
    const next = (await clock.settle(lock.acquire({ waitMs: 1 }).catch(() => waiting.value)))!;
    expect(next.isHeld).toBe(true);
    expect(next.ticketId).not.toBe(holder.ticketId);
    await clock.settle(locks.close());
  });

  test("tokens of exclusive leases rise across local passes, and one that nobody asks for costs nothing", async () => {
    const { clock, open } = setUp(protocol, { localTurns: 100, localMs: 60_000 });
    const { store, lock, locks } = open();
    const first = await clock.settle(lock.acquire());
    const waits = Array.from({ length: 6 }, () => watched(lock.acquire()));
    const tokens = [await clock.settle(first.token())];
    let holder = first;
    for (const [at, wait] of waits.entries()) {
      await holder.release();
      await clock.advance(0);
      holder = wait.value!;
      store.clear();
      if (at % 2 === 0) continue;
      tokens.push(await clock.settle(holder.token()));
      expect(await holder.token()).toBe(tokens.at(-1));
    }
    await clock.settle(holder.release());
    const other = await clock.settle(open().lock.acquire());
    tokens.push(await clock.settle(other.token()));
    for (let at = 1; at < tokens.length; at++) expect(tokens[at]).toBeGreaterThan(tokens[at - 1]!);
    await other.release();
    await locks.close({ keepStore: true });
  });

  test("a token that is drawn while its lease ends is nobody's but the next one's", async () => {
    const { clock, open } = setUp(protocol, { localTurns: 100, localMs: 60_000 });
    const { lock } = open({ plan: (call) => (call.verb === "put" ? { answerMs: 20 } : undefined) });
    const first = await clock.settle(lock.acquire());
    await clock.settle(first.token());
    const next = watched(lock.acquire());
    const third = watched(lock.acquire());
    await first.release();
    await clock.advance(0);
    const cut = watched(next.value!.token());
    await clock.advance(5);
    await next.value!.release();
    await clock.advance(0);
    const tokens = watched(Promise.all([third.value!.token(), third.value!.token()]));
    await clock.advance(200);
    expect(cut.error).toBeInstanceOf(LockLostError);
    expect(new Set(tokens.value).size).toBe(1);
    await clock.settle(third.value!.release());
  });

  test("abandoning one of several readers leaves the ticket when the last is over; it serves nobody new", async () => {
    const { clock, open, left } = setUp(protocol, { leaseMs: 20_000 });
    const { lock } = open();
    const readers = [await clock.settle(lock.acquire({ mode: "shared" })), await lock.acquire({ mode: "shared" })];
    const gone = watched(readers[0]!.abandon().then(() => true));
    await clock.advance(10);
    expect([readers[0]!.signal.aborted, readers[0]!.isHeld, readers[1]!.isHeld, gone.value]).toEqual([
      true,
      false,
      true,
      undefined,
    ]);
    const own = await clock.settle(lock.acquire({ mode: "shared" }));
    expect(own.ticketId).not.toBe(readers[0]!.ticketId);
    await clock.settle(own.release());
    await readers[1]!.release();
    await clock.advance(10);
    expect([gone.value, readers[1]!.signal.aborted]).toEqual([true, false]);
    expect(await left()).toBe(1);
    const again = await clock.settle(open().lock.resume(readers[0]!.ticketId));
    await clock.settle(again.release());
    expect(await left()).toBe(0);
  });

  test("abandoning what was lost resolves when its own deletes are over, so that its ticket is not found again before", async () => {
    const { clock, open, left } = setUp(protocol, { leaseMs: 3000 });
    let isSlow = false;
    const { lock } = open({ plan: () => (isSlow ? { arriveMs: 400, answerMs: 400 } : undefined) });
    const lease = await clock.settle(lock.acquire());
    isSlow = true;
    clock.suspend(10_000);
    expect(lease.isHeld).toBe(false);
    const gone = watched(lease.abandon().then(() => true));
    await clock.advance(300);
    expect(gone.value).toBeUndefined();
    await clock.advance(5_000);
    expect([gone.value, await left()]).toEqual([true, 0]);
  });

  test("a ticket whose release somebody asks for is passed on to nobody", async () => {
    const { clock, open } = setUp(protocol, { localMs: 60_000 });
    const { lock } = open();
    const lease = await clock.settle(lock.acquire());
    const { revocation } = lease;
    const next = watched(lock.acquire());
    await clock.settle(open().lock.requestRelease("a deploy"));
    await clock.advance(1_500);
    expect(revocation.aborted).toBe(true);
    await clock.settle(lease.release());
    await clock.advance(1_500);
    expect(next.value?.isHeld).toBe(true);
    expect(next.value?.ticketId).not.toBe(lease.ticketId);
    await clock.settle(next.value!.release());
  });

  test("close sends all away, releases what is held, and leaves no timer", async () => {
    const { clock, open, left } = setUp(protocol);
    const { lock, locks } = open();
    const readers = [await clock.settle(lock.acquire({ mode: "shared" })), await lock.acquire({ mode: "shared" })];
    const waits = [watched(lock.acquire()), watched(lock.acquire({ mode: "shared" })), watched(lock.acquire())];
    await clock.advance(100);
    await clock.settle(locks.close({ keepStore: true }));
    for (const wait of waits) expect(wait.error).toMatchObject({ code: "LOCKS_CLOSED" });
    for (const reader of readers) {
      expect(reader.isHeld).toBe(false);
      await reader.release();
    }
    expect([await left(), clock.pending]).toEqual([0, 0]);
  });

  test("what the store refuses is told to all who would meet it", async () => {
    const { clock, open, memory } = setUp(protocol);
    await memory.put("k.lock.nonsense", "1");
    const { store, lock } = open();
    const all = await clock.settle(Promise.allSettled(Array.from({ length: 5 }, () => lock.acquire())));
    for (const one of all) expect(one).toMatchObject({ reason: { code: "PROTOCOL_MISMATCH" } });
    expect(store.calls.length).toBeLessThan(8);
  });

  test("a store that does not answer is named, not only that the time was over", async () => {
    const { clock, open } = setUp(protocol, { requestTimeoutMs: 300 });
    const { lock } = open({ plan: () => ({ lost: "request" }) });
    const all = [watched(lock.acquire({ waitMs: 1000 })), watched(lock.acquire({ waitMs: 2000 }))];
    await clock.advance(10_000);
    for (const { error } of all) expect(error).toMatchObject({ kind: expect.stringMatching(/^un(available|known)$/) });
  });

  test.each([0, 1])("localTurns %i: every acquire has a ticket of its own", async (localTurns) => {
    const { clock, open, left } = setUp(protocol, { localTurns });
    const { lock, locks } = open();
    const readers = await clock.settle(Promise.all([1, 2].map(() => lock.acquire({ mode: "shared" }))));
    expect(readers[0]!.ticketId).not.toBe(readers[1]!.ticketId);
    expect(await left()).toBe(2);
    await clock.settle(locks.close());
  });

  test.each([1, 4])("1,000 waiters of one process: %i in a row cost what one ticket costs", async (rounds) => {
    const localTurns = rounds * 250;
    const { clock, open, left } = setUp(protocol, { localTurns, localMs: 600_000, waitMs: 600_000 });
    const { store, lock } = open();
    const held = await clock.settle(open().lock.acquire());
    let served = 0;
    const crowd = Promise.all(Array.from({ length: 1000 }, () => lock.run(() => void served++)));
    await clock.advance(10_000);
    // One ticket looks for all of them: logarithmic until the longest pause, then once each half second or more.
    expect(store.calls.length).toBeLessThan(120);
    store.clear();
    await held.release();
    await clock.settle(crowd);
    expect(served).toBe(1000);
    // A grant of the store for each localTurns: at most ten requests each.
    expect(store.calls.length).toBeLessThanOrEqual((1000 / localTurns) * 10);
    expect(await left()).toBe(0);
  });
});

test.each([{ localTurns: -1 }, { localTurns: 1.5 }, { localTurns: "8" }, { localMs: -1 }])(
  "%j is refused by name",
  (options) => {
    const name = Object.keys(options)[0];
    expect(() => createLocks(createMemoryStore(), options as LocksOptions)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringMatching(new RegExp(`^${name}: `)) }),
    );
  },
);
