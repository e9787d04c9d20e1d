/**
 * `bucketlock run`: a command under a lock. Acquires, supervises, releases, and turns how it went into an exit code.
 */
import { type BucketlockError, integer, systemClock } from "@bucketlock/core";
import { LockLostError, NotAcquiredError } from "../errors.js";
import type { LockEvent } from "../events.js";
import type { LockInfo } from "../inspect.js";
import { errorLine } from "./advice.js";
import { isOnTerminal } from "./command.js";
import { type Context, commandOf } from "./context.js";
import { describeHolders } from "./describe.js";
import { showDuration } from "./duration.js";
import { EXIT, exitCodeOf } from "./exit-code.js";
import { GuardLine } from "./guard-line.js";
import { Interruption } from "./interruption.js";
import type { Screen } from "./screen.js";
import { type Outcome, supervise } from "./supervise.js";

// While somebody looks: often enough to be true, seldom enough to cost nothing.
const LOOK_MS = 3_000;

export async function run(context: Context, key: string, words: readonly string[]): Promise<number> {
  const { flags, settings, screen } = context;
  const argv = commandOf(words);
  const skipCode = skipExitCode(flags.skipExitCode);
  const waitMs = waitOf(context);
  const onTerminal = isOnTerminal();
  const onLost = settings.onLost.value as "term" | "ignore";
  const listeners = new Set<() => void>();
  const waiting = new Waiting(screen, key);
  const onEvent = (event: LockEvent) => {
    if (event.type === "renewed") for (const listener of listeners) listener();
    if (event.type === "waiting") waiting.begin();
    if (event.type === "renewalFailed")
      screen.note("renewalFailed", { key: event.key, leftMs: Math.round(event.leftMs) });
  };
  const locks = await context.openLocks(onEvent);
  const interruption = new Interruption(onTerminal);
  // It starts while the lock is acquired.
  const guard = new GuardLine(context.home.guardFile, () =>
    screen.note(
      "unguarded",
      {},
      "the guard cannot be kept running: kill -9 of this process would leave its command alone",
    ),
  );
  try {
    const lock = locks.lock(key);
    waiting.look = (signal) => lock.inspect({ signal });
    let lease: Awaited<ReturnType<typeof lock.acquire>>;
    try {
      lease = await lock.acquire({
        mode: flags.shared === true ? "shared" : "exclusive",
        waitMs,
        signal: interruption.signal,
      });
    } catch (error) {
      await waiting.end();
      if (!(error instanceof NotAcquiredError)) throw error;
      return notAcquired(screen, error, await waiting.lastLook(), skipCode);
    }
    await waiting.end();
    let outcome: Outcome;
    try {
      const token = flags.token === false ? undefined : await lease.token({ signal: interruption.signal });
      screen.note("acquired", { key, ticketId: lease.ticketId, token, heldUntil: lease.heldUntil });
      outcome = await supervise({
        lease,
        plan: context.plan,
        argv,
        variables: {
          BUCKETLOCK_KEY: key,
          BUCKETLOCK_TOKEN: token === undefined ? "" : String(token),
          BUCKETLOCK_LEASE_UNTIL: String(Math.floor(lease.heldUntil)),
        },
        onLost,
        guard,
        interruption,
        onTerminal,
        screen,
        renewals: (onRenewed) => {
          listeners.add(onRenewed);
          return () => listeners.delete(onRenewed);
        },
      });
    } catch (error) {
      await lease.release().catch(() => {});
      throw error;
    }
    return finished(screen, key, outcome, onLost, await released(lease));
  } finally {
    guard.done();
    await waiting.end();
    await locks.close().catch(() => {});
    interruption.end();
  }
}

/** Undefined: given back. */
async function released(lease: { release(): Promise<void> }): Promise<BucketlockError | undefined> {
  try {
    await lease.release();
    return undefined;
  } catch (error) {
    return error as BucketlockError;
  }
}

function finished(
  screen: Screen,
  key: string,
  outcome: Outcome,
  onLost: "term" | "ignore",
  failed: BucketlockError | undefined,
): number {
  const code = exitCodeOf(outcome.code, outcome.signal);
  const lost = outcome.lost ?? (failed instanceof LockLostError ? failed : undefined);
  // Told already where the command was ended for it.
  if (failed !== undefined && outcome.lost === undefined)
    screen.note("releaseFailed", { key, code: failed.code, message: failed.message }, errorLine(failed));
  const exit = lost !== undefined && onLost === "term" ? EXIT.lost : code;
  screen.note("exited", { key, code: outcome.code, signal: outcome.signal, lost: lost !== undefined, exit });
  return exit;
}

function notAcquired(screen: Screen, error: NotAcquiredError, info: LockInfo | undefined, exit: number): number {
  const by = info === undefined ? "" : `; held by ${describeHolders(info)}`;
  const { key, waitedMs } = error.details as { key: string; waitedMs: number };
  const facts = { key, waitedMs: Math.round(waitedMs), holders: info?.holders, exit };
  const text = `not acquired within ${showDuration(waitedMs)}: ${key}${by} [${error.code}] try later, or wait longer with --wait`;
  // Somebody who gave it an exit code expects it: no news for cron to send by mail.
  screen.note("notAcquired", facts, exit === EXIT.done ? undefined : text);
  return exit;
}

export function skipExitCode(value: unknown, fallback: number = EXIT.notAcquired): number {
  if (value === undefined) return fallback;
  const number = typeof value === "string" && /^\d{1,3}$/.test(value) ? Number(value) : value;
  return integer("--skip-exit-code", number, { min: 0, max: 255 });
}

export function waitOf({ flags, settings }: Context): number {
  return flags.wait === false ? 0 : settings.wait.value;
}

/** What is shown while waiting: who holds the lock and since when. Asks only while a person looks. */
export class Waiting {
  look: ((signal: AbortSignal) => Promise<LockInfo>) | undefined;
  readonly #screen: Screen;
  readonly #key: string;
  readonly #over = new AbortController();
  #begun = false;
  #seen: LockInfo | undefined;
  #stop: () => void = () => {};
  #looking: Promise<void> | undefined;

  constructor(screen: Screen, key: string) {
    this.#screen = screen;
    this.#key = key;
  }

  begin(): void {
    if (this.#begun || this.#over.signal.aborted) return;
    this.#begun = true;
    const since = systemClock.monotonicMs();
    this.#looking = this.#keepLooking();
    this.#stop = this.#screen.spin(() => {
      const by = this.#seen === undefined ? "" : `: held by ${describeHolders(this.#seen)}`;
      return `waiting ${showDuration(systemClock.monotonicMs() - since)} for ${this.#key}${by}`;
    });
  }

  async end(): Promise<void> {
    this.#stop();
    this.#over.abort();
    await this.#looking;
  }

  /** Who held it at the end: what was seen last, else one more look. */
  async lastLook(): Promise<LockInfo | undefined> {
    if (this.#seen !== undefined) return this.#seen;
    return this.look?.(AbortSignal.timeout(LOOK_MS)).catch(() => undefined);
  }

  async #keepLooking(): Promise<void> {
    for (let first = true; !this.#over.signal.aborted; first = false) {
      this.#seen = (await this.look?.(this.#over.signal).catch(() => undefined)) ?? this.#seen;
      if (first && this.#seen !== undefined)
        this.#screen.note("waiting", { key: this.#key, holders: this.#seen.holders });
      await systemClock.sleep(LOOK_MS, { signal: this.#over.signal, unref: true }).catch(() => {});
      if (!this.#screen.isWatched) return;
    }
  }
}
