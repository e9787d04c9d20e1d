/**
 * What `run`, `once` and `elect` share: the locks, the signals that come in, and a command that is run for as long as a lease lasts.
 * Decides neither when to acquire nor what an end means.
 */
import { BucketlockError } from "@bucketlock/core";
import type { LockInfo } from "../inspect.js";
import type { Locks } from "../locks.js";
import { isOnTerminal } from "./command.js";
import type { Context } from "./context.js";
import { GuardLine } from "./guard-line.js";
import { Interruption } from "./interruption.js";
import { type Outcome, type Supervised, supervise } from "./supervise.js";
import { Waiting } from "./waiting.js";

export interface Leased extends Supervised {
  token(): Promise<bigint | undefined>;
  /** Asked for only where it is listened to: that costs requests. */
  readonly revocation: AbortSignal;
}

/** What the locks tell while they work. */
interface News {
  readonly renewed: Set<() => void>;
  onWaiting: () => void;
}

export class Work {
  readonly locks: Locks;
  readonly interruption: Interruption;
  readonly #context: Context;
  readonly #onTerminal = isOnTerminal();
  readonly #renewed: Set<() => void>;
  #guard: GuardLine | undefined;
  #waiting: Waiting | undefined;

  private constructor(context: Context, locks: Locks, interruption: Interruption, news: News) {
    this.#context = context;
    this.locks = locks;
    this.interruption = interruption;
    this.#renewed = news.renewed;
    news.onWaiting = () => this.#waiting?.begin();
    // It starts while the lock is acquired.
    this.#guard = this.#newGuard();
  }

  static async open(context: Context): Promise<Work> {
    const { screen } = context;
    const news: News = { renewed: new Set(), onWaiting: () => {} };
    const interruption = new Interruption(isOnTerminal());
    try {
      const locks = await context.openLocks((event) => {
        if (event.type === "renewed") for (const listener of news.renewed) listener();
        if (event.type === "waiting") news.onWaiting();
        if (event.type === "renewalFailed")
          screen.note("renewalFailed", { key: event.key, leftMs: Math.round(event.leftMs) });
      }, interruption.signal);
      return new Work(context, locks, interruption, news);
    } catch (error) {
      interruption.end();
      throw error;
    }
  }

  /** Says who holds the lock as long as `acquire` waits for it. Its error is rethrown, with the last look at the lock. */
  async wait<T>(key: string, look: (signal: AbortSignal) => Promise<LockInfo>, acquire: () => Promise<T>): Promise<T> {
    const waiting = new Waiting(this.#context.screen, key, look);
    this.#waiting = waiting;
    try {
      return await acquire();
    } catch (error) {
      await waiting.end();
      throw error instanceof BucketlockError && error.code === "NOT_ACQUIRED"
        ? new WaitedInVain(error, await waiting.lastLook())
        : error;
    } finally {
      this.#waiting = undefined;
      await waiting.end();
    }
  }

  /** Draws the token, runs the command, answers how it ended. Releases nothing. */
  async under(
    lease: Leased,
    argv: readonly [string, ...string[]],
    variables: Readonly<Record<string, string>> = {},
  ): Promise<Outcome> {
    const { screen, settings, flags, plan } = this.#context;
    const token = flags.token === false ? undefined : await lease.token();
    const { key, ticketId } = lease;
    screen.note("acquired", { key, ticketId, token, heldUntil: lease.heldUntil, ...variables });
    const guard = this.#guard ?? this.#newGuard();
    this.#guard = undefined;
    return supervise({
      lease,
      plan,
      argv,
      variables: {
        ...variables,
        BUCKETLOCK_KEY: key,
        BUCKETLOCK_TOKEN: token === undefined ? "" : String(token),
        BUCKETLOCK_LEASE_UNTIL: String(Math.floor(lease.heldUntil)),
      },
      onLost: settings.onLost.value as "term" | "ignore",
      revocation: settings.onRevoke.value === "term" ? lease.revocation : undefined,
      guard,
      interruption: this.interruption,
      onTerminal: this.#onTerminal,
      screen,
      renewals: (onRenewed) => {
        this.#renewed.add(onRenewed);
        return () => this.#renewed.delete(onRenewed);
      },
    });
  }

  async close(): Promise<void> {
    this.#guard?.done();
    await this.locks.close().catch(() => {});
    this.interruption.end();
  }

  #newGuard(): GuardLine {
    const { screen, home } = this.#context;
    return new GuardLine(home.guardFile, () =>
      screen.note(
        "unguarded",
        {},
        "the guard is killed again and again: a kill -9 of this process would leave its command running",
      ),
    );
  }
}

/** The lock was not acquired in time. */
export class WaitedInVain {
  constructor(
    readonly error: BucketlockError,
    readonly info: LockInfo | undefined,
  ) {}
}
