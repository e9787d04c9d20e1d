/**
 * `npm run bench`: what this library costs over the raw requests it is made of, measured side by side in one run. Prints
 * ratios with the goals, met or not. Never hides a number: medians of all samples after the warm-up.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { measureContention } from "./contention.js";
import { measureImports } from "./imports.js";
import { measureLocks } from "./locks.js";
import { type BenchOptions, HELP, readOptions, UsageError } from "./options.js";
import { type BenchResult, goalsOf, type TargetResult, table, toJson } from "./report.js";
import { measureRequests } from "./requests.js";
import { measureSignatures } from "./signatures.js";
import { type Target, targets } from "./targets.js";

const IMPORT_RUNS_PER_SECOND = 8;

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
      results.push(await measure(target, options, say));
    } finally {
      await target.stop();
    }
  }
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
    ...signatures,
    ...imports,
  };
  if (onlyJson) console.log(toJson(result));
  else print(result);
  if (options.json !== undefined && !onlyJson) writeFileSync(options.json, `${toJson(result)}\n`);
}

async function measure(target: Target, options: BenchOptions, say: (line: string) => void): Promise<TargetResult> {
  const { skip, seconds } = options;
  const { name, s3 } = target;
  say(`${name}: ${s3?.endpoint ?? target.address.url}`);
  const requests =
    skip.has("requests") || s3 === undefined ? {} : { requests: await measureRequests(target, s3, seconds) };
  const locks = skip.has("locks") ? {} : { locks: await measureLocks(target, seconds) };
  const contention = skip.has("contention") ? {} : { contention: await measureContention(target, seconds * 2) };
  return { name, ...requests, ...locks, ...contention };
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
