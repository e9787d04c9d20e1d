/** The probe on sound stores and on stores with one defect each: every defect is found, no sound store is slandered, no trace is left. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Clock,
  createMemoryStore,
  openFileStore,
  type ProbeOptions,
  type ProbeReport,
  probe,
  renderProbe,
  type Store,
  systemClock,
} from "@bucketlock/core";
import { FaultyStore, RecordingStore, SeededRandom } from "@bucketlock/core/testing";
import { afterAll, describe, expect, test } from "vitest";
import * as defects from "./defects.js";

/** No waiting; a probe's rounds are made of requests. */
const quick: Clock = { ...systemClock, sleep: async () => {} };
/** Each look at it is 7 ms later than the one before. */
function tickingClock(stepMs = 7): Clock {
  let ms = 0;
  const now = () => {
    ms += stepMs;
    return ms;
  };
  return { ...quick, monotonicMs: now, wallMs: () => 1_700_000_000_000 + now(), uptimeMs: now };
}

async function traces(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { objects } of store.list("")) found.push(...objects.map(({ key }) => key));
  for await (const { versions } of store.listVersions("")) found.push(...versions.map(({ key }) => `${key} (version)`));
  return found;
}

/** The report of a fake over a memory store, after which the memory store is empty. */
async function probed(make: (inner: Store) => Store, options: ProbeOptions = {}, inner = createMemoryStore()) {
  const report = await probe(make(inner), { clock: quick, random: new SeededRandom(1), ...options });
  expect(await traces(inner)).toEqual([]);
  expect(report.left).toEqual([]);
  return report;
}

const codes = (findings: readonly { code: string }[]) => findings.map(({ code }) => code);
const why = (report: ProbeReport, protocol: keyof ProbeReport["protocols"] = "conditional") =>
  codes(report.protocols[protocol].reasons);
const safe = ({ protocols }: ProbeReport) => [protocols["two-object"].safe, protocols.conditional.safe];

describe("sound stores", () => {
  test("a memory store is fit for both protocols", async () => {
    const report = await probed((inner) => inner);
    expect(report.protocols).toMatchObject({
      "two-object": { safe: true, reasons: [] },
      conditional: { safe: true, reasons: [] },
    });
    expect(report.conditions).toMatchObject({ ifMatch: "asGiven", losers: "refused", notModified: "asGiven" });
    expect(report.conditions.races).toEqual({ racers: 16, rounds: 16, oneWinner: 16, withoutWinner: 0 });
    expect(report).toMatchObject({ versions: "none", multiDelete: "works", changes: [], vendor: "unknown" });
    expect(Object.values(report.rights)).toEqual(Array(7).fill("allowed"));
    expect(report.clock!.lowMs).toBeLessThanOrEqual(0);
    expect(report.clock!.highMs).toBeGreaterThanOrEqual(0);
  });

  test("one that keeps versions is, too, and no version and no marker stays", async () => {
    const report = await probed((inner) => inner, {}, createMemoryStore({ versions: true }));
    expect(safe(report)).toEqual([true, true]);
    expect(report.versions).toBe("kept");
    expect(codes(report.notes)).toContain("VERSIONS_KEPT");
  });

  test("a file store is fit for both", async () => {
    const dir = mkdtempSync(join(tmpdir(), "bucketlock-probe-"));
    const store = openFileStore({ dir });
    const report = await probe(store, { races: 2, racers: 8, listings: 10 });
    expect(safe(report)).toEqual([true, true]);
    expect(await traces(store)).toEqual([]);
    await store.close();
    rmSync(dir, { recursive: true });
  });

  test("losers that get 500 are unclear, not winners: read back, and said", async () => {
    const unclear = { outcome: "unknown", cause: defects.fault("STORE_UNAVAILABLE", "unavailable") } as const;
    const report = await probed((inner) =>
      defects.answersInstead(inner, (answer) => (answer.outcome === "conflict" ? unclear : answer)),
    );
    expect(safe(report)).toEqual([true, true]);
    expect(report.conditions.losers).toBe("unclear");
    expect(codes(report.notes)).toContain("LOSERS_UNCLEAR");
  });

  test("winners that get 500 are winners still", async () => {
    let n = 0;
    const unclear = { outcome: "unknown", cause: defects.fault("STORE_UNAVAILABLE", "unavailable") } as const;
    const report = await probed((inner) =>
      defects.answersInstead(inner, (answer) => (answer.outcome === "stored" && n++ % 2 === 0 ? unclear : answer)),
    );
    expect(report.protocols.conditional.reasons).toEqual([]);
  });

  test("a network that loses requests and answers does not make it unfit", async () => {
    const chance = new SeededRandom(7);
    const report = await probed(
      (inner) =>
        new FaultyStore(inner, {
          plan: ({ verb }) => {
            // Only conditional writes are never repeated by a session; an unconditional one is seldom left unclear.
            if (verb !== "put" || chance.float() > 0.05) return undefined;
            return { lost: chance.float() < 0.5 ? "request" : "answer" };
          },
        }),
      { races: 4 },
    ).catch((error: unknown) => error as Error);
    // Either it got through, or it says that the store could not be reached: never a verdict out of thin air.
    if (report instanceof Error) expect(report).toMatchObject({ kind: "unavailable" });
    else expect(safe(report)[1]).toBe(true);
  });
});

