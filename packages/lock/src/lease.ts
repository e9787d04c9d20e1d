/**
 * The lease: the time-limited right that a won attempt gives, used once. It is what a program holds; what works behind it
 * (holding.ts) never refers to it.
 */
import { LockLostError } from "./errors.js";
import type { Turn } from "./holding.js";
import type { Mode } from "./two-object/ticket.js";

const collected = new FinalizationRegistry<Turn>((turn) => turn.leaked());

/**
 * A held lock. Used once: after `release` or `abandon` it is over, and a new one is acquired for new work.
 * Keep a reference to it while you work (`await using`, or `run`): a collected lease is released.
 */
export class Lease {
  readonly #turn: Turn;

  constructor(turn: Turn) {
    this.#turn = turn;
    collected.register(this, turn, this);
  }

  get key(): string {
    return this.#turn.holding.ticket.key;
  }

  get mode(): Mode {
    return this.#turn.holding.ticket.mode;
  }

  /** Finds this ticket again from another process (`lock.resume`). Leases that one process passes on or shares have the same. */
  get ticketId(): string {
    return this.#turn.holding.ticket.id;
  }

  /** Aborts before the lease ends unrenewed, when it is found taken, or when it is abandoned. Reason: LockLostError. Hand it to your work. */
  get signal(): AbortSignal {
    return this.#turn.signal;
  }

  /**
   * Aborts when somebody asks for the release (`lock.requestRelease`), at the latest with the first renewal after that. Reason:
   * ReleaseRequestedError. The lease is held as before: finish what you do and release it, or do not. Asked for or not, it costs
   * nothing until it is first used; from then on, by the two-object protocol, a GET with every renewal.
   */
  get revocation(): AbortSignal {
    return this.#turn.holding.ticket.revocation.signal;
  }

  /**
   * Until when the lock is ours if no further renewal succeeds, less the margin: epoch ms by this host's wall clock. For people
   * and children; decide by `signal` and `throwIfLost`. In the past: it is over.
   */
  get heldUntil(): number {
    const { holding, isOver } = this.#turn;
    return holding.clock.wallMs() + (isOver ? 0 : holding.leftMs());
  }

  /** True while the lease is held, by the clock of this very moment. */
  get isHeld(): boolean {
    return !this.#turn.isOver && this.#turn.holding.isValid();
  }

  /**
   * Throws LockLostError if the lease can no longer be proved. Synchronous, and reads the clock itself: no timer fires while a
   * process is stopped. What it cannot see is a stop right after it returns; only a fencing token stops that write.
   */
  throwIfLost(): void {
    const { holding } = this.#turn;
    // What was released cannot be lost any more: its keeper is not asked.
    if (!this.#turn.isOver) holding.isValid();
    if (this.#turn.lostError !== undefined) throw this.#turn.lostError;
    if (this.#turn.isOver) throw new LockLostError(this.key, this.ticketId, "it was released");
  }

  /**
   * The fencing token of this lease: above every token of this lock that was drawn by an earlier exclusive lease, for ever. Hand it
   * to what you write to, and let that refuse a lower one. Drawn when first asked for (two-object protocol: LIST, PUT, HEAD). Throws
   * LockLostError if the lease does not outlast the drawing, WRITE_UNKNOWN when the store's answer was unclear.
   */
  async token(options: { signal?: AbortSignal } = {}): Promise<bigint> {
    this.throwIfLost();
    const token = await this.#turn.holding.token(options);
    // A token that was made known after the lease ended could be below the next holder's.
    this.throwIfLost();
    return token;
  }

  /** Asks the store too: true if it still shows both our objects and the lease is valid. Throws when the store cannot be read. */
  async verify(options: { signal?: AbortSignal } = {}): Promise<boolean> {
    if (!this.isHeld) return false;
    return (await this.#turn.holding.ticket.isThere(options)) && this.isHeld;
  }

  /**
   * Ends the lease: nothing of it is left in the store after return, and the next in line may hold.
   * Rejects with LockLostError if it was lost before (your work may have overlapped with another's), with RELEASE_FAILED when the
   * store could not be reached (the lock then frees itself when the lease runs out). Calling it again gives the same answer.
   */
  release(): Promise<void> {
    collected.unregister(this);
    return this.#turn.release();
  }

  /** Stops renewing and leaves the objects: the lock frees itself when the lease runs out, or another process resumes the ticket. */
  abandon(): Promise<void> {
    collected.unregister(this);
    return this.#turn.abandon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#turn.isOver) await this.release();
  }
}
