/** Standing in line: what a look costs, how often, who is taken over and when. */
import { createMemoryStore, type Store } from "@bucketlock/core";
import { ManualClock, RecordingStore, SeededRandom } from "@bucketlock/core/testing";
import { createLocks, type LockEvent, type LocksOptions } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";

function setUp(options: LocksOptions = {}, stepMs = 1) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock, timestampStepMs: stepMs });
  const events: LockEvent[] = [];
  let seed = 7;
  // A seed each: the same one would draw the same ticket id.
  const open = (label: string) => {
    const store = new RecordingStore(memory);
    const locks = createLocks(store, {
      clock,
      random: new SeededRandom(seed++),
      label,
      onEvent: (event) => events.push(event),
      ...options,
    });
    return { store, locks, lock: locks.lock("k") };
  };
  return { clock, memory, events, open };
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

test("a look is one HEAD of the predecessor's door; the pauses grow by a tenth of the wait at most, up to the cap", async () => {
  const { clock, open } = setUp({ leaseMs: 600_000 });
  const holder = await open("holder").lock.acquire();
  await clock.advance(5);
  const { store, lock } = open("waiter");
  const got = lock.acquire({ waitMs: 100_000 });
  await clock.advance(0);
  expect(store.verbs).toEqual(["put", "list", "put", "list"]);
  store.clear();
  const at: number[] = [];
  const began = clock.monotonicMs();
  for (let seen = 0; clock.monotonicMs() - began < 60_000; ) {
    await clock.advance(1);
    if (store.calls.length > seen) at.push(clock.monotonicMs() - began);
    seen = store.calls.length;
  }
  expect(new Set(store.calls.map((call) => `${call.verb} ${call.key}`))).toEqual(
    new Set([`head k.lock.${holder.ticketId}-0`]),
  );
  for (let i = 1; i < at.length; i++) {
    const pause = at[i]! - at[i - 1]!;
    expect(pause).toBeLessThanOrEqual(Math.min(1000, Math.max(20, at[i - 1]! / 10)) + 1);
  }
  // Logarithmic until the cap: far fewer than one each 20 ms.
  expect(at.length).toBeLessThan(60_000 / 500 + 60);
  store.clear();
  await holder.release();
  const lease = await clock.settle(got);
  expect(store.verbs).toEqual(["head", "list"]);
  await lease.release();
});

test("with several before it a waiter looks in their middle too, to know how far the line has moved, and no less at the one before it", async () => {
  const { clock, open, events } = setUp({ leaseMs: 600_000 });
  const holder = await open("holder").lock.acquire();
  const line = [];
  for (const label of ["b", "c", "d"]) {
    await clock.advance(5);
    const { store, lock } = open(label);
    line.push({ store, got: lock.acquire() });
    await clock.advance(0);
  }
  const { store } = line[2]!;
  const ids = events.flatMap((event) => (event.type === "waiting" ? [event.ticketId] : []));
  const [middle, third] = [`k.lock.${holder.ticketId}-0`, `k.lock.${ids[1]}-0`];
  store.clear();
  const began = clock.monotonicMs();
  const looked: number[] = [];
  let peeks = 0;
  for (let seen = 0; clock.monotonicMs() - began < 20_000; seen = store.calls.length) {
    await clock.advance(1);
    for (const { verb, key } of store.calls.slice(seen)) {
      expect(verb).toBe("head");
      if (key === third) looked.push(clock.monotonicMs() - began);
      else peeks += key === middle ? 1 : Number.NaN;
    }
  }
  for (let i = 1; i < looked.length; i++)
    expect(looked[i]! - looked[i - 1]!).toBeLessThanOrEqual(Math.max(120, looked[i]! / 3));
  expect(peeks).toBeGreaterThan(looked.length / 2);
  expect(peeks).toBeLessThan(100);
  await holder.release();
  for (const { got } of line) await (await clock.settle(got)).release();
});

test("a dead holder is taken over by the one behind it, not by all who looked at it", async () => {
  const { clock, open, events } = setUp({ leaseMs: 3000, clockSkewMs: 100_000 });
  await (await open("dead").lock.acquire()).abandon();
  const crowd = ["b", "c", "d", "e"].map((label) => open(label).lock.run(() => {}));
  await clock.settle(Promise.all(crowd));
  expect(events.filter((event) => event.type === "tookOver")).toHaveLength(1);
});