describe("conditional writes that are not what they seem", () => {
  test("accepted and ignored", async () => {
    const report = await probed(defects.ignoresConditions);
    expect(why(report)).toEqual(["CONDITIONS_IGNORED"]);
    expect(report.protocols.conditional.safe).toBe(false);
    expect(report.protocols["two-object"].safe).toBe(true);
    expect(codes(report.changes)).toEqual(["STAY_TWO_OBJECT"]);
    expect(report.conditions.races.rounds).toBe(0);
  });

  test("accepted and ignored on a bucket that keeps versions", async () => {
    const report = await probed(defects.ignoresConditions, {}, createMemoryStore({ versions: true }));
    expect(why(report)).toEqual(["CONDITIONS_IGNORED_WITH_VERSIONS"]);
    expect(codes(report.changes)).toEqual(["USE_BUCKET_WITHOUT_VERSIONS"]);
  });

  test("not atomic: sound one by one, several winners in a race", async () => {
    const report = await probed(defects.looksThenWrites);
    expect(why(report)).toEqual(["NOT_ATOMIC", "NOT_ATOMIC"]);
    expect(report.conditions).toMatchObject({ losers: "refused", ifMatch: "asGiven" });
    expect(report.conditions.races.oneWinner).toBe(0);
  });

  test("atomic on each of two ways to the bucket, not across them", async () => {
    const inner = createMemoryStore();
    expect((await probed(defects.gateway, {}, inner)).protocols.conditional.reasons).toEqual([]);
    const report = await probed(defects.gateway, { endpoints: [defects.gateway(inner)] }, inner);
    expect(report.endpoints).toBe(2);
    expect(why(report)).toContain("NOT_ATOMIC");
    const one = await probed((same) => same, { endpoints: [inner] }, inner);
    expect(one.protocols.conditional.because.join()).toContain("over 2 endpoints");
  });

  test("a conflict answered with a wrong status", async () => {
    const report = await probed((inner) =>
      defects.answersInstead(inner, (answer) => {
        if (answer.outcome !== "conflict") return answer;
        throw defects.fault("STORE_REFUSED", "invalid");
      }),
    );
    expect(why(report)).toEqual(["CONDITION_ANSWER_WRONG"]);
    expect(report.protocols.conditional.reasons[0]!.text).toContain("STORE_REFUSED");
  });

  test("200 for a write that was dropped", async () => {
    const report = await probed((inner) => defects.answersInstead(inner, () => ({ outcome: "stored", etag: '"x"' })));
    expect(why(report)).toContain("ANSWER_CONTRADICTS_READ");
  });

  test("412 for a write that was made", async () => {
    expect(why(await probed(defects.writesOnConflict))).toContain("ANSWER_CONTRADICTS_READ");
  });

  test("a replace that creates", async () => {
    expect(why(await probed(defects.replaceCreates))).toEqual(["CONDITIONS_IGNORED"]);
  });

  test("an honest no", async () => {
    const report = await probed((inner) =>
      defects.changed(inner, {
        put: async (key, body, options) => {
          if (options?.condition !== undefined) throw defects.fault("STORE_UNSUPPORTED", "unsupported");
          return inner.put(key, body, options);
        },
      }),
    );
    expect(why(report)).toEqual(["CONDITIONS_REFUSED"]);
    expect(report.protocols["two-object"].safe).toBe(true);
  });

  test("collisions that nobody wins prove nothing", async () => {
    let racing = 0;
    const report = await probed((inner) =>
      defects.changed(inner, {
        async put(key, body, options) {
          if (options?.condition === undefined) return inner.put(key, body, options);
          racing++;
          await Promise.resolve();
          const crowded = racing > 1;
          await Promise.resolve();
          racing--;
          if (crowded) return { outcome: "unknown", cause: defects.fault("STORE_COLLISION", "unavailable") };
          return inner.put(key, body, options);
        },
      }),
    );
    expect(why(report)).toEqual(["RACES_UNDECIDED", "RACES_UNDECIDED"]);
  });
});

