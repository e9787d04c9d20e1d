/**
 * A fleet of real processes that run one schedule, with clocks that differ by seconds, killed and stopped by chance; and the
 * judgement of what they told against what the store remembers. Every slot is claimed exactly once. At most once: none runs twice,
 * and one that did not run to its end is told as died, its runner being one that was killed or lost its lease. At least once: every
 * slot runs to its end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProbeReport } from "@bucketlock/core";
import { SeededRandom } from "@bucketlock/core/testing";
import type { Guarantee, Locks, RunInfo } from "@bucketlock/lock";
import { expect } from "vitest";
import type { useWorkers, Worker } from "../processes.js";
import type { ContenderOrders, Protocol } from "./lines.js";

export interface JobOrders {
  readonly store: Exclude<ContenderOrders["store"], { kind: "b2" }>;
  readonly protocol: Protocol;
  readonly probed?: ProbeReport;
  readonly name: string;
  readonly label: string;
  readonly seed: number;
  readonly skewMs: number;
  readonly leaseMs: number;
  readonly guarantee: Guarantee;
  readonly everyMs: number;
  readonly slots: number;
  /** The job takes up to this. */
  readonly jobMs: number;
}

export type JobLine =
  | { readonly event: "hello" | "bye" }
  | { readonly event: "began" | "ended"; readonly slot: number; readonly attempt: number; readonly at: number }
  | { readonly event: "failed"; readonly slot: number; readonly code: string };

export interface JobCampaign extends Pick<JobOrders, "store" | "protocol" | "probed" | "guarantee" | "name" | "slots"> {
  readonly seed: number;
  /** To read what is remembered. */
  readonly locks: Locks;
}

interface Process {
  readonly label: string;
  readonly worker: Worker;
  /** Killed or stopped, once. */
  hurt: boolean;
  killed: boolean;
  stopped: boolean;
}

const PROCESSES = 6;
const SKEW_MS = 2000;
const LEASE_MS = 1000;
const BLOW_EVERY_MS = 1000;
/** Killed ones are replaced, and to start a process takes its time. */
const KILLS_MAX = 5;
const STOPS_MAX = 2;
const LIMIT_MS = 200_000;
const TOLD_WITHIN_MS = 2_500;
const worker = new URL("schedule.worker.ts", import.meta.url);

export async function runJobCampaign(start: ReturnType<typeof useWorkers>, campaign: JobCampaign): Promise<void> {
  const { locks, seed, guarantee, name, slots, ...rest } = campaign;
  const random = new SeededRandom(seed);
  const everyMs = 50;
  let firstMs: number | undefined;
  const all: Process[] = [];
  const enlist = () => {
    const label = `p${all.length}`;
    const skewMs = Math.round((2 * random.float() - 1) * SKEW_MS);
    const orders = { ...rest, name, label, skewMs, guarantee, everyMs, slots };
    const args = [JSON.stringify({ ...orders, seed: random.uint32(), leaseMs: LEASE_MS, jobMs: 40 })];
    const one = { label, worker: start(worker, { args }), hurt: false, killed: false, stopped: false };
    all.push(one);
    if (firstMs !== undefined) one.worker.send({ firstMs });
  };
  for (let n = 0; n < PROCESSES; n++) enlist();
  await Promise.all(all.map(({ worker }) => worker.message<JobLine>(({ event }) => event === "hello")));
  // Whoever is told later than that by its own clock leaves out what was due before, and nobody else may have claimed it.
  firstMs = Date.now() + SKEW_MS + TOLD_WITHIN_MS;
  for (const { worker } of all) worker.send({ firstMs });
  const endMs = Date.now() + LIMIT_MS;
  let kills = 0;
  let stops = 0;
  const pending = new Set<Promise<void>>();
  while (all.some(({ worker }) => worker.running)) {
    expect(Date.now(), `seed ${seed}: the fleet did not finish\n${showLast(all)}`).toBeLessThan(endMs);
    await sleep(BLOW_EVERY_MS * (0.5 + random.float()));
    const alive = all.filter((one) => !one.killed && !one.stopped && one.worker.running);
    if (alive.length < PROCESSES / 2) continue;
    // Whoever runs the job, if somebody does soon: a claim is for those who do not come to their end.
    const victim = (await busyOne(alive)) ?? random.pick(alive);
    if (!victim.worker.running) continue;
    victim.hurt = true;
    if (random.float() < 0.7 && kills < KILLS_MAX) {
      kills++;
      victim.killed = true;
      await victim.worker.kill();
      enlist();
    } else if (stops < STOPS_MAX) {
      stops++;
      victim.stopped = true;
      victim.worker.signal("SIGSTOP");
      const thaw = sleep(LEASE_MS * (1 + random.float())).then(() => {
        victim.worker.signal("SIGCONT");
        victim.stopped = false;
        pending.delete(thaw);
      });
      pending.add(thaw);
    }
  }
  await Promise.all(pending);
  for (const { label, worker, killed } of all) {
    if (killed) continue;
    const exit = await worker.exit();
    expect({ label, ...exit, stderr: worker.stderr }).toEqual({ label, code: 0, signal: null, stderr: "" });
  }
  const history = await locks.history(name, { limit: 1000 });
  const { findings, counts } = judge(campaign, all, history, { firstMs, everyMs });
  const shown = Object.entries({ processes: all.length, kills, stops, ...counts }).map(([what, n]) => `${what} ${n}`);
  console.log(`ring 5: jobs ${guarantee}, ${name} (seed ${seed}): ${shown.join(", ")}`);
  expect(findings, `seed ${seed}`).toEqual([]);
  expect(kills + stops).toBeGreaterThan(2);
}

