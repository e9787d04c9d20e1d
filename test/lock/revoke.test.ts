/** Requests to release: what they cost, where they stand, and what a store that keeps versions has left of them. */
import { createMemoryStore, type Store } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, SeededRandom } from "@bucketlock/core/testing";
import { createLocks, type LocksOptions, ReleaseRequestedError } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";
import { ask, decode, EMPTY, encode, touch } from "../../packages/lock/src/conditional/record.js";

const leaseMs = 30_000;

function setUp(options: LocksOptions = {}, versions = false) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock, versions });
  let seed = 1;
  const open = (label: string) => {
    const store = new RecordingStore(memory);
    const locks = createLocks(store, { leaseMs, clock, random: new SeededRandom(seed++), label, ...options });
    return { store, locks, lock: locks.lock("k") };
  };
  const keys = async () => {
    const all: string[] = [];
    for await (const page of memory.listVersions("")) all.push(...page.versions.map((version) => version.key));
    return all;
  };
  return { clock, memory, open, keys };
}

describe("what it costs", () => {
  test("two-object: a GET with each renewal once somebody listens, nothing before and nothing once told", async () => {
    const { clock, open } = setUp();
    const a = open("holder");
    const lease = await a.lock.acquire();
    a.store.clear();
    await clock.advance(leaseMs / 3);
    expect(a.store.verbs).toEqual(["head", "put"]);
    const signal = lease.revocation;
    a.store.clear();
    await clock.advance(leaseMs / 3);
    expect(a.store.verbs).toEqual(["head", "put", "get"]);
    const b = open("ops");
    await b.lock.requestRelease("now");
    expect(b.store.verbs).toEqual(["list", "list", "put", "head"]);
    expect(signal.aborted).toBe(false);
    await clock.advance(leaseMs / 3);
    expect(signal.reason).toBeInstanceOf(ReleaseRequestedError);
    a.store.clear();
    await clock.advance(leaseMs / 3);
    expect(a.store.verbs).toEqual(["head", "put"]);
    await lease.release();
    await a.locks.close();
    await b.locks.close();
  });

  test("conditional: nothing at all for the holder; a read and a write for who asks", async () => {
    const { clock, open } = setUp({ protocol: "conditional" });
    const a = open("holder");
    const lease = await a.lock.acquire();
    const signal = lease.revocation;
    a.store.clear();
    await clock.advance(leaseMs / 3);
    expect(a.store.verbs).toEqual(["put"]);
    const b = open("ops");
    await b.lock.requestRelease("now");
    expect(b.store.verbs).toEqual(["get", "put"]);
    a.store.clear();
    await clock.advance(leaseMs / 3);
    // The record has moved on: a conflict, a read, and the renewal.
    expect(a.store.verbs).toEqual(["put", "get", "put"]);
    expect(signal.reason).toBeInstanceOf(ReleaseRequestedError);
    await lease.release();
    await a.locks.close();
    await b.locks.close();
  });
});

describe("two-object", () => {
  test("a request stands outside the lock's prefix, and goes with the release, versions included", async () => {
    for (const versions of [false, true]) {
      const { clock, open, keys } = setUp({}, versions);
      const { locks, lock } = open("holder");
      const lease = await lock.acquire();
      lease.revocation.throwIfAborted();
      await lock.requestRelease("once");
      await lock.requestRelease("twice");
      const requests = (await keys()).filter((key) => !key.startsWith("k.lock."));
      expect(new Set(requests)).toEqual(new Set([`k.revoke.${lease.ticketId}`]));
      await clock.advance(leaseMs / 2);
      await lease.release();
      expect(await keys()).toEqual([]);
      await locks.close();
    }
  });

  test("a holder that released while it was asked is not asked, and nothing stays", async () => {
    const { memory, clock, open, keys } = setUp();
    const lease = await open("holder").lock.acquire();
    const put: Store["put"] = async (...call) => {
      const answer = await memory.put(...call);
      await lease.release();
      return answer;
    };
    const store = new Proxy(memory, {
      get(target, name) {
        const value = name === "put" ? put : (Reflect.get(target, name, target) as unknown);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const locks = createLocks(store, { leaseMs, clock });
    expect(await locks.lock("k").requestRelease("too late")).toEqual([]);
    expect(await keys()).toEqual([]);
    await locks.close();
  });

  test("what is no request is a request all the same", async () => {
    const { memory, clock, open } = setUp();
    const { locks, lock } = open("holder");
    const lease = await lock.acquire();
    const signal = lease.revocation;
    await memory.put(`k.revoke.${lease.ticketId}`, "<html>");
    await clock.advance(leaseMs / 2);
    expect(signal.reason).toMatchObject({ reason: expect.stringMatching(/cannot be read/), by: "unknown" });
    await lease.release();
    await locks.close();
  });

  test("a store that cannot be read keeps nothing from the renewal", async () => {
    const { memory, clock } = setUp();
    let down = true;
    const store = new FaultyStore(memory, {
      clock,
      plan: (call) => (down && call.verb === "get" ? { error: new Error("down") } : undefined),
    });
    const locks = createLocks(store, { leaseMs, clock });
    const lease = await locks.lock("k").acquire();
    const signal = lease.revocation;
    await locks.lock("k").requestRelease("now");
    await clock.advance(2 * leaseMs);
    expect([lease.isHeld, signal.aborted]).toEqual([true, false]);
    down = false;
    await clock.advance(leaseMs / 3);
    expect([lease.isHeld, signal.aborted]).toEqual([true, true]);
    await lease.release();
    await locks.close();
  });
});

test("conditional: no version of the record stays behind for a request", async () => {
  const { clock, open, keys } = setUp({ protocol: "conditional" }, true);
  const a = open("holder");
  const lease = await a.lock.acquire();
  await clock.advance(leaseMs / 2);
  const before = (await keys()).length;
  await open("ops").lock.requestRelease("now");
  expect((await keys()).length).toBe(before);
  await lease.release();
  await a.locks.close();
});

describe("in the record", () => {
  const holder = (id: string) =>
    ({ id, mode: "shared", label: "l", leaseMs, token: 1n, renewals: 0, atMs: undefined, granted: false }) as const;
  const record = { ...EMPTY, token: 1n, confirmed: true, holders: [holder("a"), holder("b")], writeId: "w" };

  test("a request survives renewals and the way to the store; the first stays", () => {
    const first = ask(record, ["a"], { reason: "one", by: "x" });
    const both = ask(first, undefined, { reason: "two", by: "y" });
    const after = touch(both, "a", 5);
    expect(after.holders.map((one) => one.request?.reason)).toEqual(["one", "two"]);
    expect(decode("o", encode({ ...after, writeId: "w" }))).toEqual({ ...after, writeId: "w" });
  });

  test("a request without a reason is a corrupt record", () => {
    const text = encode({ ...ask(record, undefined, { reason: "", by: "x" }), writeId: "w" });
    expect(() => decode("o", text)).toThrow(expect.objectContaining({ code: "RECORD_CORRUPT" }));
  });
});
