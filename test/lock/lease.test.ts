/** The public lock and lease: what each call answers, throws and leaves, on a memory store and a manual clock. */
import { createMemoryStore, type Store, StoreError } from "@bucketlock/core";
import { FaultyStore, ManualClock, SeededRandom, type StoreCall } from "@bucketlock/core/testing";
import { createLocks, LockLostError, type Locks, type LocksOptions, NotAcquiredError } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";

function setUp(options: LocksOptions = {}, plan?: (call: StoreCall) => object | undefined) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock });
  const store = plan === undefined ? memory : new FaultyStore(memory, { clock, plan });
  let seed = 1;
  const open = (more: LocksOptions = {}) =>
    createLocks(store, { clock, random: new SeededRandom(seed++), label: `l${seed}`, ...options, ...more });
  return { clock, memory, open };
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

describe("run", () => {
  test("answers what the routine answers, and releases", async () => {
    const { open, memory } = setUp();
    const answer = await open()
      .lock("k")
      .run(async (lease) => {
        expect(lease.isHeld).toBe(true);
        expect(await keysOf(memory)).toHaveLength(2);
        return 42;
      });
    expect(answer).toBe(42);
    expect(await keysOf(memory)).toEqual([]);
  });

  test("the routine's own error comes first, with a failing release attached", async () => {
    const gone = new StoreError("gone", { code: "STORE_UNREACHABLE", kind: "unavailable" });
    const { open } = setUp({}, (call) => (call.verb === "deleteMany" ? { error: gone } : undefined));
    const mine = new Error("mine");
    const failed = open()
      .lock("k")
      .run(() => {
        throw mine;
      });
    await expect(failed).rejects.toBe(mine);
    expect((mine as Error & { releaseError?: unknown }).releaseError).toMatchObject({
      code: "RELEASE_FAILED",
      cause: gone,
    });
    await expect(
      open()
        .lock("other")
        .run(() => Promise.reject("a string")),
    ).rejects.toBe("a string");
  });

  test("a routine that succeeds although the lease was lost is an error: its work may have overlapped", async () => {
    const { open, clock } = setUp({ leaseMs: 3000 });
    await expect(
      open()
        .lock("k")
        .run(() => clock.suspend(60_000)),
    ).rejects.toBeInstanceOf(LockLostError);
  });

  test("a failing release of a successful routine is told, never hidden", async () => {
    const { open } = setUp({}, (call) => (call.verb === "deleteMany" ? { lost: "request" } : undefined));
    await expect(
      open()
        .lock("k")
        .run(() => 1),
    ).rejects.toMatchObject({ code: "RELEASE_FAILED", kind: "unavailable" });
  });
});

