/**
 * `bucketlock run`: a command under a lock. Acquires, runs, releases, and turns how it went into an exit code.
 */
import { BucketlockError, InvalidError, integer } from "@bucketlock/core";
import { errorLine } from "./advice.js";
import { type Context, commandOf } from "./context.js";
import { describeHolders } from "./describe.js";
import { showDuration } from "./duration.js";
import { EXIT, exitCodeOf } from "./exit-code.js";
import type { Screen } from "./screen.js";
import type { Outcome } from "./supervise.js";
import { type Leased, WaitedInVain, Work } from "./work.js";

export async function run(context: Context, key: string, words: readonly string[]): Promise<number> {
  const { flags, screen } = context;
  const argv = commandOf(words);
  const skipCode = skipExitCode(flags.skipExitCode, EXIT.notAcquired);
  const permits = permitsOf(flags.semaphore);
  if (permits !== undefined && flags.shared === true)
    throw new InvalidError("--semaphore", "does not go with --shared", flags.semaphore);
  const work = await Work.open(context);
  const { signal } = work.interruption;
  try {
    const lock = permits === undefined ? work.locks.lock(key) : work.locks.semaphore(key, { permits });
    const options = { waitMs: waitOf(context), signal, ...(flags.shared === true ? { mode: "shared" as const } : {}) };
    const lease = await work.wait(
      key,
      (until) => lock.inspect({ signal: until }),
      () => lock.acquire(options),
    );
    let outcome: Outcome;
    try {
      outcome = await work.under(
        told(lease, key, () => lease.token({ signal })),
        argv,
      );
    } catch (error) {
      await lease.release().catch(() => {});
      throw error;
    }
    return finished(context, key, outcome, await failureOf(() => lease.release()));
  } catch (error) {
    if (error instanceof WaitedInVain) return notAcquired(screen, key, error, skipCode);
    throw error;
  } finally {
    await work.close();
  }
}

interface Telling {
  readonly ticketId: string;
  readonly signal: AbortSignal;
  readonly isHeld: boolean;
  readonly heldUntil: number;
  readonly revocation: AbortSignal;
}

/** The live view of a lease that supervising needs, under the key that the user gave: everything is asked anew each time. */
export function told(lease: Telling, key: string, token: Leased["token"]): Leased {
  return {
    key,
    token,
    ticketId: lease.ticketId,
    signal: lease.signal,
    get isHeld() {
      return lease.isHeld;
    },
    get heldUntil() {
      return lease.heldUntil;
    },
    get revocation() {
      return lease.revocation;
    },
  };
}

/** Undefined: it went well. */
export async function failureOf(release: () => Promise<void>): Promise<BucketlockError | undefined> {
  try {
    await release();
    return undefined;
  } catch (error) {
    if (error instanceof BucketlockError) return error;
    throw error;
  }
}

/** The exit code of a command that ran. `failed`: why the lock could not be given back. */
export function finished(
  { screen, settings }: Context,
  key: string,
  outcome: Outcome,
  failed: BucketlockError | undefined,
): number {
  const code = exitCodeOf(outcome.code, outcome.signal);
  const isLost = outcome.lost !== undefined || failed?.kind === "lost";
  // A loss was told already when the command was ended for it.
  if (failed !== undefined && outcome.lost === undefined)
    screen.note("releaseFailed", { key, code: failed.code, message: failed.message }, errorLine(failed));
  const exit = isLost && settings.onLost.value === "term" ? EXIT.lost : code;
  screen.note("exited", { key, code: outcome.code, signal: outcome.signal, lost: isLost, exit });
  return exit;
}

export function notAcquired(screen: Screen, key: string, { error, info }: WaitedInVain, exit: number): number {
  const by = info === undefined ? "" : `; held by ${describeHolders(info)}`;
  const waitedMs = Math.round(error.details.waitedMs as number);
  const text = `not acquired within ${showDuration(waitedMs)}: ${key}${by} [${error.code}] try later, or wait longer with --wait`;
  // Who calls it success wants no news of it: cron would send them by mail.
  const facts = { key, waitedMs, holders: info?.holders, exit };
  screen.note("notAcquired", facts, exit === EXIT.done ? undefined : text);
  return exit;
}

export function skipExitCode(value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  const number = typeof value === "string" && /^\d{1,3}$/.test(value) ? Number(value) : value;
  return integer("--skip-exit-code", number, { min: 0, max: 255 });
}

export function waitOf({ flags, settings }: Context): number {
  return flags.wait === false ? 0 : settings.wait.value;
}

function permitsOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === "string" && /^\d{1,4}$/.test(value) ? Number(value) : value;
  return integer("--semaphore", number, { min: 1, max: 9999 });
}