describe("ETags", () => {
  test("honoured only without their quotes: safe, and the way is said", async () => {
    const report = await probed(defects.wantsBareEtags);
    expect(report.conditions).toMatchObject({ ifMatch: "bareOnly", notModified: "bare" });
    expect(report.protocols.conditional).toMatchObject({ safe: true });
    expect(codes(report.changes)).toEqual(["OPEN_WITH_BARE_IF_MATCH"]);
  });

  test("never honoured", async () => {
    const report = await probed((inner) =>
      defects.changed(inner, {
        put: async (key, body, options) =>
          options?.condition && "etag" in options.condition ? { outcome: "conflict" } : inner.put(key, body, options),
      }),
    );
    expect(why(report)).toEqual(["REPLACE_FAILS"]);
    expect(report.conditions.ifMatch).toBe("never");
  });

  test("not there", async () => {
    const report = await probed((inner) =>
      defects.changed(inner, {
        put: async (key, body, options) => ({ ...(await inner.put(key, body, options)), etag: undefined }) as never,
        head: async (key, options) => ({ ...(await inner.head(key, options)), etag: undefined }) as never,
      }),
    );
    expect(why(report)).toEqual(["NO_ETAG"]);
  });
});

describe("listings and timestamps", () => {
  test("new objects show late", async () => {
    const report = await probed(defects.listsNewLate);
    expect(why(report, "two-object")).toEqual(["LISTING_MISSES_NEW"]);
    expect(report.protocols.conditional.safe).toBe(true);
    expect(codes(report.changes)).toEqual(["SET_SETTLE"]);
  });

  test("deleted objects show once more", async () => {
    const report = await probed(defects.listsDeletedOnce);
    expect(why(report, "two-object")).toEqual(["LISTING_SHOWS_DELETED"]);
    expect(report.listing).toMatchObject({ rounds: 24, missedAfterPut: 0, seenAfterDelete: 24 });
  });

  test("a HEAD that is stale", async () => {
    const report = await probed((inner) =>
      defects.changed(inner, {
        head: async (key, options) => {
          const answer = await inner.head(key, options);
          return key.includes("/list/") ? { found: false } : answer;
        },
      }),
    );
    expect(why(report, "two-object")).toEqual(["READ_STALE"]);
  });

  test("a timestamp that moves although nobody wrote", async () => {
    const report = await probed((inner) =>
      defects.lists(inner, (page, n) => ({
        ...page,
        objects: page.objects.map((object) => ({ ...object, lastModifiedMs: object.lastModifiedMs + n })),
      })),
    );
    expect(why(report, "two-object")).toEqual(["TIMESTAMP_MOVES"]);
    expect(report.timestamps.moved).toBe(true);
  });

  test("timestamps that run backwards are told, and harm nothing", async () => {
    const back = new Map<string, number>();
    const report = await probed((inner) =>
      defects.lists(inner, (page) => ({
        ...page,
        objects: page.objects.map((object) => {
          if (!back.has(object.key)) back.set(object.key, (back.size % 3) * -2_500);
          return { ...object, lastModifiedMs: object.lastModifiedMs + back.get(object.key)! };
        }),
      })),
    );
    expect(safe(report)).toEqual([true, true]);
    expect(report.timestamps.backwardMs).toBeGreaterThan(2_000);
    expect(codes(report.notes)).toContain("TIMESTAMPS_BACKWARD");
  });

  test.each([
    [1, 1, 1],
    [1_000, 1_000, 1_000],
    [5_000, 1_000, 5_000],
  ])("steps of %d ms", async (stepMs, declaredMs, foundMs) => {
    const clock = tickingClock(53);
    const inner = createMemoryStore({ clock, timestampStepMs: stepMs });
    const features = { ...inner.features, timestampStepMs: declaredMs };
    const report = await probed((same) => defects.changed(same, { features }), { clock }, inner);
    expect(report.timestamps).toMatchObject({ listStepMs: foundMs, headStepMs: foundMs });
    expect(codes(report.notes).includes("TIMESTAMPS_COARSE")).toBe(foundMs > declaredMs);
  });

  test("a server whose clock is ahead, and two that disagree", async () => {
    const ahead = { ...quick, wallMs: () => systemClock.wallMs() + 120_000 };
    const far = await probed((inner) => inner, {}, createMemoryStore({ clock: ahead, timestampStepMs: 1_000 }));
    expect(far.clock!.lowMs).toBeLessThanOrEqual(120_000);
    expect(far.clock!.highMs).toBeGreaterThanOrEqual(120_000);
    expect(far.clock!.highMs - far.clock!.lowMs).toBeLessThanOrEqual(2_100);
    expect(codes(far.notes)).toContain("CLOCK_FAR");
    const inner = createMemoryStore();
    const late = defects.changed(inner, {
      put: async (...args) => ({ ...(await inner.put(...args)), serverTimeMs: systemClock.wallMs() - 9_000 }),
    });
    const two = await probed((same) => same, { endpoints: [late] }, inner);
    expect(codes(two.notes)).toContain("CLOCKS_DISAGREE");
  });
});

