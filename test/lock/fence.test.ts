/** Fenced writes: who is refused, what is read back, what is said about the guard. On a memory store and a manual clock. */
import { createMemoryStore, probe, type Store, StoreError } from "@bucketlock/core";
import {
  type Fault,
  FaultyStore,
  ManualClock,
  RecordingStore,
  SeededRandom,
  type StoreCall,
} from "@bucketlock/core/testing";
import {
  createLocks,
  FencedError,
  type FenceOptions,
  type FencingLease,
  fence,
  LockLostError,
  type Locks,
} from "@bucketlock/lock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as defects from "../core/probe/defects.js";

let clock: ManualClock;
let memory: Store;
let random: SeededRandom;
const opened: Locks[] = [];

beforeEach(() => {
  clock = new ManualClock();
  memory = createMemoryStore({ clock });
  random = new SeededRandom(1);
});
afterEach(async () => {
  for (const locks of opened.splice(0)) await clock.settle(locks.close().catch(() => {}));
});

/** A lease as far as a fence sees one. */
function leaseOf(token: bigint): FencingLease & { lose(): void } {
  const controller = new AbortController();
  const lost = new LockLostError("k", "t", "the test says so");
  return {
    signal: controller.signal,
    token: async () => token,
    throwIfLost: () => controller.signal.throwIfAborted(),
    lose: () => controller.abort(lost),
  };
}

const fenceOf = (token: bigint, options: FenceOptions & { store?: Store } = {}) => {
  const { store = memory, ...more } = options;
  return fence(store, leaseOf(token), { clock, random, ...more });
};
const faulty = (plan: (call: StoreCall) => Fault | undefined) => new FaultyStore(memory, { clock, plan });
/** The store as one whose conditional writes nobody vouches for. */
function unproved(store: Store, conditionalWrites: "no" | "unknown"): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "features") return { ...target.features, conditionalWrites };
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
const textOf = async (store: Store = memory) => {
  const answer = await store.get("doc");
  return answer.found ? new TextDecoder().decode(answer.body) : undefined;
};

describe("put and get", () => {
  test("the object carries the token; get answers body, token and etag, and the user's metadata only", async () => {
    const put = await fenceOf(3n).put("doc", "one", { metadata: { colour: "red" }, contentType: "text/plain" });
    expect(put).toMatchObject({ token: 3n, guarded: "conditional", etag: expect.any(String) });
    const raw = await memory.get("doc");
    expect(raw.found && raw.metadata).toMatchObject({ "fencing-token": "3", colour: "red" });
    const read = await fenceOf(3n).get("doc");
    expect(read).toMatchObject({ found: true, token: 3n, etag: put.etag, metadata: { colour: "red" } });
    expect(read.found && new TextDecoder().decode(read.body)).toBe("one");
    expect(await fenceOf(3n).get("gone")).toEqual({ found: false, token: 0n });
  });

  test("equal and higher tokens write, a lower one is refused and changes nothing", async () => {
    await fenceOf(3n).put("doc", "a");
    await fenceOf(3n).put("doc", "b");
    await fenceOf(5n).put("doc", "c");
    const refused = fenceOf(4n).put("doc", "d");
    await expect(refused).rejects.toBeInstanceOf(FencedError);
    await expect(refused).rejects.toMatchObject({
      code: "FENCED",
      kind: "lost",
      retryable: false,
      details: { key: "doc", token: 4n, seen: 5n, mayHaveLanded: false },
    });
    expect(await textOf()).toBe("c");
  });

  test("an object that nobody fenced counts as token 0", async () => {
    await memory.put("doc", "plain");
    expect(await fenceOf(1n).get("doc")).toMatchObject({ token: 0n, writeId: undefined });
    expect(await fenceOf(1n).put("doc", "fenced")).toMatchObject({ guarded: "conditional" });
  });

  test("what is no token of ours is never guessed at", async () => {
    await memory.put("doc", "x", { metadata: { "fencing-token": "many" } });
    await expect(fenceOf(1n).put("doc", "y")).rejects.toMatchObject({ code: "FENCE_CORRUPT", kind: "corrupt" });
    await expect(fenceOf(1n).get("doc")).rejects.toMatchObject({ code: "FENCE_CORRUPT" });
  });

  test("bad arguments are refused by name", async () => {
    expect(() => fence(undefined as never, leaseOf(1n))).toThrow(/store/);
    expect(() => fence(memory, {} as never)).toThrow(/lease/);
    expect(() => fenceOf(1n, { stamp: "head" as never })).toThrow(/stamp/);
    expect(() => fenceOf(1n, { store: unproved(memory, "no"), conditional: true })).toThrow(/conditional/);
    await expect(fenceOf(1n).put("doc", 7 as never)).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(fenceOf(1n).put("doc", "x", { timeoutMs: -1 })).rejects.toThrow(/timeoutMs/);
    await expect(fenceOf(1n).put("doc", "x", { metadata: { "fencing-token": "9" } })).rejects.toThrow(/fencing-/);
  });

  test("costs a HEAD and a PUT", async () => {
    const store = new RecordingStore(memory);
    await fenceOf(1n, { store }).put("doc", "x");
    expect(store.verbs).toEqual(["head", "put"]);
  });
});

