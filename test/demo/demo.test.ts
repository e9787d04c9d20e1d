/** `npm run demo` on the embedded store: true exit codes, the words a newcomer reads, nothing left behind. Real processes. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Chronicle } from "../../examples/demo/chronicle.js";
import { drawTimeline, plain } from "../../examples/demo/timeline.js";
import { useWorkers } from "../processes.js";

const start = useWorkers();
const demo = new URL("../../examples/demo/index.ts", import.meta.url);
let tmp: string;

beforeEach(async () => {
  tmp = await mkdtemp(join(tmpdir(), "bucketlock-"));
});
afterEach(() => rm(tmp, { recursive: true, force: true, maxRetries: 10 }));

const run = (...args: string[]) => start(demo, { args, env: { TMPDIR: tmp, NO_COLOR: "1", ...withoutAws } });
// Nothing of this host's own settings, and no question to an address beyond it.
const withoutAws = {
  AWS_ACCESS_KEY_ID: "",
  AWS_SECRET_ACCESS_KEY: "",
  AWS_REGION: "us-east-1",
  AWS_ENDPOINT_URL: "",
  AWS_PROFILE: "",
  AWS_CONFIG_FILE: "/nowhere/config",
  AWS_SHARED_CREDENTIALS_FILE: "/nowhere/credentials",
  AWS_EC2_METADATA_DISABLED: "true",
};
const keys = { AWS_ACCESS_KEY_ID: "anykey", AWS_SECRET_ACCESS_KEY: "averysecretword" };
const left = async () => (await readdir(tmp)).filter((name) => name.startsWith("bucketlock"));

test("everything it claims holds, and it says so", { timeout: 300_000 }, async () => {
  const program = run();
  const { code } = await program.exit(280_000);
  const text = program.otherLines.join("\n");
  expect(program.stderr, text).toBe("");
  expect(code, text).toBe(0);
  expect(text).toMatch(/worker-2 is killed \(SIGKILL\)/);
  expect(text).toMatch(/worker-\d finds the holder dead/);
  for (const name of ["worker-1", "worker-2", "worker-3", "worker-4"]) {
    expect(text).toMatch(new RegExp(`^${name} \\|[ .#X]+\\|$`, "m"));
  }
  for (const name of ["reader-1", "reader-2"]) expect(text).toMatch(new RegExp(`^${name} \\|[ .=]+\\|$`, "m"));
  const [, takeOvers] = /\d+ acquisitions, (\d+) take-overs?, longest wait \d/.exec(text) ?? [];
  // Of whom a busy machine held up for longer than the lease, too.
  const lost = text.match(/ lost its lease, /g)?.length ?? 0;
  expect(Number(takeOvers)).toBeGreaterThanOrEqual(1);
  expect(Number(takeOvers)).toBeLessThanOrEqual(1 + lost);
  expect(text.match(/^ {2}yes /gm)).toHaveLength(5);
  expect(await left()).toEqual([]);
});

test("Ctrl-C ends everything", { timeout: 240_000 }, async () => {
  const program = run();
  await vi.waitFor(() => expect(program.otherLines.join()).toMatch(/has the lock/), { timeout: 120_000 });
  program.signal("SIGINT");
  expect(await program.exit()).toEqual({ code: 130, signal: null });
  expect(program.stderr).toMatch(/interrupted/);
  expect(await left()).toEqual([]);
});

describe("a wrong call fails in one sentence, with advice", () => {
  test.each([
    [["--stroe", "x"], 2, /Unknown option '--stroe'[\s\S]*--help/],
    [["extra"], 2, /extra[\s\S]*--help/],
    [["--store", "redis://x"], 2, /must begin with s3:\/\/ or file:/],
    [["--store", "memory:"], 2, /cannot share memory/],
    [["--endpoint", "http://127.0.0.1:9"], 2, /needs --store/],
    [["--store", "file:relative"], 1, /absolute path/],
    [["--store", "s3://bucket/p"], 1, /AWS_ACCESS_KEY_ID[\s\S]*in the environment/],
    [["--store", "s3://bucket:secret/p"], 1, /no credentials/],
  ] as const)("%j", async (args, code, words) => {
    const program = run(...args);
    expect(await program.exit()).toEqual({ code, signal: null });
    expect(program.stderr).toMatch(words);
    expect(program.stderr).not.toMatch(/^\s+at /m);
    expect(await left()).toEqual([]);
  });

  test("an endpoint that is none", async () => {
    const args = ["--store", "s3://bucket/p", "--endpoint", "not a url"];
    const program = start(demo, { args, env: { ...withoutAws, ...keys } });
    expect(await program.exit()).toEqual({ code: 1, signal: null });
    expect(program.stderr).toMatch(/endpoint: must/);
  });

  test("a server that is not there", async () => {
    const args = ["--store", "s3://bucket/p", "--endpoint", "http://127.0.0.1:9"];
    const program = start(demo, { args, env: { ...withoutAws, ...keys } });
    expect(await program.exit()).toEqual({ code: 1, signal: null });
    expect(program.stderr).toMatch(/cannot be reached[\s\S]*Is the server running/);
    expect(program.stderr).not.toContain("averysecretword");
  });
});

test("--help says what there is", async () => {
  const program = run("--help");
  expect(await program.exit()).toEqual({ code: 0, signal: null });
  expect(program.otherLines.join("\n")).toMatch(/--store URL[\s\S]*--endpoint URL/);
});

describe("the records", () => {
  const holds = (atMs: number, mode: "exclusive" | "shared") =>
    ({ is: "holds", atMs, mode, ticketId: `t${atMs}`, waitedMs: 0, requests: 4 }) as const;

  test("two exclusive holders at once do not pass", () => {
    const chronicle = new Chronicle();
    chronicle.add("a", holds(0, "exclusive"));
    chronicle.add("b", holds(90, "exclusive"));
    chronicle.add("a", { is: "leaves", atMs: 100 });
    chronicle.add("b", { is: "leaves", atMs: 200 });
    expect(chronicle.forbiddenOverlaps()).toEqual(["a and b held the lock at once for 10.0 ms"]);
  });

  test("readers may overlap, a reader and a writer not", () => {
    const chronicle = new Chronicle();
    chronicle.add("r1", holds(0, "shared"));
    chronicle.add("r2", holds(20, "shared"));
    chronicle.add("r1", { is: "leaves", atMs: 100 });
    chronicle.add("r2", { is: "leaves", atMs: 120 });
    expect([chronicle.forbiddenOverlaps(), chronicle.sharedOverlapMs()]).toEqual([[], 80]);
    chronicle.add("w", holds(119, "exclusive"));
    expect(chronicle.forbiddenOverlaps()).toHaveLength(1);
  });

  test("a take-over counts only if the dead one's ticket was removed", () => {
    const chronicle = new Chronicle();
    chronicle.add("a", holds(0, "exclusive"));
    chronicle.killed("a", 50);
    chronicle.add("b", holds(2000, "exclusive"));
    expect(chronicle.takenOverAfterMs("a")).toBeUndefined();
    chronicle.add("b", { is: "tookOver", victim: "t0" });
    expect(chronicle.takenOverAfterMs("a")).toBe(1950);
  });

  test("the timeline shows who held when, in rows of one width", () => {
    const chronicle = new Chronicle();
    chronicle.add("a", holds(0, "exclusive"));
    chronicle.add("b", { is: "asks", atMs: 0 });
    chronicle.killed("a", 1000);
    chronicle.add("b", holds(2000, "shared"));
    chronicle.add("b", { is: "leaves", atMs: 4000 });
    const rows = drawTimeline(chronicle, ["a", "b"], { startMs: 0, endMs: 4000, columns: 24, pen: plain });
    expect(rows.slice(0, 2)).toEqual(["a |#####X              |", "b |..........==========|"]);
    expect(rows[2]).toMatch(/^ {3}0 s +1 +2 +3$/);
  });
});