test.each(["two-object", "conditional"] as const)(
  "%s: first in, first out; readers go together; a writer is not starved by them",
  async (protocol) => {
    const { clock, open, memory } = setUp({ protocol });
    const order: string[] = [];
    const first = await open("r0").lock.acquire({ mode: "shared" });
    const queue: Promise<unknown>[] = [];
    for (const [label, mode] of [
      ["w1", "exclusive"],
      ["r2", "shared"],
      ["r3", "shared"],
      ["w4", "exclusive"],
    ] as const) {
      queue.push(
        open(label).lock.run(
          async () => {
            order.push(`${label} in`);
            await clock.sleep(100);
            order.push(`${label} out`);
          },
          { mode },
        ),
      );
      await clock.advance(5);
    }
    await first.release();
    await clock.settle(Promise.all(queue));
    expect(order.slice(0, 2)).toEqual(["w1 in", "w1 out"]);
    expect(order.slice(2, 4).sort()).toEqual(["r2 in", "r3 in"]);
    expect(order.slice(4, 6).sort()).toEqual(["r2 out", "r3 out"]);
    expect(order.slice(6)).toEqual(["w4 in", "w4 out"]);
    expect(await keysOf(memory)).toEqual(protocol === "conditional" ? ["k.lock.record"] : []);
  },
);

test("waitMs over: NotAcquiredError that names who stood before, and nothing left in line", async () => {
  const { clock, open, memory } = setUp();
  const holder = await open("holder").lock.acquire();
  const failed = open("late").lock.acquire({ waitMs: 500 });
  failed.catch(() => {});
  await clock.advance(600);
  await expect(failed).rejects.toMatchObject({
    code: "NOT_ACQUIRED",
    kind: "contended",
    retryable: true,
    details: { by: [holder.ticketId] },
  });
  expect(await keysOf(memory)).toEqual([`k.lock.${holder.ticketId}-0`, `k.lock.${holder.ticketId}-1`]);
});

test("a try against a live holder goes home after PUT, LIST and its delete", async () => {
  const { open } = setUp();
  await open("holder").lock.acquire();
  const { store, lock } = open("try");
  expect(await lock.tryAcquire()).toBeUndefined();
  expect(store.verbs).toEqual(["put", "list", "deleteMany"]);
});

test("an abort while waiting throws the caller's own reason and leaves the line", async () => {
  const { clock, open, memory } = setUp();
  const holder = await open("holder").lock.acquire();
  const why = { mine: true };
  const abort = new AbortController();
  const failed = open("late").lock.acquire({ signal: abort.signal });
  failed.catch(() => {});
  await clock.advance(50);
  abort.abort(why);
  await expect(failed).rejects.toBe(why);
  await clock.advance(0);
  expect(await keysOf(memory)).toHaveLength(2);
  await holder.release();
});

