/**
 * What this process holds at the store, and the leases it serves by it: one after the other if exclusive, together if shared.
 * Neither refers to a `Lease`, so that a lease nobody refers to can be collected, noticed and released. Decides nothing about
 * whose turn it is.
 */
import { BucketlockError, type CallOptions, type Clock, type Store } from "@bucketlock/core";
import { LockLostError } from "./errors.js";
import type { EventFacts } from "./events.js";
import { type Pending, track, untrack } from "./finalizer.js";
import type { HeldTicket } from "./held-ticket.js";
import type { Settings } from "./settings.js";
import type { Won } from "./two-object/driver.js";

export interface HoldingContext {
  readonly store: Store;
  readonly settings: Settings;
  readonly emit: (ticketId: string, facts: EventFacts) => void;
  /** `rest`: what is still under way for it, such as the deletes after a loss. Never rejects. */
  readonly onEnd: (holding: Holding, rest: Promise<void>) => void;
}

/** Those who share a holding within the process. */
export interface Sharers {
  /** False only in tests: what can no longer be proved is passed on too. */
  readonly onlyValid: boolean;
  /** A lease is over. True: the holding goes on for another of the process. */
  left(holding: Holding): boolean;
  /** It serves nobody new: one of its leases was abandoned. */
  closed(holding: Holding): void;
  /** It is over: released, lost or abandoned. */
  gone(holding: Holding): void;
}

/** The holding of one process. */
export class Holding {
  readonly #won: Won;
  readonly #context: HoldingContext;
  readonly #pending: Pending;
  readonly #turns = new Set<Turn>();
  #sharers: Sharers | undefined;
  /** Made with the first token: ends the drawing of one when nobody holds by it any more. */
  #drawing: AbortController | undefined;
  #ending: Promise<void> | undefined;
  #isAbandoned = false;
  #over = () => {};
  /** Resolves when it is over, and nothing of it is under way any more. */
  readonly over = new Promise<void>((resolve) => {
    this.#over = resolve;
  });

  constructor(won: Won, context: HoldingContext) {
    this.#won = won;
    this.#context = context;
    this.#pending = {
      store: context.store,
      remains: won.ticket,
      release: () => this.release().catch(() => {}),
      signals: context.settings.signals,
    };
    track(this.#pending);
    won.keeper.becomeLease();
    won.keeper.signal.addEventListener("abort", () => this.#lost(), { once: true });
  }

  get ticket(): HeldTicket {
    return this.#won.ticket;
  }

  /** What the store was sent for it, until it was held. */
  get requests(): number {
    return this.#won.requests;
  }

  get clock(): Clock {
    return this.#context.settings.clock;
  }

  /** The reason, once lost. */
  get lostError(): LockLostError | undefined {
    return this.#won.keeper.lostError;
  }

  get onlyValid(): boolean {
    return this.#sharers?.onlyValid ?? true;
  }

  /** Looks at the clock now. */
  isValid(): boolean {
    return this.#won.keeper.isValid();
  }

  leftMs(): number {
    return this.#won.keeper.leftMs();
  }

  sharedBy(sharers: Sharers): void {
    this.#sharers = sharers;
  }

  /** One more lease by it. `isNew`: its token must be above that of the lease before. */
  turn(isNew: boolean): Turn {
    if (isNew) this.ticket.nextTurn();
    const turn = new Turn(this);
    // Lost before anybody held by it: its user is told all the same.
    if (this.lostError !== undefined) turn.end(this.lostError);
    else this.#turns.add(turn);
    return turn;
  }

  tell(facts: EventFacts): void {
    this.#context.emit(this.ticket.id, facts);
  }

  token({ signal }: CallOptions): Promise<bigint> {
    this.#drawing ??= new AbortController();
    const over = this.#drawing.signal;
    return this.ticket.token({
      signal: signal === undefined ? over : AbortSignal.any([signal, over]),
      timeoutMs: this.#context.settings.requestTimeoutMs,
    });
  }

  /** Nobody would be told it: after the end nothing of ours is under way at the store. */
  #endDrawing(): void {
    this.#drawing?.abort(this.lostError ?? new LockLostError(this.ticket.key, this.ticket.id, "it was released"));
  }

