/**
 * `bucketlock once` and `history`: a command for a slot, on one host only; and what ran when.
 */
import { BucketlockError, integer, systemClock } from "@bucketlock/core";
import { formatInstant } from "@bucketlock/core/http";

import { onceLock } from "../once-rule.js";
import type { RunInfo } from "../runs.js";
import { type Context, commandOf } from "./context.js";
import { showInstant } from "./describe.js";
import { showDuration } from "./duration.js";
import { EXIT, exitCodeOf } from "./exit-code.js";
import { withStore } from "./look.js";
import { printable } from "./printable.js";
import { finished, skipExitCode, told, waitOf } from "./run.js";
import { slotOf } from "./slot.js";
import type { Outcome } from "./supervise.js";
import { Work } from "./work.js";

/** What is recorded of a command that failed. */
class CommandFailed extends Error {
  /** In the record it reads `command: exit code 4`. */
  override readonly name = "command";

  constructor({ code, signal }: Outcome) {
    super(signal === undefined ? `exit code ${code}` : `signal ${signal}`);
  }
}

export async function onceCommand(context: Context, job: string, words: readonly string[]): Promise<number> {
  const { flags, screen } = context;
  const argv = commandOf(words);
  // That another host runs it is what it is for.
  const skipCode = skipExitCode(flags.skipExitCode, EXIT.done);
  const slotMs = slotOf(flags, systemClock.wallMs());
  const work = await Work.open(context);
  const { signal } = work.interruption;
  let outcome: Outcome | undefined;
  try {
    const result = await work.locks.once(
      job,
      slotMs,
      async ({ lease, attempt }) => {
        const variables = { BUCKETLOCK_SLOT: formatInstant(slotMs), BUCKETLOCK_ATTEMPT: String(attempt) };
        outcome = await work.under(
          told(lease, job, () => lease.token()),
          argv,
          variables,
        );
        if (outcome.lost !== undefined) throw outcome.lost;
        if (exitCodeOf(outcome.code, outcome.signal) !== 0) throw new CommandFailed(outcome);
      },
      {
        guarantee: flags.atLeastOnce === true ? "atLeastOnce" : "atMostOnce",
        overlap: flags.overlap as "skip" | "queue" | undefined,
        waitMs: waitOf(context),
        signal,
      },
    );
    if (result.ran) return finished(context, job, outcome!, undefined);
    const exit = result.reason === "busy" ? EXIT.notAcquired : skipCode;
    const by = result.by === undefined ? "" : ` by ${printable(result.by)}`;
    const slot = formatInstant(slotMs);
    screen.note(
      "skipped",
      { key: job, slot, reason: result.reason, by: result.by, exit },
      exit === EXIT.done ? undefined : `not run, ${REASONS[result.reason]}${by}: ${job}, slot ${slot}`,
    );
    return exit;
  } catch (error) {
    if (outcome === undefined) throw error;
    // It ran: its own exit code counts, unless the lease was lost. What else went wrong is told.
    const failed = error instanceof BucketlockError && error !== outcome.lost ? error : undefined;
    return finished(context, job, outcome, failed);
  } finally {
    await work.close();
  }
}

const REASONS = {
  done: "it has run already",
  claimed: "it was claimed already",
  behind: "a later slot was claimed before",
  overlap: "an earlier slot still runs",
  busy: "the job was busy for the whole wait",
} as const;

export async function historyCommand(context: Context, job: string): Promise<number> {
  const { flags, screen } = context;
  const limit =
    flags.limit === undefined
      ? 30
      : integer("--limit", /^\d{1,9}$/.test(flags.limit as string) ? Number(flags.limit) : flags.limit, {
          min: 1,
          max: 1000,
        });
  return withStore(context, async (store, signal) => {
    const locks = await context.lookAt(onceLock(job), store, signal, true);
    const runs = await locks.history(job, { limit, signal });
    if (screen.isJson) screen.json(runs);
    else if (runs.length === 0) screen.print(`no runs: ${job}`);
    else for (const one of runs) screen.print(describeRun(one, (colour, text) => screen.paint(colour, text)));
    return EXIT.done;
  });
}

function describeRun(run: RunInfo, paint: (colour: "red" | "green" | "yellow", text: string) => string): string {
  const colour = run.outcome === "ok" ? "green" : run.outcome === "running" ? "yellow" : "red";
  const took = run.endedMs === undefined ? "" : ` in ${showDuration(run.endedMs - run.startedMs)}`;
  const again = run.attempt > 1 ? `, attempt ${run.attempt}` : "";
  const error = run.error === undefined ? "" : `: ${printable(run.error.split("\n")[0]!)}`;
  return `${showInstant(run.slotMs)}  ${paint(colour, run.outcome.padEnd(7))}  ${printable(run.label)} at ${showInstant(run.startedMs)}${took}${again}${error}`;
}
