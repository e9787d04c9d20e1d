/** The bench itself: its arithmetic is right, and it runs and tells its numbers in the promised shape. No timing is judged. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openStore } from "@bucketlock/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { evaluate, type Turn } from "../../bench/contention.js";
import { readOptions } from "../../bench/options.js";
import { type BenchResult, goalsOf, table } from "../../bench/report.js";
import { median, Pairs, percentile, ratio, summarize } from "../../bench/statistics.js";
import { rates } from "../../bench/waiters.js";
import { useWorkers } from "../processes.js";

const start = useWorkers();
const bench = new URL("../../bench/index.ts", import.meta.url);
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("statistics", () => {
  test("percentiles are by nearest rank, in any order", () => {
    const samples = [50, 15, 35, 40, 20];
    expect([0, 0.05, 0.3, 0.4, 0.5, 0.99, 1].map((share) => percentile(samples, share))).toEqual([
      15, 15, 20, 20, 35, 50, 50,
    ]);
    expect(samples).toEqual([50, 15, 35, 40, 20]);
  });

  test("the 99th of a hundred leaves the worst out, of fewer it is the worst", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect([percentile(hundred, 0.99), percentile(hundred.slice(0, 50), 0.99)]).toEqual([99, 50]);
  });

  test("medians of odd, even, one and none", () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])]).toEqual([2, 2.5, 7]);
    expect([median([]), percentile([], 0.5)]).toEqual([Number.NaN, Number.NaN]);
  });

  test("a ratio is of medians: one outlier does not move it", () => {
    expect(ratio(summarize([2, 2, 2, 1000]), summarize([1, 1, 1]))).toBe(2);
    expect(summarize([3, 1, 2])).toEqual({ n: 3, p50: 2, p99: 3, min: 1, max: 3 });
  });

  test("pairs take turns at going first", async () => {
    const order: string[] = [];
    const pairs = new Pairs();
    const note = (name: string) => async () => void order.push(name);
    for (let n = 0; n < 3; n++) await pairs.measure(note("ours"), note("raw"));
    expect(order).toEqual(["raw", "ours", "ours", "raw", "raw", "ours"]);
    expect([pairs.ours.length, pairs.raw.length]).toEqual([3, 3]);
  });
});

describe("contention", () => {
  const turn = (acquiredMs: number): Turn => ({ acquiredMs, leftMs: acquiredMs + 20, releasedMs: acquiredMs + 22 });
  const shares = (list: Turn[][]) => list.map((turns) => ({ turns, requests: turns.length * 5 }));

  test("hand-overs go from one process's release to the next one's acquire", () => {
    const result = evaluate(
      shares([
        [turn(0), turn(60)],
        [turn(30), turn(90)],
      ]),
      20,
    );
    expect(result.handOverMs).toMatchObject({ n: 2, p50: 8 });
    expect(result.idleMs.p50).toBe(10);
    expect(result.perSecond).toBeCloseTo(1000 / 30);
    expect(result.requestsPerAcquisition).toBe(5);
  });

  test("requests that nobody counted are left out, not zero", () => {
    const [first, second] = shares([
      [turn(0), turn(60)],
      [turn(30), turn(90)],
    ]);
    expect(evaluate([first!, { turns: second!.turns }], 20)).not.toHaveProperty("requestsPerAcquisition");
  });

  test("two holders at once are no number but an error", () => {
    expect(() =>
      evaluate(
        shares([
          [turn(0), turn(60)],
          [turn(19), turn(90)],
        ]),
        20,
      ),
    ).toThrow(/at once/);
  });
});

test("waiters: requests a second while they come and while they wait, from three looks", () => {
  const look = (atMs: number, requests: number, inLine: number, failed = 0) => ({
    atMs,
    count: { requests, inLine, failed },
  });
  expect(rates([look(1000, 5, 0), look(3000, 405, 90), look(5000, 505, 100, 2)])).toEqual({
    comingPerSecond: 200,
    waitingPerSecond: 50,
    windowMs: 2000,
    inLine: [90, 100],
    failed: 2,
  });
});

describe("the report", () => {
  const contention = evaluate(
    [0, 1].map((process) => ({
      turns: [0, 1, 2].map((n) => {
        const acquiredMs = (2 * n + process) * 38;
        return { acquiredMs, leftMs: acquiredMs + 20, releasedMs: acquiredMs + 22 };
      }),
      requests: 9,
    })),
    20,
  );
  const result: BenchResult = {
    node: "v20",
    cpus: 2,
    load: [0, 0],
    seconds: 1,
    targets: [
      { name: "a", contention, conditional: { contention } },
      { name: "b", conditional: { refused: "conditions are ignored" } },
    ],
    rivals: [{ name: "other", alone: summarize([1]), contention }],
  };

  test("each protocol has goals of its own, a refusal and others' locks have none", () => {
    expect(goalsOf(result).map(({ target, what, limit, met }) => [target, what, limit, met])).toEqual([
      ["a", "acquisitions per second", 25, true],
      ["a", "hand-over p50, ms", 25, true],
      ["a", "hand-over p99, ms", 120, true],
      ["a, conditional", "acquisitions per second", 30, false],
      ["a, conditional", "hand-over p50, ms", 15, false],
      ["a, conditional", "hand-over p99, ms", 80, true],
    ]);
  });

  test("a refusal is a row with its reason", () => {
    expect(table(result).find((line) => line.startsWith("b"))).toMatch(/not safe here .*conditions are ignored/);
  });
});

test("both protocols unless one is named", () => {
  expect([...readOptions([]).protocols]).toEqual(["two-object", "conditional"]);
  expect([...readOptions(["--protocol", "conditional"]).protocols]).toEqual(["conditional"]);
});

test("runs on a file store, prints JSON of the promised shape, leaves nothing", { timeout: 240_000 }, async () => {
  const url = `${pathToFileURL(dir).href}/store?create=1`;
  const json = join(dir, "bench.json");
  // The import time needs the built packages; building them is another test's. Crowds are too many processes for a test.
  const skipped = ["imports", "waiters", "rivals"].flatMap((part) => ["--skip", part]);
  const program = start(bench, { args: ["--store", url, "--seconds", "1", ...skipped, "--json", json] });
  expect(await program.exit(220_000), program.stderr).toEqual({ code: 0, signal: null });
  const result = JSON.parse(await readFile(json, "utf8")) as BenchResult & { goals: unknown };
  const summary = {
    n: expect.any(Number),
    p50: expect.any(Number),
    p99: expect.any(Number),
    min: expect.any(Number),
    max: expect.any(Number),
  };
  const compared = { ours: summary, raw: summary, ratio: expect.any(Number) };
  const contended = {
    processes: 4,
    workMs: 20,
    perSecond: expect.any(Number),
    handOverMs: summary,
    idleMs: summary,
    requestsPerAcquisition: expect.any(Number),
  };
  expect(result).toMatchObject({
    node: process.version,
    cpus: expect.any(Number),
    seconds: 1,
    targets: [
      {
        name: "file store",
        locks: { acquire: compared, release: compared },
        contention: contended,
        conditional: {
          records: {
            warm: compared,
            underIfMatch: { raw: summary, ratio: expect.any(Number) },
            // Warm: one write to acquire, one to release.
            requestsPerAcquisition: 2,
          },
          contention: contended,
        },
      },
    ],
    passes: [2, 1000].map((waiters) => ({ waiters, passUs: summary, requests: 0 })),
    signatures: { headerUs: summary, queryUs: summary, perSecond: expect.any(Number) },
  });
  expect(result.goals).toEqual(JSON.parse(JSON.stringify(goalsOf(result))));
  expect(program.otherLines.join("\n")).toMatch(/acquire .* <= 1\.15 +(?:met|NOT MET)[\s\S]* goals met\.$/);
  const store = openStore(url);
  for await (const page of store.list("")) expect(page.objects).toEqual([]);
});

test.each([
  [["--seconds", "none"], /--seconds must be a number/],
  [["--endpoint", "http://127.0.0.1:9"], /go together/],
  [["--store", "s3://bucket"], /file:/],
  [["--skip", "everything"], /is none of/],
  [["--protocol", "redis"], /two-object, conditional or both/],
  [["--fast"], /Unknown option '--fast'/],
] as const)("%j fails in one sentence", async (args, words) => {
  const program = start(bench, { args });
  expect(await program.exit()).toEqual({ code: 2, signal: null });
  expect(program.stderr).toMatch(words);
  expect(program.stderr).not.toMatch(/^\s+at /m);
});
