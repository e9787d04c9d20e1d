/** Fencing tokens of both protocols on a memory store: strictly increasing for ever, whatever happens in between; markers swept. */
import { createMemoryStore, type MemoryStoreOptions, type Store } from "@bucketlock/core";
import {
  type Fault,
  FaultyStore,
  ManualClock,
  RecordingStore,
  SeededRandom,
  type StoreCall,
} from "@bucketlock/core/testing";
import { createLocks, type Lease, LockLostError, type Locks, type LocksOptions } from "@bucketlock/lock";
import { afterEach, describe, expect, test } from "vitest";

const protocols = ["two-object", "conditional"] as const;
type Protocol = (typeof protocols)[number];
const opened: Locks[] = [];
let clock = new ManualClock();

afterEach(async () => {
  for (const locks of opened.splice(0)) await clock.settle(locks.close().catch(() => {}));
});

type Plan = (call: StoreCall) => Fault | undefined;

function setUp(memoryOptions: MemoryStoreOptions = {}) {
  clock = new ManualClock();
  const memory = createMemoryStore({ clock, ...memoryOptions });
  let seed = 1;
  /** As a new process: nothing in common but the store. */
  const process = (protocol: Protocol, more: LocksOptions & { plan?: Plan } = {}) => {
    const { plan, ...options } = more;
    const store = new RecordingStore(plan === undefined ? memory : new FaultyStore(memory, { clock, plan }));
    const locks = createLocks(store, { protocol, clock, random: new SeededRandom(seed++), leaseMs: 3000, ...options });
    opened.push(locks);
    return { store, locks, lock: locks.lock("k") };
  };
  return { memory, process };
}

async function keysOf(store: Store, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list(prefix)) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

function expectRising(tokens: readonly bigint[]): void {
  for (const [at, token] of tokens.entries()) {
    if (at > 0) expect(token, `token ${at} of ${tokens.join(", ")}`).toBeGreaterThan(tokens[at - 1]!);
  }
}

describe.each(protocols)("tokens of the %s protocol", (protocol) => {
  test("rise across release, expiry, take-over, break and restart", async () => {
    const { process } = setUp();
    const tokens: bigint[] = [];
    const draw = async (lease: Lease) => tokens.push(await clock.settle(lease.token()));

    const a = process(protocol);
    for (let round = 0; round < 3; round++) {
      const lease = await clock.settle(a.lock.acquire());
      await draw(lease);
      // Asked again, it is the same.
      expect(await lease.token()).toBe(tokens.at(-1));
      await clock.settle(lease.release());
    }
    // Expiry and take-over: abandoned, nobody renews.
    const left = await clock.settle(a.lock.acquire());
    await draw(left);
    await clock.settle(left.abandon());
    const b = process(protocol);
    const heir = await clock.settle(b.lock.acquire());
    await draw(heir);
    // Broken while it is alive.
    const c = process(protocol);
    await clock.settle(c.lock.breakLock({ olderThanMs: 0 }));
    const next = await clock.settle(c.lock.acquire());
    await draw(next);
    await clock.settle(next.release());
    // A new process that knows nothing.
    const last = await clock.settle(process(protocol).lock.acquire());
    await draw(last);
    expect(tokens).toHaveLength(7);
    expectRising(tokens);
  });

  test("of shared holders are above every earlier exclusive one and below every later one", async () => {
    const { process } = setUp();
    const before = await clock.settle(process(protocol).lock.acquire());
    const low = await clock.settle(before.token());
    await clock.settle(before.release());
    const shared: Lease[] = [];
    for (let at = 0; at < 3; at++) shared.push(await clock.settle(process(protocol).lock.acquire({ mode: "shared" })));
    const middle: bigint[] = [];
    for (const lease of shared) middle.push(await clock.settle(lease.token()));
    const waiting = process(protocol).lock.acquire();
    for (const lease of shared) await clock.settle(lease.release());
    const high = await clock.settle((await clock.settle(waiting)).token());
    for (const token of middle) {
      expect(token).toBeGreaterThan(low);
      expect(token).toBeLessThan(high);
    }
  });

  test("a broken holder that has not noticed never shares its token with the next one", async () => {
    const { process } = setUp();
    const a = await clock.settle(process(protocol).lock.acquire());
    const other = process(protocol);
    await clock.settle(other.lock.breakLock({ olderThanMs: 0 }));
    const b = await clock.settle(other.lock.acquire());
    // It believes to hold: no renewal has told it yet.
    expect(a.isHeld).toBe(true);
    const late = await clock.settle(a.token().catch((error: unknown) => error));
    const token = await clock.settle(b.token());
    if (typeof late === "bigint") expect(late).toBeLessThan(token);
    else expect(late).toBeInstanceOf(LockLostError);
  });

  test("are drawn once by a lease, however often asked for at once", async () => {
    const { process } = setUp();
    const lease = await clock.settle(process(protocol).lock.acquire());
    const tokens = await clock.settle(Promise.all([lease.token(), lease.token(), lease.token()]));
    expect(new Set(tokens).size).toBe(1);
  });

  test("are not given by a lease that is over", async () => {
    const { process } = setUp();
    const a = process(protocol);
    const released = await clock.settle(a.lock.acquire());
    await clock.settle(released.release());
    await expect(released.token()).rejects.toBeInstanceOf(LockLostError);
    const stopped = await clock.settle(a.lock.acquire());
    clock.suspend(60_000);
    await expect(stopped.token()).rejects.toMatchObject({ code: "LEASE_LOST", kind: "lost" });
  });
});