describe("a lease", () => {
  test("is released by `await using`, once, and stays over", async () => {
    const { open, memory } = setUp();
    const lock = open().lock("k");
    let kept: Awaited<ReturnType<typeof lock.acquire>>;
    {
      await using lease = await lock.acquire();
      kept = lease;
    }
    expect(await keysOf(memory)).toEqual([]);
    expect(kept.isHeld).toBe(false);
    expect(() => kept.throwIfLost()).toThrow(/was released/);
    await kept.release();
    expect(await kept.verify()).toBe(false);
  });

  test("says until when, in the past once it is over", async () => {
    const { open, clock } = setUp({ leaseMs: 3000, marginMs: 300 });
    const lease = await open().lock("k").acquire();
    expect(lease.heldUntil).toBe(clock.wallMs() + 2700);
    await clock.advance(1000);
    expect(lease.heldUntil).toBe(clock.wallMs() + 2700);
    await lease.release();
  });

  test("verify asks the store: false once another removed it", async () => {
    const { open } = setUp();
    const lease = await open().lock("k").acquire();
    expect(await lease.verify()).toBe(true);
    expect(await open().lock("k").breakLock({ olderThanMs: 0 })).toEqual([lease.ticketId]);
    expect(await lease.verify()).toBe(false);
  });

  test("abandon leaves the ticket; resume finds it again and keeps its place when nobody stands behind it", async () => {
    const { open, memory } = setUp({ leaseMs: 30_000 });
    const first = await open().lock("k").acquire();
    await first.abandon();
    expect(first.signal.aborted).toBe(true);
    expect(await keysOf(memory)).toHaveLength(2);
    const again = await open().lock("k").resume(first.ticketId);
    expect(again.ticketId).toBe(first.ticketId);
    expect(again.isHeld).toBe(true);
    const door = await memory.head(`k.lock.${first.ticketId}-0`);
    expect(door.found && door.metadata.renewal).toBe("1");
    await again.release();
    expect(await keysOf(memory)).toEqual([]);
  });

  test("a resumed ticket with somebody behind it goes to the end of the line: it is never believed to be held", async () => {
    const { open, clock, memory } = setUp({ leaseMs: 60_000 });
    const first = await open().lock("k").acquire();
    await clock.advance(5);
    const second = open().lock("k").acquire();
    await clock.advance(100);
    await first.abandon();
    const resumed = open().lock("k").resume(first.ticketId);
    const lease = await clock.settle(second);
    await clock.advance(2000);
    expect(await keysOf(memory)).toHaveLength(4);
    await lease.release();
    const back = await clock.settle(resumed);
    expect(back.ticketId).not.toBe(first.ticketId);
    await back.release();
  });

  test("a ticket that others may already take for dead is given up for a new one", async () => {
    const { open, clock, memory } = setUp({ leaseMs: 30_000 });
    const first = await open().lock("k").acquire();
    await first.abandon();
    await clock.advance(20_000);
    const again = await open().lock("k").resume(first.ticketId);
    expect(again.ticketId).not.toBe(first.ticketId);
    expect(await keysOf(memory)).toEqual([`k.lock.${again.ticketId}-0`, `k.lock.${again.ticketId}-1`]);
    await again.release();
  });

  test("a ticket that is gone cannot be resumed, nor a foreign or differently leased one", async () => {
    const { open, memory } = setUp();
    const lease = await open().lock("k").acquire();
    await lease.release();
    await expect(open().lock("k").resume(lease.ticketId)).rejects.toMatchObject({
      code: "TICKET_NOT_FOUND",
      kind: "lost",
    });
    await expect(open().lock("k").resume("abc")).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(open({ leaseMs: 5000 }).lock("k").resume(lease.ticketId)).rejects.toThrow(/this leaseMs \(5000\)/);
    expect(await keysOf(memory)).toEqual([]);
  });
});

describe("looking from outside", () => {
  test("inspect tells holders and waiters in line, with label, age and life", async () => {
    const { open, clock, memory } = setUp({ leaseMs: 3000, clockSkewMs: 10_000 });
    const holder = await open({ label: "worker-7" }).lock("k").acquire({ mode: "shared" });
    await clock.advance(10);
    const waiting = open({ label: "worker-8" }).lock("k").acquire();
    await clock.advance(10);
    await memory.put("k.lock.0123456789abc-0", "1");
    const info = await open().lock("k").inspect();
    expect(info.holders).toMatchObject([
      {
        ticketId: holder.ticketId,
        mode: "shared",
        state: "holds",
        label: "worker-7",
        renewals: 0,
        life: "alive",
        leaseMs: 3000,
      },
    ]);
    expect(info.waiters).toMatchObject([
      { mode: "exclusive", state: "waits", label: "worker-8", life: "alive" },
      { state: "choosing", label: undefined, life: "foreign", leaseMs: undefined },
    ]);
    await memory.delete({ key: "k.lock.0123456789abc-0" });
    await holder.abandon();
    clock.setWall(clock.wallMs() + 5000);
    expect((await open().lock("k").inspect()).holders[0]).toMatchObject({ life: "unsure" });
    clock.setWall(clock.wallMs() + 10_000);
    expect((await open().lock("k").inspect()).holders[0]).toMatchObject({ life: "dead", ageMs: expect.any(Number) });
    await clock.settle(waiting).then((lease) => lease.release());
    expect(await open().lock("k").inspect()).toMatchObject({ holders: [], waiters: [] });
  });

  test("breakLock has an age guard of two hours unless told, and counts from the last sign of life", async () => {
    const { open, clock } = setUp({ leaseMs: 60_000 });
    const lease = await open().lock("k").acquire();
    await clock.advance(10_800_000);
    expect(await open().lock("k").breakLock()).toEqual([]);
    await lease.abandon();
    await clock.advance(7_100_000);
    expect(await open().lock("k").breakLock()).toEqual([]);
    expect(
      await open()
        .lock("k")
        .breakLock({ olderThanMs: 0, ticketIds: ["someone-else"] }),
    ).toEqual([]);
    await clock.advance(200_000);
    expect(await open().lock("k").breakLock()).toEqual([lease.ticketId]);
  });
});

