/** The keeper behind a real lease, on a manual clock: renewals, loss, suspend, late answers, versions. */
import { createMemoryStore, type Store } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, type StoreCall } from "@bucketlock/core/testing";
import { createLocks, type LockEvent } from "@bucketlock/lock";
import { expect, test } from "vitest";

const LEASE = { leaseMs: 3000, renewEveryMs: 1000, marginMs: 300 };

function setUp(options: { versions?: boolean; wrap?: (store: Store, clock: ManualClock) => Store } = {}) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock, versions: options.versions });
  const store = options.wrap?.(memory, clock) ?? memory;
  const events: LockEvent[] = [];
  const locks = createLocks(store, { ...LEASE, clock, onEvent: (event) => events.push(event), label: "test" });
  return { clock, memory, store, locks, events, types: () => events.map((event) => event.type) };
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

test("renews every third of the lease: HEAD of the place, then PUT of the door with a growing count", async () => {
  const recorded: RecordingStore[] = [];
  const { clock, locks, memory, events } = setUp({
    wrap: (store) => {
      const recording = new RecordingStore(store);
      recorded.push(recording);
      return recording;
    },
  });
  const lease = await locks.lock("k").acquire();
  recorded[0]!.clear();
  await clock.advance(10_000);
  expect(recorded[0]!.verbs).toEqual(Array.from({ length: 10 }, () => ["head", "put"]).flat());
  expect(lease.isHeld).toBe(true);
  const door = await memory.head(`k.lock.${lease.ticketId}-0`);
  expect(door.found && door.metadata).toEqual({ holder: "test", renewal: "10" });
  expect(events.filter((event) => event.type === "renewed")).toHaveLength(10);
  await lease.release();
  expect(clock.pending).toBe(0);
  await clock.advance(10_000);
  expect(await keysOf(memory)).toEqual([]);
});

test("a ticket removed by another is lost at the next renewal: told, cleaned up, never revived", async () => {
  const { clock, locks, memory, types } = setUp();
  const lease = await locks.lock("k").acquire();
  await memory.deleteMany([{ key: `k.lock.${lease.ticketId}-1` }]);
  await clock.advance(1000);
  expect(lease.signal.aborted).toBe(true);
  expect(lease.signal.reason).toMatchObject({
    code: "LEASE_LOST",
    kind: "lost",
    message: expect.stringContaining("removed by another"),
  });
  expect(() => lease.throwIfLost()).toThrow(expect.objectContaining({ code: "LEASE_LOST" }));
  expect(types()).toEqual(["acquired", "lost"]);
  await clock.advance(60_000);
  expect(await keysOf(memory)).toEqual([]);
  await expect(lease.release()).rejects.toMatchObject({ code: "LEASE_LOST" });
  expect(clock.pending).toBe(0);
});

test("renewals that take longer than the pause between them keep the lease", async () => {
  const clock = new ManualClock();
  const store = new FaultyStore(createMemoryStore({ clock }), { clock, plan: () => ({ answerMs: 250 }) });
  const locks = createLocks(store, { ...LEASE, renewEveryMs: 100, clock });
  const lease = await clock.settle(locks.lock("k").acquire());
  await clock.advance(30_000);
  expect(lease.isHeld).toBe(true);
  await clock.settle(lease.release());
  expect(clock.pending).toBe(0);
});

test("with a store that does not answer, the signal aborts the margin before the lease ends", async () => {
  let down = false;
  const { clock, locks, types } = setUp({
    wrap: (store, clock) =>
      new FaultyStore(store, { clock, plan: () => (down ? { lost: "request", answerMs: 200 } : undefined) }),
  });
  const lease = await locks.lock("k").acquire();
  down = true;
  await clock.advance(2699);
  expect(lease.signal.aborted).toBe(false);
  lease.throwIfLost();
  await clock.advance(1);
  expect(lease.signal.aborted).toBe(true);
  expect(types().filter((type) => type === "renewalFailed").length).toBeGreaterThan(3);
  expect(types().at(-1)).toBe("lost");
  down = false;
  await clock.advance(60_000);
  expect(lease.isHeld).toBe(false);
});