function showLast(all: readonly Process[]): string {
  const running = all.filter(({ worker }) => worker.running);
  return running
    .map(({ label, worker }) => `${label}: ${JSON.stringify(worker.messages.slice(-2))} ${worker.stderr}`)
    .join("\n");
}

/** Waits a moment for one that is in the middle of a run. */
async function busyOne(alive: readonly Process[]): Promise<Process | undefined> {
  for (let looks = 0; looks < 100; looks++) {
    const busy = alive.find(({ worker }) => (worker.messages.at(-1) as JobLine | undefined)?.event === "began");
    if (busy !== undefined) return busy;
    await sleep(2);
  }
  return undefined;
}

function judge(
  { guarantee, slots }: JobCampaign,
  all: readonly Process[],
  history: readonly RunInfo[],
  { firstMs, everyMs }: { firstMs: number; everyMs: number },
) {
  const findings: string[] = [];
  const counts = { slots: 0, ended: 0, died: 0, retried: 0, neverBegan: 0, lost: 0 };
  const lines = all.flatMap(({ label, worker }) => (worker.messages as JobLine[]).map((line) => ({ label, ...line })));
  const said = (event: "began" | "ended", slot: number) =>
    lines.filter((line) => line.event === event && line.slot === slot);
  const lostBy = (label: string, slot: number) =>
    lines.some((line) => line.event === "failed" && line.label === label && line.slot === slot);
  for (const line of lines) {
    if (line.event !== "failed") continue;
    counts.lost++;
    if (!["LEASE_LOST", "RUN_NOT_RECORDED", "FENCED"].includes(line.code))
      findings.push(`${line.label} failed with ${line.code} at slot ${line.slot}`);
  }
  const claimed = [...new Set(history.map(({ slotMs }) => slotMs))].sort((a, b) => a - b);
  const expected = Array.from({ length: slots }, (_, n) => firstMs + n * everyMs);
  const missing = expected.filter((slot) => !claimed.includes(slot));
  if (missing.length > 0)
    findings.push(`${missing.length} slots were never claimed, the first is number ${expected.indexOf(missing[0]!)}`);
  if (claimed.length + missing.length !== slots) findings.push("slots were claimed that are none");
  for (const slot of claimed) {
    counts.slots++;
    const runs = history.filter(({ slotMs }) => slotMs === slot);
    const began = said("began", slot);
    if (began.length === 0) counts.neverBegan++;
    if (guarantee === "atMostOnce" && (began.length > 1 || runs.length > 1))
      findings.push(`slot ${slot} began ${began.length} times, with ${runs.length} claims`);
    const ended = runs.some(({ outcome }) => outcome === "ok");
    if (ended) counts.ended++;
    if (runs.length > 1) counts.retried++;
    if (guarantee === "atLeastOnce" && !ended) findings.push(`slot ${slot} never ran to its end`);
    if (ended && said("ended", slot).length === 0) findings.push(`slot ${slot} is said to have ended, and did not`);
    for (const { outcome, label } of runs) {
      if (outcome === "ok") continue;
      counts.died++;
      const runner = all.find((one) => one.label === label);
      if (outcome !== "died") findings.push(`slot ${slot} is told as ${outcome}`);
      else if (runner?.hurt !== true && !lostBy(label, slot))
        findings.push(`slot ${slot} is told as died, yet nothing befell ${label}`);
    }
  }
  return { findings, counts };
}