describe("locks", () => {
  test("close ends waiting acquires with LOCKS_CLOSED, releases leases, closes the store; then nothing more is acquired", async () => {
    const { open, clock, memory } = setUp();
    const locks = open();
    const lease = await locks.lock("k").acquire();
    await clock.advance(5);
    const waiting = locks.lock("k").acquire();
    waiting.catch(() => {});
    await clock.advance(50);
    await locks.close({ keepStore: true });
    await expect(waiting).rejects.toMatchObject({ code: "LOCKS_CLOSED" });
    expect(lease.isHeld).toBe(false);
    expect(await keysOf(memory)).toEqual([]);
    expect(clock.pending).toBe(0);
    await expect(locks.lock("k").acquire()).rejects.toMatchObject({ code: "LOCKS_CLOSED" });
  });

  test("an abort before the call throws the reason and asks the store nothing", async () => {
    const { open, memory } = setUp();
    const reason = new Error("mine");
    await expect(
      open()
        .lock("k")
        .acquire({ signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    expect(await keysOf(memory)).toEqual([]);
  });

  test("a listener that throws does not end a lease", async () => {
    const { open } = setUp({
      onEvent: () => {
        throw new Error("listener");
      },
    });
    const lease = await open().lock("k").acquire();
    expect(lease.isHeld).toBe(true);
    await lease.release();
  });
});

describe("bad input", () => {
  test.each([
    [{ leaseMs: -1 }, /^leaseMs: /],
    [{ leaseMs: Number.NaN }, /^leaseMs: /],
    [{ leaseMs: "30s" }, /^leaseMs: .*got "30s"/],
    [{ leaseMs: 1e12 }, /^leaseMs: /],
    [{ marginMs: 30_000 }, /^marginMs: must be below leaseMs \(30000\); got 30000/],
    [{ renewEveryMs: 28_000 }, /^renewEveryMs: plus marginMs \(3000\) must be below leaseMs/],
    [{ pollMinMs: 500, pollMaxMs: 100 }, /^pollMaxMs: /],
    [{ clockSkewMs: 10 }, /^clockSkewMs: /],
    [{ requestTimeoutMs: 0 }, /^requestTimeoutMs: /],
    [{ label: "naïve" }, /^label: /],
    [{ label: "" }, /^label: /],
    [{ releaseOnSignal: ["SIGKILL"] }, /^releaseOnSignal: /],
    [{ leaseSeconds: 5 }, /^leaseSeconds: is no option/],
  ])("createLocks(%j) names the option, the rule and the value", (options, message) => {
    expect(() => setUp().open(options as LocksOptions)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", kind: "invalid", message: expect.stringMatching(message) }),
    );
  });

  test("what is no store is refused", () => {
    expect(() => createLocks("s3://bucket" as never)).toThrow(/^store: must be a Store/);
  });

  test.each([
    [{ mode: "writer" }, /^mode: must be one of exclusive, shared; got "writer"/],
    [{ waitMs: -5 }, /^waitMs: /],
    [{ waitMs: Number.POSITIVE_INFINITY }, /^waitMs: /],
  ])("acquire(%j) too, and nothing is sent", async (options, message) => {
    const { open, memory } = setUp();
    await expect(
      open()
        .lock("k")
        .acquire(options as never),
    ).rejects.toThrow(message);
    expect(await keysOf(memory)).toEqual([]);
  });

  const misspelt = { wait: 1 } as never;
  test.each<[string, (locks: Locks) => unknown]>([
    ["acquire", (locks) => locks.lock("k").acquire(misspelt)],
    ["tryAcquire", (locks) => locks.lock("k").tryAcquire(misspelt)],
    ["run", (locks) => locks.lock("k").run(() => {}, misspelt)],
    ["inspect", (locks) => locks.lock("k").inspect(misspelt)],
    ["breakLock", (locks) => locks.lock("k").breakLock(misspelt)],
    ["requestRelease", (locks) => locks.lock("k").requestRelease("please", misspelt)],
    ["forget", (locks) => locks.lock("k").forget(misspelt)],
    ["semaphore", (locks) => locks.semaphore("k", { permits: 1, wait: 1 } as never)],
    ["semaphore.acquire", (locks) => locks.semaphore("k", { permits: 1 }).acquire(misspelt)],
    ["all.acquire", (locks) => locks.all(["k"]).acquire(misspelt)],
    ["all.tryAcquire", (locks) => locks.all(["k"]).tryAcquire(misspelt)],
    ["election", (locks) => locks.election("k", misspelt)],
    ["campaign", (locks) => locks.election("k").campaign(misspelt)],
    ["lead", (locks) => locks.election("k").lead(() => {}, misspelt)],
    ["once", (locks) => locks.once("k", 0, () => {}, misspelt)],
    ["history", (locks) => locks.history("k", misspelt)],
    ["cron", (locks) => locks.cron("k", "* * * * *", () => {}, misspelt)],
    ["runCoordinator", (locks) => locks.runCoordinator(misspelt)],
    ["arrive", (locks) => locks.latch("k", 1).arrive(misspelt)],
    ["latch.wait", (locks) => locks.latch("k", 1).wait(misspelt)],
    ["members", (locks) => locks.members("k", misspelt)],
    ["join", (locks) => locks.members("k").join(misspelt)],
  ])("%s refuses a misspelt option, and nothing is sent", async (_, call) => {
    const { open, memory } = setUp();
    await expect(async () => call(open())).rejects.toThrow(/^wait: is no option; known: /);
    expect(await keysOf(memory)).toEqual([]);
  });

  test("an object of another protocol under the prefix is refused by name, and our ticket withdrawn", async () => {
    const { open, memory } = setUp();
    await memory.put("k.lock.record", "{}");
    await expect(open().lock("k").acquire()).rejects.toMatchObject({
      code: "PROTOCOL_MISMATCH",
      kind: "corrupt",
      message: expect.stringContaining("k.lock.record"),
    });
    expect(await keysOf(memory)).toEqual(["k.lock.record"]);
  });

  test("a listing that never shows our own objects fails with a clear error and leaves nothing", async () => {
    const clock = new ManualClock();
    const memory = createMemoryStore({ clock });
    const blind = new FaultyStore(memory, { clock });
    blind.list = async function* () {
      yield { objects: [], serverTimeMs: clock.wallMs() };
    };
    const failed = createLocks(blind, { clock, visibilityTimeoutMs: 3000 }).lock("k").acquire();
    failed.catch(() => {});
    await clock.advance(4000);
    await expect(failed).rejects.toMatchObject({ code: "LISTING_NOT_VISIBLE", kind: "unsupported" });
    expect(await keysOf(memory)).toEqual([]);
  });

  test("a store that refuses is reported as it is; a passing fault costs time, not the lock", async () => {
    const denied = new StoreError("denied", { code: "STORE_ACCESS_DENIED", kind: "denied" });
    const { open } = setUp({}, (call) => (call.verb === "list" ? { error: denied } : undefined));
    await expect(open().lock("k").acquire()).rejects.toBe(denied);
    let lists = 0;
    const passing = setUp({}, (call) => (call.verb === "list" && ++lists < 3 ? { lost: "request" } : undefined));
    const lease = await passing.clock.settle(passing.open().lock("k").acquire());
    expect(lease.isHeld).toBe(true);
    await lease.release();
  });

  test("an unclear place is never written again: the ticket is withdrawn and a new one drawn", async () => {
    let places = 0;
    const { open, clock, memory } = setUp({}, (call) =>
      call.verb === "put" && call.key.endsWith("-1") && ++places === 1 ? { lost: "answer" } : undefined,
    );
    const keys: string[] = [];
    const locks = open({ onEvent: (event) => keys.push(event.type) });
    const lease = await clock.settle(locks.lock("k").acquire());
    expect(keys).toEqual(["withdrew", "acquired"]);
    expect(await keysOf(memory)).toEqual([`k.lock.${lease.ticketId}-0`, `k.lock.${lease.ticketId}-1`]);
    await lease.release();
  });

  test("NotAcquiredError and LockLostError are told apart by class and by code", () => {
    const contended: unknown = new NotAcquiredError("k", 5, []);
    expect(contended instanceof LockLostError).toBe(false);
    expect(contended instanceof NotAcquiredError).toBe(true);
  });
});
