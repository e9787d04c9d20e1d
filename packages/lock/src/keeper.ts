/**
 * Keeps one ticket alive: renews it until stopped, and says when that can no longer be proved.
 * Works for a waiting ticket and for a held lease alike. Never decides who holds, never revives what is lost (validity.ts).
 */
import { LockLostError } from "./errors.js";
import type { EventFacts } from "./events.js";
import type { HeldTicket } from "./held-ticket.js";
import type { Settings } from "./settings.js";
import type { SteadyClock } from "./steady.js";
import { at, begin, lose, renewed, type Validity, type ValidityRules } from "./two-object/validity.js";

// Our deletes after a loss are a courtesy to others; the lease ends without them too.
const CLEANUP_MS = 5_000;

// Without a reason each abort would make an exception with its stack.
const STOPPED = Symbol("the keeper was stopped");

export class Keeper {
  readonly #ticket: HeldTicket;
  readonly #settings: Settings;
  readonly #rules: ValidityRules;
  readonly #steady: SteadyClock;
  readonly #emit: (facts: EventFacts) => void;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  #validity: Validity;
  /** The count last written, known to be stored or not: no two writes ever look alike to who watches. */
  #written: number;
  #cancelExpiry: () => void = () => {};
  #loop: Promise<void> | undefined;
  #cleanup: Promise<void> = Promise.resolve();
  #isLease = false;

  /** `steady`: the clock `sentAtMs` was read from, when the first successful `-0` was sent. */
  constructor(
    ticket: HeldTicket,
    settings: Settings,
    steady: SteadyClock,
    sentAtMs: number,
    renewals: number,
    emit: (facts: EventFacts) => void,
    rules?: Partial<ValidityRules>,
  ) {
    this.#ticket = ticket;
    this.#settings = settings;
    this.#steady = steady;
    this.#emit = emit;
    this.#rules = { leaseMs: settings.leaseMs, marginMs: settings.marginMs, ...rules };
    this.#validity = begin(sentAtMs, this.#rules, renewals);
    this.#written = renewals;
    this.#armExpiry();
  }

  /** Aborts, with a LockLostError as reason, before the lease ends unrenewed, or when it is found taken. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** From now on a loss is told as `lost`: before that the ticket only waits. */
  becomeLease(): void {
    this.#isLease = true;
  }

  /** Looks at the clock now: no timer fires while a process is stopped. */
  isValid(): boolean {
    const now = at(this.#validity, this.#steady.nowMs(), this.#rules);
    if (now.lost !== undefined) this.#declareLost(now.lost);
    return now.lost === undefined;
  }

  /** What is left of the lease before it is given up, in ms; 0 when it is lost. */
  leftMs(): number {
    if (this.#validity.lost !== undefined) return 0;
    return Math.max(0, this.#validity.heldUntilMs - this.#rules.marginMs - this.#steady.nowMs());
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Nothing runs after this resolves: a renewal under way has been awaited, a cleanup after a loss too. */
  async stop(): Promise<void> {
    this.#stop.abort(STOPPED);
    this.#cancelExpiry();
    await this.#loop;
    await this.#cleanup;
  }

  /** The reason, once lost. */
  get lostError(): LockLostError | undefined {
    return this.#lost.signal.aborted ? (this.#lost.signal.reason as LockLostError) : undefined;
  }

  /** Given up on purpose: the signal aborts, nothing is deleted, no loss is told. */
  abandon(): void {
    this.#validity = lose(this.#validity, "it was abandoned");
    this.#abort("it was abandoned");
  }

  async #run(): Promise<void> {
    const { renewEveryMs, leaseMs, pollMinMs } = this.#settings;
    let pauseMs = Math.max(0, this.#validity.heldUntilMs - leaseMs + renewEveryMs - this.#steady.nowMs());
    while (!this.#stop.signal.aborted) {
      try {
        await this.#settings.clock.sleep(pauseMs, { signal: this.#stop.signal, unref: true });
      } catch {
        return;
      }
      if (!this.isValid()) return;
      const ok = await this.#renew();
      if (this.#validity.lost !== undefined) return;
      pauseMs = ok ? renewEveryMs : Math.max(pollMinMs, renewEveryMs / 10);
    }
  }

  /** One renewal. False: unclear, so not renewed; try again soon. */
  async #renew(): Promise<boolean> {
    try {
      const renewal = await this.#ticket.renew({
        renewals: ++this.#written,
        limit: () => this.#limit(),
        stop: this.#stop.signal,
        nowMs: () => this.#steady.nowMs(),
        mayWrite: () => !this.#stop.signal.aborted && this.isValid(),
      });
      if (renewal.is === "gone") this.#declareLost("its ticket was removed by another");
      if (renewal.is === "unclear") return this.#failed(renewal.cause);
      if (renewal.is !== "renewed") return false;
      this.#validity = renewed(this.#validity, renewal.sentAtMs, this.#steady.nowMs(), this.#rules);
      if (!this.isValid()) return false;
      this.#armExpiry();
      this.#emit({ type: "renewed", renewals: this.#validity.renewals });
    } catch (error) {
      return this.#stop.signal.aborted ? false : this.#failed(error);
    }
    // What is not swept now is swept with the release.
    await this.#ticket.afterRenewal({ ...this.#limit(), signal: this.#stop.signal }).catch(() => {});
    return true;
  }

  #failed(error: unknown): false {
    if (this.isValid()) this.#emit({ type: "renewalFailed", error, leftMs: this.leftMs() });
    return false;
  }

  #limit(): { timeoutMs: number } {
    const { requestTimeoutMs, renewEveryMs, leaseMs } = this.#settings;
    // A renewal that hangs must leave time for another try; one that is slow must not fail because the next would be due.
    const shareMs = Math.max(renewEveryMs, leaseMs / 3);
    return { timeoutMs: Math.max(1, Math.min(requestTimeoutMs, shareMs, this.leftMs())) };
  }

  #armExpiry(): void {
    this.#cancelExpiry();
    // A renewal awaited by stop() must not set a timer for a lease that is over.
    if (this.#stop.signal.aborted) return;
    const leftMs = this.leftMs();
    this.#cancelExpiry = this.#settings.clock.after(leftMs, () => {
      // Woken a little early by a coarse timer: look again.
      if (this.isValid() && !this.#stop.signal.aborted) this.#armExpiry();
    });
  }

  #declareLost(why: string): void {
    this.#validity = lose(this.#validity, why);
    if (this.#lost.signal.aborted) return;
    this.#abort(why);
    if (this.#isLease) this.#emit({ type: "lost", why });
    // Whoever is lost deletes its own two objects, after a renewal under way has come to its end.
    this.#cleanup = this.#cleanUp();
  }

  #abort(why: string): void {
    this.#cancelExpiry();
    this.#stop.abort(STOPPED);
    this.#lost.abort(new LockLostError(this.#ticket.key, this.#ticket.id, why));
  }

  async #cleanUp(): Promise<void> {
    await this.#loop;
    await this.#ticket.delete({ timeoutMs: CLEANUP_MS }).catch((error: unknown) => {
      if (this.#isLease) this.#emit({ type: "releaseFailed", error });
    });
  }
}
