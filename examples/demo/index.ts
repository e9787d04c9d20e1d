/**
 * `npm run demo`: several processes, one lock, one death. Shows what happens while it happens, then who held what when, then
 * checks every claim. Exit code 0 only if all of them held. Leaves neither a process nor a file nor an object behind.
 */
import { BucketlockError } from "@bucketlock/lock";
import { adviceFor } from "./advice.js";
import { Chronicle } from "./chronicle.js";
import { HELP, readOptions, UsageError } from "./options.js";
import { Place } from "./place.js";
import { play, readers, workers } from "./story.js";
import { blocks, drawTimeline, plain } from "./timeline.js";
import { judge } from "./verdict.js";

const COLUMNS_MAX = 100;
const say = (line: string): void => console.log(line);

class Interrupted extends Error {
  readonly exitCode: number;
  constructor(signal: "SIGINT" | "SIGTERM") {
    super(signal);
    this.exitCode = signal === "SIGINT" ? 130 : 143;
  }
}

async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    say(HELP);
    return 0;
  }
  const place = await Place.open(options);
  try {
    return await show(place, signal);
  } finally {
    await place.close();
  }
}

async function show(place: Place, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  say(`Six processes share one lock. They do not know each other; all they share is ${place.what}.`);
  const chronicle = new Chronicle();
  const played = await play({ shared: place.shared, chronicle, signal, say });
  const report = await place.readReport();
  await place.removeReport();
  const leftovers = await place.leftovers();

  const isTerminal = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  say("\nWho held the lock when:\n");
  const timeline = drawTimeline(chronicle, [...workers, ...readers], {
    ...played,
    columns: Math.min(process.stdout.columns ?? COLUMNS_MAX, COLUMNS_MAX),
    pen: isTerminal ? blocks : plain,
  });
  for (const line of timeline) say(line);

  const counts = chronicle.counts();
  say(
    `\n${counts.acquisitions} acquisitions, ${counts.takeOvers} take-over${counts.takeOvers === 1 ? "" : "s"}, longest wait ${(counts.longestWaitMs / 1000).toFixed(2)} s, ` +
      `requests per acquisition: ${counts.requestsLeast} at least, ${counts.requestsMean.toFixed(1)} on average (waiting included)`,
  );

  say("\nChecked:");
  const claims = judge({ chronicle, played, report, leftovers });
  for (const { claim, holds, fact } of claims) say(`  ${holds ? "yes" : "NO "}  ${claim} (${fact})`);
  const failed = claims.filter((claim) => !claim.holds);
  if (failed.length > 0) {
    console.error(
      `\ndemo: ${failed.length} of ${claims.length} claims did not hold: ${failed.map(({ claim }) => claim).join("; ")}`,
    );
    return 1;
  }
  return 0;
}

/** One sentence, and what to do: a stack trace helps nobody who wanted to see a demo. */
function explain(error: unknown): number {
  if (error instanceof Interrupted) {
    console.error("demo: interrupted; everything was stopped and removed");
    return error.exitCode;
  }
  if (error instanceof UsageError) {
    console.error(`demo: ${error.message}\n      npm run demo -- --help shows what there is`);
    return 2;
  }
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  const code = error instanceof BucketlockError ? error.code : (error as { code?: string } | undefined)?.code;
  const advice = adviceFor(code, error instanceof BucketlockError ? error.details.option : undefined);
  if (advice !== undefined) console.error(`      ${advice}`);
  return 1;
}

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => interrupt.abort(new Interrupted(signal)));
}
process.exitCode = await main(process.argv.slice(2), interrupt.signal).catch(explain);
