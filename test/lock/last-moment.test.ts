/** What happens at the very moment at which something else ends: a loss, a release, an abort, a close. Both protocols. */
import { createMemoryStore, type Store } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, SeededRandom, type StoreCall } from "@bucketlock/core/testing";
import { createLocks, type Lease, LockLostError, type LocksOptions } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";
import { watched } from "./watched.js";

function setUp(options: LocksOptions = {}, plan: (call: StoreCall) => object | undefined = () => undefined) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock });
  let seed = 1;
  /** A process of its own. */
  const open = (store: Store = new FaultyStore(memory, { clock, plan })) => {
    const recorded = new RecordingStore(store);
    const locks = createLocks(recorded, { clock, random: new SeededRandom(seed++), leaseMs: 3000, ...options });
    return { store: recorded, locks, lock: locks.lock("k") };
  };
  return { clock, memory, open };
}

// Leases of a semaphore are passed on to nobody: they do not come by the queue of a process.
test.each(["lock", "semaphore"] as const)(
  "%s: a ticket removed at the moment it wins: its holder is told, however the two answers come",
  async (kind) => {
    const lineOf = ({ lock, locks }: Pick<ReturnType<ReturnType<typeof setUp>["open"]>, "lock" | "locks">) =>
      kind === "lock" ? lock : locks.semaphore("k", { permits: 1 });
    const outcomes = new Set<string>();
    // So many turns of the microtask queue after the listing that decides, the keeper hears that its ticket is gone.
    for (let turns = 0; turns < 25; turns++) {
      const { clock, memory, open } = setUp({ pollMaxMs: 50, requestTimeoutMs: 3000 });
      const first = await clock.settle(lineOf(open()).acquire());
      const isAhead = (key: string) => key.includes(first.ticketId);
      let asked = false;
      let isFree = false;
      let answer = () => {};
      const gone = new Promise<{ found: false }>((resolve) => {
        answer = () => resolve({ found: false });
      });
      const store: Store = {
        ...bound(memory),
        head(key, call) {
          // The keeper's first look at its own place.
          if (asked || !key.endsWith("-1") || isAhead(key)) return memory.head(key, call);
          asked = true;
          return gone;
        },
        async *list(prefix, call) {
          for await (const page of memory.list(prefix, call)) {
            if (asked && !isFree && !page.objects.some(({ key }) => isAhead(key))) {
              isFree = true;
              let later = Promise.resolve();
              for (let turn = 0; turn < turns; turn++) later = later.then(() => {});
              void later.then(answer);
            }
            yield page;
          }
        },
      };
      const waits = watched(lineOf(open(store)).acquire());
      await clock.advance(1100);
      expect(asked).toBe(true);
      await first.release();
      await clock.advance(1000);
      const lease = waits.value!;
      const { isHeld, signal } = lease;
      expect({ turns, isHeld, told: signal.aborted }).toEqual({ turns, isHeld, told: !isHeld });
      if (!isHeld) expect(() => lease.throwIfLost()).toThrow(LockLostError);
      outcomes.add(isHeld ? "held" : "lost");
      await clock.settle(lease.release().catch(() => {}));
    }
    // Late enough, it was held first.
    expect(outcomes).toEqual(new Set(["held", "lost"]));
  },
);

function bound(store: Store): Store {
  const { name, features } = store;
  return {
    name,
    features,
    put: store.put.bind(store),
    get: store.get.bind(store),
    head: store.head.bind(store),
    list: store.list.bind(store),
    listVersions: store.listVersions.bind(store),
    delete: store.delete.bind(store),
    deleteMany: store.deleteMany.bind(store),
    close: store.close.bind(store),
  };
}

test("a token's draw that is cut short by the release leaves no second marker", async () => {
  const { clock, open } = setUp({ localMs: 0 }, ({ verb, key }) =>
    verb === "put" && key.endsWith(".token.2") ? { answerMs: 500 } : undefined,
  );
  const { store, lock } = open();
  const first = await clock.settle(lock.acquire());
  await clock.settle(first.token());
  await clock.settle(first.release());
  const second = await clock.settle(lock.acquire());
  const token = watched(second.token());
  await clock.advance(10);
  await clock.settle(second.release());
  expect(token.error).toBeInstanceOf(LockLostError);
  const left: string[] = [];
  for await (const page of store.list("")) left.push(...page.objects.map(({ key }) => key));
  expect(left).toEqual(["k.lock.token.2"]);
});