describe("taking over", () => {
  test("a waiter takes over a holder whose sign of life has not changed for a lease, by HEAD without the step", async () => {
    const { clock, open, events } = setUp({ leaseMs: 3000, clockSkewMs: 100_000 }, 1000);
    const dead = await open("dead").lock.acquire();
    await dead.abandon();
    const began = clock.monotonicMs();
    const got = open("heir").lock.acquire();
    const lease = await clock.settle(got);
    const waited = clock.monotonicMs() - began;
    expect(events.filter((event) => event.type === "tookOver")).toMatchObject([{ victim: dead.ticketId }]);
    // Not before a lease went by; the door of the dead counts its renewals, so no step is added, only looks.
    expect(waited).toBeGreaterThanOrEqual(3000);
    expect(waited).toBeLessThan(3000 + 2 * 1000);
    await lease.release();
  });

  test("a cron process that looks once takes over a holder that died long ago, by the store's clock", async () => {
    const { clock, open } = setUp({ leaseMs: 3000 });
    await (await open("dead").lock.acquire()).abandon();
    await clock.advance(13_000);
    expect(await open("early").lock.tryAcquire()).toBeUndefined();
    await clock.advance(10);
    const lease = await open("late").lock.tryAcquire();
    expect(lease?.isHeld).toBe(true);
    await lease?.release();
  });

  test("nobody takes over a holder that renews, on one-second timestamps with a lease of a second", async () => {
    const { clock, open, events } = setUp({ leaseMs: 1000, clockSkewMs: 1000 }, 1000);
    const holder = await open("holder").lock.acquire();
    const failed = open("waiter").lock.acquire({ waitMs: 20_000 });
    failed.catch(() => {});
    await clock.advance(20_100);
    await expect(failed).rejects.toMatchObject({ code: "NOT_ACQUIRED" });
    expect(holder.isHeld).toBe(true);
    expect(events.some((event) => event.type === "tookOver")).toBe(false);
    await holder.release();
  });

  test("where tokens are in use, a take-over from an exclusive ticket writes the next marker first", async () => {
    const { clock, open, memory } = setUp({ leaseMs: 3000 });
    await memory.put("k.lock.token.7", "1");
    await (await open("dead").lock.acquire()).abandon();
    await clock.advance(14_000);
    const heir = open("heir");
    const lease = await heir.lock.tryAcquire();
    expect(lease).toBeDefined();
    const verbs = heir.store.calls.map((call) => `${call.verb} ${call.key}`);
    const marker = verbs.indexOf("put k.lock.token.8");
    expect(marker).toBeGreaterThan(0);
    expect(verbs[marker + 1]).toMatch(/^deleteMany/);
    await lease?.release();
  });

  test("a foreign ticket blocks for ever, unless breakAfterMs says otherwise", async () => {
    const { clock, open, memory } = setUp({ leaseMs: 3000 });
    await memory.put("k.lock.0123456789abc-0", "1");
    await memory.put("k.lock.0123456789abc-1", "1");
    await clock.advance(86_400_000);
    expect(await open("patient").lock.tryAcquire()).toBeUndefined();
    const breaking = createLocks(memory, { clock, breakAfterMs: 3_600_000 });
    const lease = await breaking.lock("k").tryAcquire();
    expect(lease?.isHeld).toBe(true);
    await lease?.release();
    expect(await keysOf(memory)).toEqual([]);
  });

  test("a foreign shared ticket does not keep out readers; its mode is read from the body where the ETag does not tell", async () => {
    const clock = new ManualClock();
    const memory = createMemoryStore({ clock });
    await memory.put("k.lock.0123456789abc-0", "0");
    await memory.put("k.lock.0123456789abc-1", "0");
    class EncryptedStore extends RecordingStore {
      override async *list(prefix: string, options?: object) {
        for await (const page of super.list(prefix, options)) {
          yield { ...page, objects: page.objects.map((object) => ({ ...object, etag: '"encrypted"' })) };
        }
      }
    }
    const recording = new EncryptedStore(memory);
    const lease = await createLocks(recording, { clock }).lock("k").tryAcquire({ mode: "shared" });
    expect(lease?.mode).toBe("shared");
    expect(recording.count("get")).toBe(1);
    expect(await createLocks(new EncryptedStore(memory), { clock }).lock("k").tryAcquire()).toBeUndefined();
    await lease?.release();
  });
});

test("settleMs: after the wait set is empty, one more look that newcomers with an earlier place can spoil", async () => {
  const { clock, open, memory } = setUp({ settleMs: 1000 });
  const { store, lock } = open("patient");
  const got = lock.acquire();
  await clock.advance(0);
  expect(store.verbs).toEqual(["put", "list", "put", "list"]);
  // A peer without a doorway listing shows up late with an earlier place.
  clock.setWall(clock.wallMs() - 5000);
  await memory.put("k.lock.0123456789abc-0", "1");
  await memory.put("k.lock.0123456789abc-1", "1");
  clock.setWall(clock.wallMs() + 5000);
  await clock.advance(3000);
  let held = false;
  got.then(() => {
    held = true;
  });
  await clock.advance(10);
  expect(held).toBe(false);
  await memory.deleteMany([{ key: "k.lock.0123456789abc-0" }, { key: "k.lock.0123456789abc-1" }]);
  const lease = await clock.settle(got);
  await lease.release();
});
