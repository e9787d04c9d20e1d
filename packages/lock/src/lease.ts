/**
 * The lease: the time-limited right that a won attempt gives, used once.
 * `Lease` is what a program holds; `Holding` is what works behind it and never refers to it, so that a lease nobody refers
 * to can be collected, noticed and released.
 */
import { BucketlockError, type Clock, type Store } from "@bucketlock/core";
import { LockLostError } from "./errors.js";
import type { EventFacts } from "./events.js";
import { type Pending, track, untrack } from "./finalizer.js";
import type { Settings } from "./settings.js";
import type { Won } from "./two-object/driver.js";
import type { Mode } from "./two-object/ticket.js";

const collected = new FinalizationRegistry<Holding>((holding) => holding.leaked());

export interface HoldingContext {
  readonly store: Store;
  readonly settings: Settings;
  readonly emit: (ticketId: string, facts: EventFacts) => void;
  /** `rest`: what is still under way for it, such as the deletes after a loss. Never rejects. */
  readonly onEnd: (holding: Holding, rest: Promise<void>) => void;
}

/** The working half of a lease. */
export class Holding {
  readonly #won: Won;
  readonly #context: HoldingContext;
  readonly #pending: Pending;
  #ending: Promise<void> | undefined;
  #abandoned = false;

  constructor(won: Won, context: HoldingContext) {
    this.#won = won;
    this.#context = context;
    this.#pending = {
      store: context.store,
      targets: () => won.ticket.targets(),
      release: () => this.release().catch(() => {}),
      signals: context.settings.signals,
    };
    track(this.#pending);
    won.keeper.becomeLease();
    won.keeper.signal.addEventListener("abort", () => this.#settled(), { once: true });
  }

  get won(): Won {
    return this.#won;
  }

  get requestTimeoutMs(): number {
    return this.#context.settings.requestTimeoutMs;
  }

  get clock(): Clock {
    return this.#context.settings.clock;
  }

  get ended(): boolean {
    return this.#ending !== undefined || this.#abandoned;
  }

  release(): Promise<void> {
    this.#ending ??= this.#release();
    return this.#ending;
  }

  async #release(): Promise<void> {
    const { keeper, ticket } = this.#won;
    if (this.#abandoned) return;
    // Asked before the end: a lease that ran out unnoticed must not be reported as released.
    keeper.isValid();
    await keeper.stop();
    const lost = keeper.lostError;
    if (lost !== undefined) {
      this.#settled();
      throw lost;
    }
    try {
      const call = { timeoutMs: this.#context.settings.requestTimeoutMs };
      // Deleting twice is harmless, and others would wait out a whole lease for want of a second try.
      await ticket.delete(call).catch(() => ticket.delete(call));
    } catch (error) {
      this.#context.emit(ticket.id, { type: "releaseFailed", error });
      throw new BucketlockError(
        `the release did not reach the store; the lock frees itself within ${this.#context.settings.leaseMs} ms: ${ticket.key} (ticket ${ticket.id})`,
        {
          code: "RELEASE_FAILED",
          kind: "unavailable",
          cause: error,
          details: { key: ticket.key, ticketId: ticket.id },
        },
      );
    } finally {
      this.#settled();
    }
    this.#context.emit(ticket.id, { type: "released" });
  }

  async abandon(): Promise<void> {
    if (this.ended) return;
    this.#abandoned = true;
    this.#won.keeper.abandon();
    await this.#won.keeper.stop();
    this.#settled();
  }

  /** Nobody refers to the lease any more: release it and tell, for the program has a bug. */
  leaked(): void {
    if (this.ended) return;
    const { ticket } = this.#won;
    this.#context.emit(ticket.id, { type: "leaked" });
    process.emitWarning(`a lease was garbage collected while held and is released now: ${ticket.key}`, {
      type: "BucketlockWarning",
      code: "BUCKETLOCK_LEAKED_LEASE",
    });
    this.release().catch(() => {});
  }

  #settled(): void {
    untrack(this.#pending);
    this.#context.onEnd(this, this.#won.keeper.stop());
  }
}

/**
 * A held lock. Used once: after `release` or `abandon` it is over, and a new one is acquired for new work.
 * Keep a reference to it while you work (`await using`, or `run`): a collected lease is released.
 */
export class Lease {
  readonly #holding: Holding;

  constructor(holding: Holding) {
    this.#holding = holding;
    collected.register(this, holding, this);
  }

  get key(): string {
    return this.#holding.won.ticket.key;
  }

  get mode(): Mode {
    return this.#holding.won.ticket.mode;
  }

  /** Finds this ticket again from another process (`lock.resume`). */
  get ticketId(): string {
    return this.#holding.won.ticket.id;
  }

  /** Aborts before the lease ends unrenewed, when it is found taken, or when it is abandoned. Reason: LockLostError. Hand it to your work. */
  get signal(): AbortSignal {
    return this.#holding.won.keeper.signal;
  }

  /**
   * Aborts when somebody asks for the release (`lock.requestRelease`), at the latest with the first renewal after that. Reason:
   * ReleaseRequestedError. The lease is held as before: finish what you do and release it, or do not. Asked for or not, it costs
   * nothing until it is first used; from then on, by the two-object protocol, a GET with every renewal.
   */
  get revocation(): AbortSignal {
    return this.#holding.won.ticket.revocation.signal;
  }

  /**
   * Until when the lock is ours if no further renewal succeeds, less the margin: epoch ms by this host's wall clock. For people
   * and children; decide by `signal` and `throwIfLost`. In the past: it is over.
   */
  get heldUntil(): number {
    return this.#holding.clock.wallMs() + this.#holding.won.keeper.leftMs();
  }

  /** True while the lease is held, by the clock of this very moment. */
  get isHeld(): boolean {
    return !this.#holding.ended && this.#holding.won.keeper.isValid();
  }

  /**
   * Throws LockLostError if the lease can no longer be proved. Synchronous, and reads the clock itself: no timer fires while a
   * process is stopped. What it cannot see is a stop right after it returns; only a fencing token stops that write.
   */
  throwIfLost(): void {
    const { keeper, ticket } = this.#holding.won;
    // What was released cannot be lost any more: its keeper is not asked.
    if (!this.#holding.ended) keeper.isValid();
    if (keeper.lostError !== undefined) throw keeper.lostError;
    if (this.#holding.ended) throw new LockLostError(ticket.key, ticket.id, "it was released");
  }

  /**
   * The fencing token of this lease: above every token of this lock that was drawn by an earlier exclusive lease, for ever. Hand it
   * to what you write to, and let that refuse a lower one. Drawn when first asked for (two-object protocol: LIST, PUT, HEAD). Throws
   * LockLostError if the lease does not outlast the drawing, WRITE_UNKNOWN when the store's answer was unclear.
   */
  async token(options: { signal?: AbortSignal } = {}): Promise<bigint> {
    this.throwIfLost();
    const token = await this.#holding.won.ticket.token({ ...options, timeoutMs: this.#holding.requestTimeoutMs });
    // A token that was made known after the lease ended could be below the next holder's.
    this.throwIfLost();
    return token;
  }

  /** Asks the store too: true if it still shows both our objects and the lease is valid. Throws when the store cannot be read. */
  async verify(options: { signal?: AbortSignal } = {}): Promise<boolean> {
    if (!this.isHeld) return false;
    return (await this.#holding.won.ticket.isThere(options)) && this.isHeld;
  }

  /**
   * Ends the lease: nothing of it is left in the store after return, and the next in line may hold.
   * Rejects with LockLostError if it was lost before (your work may have overlapped with another's), with RELEASE_FAILED when the
   * store could not be reached (the lock then frees itself when the lease runs out). Calling it again gives the same answer.
   */
  release(): Promise<void> {
    collected.unregister(this);
    return this.#holding.release();
  }

  /** Stops renewing and leaves the objects: the lock frees itself when the lease runs out, or another process resumes the ticket. */
  abandon(): Promise<void> {
    collected.unregister(this);
    return this.#holding.abandon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#holding.ended) await this.release();
  }
}