describe("rights and deletes", () => {
  test.each([
    ["get", ["RIGHT_MISSING"], ["RIGHT_MISSING"]],
    ["head", ["RIGHT_MISSING"], []],
    ["list", ["RIGHT_MISSING"], ["RIGHT_MISSING"]],
    ["listVersions", [], []],
    ["deleteMany", [], []],
  ] as const)("no %s", async (verb, twoObject, conditional) => {
    const report = await probed((inner) => defects.forbids(inner, verb));
    expect(report.rights[verb]).toBe("denied");
    expect(Object.values(report.rights).filter((right) => right === "denied")).toHaveLength(1);
    expect(why(report, "two-object").slice(0, 1)).toEqual(twoObject);
    expect(why(report)).toEqual(conditional);
    expect(report.changes[0]).toMatchObject({ code: "GRANT_RIGHTS" });
  });

  test("no put: nothing else can be tried, and nothing is deleted that was never there", async () => {
    const recording = new RecordingStore(createMemoryStore());
    const report = await probe(defects.forbids(recording, "put"), { clock: quick });
    expect(why(report)).toEqual(["RIGHT_MISSING"]);
    expect(safe(report)).toEqual([false, false]);
    expect(recording.count("put")).toBe(0);
  });

  test("no delete: one object stays, and is named", async () => {
    const inner = createMemoryStore();
    const report = await probe(defects.forbids(inner, "delete", "deleteMany"), { clock: quick });
    expect(report.left).toHaveLength(1);
    expect(await traces(inner)).toContain(report.left[0]);
    expect(codes(report.changes)).toEqual(["GRANT_RIGHTS", "DELETE_WHAT_IS_LEFT"]);
    expect(safe(report)).toEqual([false, false]);
  });

  test("neither LIST nor versions: what was written is known by heart", async () => {
    for (const versions of [false, true]) {
      const inner = createMemoryStore({ versions });
      const report = await probed((same) => defects.forbids(same, "list", "listVersions"), {}, inner);
      expect(safe(report)).toEqual([false, false]);
    }
  });

  test("a multi-delete that fails, or does nothing", async () => {
    for (const defect of [defects.failsMultiDelete, defects.forgetsMultiDelete]) {
      const report = await probed(defect);
      expect(report.multiDelete).toBe("fails");
      expect(codes(report.notes)).toContain("MULTI_DELETE_FAILS");
      expect(safe(report)).toEqual([true, true]);
    }
  });

  test("a conditional DELETE, honoured or not", async () => {
    const report = await probed((inner) => defects.deletesIf(inner, true));
    expect(report.conditions.onDelete).toBe("honoured");
    const ignored = await probed((inner) => defects.deletesIf(inner, false));
    expect(ignored.conditions.onDelete).toBe("ignored");
    expect(codes(ignored.notes)).toContain("DELETE_CONDITION_IGNORED");
    expect(safe(ignored)).toEqual([true, true]);
  });
});