describe("where the write lands", () => {
  /** Another holder writes after our look and before our write. */
  const between = (act: () => Promise<unknown>) => {
    let once = true;
    return new Proxy(memory, {
      get(target, name) {
        if (name === "put")
          return async (...call: Parameters<Store["put"]>) => {
            if (once) {
              once = false;
              await act();
            }
            return target.put(...call);
          };
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };

  test("conditional: a later holder's write between look and write refuses ours, on a new object and on an old one", async () => {
    for (const before of [undefined, "old"]) {
      memory = createMemoryStore({ clock });
      if (before !== undefined) await memory.put("doc", before);
      const store = between(() => fenceOf(5n).put("doc", "theirs"));
      await expect(fenceOf(4n, { store }).put("doc", "ours")).rejects.toMatchObject({ code: "FENCED" });
      expect(await textOf()).toBe("theirs");
    }
  });

  test("conditional: an earlier holder's write in between does not stop ours", async () => {
    const store = between(() => fenceOf(3n).put("doc", "theirs"));
    expect(await fenceOf(4n, { store }).put("doc", "ours")).toMatchObject({ guarded: "conditional" });
    expect(await textOf()).toBe("ours");
  });

  test.each(["no", "unknown"] as const)("conditional writes %s: looks, writes, and says so", async (known) => {
    await fenceOf(5n).put("doc", "theirs");
    const store = unproved(memory, known);
    expect(await fenceOf(6n, { store }).put("doc", "ours")).toMatchObject({ guarded: "checked" });
    await expect(fenceOf(5n, { store }).put("doc", "late")).rejects.toMatchObject({ code: "FENCED" });
    // What it cannot see, and why it does not call itself conditional.
    const blind = unproved(
      between(() => fenceOf(8n).put("doc", "later")),
      known,
    );
    expect(await fenceOf(7n, { store: blind }).put("doc", "slips by")).toMatchObject({ guarded: "checked" });
    expect(await textOf()).toBe("slips by");
  });

  test("conditional: true after a probe makes an unknown store conditional, false any store checked", async () => {
    const store = unproved(memory, "unknown");
    expect(await fenceOf(1n, { store, conditional: true }).put("doc", "x")).toMatchObject({ guarded: "conditional" });
    expect(await fenceOf(1n, { conditional: false }).put("doc", "x")).toMatchObject({ guarded: "checked" });
  });

  test("the report of a probe decides: conditional where the bucket passed, with its form of ETags, else checked", async () => {
    const as = (store: Store) =>
      defects.changed(store, {
        name: "s3://bucket/x/",
        features: { ...memory.features, conditionalWrites: "unknown" },
      });
    const sound = as(memory);
    const passed = await probe(sound);
    await fenceOf(1n, { store: sound, probed: passed }).put("doc", "a");
    expect(await fenceOf(1n, { store: sound, probed: passed }).put("doc", "b")).toMatchObject({
      guarded: "conditional",
    });
    expect(await fenceOf(1n, { store: sound, probed: passed, conditional: false }).put("doc", "c")).toMatchObject({
      guarded: "checked",
    });
    const unsound = as(defects.ignoresConditions(createMemoryStore()));
    const failed = await probe(unsound);
    expect(await fenceOf(1n, { store: unsound, probed: failed }).put("doc", "a")).toMatchObject({ guarded: "checked" });
    expect(() => fenceOf(1n, { store: unsound, probed: failed, conditional: true })).toThrow(/not safe/);
    expect(() => fenceOf(1n, { store: memory, probed: passed })).toThrow(/^probed: /);
  });

  test("the same bytes have the same ETag: with the stamp in the metadata a late write slips by, in the body never", async () => {
    const late = async (stamp: "metadata" | "body") => {
      memory = createMemoryStore({ clock });
      await fenceOf(1n, { stamp }).put("doc", "same");
      const store = between(() => fenceOf(5n, { stamp }).put("doc", "same"));
      return fenceOf(4n, { store, stamp }).put("doc", "late");
    };
    // The limit that docs/fencing.md tells; a store that gives unique ETags (the file store) does not have it.
    expect(await late("metadata")).toMatchObject({ guarded: "conditional" });
    await expect(late("body")).rejects.toMatchObject({ code: "FENCED" });
    const read = await fenceOf(9n).get("doc");
    expect(read.found && new TextDecoder().decode(read.body)).toBe("same");
  });

  test("a body that lost its stamp is not taken for the user's", async () => {
    await fenceOf(1n, { stamp: "body" }).put("doc", new Uint8Array([1, 2, 3]));
    const read = await fenceOf(1n).get("doc");
    expect(read.found && [...read.body]).toEqual([1, 2, 3]);
    const raw = await memory.head("doc");
    if (!raw.found) throw new Error("it is gone");
    await memory.put("doc", "edited by hand", { metadata: raw.metadata });
    await expect(fenceOf(1n).get("doc")).rejects.toMatchObject({ code: "FENCE_CORRUPT" });
  });
});

describe("basedOn", () => {
  test.each(["metadata", "body"] as const)(
    "writes only what was made from what is there (stamp in the %s)",
    async (stamp) => {
      const mine = fenceOf(4n, { stamp });
      const nothing = await mine.get("doc");
      await mine.put("doc", "1", { basedOn: nothing });
      await expect(mine.put("doc", "1", { basedOn: nothing })).rejects.toMatchObject({
        code: "OBJECT_CHANGED",
        kind: "contended",
        retryable: true,
      });
      const one = await mine.get("doc");
      // An earlier holder's write that came late, but before ours: allowed by its token, and not to be lost unseen.
      await fenceOf(4n, { stamp }).put("doc", "1 and late");
      await expect(mine.put("doc", "2", { basedOn: one })).rejects.toMatchObject({ code: "OBJECT_CHANGED" });
      expect(await mine.put("doc", "2", { basedOn: await mine.get("doc") })).toMatchObject({ token: 4n });
      await fenceOf(6n, { stamp }).put("doc", "3");
      await expect(mine.put("doc", "4", { basedOn: one })).rejects.toMatchObject({ code: "FENCED" });
    },
  );

  test("needs no look where no two writes have the same ETag", async () => {
    const store = new RecordingStore(memory);
    const mine = fenceOf(4n, { stamp: "body", store });
    await mine.put("doc", "1");
    const basedOn = await mine.get("doc");
    store.clear();
    await mine.put("doc", "2", { basedOn });
    expect(store.verbs).toEqual(["put"]);
  });
});

describe("unclear answers", () => {
  const lose = (lost: "answer" | "request", times: number) => {
    let left = times;
    return faulty(({ verb }) => (verb === "put" && left-- > 0 ? { lost } : undefined));
  };

  test.each(["answer", "request"] as const)("a lost %s is read back: written once, or written again", async (lost) => {
    const recording = new RecordingStore(lose(lost, 1));
    const put = await clock.settle(fenceOf(2n, { store: recording }).put("doc", "x"));
    expect(put).toMatchObject({ token: 2n, guarded: "conditional", etag: expect.any(String) });
    expect(recording.count("put")).toBe(lost === "answer" ? 1 : 2);
    expect(await textOf()).toBe("x");
  });

  test("a write that lands late is known for our own", async () => {
    let first = true;
    const store = faulty(({ verb }) => {
      if (verb !== "put" || !first) return undefined;
      first = false;
      return { arriveMs: 5, lost: "answer" };
    });
    expect(await clock.settle(fenceOf(2n, { store }).put("doc", "x"))).toMatchObject({ token: 2n });
    await clock.advance(1000);
    await store.idle();
    expect(await fenceOf(2n).get("doc")).toMatchObject({ token: 2n });
  });

  test("a conflict that came of our own write sent twice is no conflict", async () => {
    // A proxy between us and the store repeats the request, and answers as the second one was answered.
    const store = new Proxy(memory, {
      get(target, name) {
        if (name === "put")
          return async (...call: Parameters<Store["put"]>) => {
            await target.put(...call);
            return target.put(...call);
          };
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const recording = new RecordingStore(store);
    const mine = fenceOf(2n, { store: recording });
    const put = mine.put("doc", "x", { basedOn: await mine.get("doc") });
    expect(await clock.settle(put)).toMatchObject({ token: 2n, guarded: "conditional" });
    expect(recording.count("put")).toBe(1);
  });

  test("an unclear write that a later holder wrote over is refused, and may have landed", async () => {
    const store = faulty(({ verb }) => (verb === "put" ? { lost: "answer" } : undefined));
    const late = fenceOf(2n, { store }).put("doc", "x");
    const caught = late.catch((error: unknown) => error);
    await fenceOf(3n).put("doc", "theirs");
    expect(await clock.settle(caught)).toMatchObject({ code: "FENCED", details: { mayHaveLanded: true } });
  });

  test("is bounded by timeoutMs: WRITE_UNKNOWN when it may have landed, the store's own error when nothing was written", async () => {
    const gone = new StoreError("gone", { code: "STORE_UNREACHABLE", kind: "unavailable" });
    let written = false;
    const afterWrite = faulty(({ verb }) => {
      if (verb === "put") written = true;
      if (!written) return undefined;
      return verb === "put" ? { lost: "answer" } : { error: gone };
    });
    const startMs = clock.monotonicMs();
    await expect(
      clock.settle(fenceOf(2n, { store: afterWrite }).put("doc", "x", { timeoutMs: 2000 })),
    ).rejects.toMatchObject({ code: "WRITE_UNKNOWN", kind: "unknown", cause: gone });
    expect(clock.monotonicMs() - startMs).toBeLessThanOrEqual(2500);
    const never = faulty(() => ({ error: gone }));
    await expect(clock.settle(fenceOf(2n, { store: never }).put("doc", "x"))).rejects.toBe(gone);
  });

  test("others that keep changing the object end it with WRITE_CONFLICTED", async () => {
    const store = new Proxy(memory, {
      get(target, name) {
        if (name === "put") return async () => ({ outcome: "conflict" });
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await expect(clock.settle(fenceOf(2n, { store }).put("doc", "x", { timeoutMs: 300 }))).rejects.toMatchObject({
      code: "WRITE_CONFLICTED",
      kind: "contended",
    });
  });

  test("a refusal for good is thrown as it is", async () => {
    const denied = new StoreError("no", { code: "STORE_ACCESS_DENIED", kind: "denied" });
    const store = faulty(({ verb }) => (verb === "put" ? { error: denied } : undefined));
    await expect(fenceOf(2n, { store }).put("doc", "x")).rejects.toBe(denied);
  });
});

describe("the lease", () => {
  test("lost before: nothing is written; lost while the store worked: no success", async () => {
    const store = new RecordingStore(memory);
    const lease = leaseOf(2n);
    lease.lose();
    await expect(fence(store, lease, { clock, random }).put("doc", "x")).rejects.toBeInstanceOf(LockLostError);
    expect(store.calls).toEqual([]);

    const short = leaseOf(2n);
    const losing = faulty(({ verb }) => {
      if (verb === "head") short.lose();
      return undefined;
    });
    await expect(fence(losing, short, { clock, random }).put("doc", "x")).rejects.toBeInstanceOf(LockLostError);
    expect(await textOf()).toBeUndefined();
  });

  test("the caller's own signal ends it with its own reason", async () => {
    const store = faulty(({ verb }) => (verb === "head" ? { answerMs: 5000 } : undefined));
    const giveUp = new AbortController();
    const put = fenceOf(2n, { store }).put("doc", "x", { signal: giveUp.signal });
    const caught = expect(put).rejects.toBe("enough");
    await clock.advance(10);
    giveUp.abort("enough");
    await caught;
    await expect(fenceOf(2n).put("doc", "x", { signal: AbortSignal.abort("early") })).rejects.toBe("early");
    expect(await textOf()).toBeUndefined();
  });

  test.each(["two-object", "conditional"] as const)(
    "a paused holder's late write is refused (%s protocol)",
    async (protocol) => {
      const open = () => {
        const locks = createLocks(memory, {
          protocol,
          clock,
          random: new SeededRandom(opened.length + 7),
          leaseMs: 3000,
        });
        opened.push(locks);
        return locks.lock("k");
      };
      const paused = await clock.settle(open().acquire());
      await clock.settle(fence(memory, paused, { clock, random }).put("doc", "first"));
      // It was stopped after its last check, so the fence it uses cannot ask its lease any more: only the token is left.
      const token = await paused.token();
      await clock.settle(paused.abandon());
      const heir = await clock.settle(open().acquire());
      await clock.settle(fence(memory, heir, { clock, random }).put("doc", "second"));
      await expect(fenceOf(token).put("doc", "late")).rejects.toMatchObject({ code: "FENCED" });
      await expect(fence(memory, paused, { clock, random }).put("doc", "late")).rejects.toBeInstanceOf(LockLostError);
      expect(await textOf()).toBe("second");
      await clock.settle(heir.release());
    },
  );
});