describe.each(["two-object", "conditional"] as const)("%s", (protocol) => {
  /** The second of two leases by one ticket, whose token must be drawn: with a store that takes its time from then on. */
  async function whoDraws() {
    let isSlow = false;
    const { clock, open } = setUp({ protocol, localMs: 60_000 }, () => (isSlow ? { answerMs: 500 } : undefined));
    const { store, lock, locks } = open();
    const first = await clock.settle(lock.acquire());
    await clock.settle(first.token());
    const next = watched(lock.acquire());
    await clock.settle(first.release());
    const lease: Lease = next.value!;
    isSlow = true;
    const answerAgain = () => {
      isSlow = false;
    };
    return { clock, store, lock, locks, lease, answerAgain };
  }

  test("after a release, or close, nothing draws a token any more, and who wanted it is told", async () => {
    for (const how of ["release", "close"] as const) {
      const { clock, store, locks, lease, answerAgain } = await whoDraws();
      const token = watched(lease.token());
      await clock.advance(10);
      expect(token).toEqual({});
      answerAgain();
      await clock.settle(how === "release" ? lease.release() : locks.close({ keepStore: true }));
      expect(token.error).toBeInstanceOf(LockLostError);
      store.clear();
      await clock.advance(60_000);
      expect(store.calls).toEqual([]);
    }
  });

  test("who does not want to wait for a token any more leaves at once, whoever draws it", async () => {
    const { clock, lease, answerAgain } = await whoDraws();
    const aborts = [new AbortController(), new AbortController()];
    const tokens = [...aborts.map(({ signal }) => watched(lease.token({ signal }))), watched(lease.token())];
    await clock.advance(10);
    aborts[1]!.abort("mine");
    await clock.advance(0);
    expect(tokens.map(({ error }) => error)).toEqual([undefined, "mine", undefined]);
    answerAgain();
    aborts[0]!.abort("mine too");
    await clock.advance(10);
    expect(tokens[0]).toEqual({ error: "mine too" });
    // It draws one for itself.
    expect(tokens[2]).toEqual({ value: expect.any(BigInt) });
    await clock.settle(lease.release());
  });

  test("a try does not wait beside patient readers for a store that does not answer", async () => {
    let isDown = true;
    const plan = () => (isDown ? { lost: "request" } : undefined);
    const { clock, open } = setUp({ protocol, requestTimeoutMs: 300, visibilityTimeoutMs: 1000 }, plan);
    const { lock } = open();
    const patient = watched(lock.acquire({ mode: "shared", waitMs: 600_000 }));
    await clock.advance(10);
    const tried = watched(lock.tryAcquire({ mode: "shared" }));
    await clock.advance(900);
    expect(tried).toMatchObject({ error: { code: "STORE_UNREACHABLE" } });
    expect(patient).toEqual({});
    isDown = false;
    await clock.advance(5_000);
    expect(patient.value?.isHeld).toBe(true);
    const again = await clock.settle(lock.tryAcquire({ mode: "shared" }));
    expect(again?.isHeld).toBe(true);
    await clock.settle(Promise.all([again!.release(), patient.value!.release()]));
  });

  test("a reader whose turn comes by a writer's abort is not served by a lease that ran out unseen", async () => {
    const { clock, open } = setUp({ protocol, localMs: 60_000 });
    const { lock } = open();
    const reader = await clock.settle(lock.acquire({ mode: "shared" }));
    const abort = new AbortController();
    const writer = watched(lock.acquire({ signal: abort.signal }));
    await clock.advance(10);
    const behind = watched(lock.acquire({ mode: "shared" }));
    await clock.advance(10);
    expect(behind).toEqual({});
    // No timer fires while a machine sleeps.
    clock.suspend(10_000);
    abort.abort("mine");
    await clock.advance(0);
    expect(writer.error).toBe("mine");
    await clock.advance(20_000);
    expect(behind.value?.isHeld).toBe(true);
    expect(behind.value?.ticketId).not.toBe(reader.ticketId);
    await clock.settle(behind.value!.release());
  });

  test("who asks at the moment a loss is noticed waits where close finds it, and in one line with those after it", async () => {
    let isDown = false;
    const { clock, open } = setUp({ protocol }, () => (isDown ? { lost: "request" } : undefined));
    const { lock, locks } = open();
    const lost = await clock.settle(lock.acquire({ mode: "shared" }));
    clock.suspend(10_000);
    // Nobody but this lease is there, and this call is the first to see that it is over.
    const first = watched(lock.acquire({ mode: "shared", waitMs: 600_000 }));
    expect(lost.signal.aborted).toBe(true);
    const second = watched(lock.acquire({ mode: "shared", waitMs: 600_000 }));
    await clock.advance(100);
    expect(first.value?.ticketId).toBe(second.value?.ticketId);
    await clock.settle(Promise.all([first.value!.release(), second.value!.release()]));

    const held = await clock.settle(lock.acquire({ mode: "shared" }));
    clock.suspend(10_000);
    isDown = true;
    const patient = watched(lock.acquire({ mode: "shared", waitMs: 600_000 }));
    expect(held.signal.aborted).toBe(true);
    await clock.advance(100);
    const closed = watched(locks.close({ keepStore: true }).then(() => true));
    await clock.advance(30_000);
    expect(patient).toMatchObject({ error: { code: "LOCKS_CLOSED" } });
    expect(closed.value).toBe(true);
  });

  test("breakLock refuses a ticket id where it wants a list of them", async () => {
    const { open } = setUp({ protocol });
    const ticketIds = "01HF7YAT00JP5BX8AA2V7NK8WJ" as unknown as string[];
    await expect(open().lock.breakLock({ ticketIds, olderThanMs: 0 })).rejects.toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/^ticketIds: /),
    });
  });
});