describe("ends", () => {
  test.each([3, 20, 60, 300])("aborted at request %d, it leaves nothing", async (at) => {
    for (const versions of [false, true]) {
      const inner = createMemoryStore({ versions });
      const aborting = new AbortController();
      let n = 0;
      const store = new FaultyStore(inner, {
        plan: () => {
          if (++n === at) aborting.abort("enough");
          return undefined;
        },
      });
      await expect(probe(store, { clock: quick, signal: aborting.signal })).rejects.toBe("enough");
      expect(n).toBeGreaterThan(at);
      expect(await traces(inner)).toEqual([]);
    }
  });

  test("aborted before, it asks nothing", async () => {
    const store = new RecordingStore(createMemoryStore());
    await expect(probe(store, { signal: AbortSignal.abort("no") })).rejects.toBe("no");
    expect(store.calls).toEqual([]);
  });

  test("out of time, it says so and leaves nothing", async () => {
    const inner = createMemoryStore();
    const error = await probe(inner, { clock: tickingClock(), timeoutMs: 500 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "PROBE_UNFINISHED", kind: "unavailable" });
    expect(await traces(inner)).toEqual([]);
  });

  test("a store that goes away is an error, not a verdict, and nothing is left when it is back for the cleaning", async () => {
    const inner = createMemoryStore();
    let n = 0;
    const store = new FaultyStore(inner, {
      plan: () => (++n === 8 ? { error: defects.fault("STORE_UNREACHABLE", "unavailable") } : undefined),
    });
    await expect(probe(store, { clock: quick })).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
    expect(await traces(inner)).toEqual([]);
  });

  test("everything it touches is under the prefix it was given", async () => {
    const recording = new RecordingStore(createMemoryStore());
    await probe(recording, { prefix: "locks/", clock: quick });
    const outside = recording.calls.flatMap(({ keys }) =>
      keys.filter((key) => !key.startsWith("locks/bucketlock-probe-")),
    );
    expect(outside).toEqual([]);
  });

  test("bad options are refused by name", async () => {
    const store = createMemoryStore();
    for (const bad of [
      { race: 1 },
      { racers: 1 },
      { listings: 0 },
      { endpoints: [1] },
      { timeoutMs: 0 },
      { cache: "" },
    ])
      await expect(probe(store, bad as never)).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(probe({} as never)).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });
});