test("throwIfLost sees a stop by itself: no timer fires while the process is stopped", async () => {
  const { clock, locks } = setUp();
  const lease = await locks.lock("k").acquire();
  clock.setMonotonic(clock.monotonicMs() + 2700);
  expect(() => lease.throwIfLost()).toThrow(/not renewed in time/);
  expect(lease.signal.aborted).toBe(true);
});

test("throwIfLost sees a suspend of the machine, which the monotonic clock does not", async () => {
  const { clock, locks } = setUp();
  const lease = await locks.lock("k").acquire();
  clock.suspend(2700);
  expect(() => lease.throwIfLost()).toThrow(/not renewed in time/);
});

test("a renewal answered after the end does not revive the lease, and the door it wrote is removed", async () => {
  let slow = false;
  const { clock, locks, memory, types } = setUp({
    wrap: (store, clock) =>
      new FaultyStore(store, {
        clock,
        plan: (call: StoreCall) => (slow && call.verb === "put" ? { answerMs: 2500 } : undefined),
      }),
  });
  const lease = await locks.lock("k").acquire();
  slow = true;
  await clock.advance(2700);
  expect(lease.signal.aborted).toBe(true);
  slow = false;
  await clock.advance(10_000);
  expect(lease.isHeld).toBe(false);
  expect(types()).not.toContain("renewed");
  expect(await keysOf(memory)).toEqual([]);
});

test("one unclear renewal is tried again soon and costs nothing", async () => {
  let puts = 0;
  const { clock, locks, types } = setUp({
    wrap: (store, clock) =>
      new FaultyStore(store, {
        clock,
        plan: (call: StoreCall) => (call.verb === "put" && ++puts === 3 ? { lost: "answer", answerMs: 50 } : undefined),
      }),
  });
  const lease = await locks.lock("k").acquire();
  await clock.advance(1500);
  expect(types()).toEqual(["acquired", "renewalFailed", "renewed"]);
  expect(lease.isHeld).toBe(true);
  await locks.close();
});

test("on a store that keeps versions, no old door stays behind, during the lease and after it", async () => {
  const { clock, locks, memory } = setUp({ versions: true });
  const lease = await locks.lock("k").acquire();
  await clock.advance(5500);
  const versions = async () => {
    const all = [];
    for await (const page of memory.listVersions("")) all.push(...page.versions);
    return all;
  };
  expect(await versions()).toHaveLength(2);
  await lease.release();
  expect(await versions()).toEqual([]);
});

test("an unclear renewal on a store that keeps versions leaves nothing behind either", async () => {
  let lose = false;
  const { clock, locks, memory } = setUp({
    versions: true,
    wrap: (store, clock) =>
      new FaultyStore(store, {
        clock,
        plan: (call: StoreCall) => (lose && call.verb === "put" ? { lost: "answer" } : undefined),
      }),
  });
  const lease = await locks.lock("k").acquire();
  lose = true;
  await clock.advance(1200);
  lose = false;
  await clock.advance(1200);
  await lease.release();
  const left = [];
  for await (const page of memory.listVersions("")) left.push(...page.versions);
  expect(left).toEqual([]);
});

test("release waits for the renewal under way, so that its write cannot land after the delete", async () => {
  let slow = false;
  const { clock, locks, memory } = setUp({
    wrap: (store, clock) =>
      new FaultyStore(store, {
        clock,
        plan: (call: StoreCall) => (slow && call.verb === "put" ? { arriveMs: 400 } : undefined),
      }),
  });
  const lease = await locks.lock("k").acquire();
  slow = true;
  await clock.advance(1100);
  await clock.settle(lease.release());
  await clock.advance(10_000);
  expect(await keysOf(memory)).toEqual([]);
});
