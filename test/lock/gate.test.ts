/** The gate before the conditional protocol: only a probed bucket that passed is let through, with its own form of ETags, and nothing is probed twice. */
import { createMemoryStore, type ProbeReport, probe, type Store } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks, type LocksOptions } from "@bucketlock/lock";
import { afterEach, describe, expect, test } from "vitest";
import * as defects from "../core/probe/defects.js";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** As an S3 store: only a probe can tell. */
function unknown(
  inner: Store,
  defect: (store: Store) => Store = (store) => store,
  more: Partial<Store["features"]> = {},
) {
  const features = { ...inner.features, conditionalWrites: "unknown" as const, ...more };
  return new RecordingStore(defects.changed(defect(inner), { features, name: "s3://bucket/locks/" }));
}

function locksOn(store: Store, options: LocksOptions = {}) {
  const locks = createLocks(store, { protocol: "conditional", ...options });
  closing.push(() => locks.close());
  return locks;
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { objects } of store.list("")) keys.push(...objects.map(({ key }) => key));
  return keys;
}

describe("without a report", () => {
  test("the store is probed once before the first acquire, whoever asks, and no trace stays", async () => {
    const inner = createMemoryStore();
    const store = unknown(inner);
    const locks = locksOn(store);
    expect(store.calls).toEqual([]);
    const leases = await Promise.all(["a", "b", "c"].map((key) => locks.lock(key).acquire()));
    const probed = store.calls.filter(({ key }) => key.startsWith("bucketlock-probe-")).length;
    expect(probed).toBeGreaterThan(100);
    expect(await keysOf(inner)).toEqual(["a.lock.record", "b.lock.record", "c.lock.record"]);
    await Promise.all(leases.map((lease) => lease.release()));
    store.clear();
    await (await locks.lock("a").acquire()).release();
    expect(store.calls.length).toBeLessThan(4);
  });

  test("a bucket that fails is refused with the reasons, again without a request, and nothing is written", async () => {
    const inner = createMemoryStore();
    const store = unknown(inner, defects.ignoresConditions);
    const locks = locksOn(store);
    const refused = { code: "PROTOCOL_UNSAFE", kind: "unsupported", retryable: false };
    const error = await locks
      .lock("k")
      .acquire()
      .catch((reason: unknown) => reason as Error & { details: object });
    expect(error).toMatchObject(refused);
    expect((error as Error).message).toContain("silently ignored");
    expect(error).toMatchObject({
      details: { reasons: [{ code: "CONDITIONS_IGNORED" }], changes: [{ code: "STAY_TWO_OBJECT" }] },
    });
    store.clear();
    const { lock } = { lock: locks.lock("k") };
    for (const call of [() => lock.tryAcquire(), () => lock.run(() => {}), () => lock.breakLock(), () => lock.forget()])
      await expect(call()).rejects.toMatchObject(refused);
    expect(store.calls).toEqual([]);
    expect(await keysOf(inner)).toEqual([]);
  });

  test("stores that know of themselves, and the other protocol, are not probed", async () => {
    const known = new RecordingStore(createMemoryStore());
    await (await locksOn(known).lock("k").acquire()).release();
    const other = unknown(createMemoryStore(), defects.ignoresConditions);
    await (await locksOn(other, { protocol: "two-object" }).lock("k").acquire()).release();
    for (const { calls } of [known, other])
      expect(calls.filter(({ key }) => key.startsWith("bucketlock-probe-"))).toEqual([]);
  });

  test("ETags that are honoured only without quotes are sent so", async () => {
    const inner = createMemoryStore();
    const [one, two] = [1, 2].map(() => locksOn(unknown(inner, defects.wantsBareEtags)));
    const first = await one!.lock("k").acquire();
    expect(await two!.lock("k").tryAcquire()).toBeUndefined();
    const waiting = two!.lock("k").acquire();
    const token = await first.token();
    await first.release();
    const second = await waiting;
    expect(await second.token()).toBeGreaterThan(token);
    await second.release();
  });

  test("an aborted caller leaves at once, and the probe goes on for the others", async () => {
    const inner = createMemoryStore();
    const locks = locksOn(unknown(inner));
    const aborting = new AbortController();
    const leaving = locks.lock("a").acquire({ signal: aborting.signal });
    const staying = locks.lock("b").acquire();
    aborting.abort("enough");
    await expect(leaving).rejects.toBe("enough");
    await (await staying).release();
  });

  test("closing ends a probe under way, and nothing of it stays", async () => {
    const inner = createMemoryStore();
    const store = unknown(inner);
    const locks = locksOn(store);
    const waiting = locks
      .lock("a")
      .acquire()
      .catch((error: unknown) => error);
    while (store.calls.length < 30) await Promise.resolve();
    await locks.close();
    expect(await waiting).toMatchObject({ code: "LOCKS_CLOSED" });
    expect(await keysOf(inner)).toEqual([]);
    const after = store.calls.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(store.calls.length).toBe(after);
  });

  test("a store that does not answer is not refused: the next acquire probes again", async () => {
    let down = true;
    const away = (inner: Store) =>
      defects.changed(inner, {
        put: async (...args) => {
          if (down) throw defects.fault("STORE_UNREACHABLE", "unavailable");
          return inner.put(...args);
        },
      });
    const locks = locksOn(unknown(createMemoryStore(), away));
    await expect(locks.lock("k").acquire()).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
    down = false;
    await (await locks.lock("k").acquire()).release();
  });
});

describe("with a report", () => {
  const reportOf = (store: Store) => probe(store, { races: 1, racers: 4, listings: 1 });
  const through = (report: ProbeReport): ProbeReport => JSON.parse(JSON.stringify(report));

  test("that passed, nothing is probed; it may come from another process", async () => {
    const store = unknown(createMemoryStore());
    const probed = through(await reportOf(store));
    store.clear();
    await (await locksOn(store, { probed }).lock("k").acquire()).release();
    expect(store.calls.length).toBeLessThan(8);
  });

  test("that failed, the locks are not even made", async () => {
    const store = unknown(createMemoryStore(), defects.looksThenWrites);
    const probed = through(await reportOf(store));
    store.clear();
    expect(() => createLocks(store, { protocol: "conditional", probed })).toThrow(/not safe on s3:\/\/bucket: .*races/);
    // It says nothing against the other protocol.
    createLocks(store, { probed });
    expect(store.calls).toEqual([]);
  });

  test("that is of another bucket, or none, is refused by name", async () => {
    const store = unknown(createMemoryStore());
    const report = await reportOf(store);
    for (const probed of [{ ...report, store: "s3://other/locks/" }, {}, "safe", { ...report, format: 2 }])
      expect(() => createLocks(store, { protocol: "conditional", probed: probed as never })).toThrow(/^probed: /);
    // Another prefix of it is the same bucket.
    createLocks(store, { protocol: "conditional", probed: { ...report, store: "s3://bucket/" } });
  });

  test("opened without quotes where only quotes are honoured, is refused", async () => {
    const report = await reportOf(unknown(createMemoryStore()));
    const store = unknown(createMemoryStore(), undefined, { bareIfMatch: true });
    expect(() => createLocks(store, { protocol: "conditional", probed: report })).toThrow(/bareIfMatch/);
  });
});