describe("the report", () => {
  test("is JSON that reads back the same, dates in ISO 8601", async () => {
    const report = await probed((inner) => inner);
    expect(JSON.parse(renderProbe(report, "json"))).toEqual(report);
    expect(report.probedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("is text that names each protocol, reason and change", async () => {
    const good = renderProbe(await probed((inner) => inner));
    expect(good).toContain("two-object: safe here");
    expect(good).toContain("conditional: safe here");
    expect(good).toContain("2 PUT, 2 LIST, 1 DELETE");
    const bad = await probed(defects.ignoresConditions);
    const text = renderProbe(bad);
    expect(text).toContain("conditional: NOT SAFE HERE");
    for (const { code, text: words } of [...bad.protocols.conditional.reasons, ...bad.changes]) {
      expect(text).toContain(code);
      expect(text).toContain(words);
    }
  });

  test.each([
    ["https://bucket.s3.eu-central-1.amazonaws.com", "aws", 0.02, 0.01],
    ["https://account.r2.cloudflarestorage.com", "r2", 0.018, 0.009],
    ["https://s3.eu-central-003.backblazeb2.com", "b2", 0.008, 0],
    ["https://fsn1.your-objectstorage.com", "hetzner", 0, 0],
    ["https://s3.amazonaws.com.example.org", "unknown", undefined, undefined],
    ["http://127.0.0.1:9000", "unknown", undefined, undefined],
  ])("has the prices of %s", async (endpoint, vendor, twoObject, conditional) => {
    const report = await probed((inner) => defects.changed(inner, { endpoint }), { races: 1, listings: 8 });
    expect(report.vendor).toBe(vendor);
    expect(report.protocols["two-object"].cost.usdPer1000).toBe(twoObject);
    expect(report.protocols.conditional.cost.usdPer1000).toBe(conditional);
  });
});

describe("the cache", () => {
  const dir = mkdtempSync(join(tmpdir(), "bucketlock-probe-cache-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const at = (inner: Store, endpoint: string, name = "s3://bucket/x") =>
    new RecordingStore(defects.changed(inner, { endpoint, name }));

  test("answers without a request, by endpoint and bucket, until it is too old", async () => {
    const cache = join(dir, "reports.json");
    const store = at(createMemoryStore(), "http://a");
    const first = await probe(store, { cache, clock: quick });
    store.clear();
    expect(await probe(store, { cache, clock: quick })).toEqual(first);
    expect(store.calls).toEqual([]);
    for (const other of [at(createMemoryStore(), "http://b"), at(createMemoryStore(), "http://a", "s3://other/x")]) {
      await probe(other, { cache, clock: quick });
      expect(other.calls.length).toBeGreaterThan(0);
    }
    const tomorrow = { ...quick, wallMs: () => systemClock.wallMs() + 86_400_001 };
    await probe(store, { cache, clock: tomorrow });
    expect(store.calls.length).toBeGreaterThan(0);
    expect(Object.keys(JSON.parse(readFileSync(cache, "utf8")).reports)).toHaveLength(3);
  });

  test("that cannot be read or written changes nothing", async () => {
    const broken = join(dir, "broken.json");
    writeFileSync(broken, "{ not json");
    const store = at(createMemoryStore(), "http://a");
    await probe(store, { cache: broken, clock: quick });
    expect(JSON.parse(readFileSync(broken, "utf8")).format).toBe(1);
    await probe(store, { cache: join(dir, "no", "such", "directory"), clock: quick });
  });

  test("is not for stores of this process", async () => {
    const cache = join(dir, "memory.json");
    await probe(createMemoryStore(), { cache, clock: quick });
    expect(() => readFileSync(cache)).toThrow();
  });
});
