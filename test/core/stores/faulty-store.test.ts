/** The faulty and the recording store: what each fault does to the store behind and to the caller. */
import { createMemoryStore, type PutAnswer } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore } from "@bucketlock/core/testing";
import { describe, expect, it } from "vitest";
import { collect } from "./collect.js";

async function body(store: ReturnType<typeof createMemoryStore>, key: string): Promise<string | undefined> {
  const answer = await store.get(key);
  return answer.found ? Buffer.from(answer.body).toString() : undefined;
}

describe("FaultyStore", () => {
  it("passes everything through when nothing is planned", async () => {
    const inner = createMemoryStore({ versions: true });
    const store = new FaultyStore(inner);
    expect(await store.put("k", "v")).toMatchObject({ outcome: "stored", versionId: expect.any(String) });
    expect(await store.head("k")).toMatchObject({ found: true, size: 1 });
    await store.deleteMany([{ key: "k" }]);
    const pages = await collect(store.listVersions("", { pageSize: 1 }));
    expect(pages.map((page) => page.versions[0]?.isDeleteMarker)).toEqual([true, false]);
    expect(store.planDelete).toBeUndefined();
    await store.close();
  });

  it("loses the request: unknown, and nothing landed", async () => {
    const inner = createMemoryStore();
    const store = new FaultyStore(inner, { plan: () => ({ lost: "request" }) });
    const answer = await store.put("k", "v");
    expect(answer).toMatchObject({ outcome: "unknown", cause: { code: "STORE_UNREACHABLE", kind: "unavailable" } });
    expect(await body(inner, "k")).toBeUndefined();
    await expect(store.get("k")).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
  });

  it("loses the answer: unknown, and the write landed", async () => {
    const inner = createMemoryStore();
    const store = new FaultyStore(inner, { plan: () => ({ lost: "answer" }) });
    expect(await store.put("k", "v")).toMatchObject({ outcome: "unknown" });
    expect(await body(inner, "k")).toBe("v");
    await expect(store.delete({ key: "k" })).rejects.toMatchObject({ kind: "unavailable" });
    expect(await body(inner, "k")).toBeUndefined();
  });

  it("delays request and answer on the given clock", async () => {
    const clock = new ManualClock();
    const inner = createMemoryStore({ clock });
    const store = new FaultyStore(inner, { clock, plan: () => ({ arriveMs: 10, answerMs: 5 }) });
    let answer: PutAnswer | undefined;
    void store.put("k", "v").then((a) => {
      answer = a;
    });
    await clock.advance(9);
    expect(await body(inner, "k")).toBeUndefined();
    await clock.advance(1);
    expect(await body(inner, "k")).toBe("v");
    expect(answer).toBeUndefined();
    await clock.advance(5);
    expect(answer).toMatchObject({ outcome: "stored" });
    expect(clock.pending).toBe(0);
  });

  it("lets a request land after its caller gave up by limit or signal", async () => {
    const clock = new ManualClock();
    const inner = createMemoryStore({ clock });
    const store = new FaultyStore(inner, { clock, plan: () => ({ arriveMs: 100 }) });
    expect(await clock.settle(store.put("slow", "v", { timeoutMs: 50 }))).toMatchObject({ outcome: "unknown" });
    const reason = new Error("enough");
    const controller = new AbortController();
    const aborted = store.put("aborted", "v", { signal: controller.signal });
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    expect(await body(inner, "slow")).toBeUndefined();
    await clock.settle(store.idle());
    expect([await body(inner, "slow"), await body(inner, "aborted")]).toEqual(["v", "v"]);
    expect(clock.pending).toBe(0);
  });

  it("delivers twice, the second time late", async () => {
    const clock = new ManualClock();
    const inner = createMemoryStore({ clock });
    const store = new FaultyStore(inner, { clock });
    store.expect({ verb: "put", key: "k", fault: { againMs: 30 } });
    expect(await store.put("k", "v")).toMatchObject({ outcome: "stored" });
    await inner.delete({ key: "k" });
    await clock.settle(store.idle());
    expect(await body(inner, "k")).toBe("v");
    store.assertDone();
  });

  it("throws what it is told to throw", async () => {
    const error = new Error("as scripted");
    const store = new FaultyStore(createMemoryStore());
    store.expect({ verb: "list", key: "p/", fault: { error } });
    await expect(collect(store.list("p/"))).rejects.toBe(error);
  });

  it("throws on a call that is not the script's next, and again at the end", async () => {
    const store = new FaultyStore(createMemoryStore());
    store.expect({ verb: "put", key: /^a/ }, { verb: "get" });
    await store.put("a1", "v");
    expect(() => store.assertDone()).toThrow("never made: get");
    await expect(store.head("a1")).rejects.toThrow("Unscripted call: head a1; the script's next: get");
    await store.get("a1");
    await expect(store.get("a1")).rejects.toThrow("next: none");
    expect(() => store.assertDone()).toThrow("Unscripted call: head a1");
  });
});

describe("RecordingStore", () => {
  it("counts each page of a listing as one request", async () => {
    const store = new RecordingStore(createMemoryStore());
    for (const key of ["a", "b", "c"]) await store.put(key, "");
    store.clear();
    const pages = await collect(store.list("", { pageSize: 2 }));
    expect(pages.map((page) => page.objects.length)).toEqual([2, 1]);
    await store.deleteMany([{ key: "a" }, { key: "b" }]);
    expect(store.verbs).toEqual(["list", "list", "deleteMany"]);
    expect(store.calls.at(-1)).toMatchObject({ key: "a", keys: ["a", "b"] });
    expect([store.count(), store.count("list"), store.count("put")]).toEqual([3, 2, 0]);
  });
});
