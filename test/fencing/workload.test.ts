/**
 * Lost writes of processes that are stopped for longer than their lease, between the last check and the write: there must be some
 * without fencing, or the test proves nothing, and none with fenced writes. On the file store; needs no server.
 * BUCKETLOCK_FENCING_PAUSE_MS: longest pause between read and write (default 60; the issue's own 2000 takes minutes).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Worker } from "../processes.js";
import type { Guard } from "./orders.js";
import { judge, type Outcome, runWorkload } from "./workload.js";

const PROCESSES = 6;
const LEASE_MS = 1_000;
const pauseMaxMs = Number(process.env.BUCKETLOCK_FENCING_PAUSE_MS ?? 60);
const limitMs = 240_000 + 40 * pauseMaxMs;

let workers: Worker[] = [];
beforeAll(async () => {
  const file = new URL("./adder.worker.ts", import.meta.url);
  workers = Array.from({ length: PROCESSES }, () => new Worker(file));
  await Promise.all(workers.map((worker) => worker.message((line: { event?: string }) => line.event === "hello")));
});
afterAll(() => Promise.all(workers.map((worker) => worker.kill())));

async function run(protocol: "two-object" | "conditional", guard: Guard): Promise<Outcome> {
  const outcome = await runWorkload(workers, {
    protocol,
    guard,
    leaseMs: LEASE_MS,
    pauseMaxMs,
    stops: 2,
    othersFirst: 3,
  });
  console.log(`${protocol}, ${guard}: ${told(outcome)}`);
  expect(outcome.trouble).toEqual([]);
  return outcome;
}

function expectNothingLost(outcome: Outcome): void {
  expect(outcome.lost).toEqual([]);
  expect(outcome.invented).toEqual([]);
  expect(outcome.guarded).toEqual(["conditional"]);
  expect(outcome.acknowledged).toBeGreaterThan(5);
}

describe.each(["two-object", "conditional"] as const)("the %s protocol", (protocol) => {
  it("loses writes without fencing: a lease alone does not stop a late write", { timeout: limitMs }, async () => {
    const outcome = await run(protocol, "none");
    expect(outcome.stopped).toEqual(["added", "added"]);
    expect(outcome.lost.length).toBeGreaterThan(0);
  });

  it("loses none with fenced writes", { timeout: limitMs }, async () => {
    const outcome = await run(protocol, "fence");
    expectNothingLost(outcome);
    // The store refused the write. By then the lease's own clock has seen the stop too, and may be the first to say so.
    for (const end of outcome.stopped) expect(["FENCED", "LEASE_LOST"]).toContain(end);
  });

  it("loses none when only the token is left to refuse", { timeout: limitMs }, async () => {
    const outcome = await run(protocol, "token");
    expectNothingLost(outcome);
    expect(outcome.stopped).toEqual(["FENCED", "FENCED"]);
  });
});

it("the judge counts what is missing, doubled and never tried", () => {
  const about = (element: string) => ({ event: "about", run: "r", element }) as const;
  const added = (element: string) => ({ event: "added", run: "r", element }) as const;
  const lines = [about("a"), added("a"), about("b"), added("b"), about("c")];
  expect(judge(lines, ["b", "b", "x"], ["c"])).toMatchObject({
    lost: ["a"],
    invented: ["b", "x"],
    stopped: ["nothing"],
  });
});

function told({ acknowledged, lost, stopped, refusals }: Outcome): string {
  return `${acknowledged} acknowledged, ${lost.length} lost, stopped writes ${stopped.join(" and ")}, refusals ${JSON.stringify(refusals)}`;
}