describe("tokens and a change of protocols", () => {
  test("the conditional protocol goes on above the markers of the two-object one", async () => {
    const { process } = setUp();
    const tokens: bigint[] = [];
    for (const protocol of ["two-object", "two-object", "conditional", "conditional"] as const) {
      const lease = await clock.settle(process(protocol).lock.acquire());
      tokens.push(await clock.settle(lease.token()));
      await clock.settle(lease.release());
    }
    expectRising(tokens);
  });

  test("a two-object holder that came and went while the record was being made has the lower token", async () => {
    const { memory, process } = setUp();
    let theirs: bigint | undefined;
    const store = new Proxy(memory, {
      get(target, name) {
        if (name === "put")
          return async (...call: Parameters<Store["put"]>) => {
            // After the look for the other protocol, before the record is there to refuse it.
            if (theirs === undefined) {
              const lease = await process("two-object").lock.acquire();
              theirs = await lease.token();
              await lease.release();
            }
            return target.put(...call);
          };
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const locks = createLocks(store, { protocol: "conditional", clock, random: new SeededRandom(99), leaseMs: 3000 });
    opened.push(locks);
    const lease = await clock.settle(locks.lock("k").acquire());
    expectRising([theirs!, await lease.token()]);
  });

  test.each([
    [true, 2n],
    [false, 1n],
  ])("back again is only possible after forget (keepToken: %s): the next token is %d", async (keepToken, next) => {
    const { memory, process } = setUp({ versions: true });
    const conditional = process("conditional");
    const lease = await clock.settle(conditional.lock.acquire());
    await clock.settle(lease.release());
    await expect(clock.settle(process("two-object").lock.acquire())).rejects.toMatchObject({
      code: "PROTOCOL_MISMATCH",
    });
    expect(await clock.settle(conditional.lock.forget({ keepToken }))).toBe(true);
    expect(await clock.settle(conditional.lock.forget())).toBe(false);
    const kept: string[] = [];
    for await (const page of memory.listVersions("")) kept.push(...page.versions.map(({ key }) => key));
    expect(kept).toEqual(keepToken ? ["k.lock.token.1"] : []);
    const back = await clock.settle(process("two-object").lock.acquire());
    expect(await clock.settle(back.token())).toBe(next);
  });
});

describe("markers of the two-object protocol", () => {
  test("a lock that nobody drew a token from leaves its prefix empty, a take-over included", async () => {
    const { memory, process } = setUp();
    const left = await clock.settle(process("two-object").lock.acquire());
    await clock.settle(left.abandon());
    const heir = await clock.settle(process("two-object").lock.acquire());
    await clock.settle(heir.release());
    expect(await keysOf(memory)).toEqual([]);
  });

  test.each([false, true])("only the newest stays (versions kept: %s)", async (versions) => {
    const { memory, process } = setUp({ versions });
    for (let round = 0; round < 3; round++) {
      const lease = await clock.settle(process("two-object").lock.acquire());
      await clock.settle(lease.token());
      await clock.settle(lease.release());
    }
    expect(await keysOf(memory)).toEqual(["k.lock.token.3"]);
    const kept: string[] = [];
    for await (const page of memory.listVersions("")) kept.push(...page.versions.map(({ key }) => key));
    expect(kept).toEqual(["k.lock.token.3"]);
  });

  test("drawing costs a LIST, a PUT and a HEAD; asking again costs nothing", async () => {
    const { process } = setUp();
    const { store, lock } = process("two-object");
    const lease = await clock.settle(lock.acquire());
    store.clear();
    await clock.settle(lease.token());
    expect(store.verbs).toEqual(["list", "put", "head"]);
    await lease.token();
    expect(store.calls).toHaveLength(3);
  });

  test("a paused holder that finishes its marker late gets no token, and the next one's is above its marker", async () => {
    for (const earlier of [0, 4]) {
      const { memory, process } = setUp();
      if (earlier > 0) await memory.put(`k.lock.token.${earlier}`, "1");
      // The marker's PUT takes longer than the lease and the take-over; nor do renewals get through.
      const plan: Plan = (call) => {
        if (call.verb !== "put") return undefined;
        if (call.key.includes(".token.")) return { arriveMs: 20_000 };
        return call.key.endsWith("-0") && paused ? { lost: "request" } : undefined;
      };
      let paused = false;
      const slow = process("two-object", { plan, requestTimeoutMs: 3000 });
      const a = await clock.settle(slow.lock.acquire());
      paused = true;
      const late = a.token().catch((error: unknown) => error);
      const b = await clock.settle(process("two-object").lock.acquire());
      const token = await clock.settle(b.token());
      await clock.advance(30_000);
      expect(await late).toBeInstanceOf(Error);
      expect(await late).toMatchObject({ kind: expect.stringMatching(/^(lost|unknown)$/) });
      await expect(a.token()).rejects.toBeInstanceOf(LockLostError);
      expect(token).toBeGreaterThan(BigInt(earlier));
      const c = await clock.settle(b.release().then(() => process("two-object").lock.acquire()));
      expect(await clock.settle(c.token())).toBeGreaterThan(token);
    }
  });

  test("a marker whose writing is unclear is a typed error, and the next try draws a higher one", async () => {
    const { memory, process } = setUp();
    let faults = 1;
    const plan: Plan = ({ verb, key }) =>
      verb === "put" && key.includes(".token.") && faults-- > 0 ? { lost: "answer" } : undefined;
    const lease = await clock.settle(process("two-object", { plan }).lock.acquire());
    await expect(clock.settle(lease.token())).rejects.toMatchObject({ code: "WRITE_UNKNOWN", kind: "unknown" });
    expect(await clock.settle(lease.token())).toBe(2n);
    await clock.settle(lease.release());
    expect(await keysOf(memory)).toEqual(["k.lock.token.2"]);
  });

  test("an earlier holder's marker that the deciding listing missed is seen when the token is drawn", async () => {
    const { memory, process } = setUp();
    const lease = await clock.settle(process("two-object").lock.acquire());
    // A LIST is no snapshot: it may read the markers first, and the tickets when their owner has drawn and gone.
    await memory.put("k.lock.token.1", "1");
    expect(await clock.settle(lease.token())).toBe(2n);
  });

  test("a call that gives up leaves the other callers their token", async () => {
    const { process } = setUp();
    const plan: Plan = ({ verb, key }) => (verb === "put" && key.includes(".token.") ? { arriveMs: 50 } : undefined);
    const lease = await clock.settle(process("two-object", { plan }).lock.acquire());
    const giveUp = new AbortController();
    const first = lease.token({ signal: giveUp.signal });
    const second = lease.token();
    await clock.advance(10);
    giveUp.abort("no more");
    await expect(first).rejects.toBe("no more");
    expect(await clock.settle(second)).toBeGreaterThan(0n);
  });
});
