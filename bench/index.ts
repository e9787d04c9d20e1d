/**
 * `npm run bench`: what this library costs over the raw requests it is made of, measured side by side in one run. Prints
 * ratios with the goals, met or not. Never hides a number: medians of all samples after the warm-up.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { type ProbeReport, probe } from "@bucketlock/core";
import { measureContention } from "./contention.js";
import { measureImports } from "./imports.js";
import { measureLocks } from "./locks.js";
import { type BenchOptions, HELP, readOptions, UsageError } from "./options.js";
import { measurePasses } from "./passes.js";
import type { Player } from "./players.js";
import { measureRecords } from "./records.js";
import { type BenchResult, type ConditionalResult, goalsOf, type TargetResult, table, toJson } from "./report.js";
import { measureRequests } from "./requests.js";
import { measureRivals } from "./rivals.js";
import { measureSignatures } from "./signatures.js";
import { openTarget, type Target, targets } from "./targets.js";
import { measureWaiters, type WaitersResult } from "./waiters.js";

const IMPORT_RUNS_PER_SECOND = 8;
/** Processes, and waiters in each. */
const CROWDS = [
  [1, 100],
  [1, 1000],
  [50, 1],
] as const;

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  if (options.help) {
    console.log(HELP);
    return;
  }
  const onlyJson = options.json === "-";
  const say = (line: string): void => (onlyJson ? console.error(line) : console.log(line));
  const loadBefore = loadavg()[0]!;
  const { skip, seconds } = options;
  const results: TargetResult[] = [];
  for await (const target of targets(options, say)) {
    try {
      results.push(await measure(target, options, results.length === 0, say));
    } catch (error) {
      // What the other servers say must not be lost with it.
      if (options.endpoint !== undefined || options.store !== undefined) throw error;
      say(`${target.name} could not be measured`);
      process.exitCode = explain(error);
    } finally {
      await target.stop();
    }
  }
  if (!skip.has("passes")) say("passes within a process");
  const passes = skip.has("passes")
    ? {}
    : { passes: [await measurePasses(2, Math.min(seconds, 2)), await measurePasses(1000, Math.min(seconds, 2))] };
  const rivals = skip.has("rivals") ? {} : { rivals: await measureRivals(seconds, say) };
  if (!skip.has("signatures")) say("signatures");
  const signatures = skip.has("signatures") ? {} : { signatures: measureSignatures(Math.min(seconds, 2)) };
  if (!skip.has("imports")) say("import time");
  const runs = Math.ceil(seconds * IMPORT_RUNS_PER_SECOND) + 1;
  const imports = skip.has("imports") ? {} : importsOrWhyNot(runs, say);

  const result: BenchResult = {
    node: process.version,
    cpus: availableParallelism(),
    load: [loadBefore, loadavg()[0]!],
    seconds,
    targets: results,
    ...passes,
    ...rivals,
    ...signatures,
    ...imports,
  };
  if (onlyJson) console.log(toJson(result));
  else print(result);
  if (options.json !== undefined && !onlyJson) writeFileSync(options.json, `${toJson(result)}\n`);
}

async function measure(
  target: Target,
  options: BenchOptions,
  isFirst: boolean,
  say: (line: string) => void,
): Promise<TargetResult> {
  const { skip, seconds, protocols } = options;
  const { name, s3, address } = target;
  say(`${name}: ${s3?.endpoint ?? address.url}`);
  const requests =
    skip.has("requests") || s3 === undefined ? {} : { requests: await measureRequests(target, s3, seconds) };
  if (!protocols.has("two-object")) {
    return { name, ...requests, conditional: await measureConditional(target, options, isFirst, say) };
  }
  const player = { kind: "bucketlock", address, protocol: "two-object" } as const;
  const locks = skip.has("locks") ? {} : { locks: await measureLocks(target, seconds) };
  const contention = skip.has("contention") ? {} : { contention: await contend(target, player, seconds) };
  const waiters = await crowds(target, player, options, isFirst, say);
  const conditional = protocols.has("conditional")
    ? { conditional: await measureConditional(target, options, isFirst, say) }
    : {};
  return { name, ...requests, ...locks, ...contention, ...waiters, ...conditional };
}

async function measureConditional(
  target: Target,
  options: BenchOptions,
  isFirst: boolean,
  say: (line: string) => void,
): Promise<ConditionalResult> {
  const { skip, seconds } = options;
  const probed = await probeOnce(target);
  const { safe, reasons } = probed.protocols.conditional;
  if (!safe) {
    const refused = reasons.map(({ text }) => text).join("; ");
    say(`${target.name}: without the conditional protocol: ${refused}`);
    return { refused };
  }
  const player = { kind: "bucketlock", address: target.address, protocol: "conditional", probed } as const;
  const records = skip.has("locks") ? {} : { records: await measureRecords(target, probed, seconds) };
  const contention = skip.has("contention") ? {} : { contention: await contend(target, player, seconds) };
  const waiters = await crowds(target, player, options, isFirst, say);
  return { ...records, ...contention, ...waiters };
}

async function probeOnce(target: Target): Promise<ProbeReport> {
  const store = openTarget(target);
  try {
    return await probe(store, { prefix: target.prefix });
  } finally {
    await store.close();
  }
}

function contend(target: Target, player: Extract<Player, { kind: "bucketlock" }>, seconds: number) {
  return measureContention(player, `${target.prefix}contended-${player.protocol}`, seconds * 2, target.env);
}

/** On one target only: what is asked is how many requests are sent, which is no matter of the server. */
async function crowds(
  target: Target,
  player: Extract<Player, { kind: "bucketlock" }>,
  { skip, seconds }: BenchOptions,
  isFirst: boolean,
  say: (line: string) => void,
): Promise<{ waiters?: WaitersResult[] }> {
  if (skip.has("waiters") || !isFirst) return {};
  const waiters: WaitersResult[] = [];
  for (const [processes, waitersEach] of CROWDS) {
    say(`${target.name}: ${player.protocol}, ${processes} x ${waitersEach} waiters`);
    waiters.push(await measureWaiters(target, player, { processes, waitersEach, seconds: seconds * 2 }));
  }
  return { waiters };
}

/** What was measured before must not be lost because something does not build. */
function importsOrWhyNot(runs: number, say: (line: string) => void): Pick<BenchResult, "imports"> {
  try {
    return { imports: measureImports(runs, say) };
  } catch (error) {
    process.exitCode = explain(error);
    return {};
  }
}

function print(result: BenchResult): void {
  console.log(
    `\nMedians. Node ${result.node}, ${result.cpus} CPUs, load ${result.load.map((load) => load.toFixed(1)).join(" to ")}.`,
  );
  if (Math.max(...result.load) > result.cpus)
    console.log("The machine was busy with other things: repeat when it is quiet.");
  console.log("");
  for (const line of table(result)) console.log(line);
  const goals = goalsOf(result);
  const missed = goals.filter((goal) => !goal.met);
  console.log(`\n${goals.length - missed.length} of ${goals.length} goals met.`);
}

function explain(error: unknown): number {
  const isUsage = error instanceof UsageError;
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  if (isUsage) console.error("       npm run bench -- --help shows what there is");
  return isUsage ? 2 : 1;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = explain(error);
}