  /** That lease is over: to the next of this process, or to the store. */
  async leave(turn: Turn): Promise<void> {
    const isLast = this.#turns.size === 1 && this.#turns.has(turn);
    this.#turns.delete(turn);
    if (this.#sharers?.left(this) ?? !isLast) return this.tell({ type: "released" });
    return this.release();
  }

  /** Throws the loss, once everything that was under way for it is done. */
  async tellLoss(): Promise<void> {
    const { keeper } = this.#won;
    await keeper.stop();
    this.#settled();
    if (keeper.lostError !== undefined) throw keeper.lostError;
  }

  /** Back to the store, whoever uses it still. */
  release(): Promise<void> {
    this.#ending ??= this.#release();
    return this.#ending;
  }

  async #release(): Promise<void> {
    const { keeper, ticket } = this.#won;
    for (const turn of this.#turns) turn.end();
    this.#turns.clear();
    this.#endDrawing();
    this.#sharers?.gone(this);
    if (this.#isAbandoned) {
      keeper.abandon();
      await keeper.stop();
      return this.#settled();
    }
    // Asked before the end: a lease that ran out unnoticed must not be reported as released.
    keeper.isValid();
    await keeper.stop();
    if (keeper.lostError !== undefined) return this.tellLoss();
    try {
      await this.#delete();
    } catch (error) {
      this.tell({ type: "releaseFailed", error });
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
    this.tell({ type: "released" });
  }

  /** Within `requestTimeoutMs`, however often it is tried. */
  async #delete(): Promise<void> {
    const { clock, requestTimeoutMs } = this.#context.settings;
    const untilMs = clock.monotonicMs() + requestTimeoutMs;
    try {
      await this.ticket.delete({ timeoutMs: requestTimeoutMs });
    } catch (error) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs < 1) throw error;
      // Deleting twice is harmless, and others would wait out a whole lease for want of a second try.
      await this.ticket.delete({ timeoutMs: leftMs });
    }
  }

  /** That lease was abandoned. The others by this ticket go on until they are over; then it is left as it is. */
  async abandon(turn: Turn): Promise<void> {
    this.#isAbandoned = true;
    this.#sharers?.closed(this);
    const isLast = this.#turns.size === 1 && this.#turns.has(turn);
    this.#turns.delete(turn);
    if (!(this.#sharers?.left(this) ?? !isLast)) await this.release();
    await this.over;
  }

  #lost(): void {
    for (const turn of this.#turns) turn.end(this.lostError);
    this.#turns.clear();
    this.#endDrawing();
    this.#sharers?.gone(this);
    this.#settled();
  }

  #settled(): void {
    untrack(this.#pending);
    // Not before: a ticket is found again only when nothing of ours renews or deletes it any more.
    const rest = this.#won.keeper.stop().then(() => this.#over());
    this.#context.onEnd(this, rest);
  }
}

/** One lease of a holding. */
export class Turn {
  /** Made when somebody listens. */
  #abort: AbortController | undefined;
  #lostError: LockLostError | undefined;
  #isOver = false;
  #ending: Promise<void> | undefined;

  constructor(readonly holding: Holding) {}

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#lostError !== undefined) this.#abort.abort(this.#lostError);
    }
    return this.#abort.signal;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The reason, if it was lost or abandoned. */
  get lostError(): LockLostError | undefined {
    return this.#lostError;
  }

  /** Over; with a reason: its user is told. */
  end(reason?: LockLostError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lostError = reason;
    if (reason !== undefined) this.#abort?.abort(reason);
  }

  release(): Promise<void> {
    this.#ending ??= this.#release();
    return this.#ending;
  }

  async #release(): Promise<void> {
    const { holding } = this;
    // Asked before the end: a lease that ran out unnoticed must not be passed on, nor reported as released.
    if (!this.#isOver && holding.onlyValid) holding.isValid();
    if (this.#isOver) {
      if (this.lostError === undefined) return holding.release();
      // What was abandoned was given up on purpose.
      return this.lostError === holding.lostError ? holding.tellLoss() : undefined;
    }
    this.end();
    await holding.leave(this);
  }

  async abandon(): Promise<void> {
    // What was lost is being deleted: who finds its ticket again must come after that.
    if (this.#isOver) return this.#lostError === undefined ? undefined : this.holding.over;
    const { key, id } = this.holding.ticket;
    this.end(new LockLostError(key, id, "it was abandoned"));
    await this.holding.abandon(this);
  }

  /** Nobody refers to its lease any more: release it and tell, for the program has a bug. */
  leaked(): void {
    if (this.#isOver) return;
    this.holding.tell({ type: "leaked" });
    process.emitWarning(`a lease was garbage collected while held and is released now: ${this.holding.ticket.key}`, {
      type: "BucketlockWarning",
      code: "BUCKETLOCK_LEAKED_LEASE",
    });
    this.release().catch(() => {});
  }
}
