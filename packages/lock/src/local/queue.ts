/**
 * The acquires of one lock in one process: they wait here, one ticket stands in the store's line for all of them, and leases are
 * passed on without a request. Carries out what turns.ts decides; decides nothing about whose turn it is.
 */
import type { Clock } from "@bucketlock/core";
import type { AttemptOptions, AttemptResult } from "../attempt.js";
import type { Holding, Sharers, Turn } from "../holding.js";
import type { Trouble } from "../two-object/driver.js";
import type { Mode } from "../two-object/ticket.js";
import {
  type Ask,
  type Held,
  NOBODY,
  nextLookMs,
  type Order,
  settle,
  stoodFor,
  type TurnRules,
  type Turns,
} from "./turns.js";

export interface QueueContext {
  readonly clock: Clock;
  readonly rules: TurnRules;
  attempt(options: Omit<AttemptOptions, "key">): Promise<AttemptResult>;
  /** Nobody waits or holds here any more. */
  idle(): void;
}

/** What came of an ask. */
export interface Answer {
  /** Undefined: the time was over. */
  readonly turn?: Turn | undefined;
  readonly by: readonly string[];
  readonly waitedMs: number;
  /** The ticket of another of this process was passed on, or is shared. */
  readonly local: boolean;
}

interface Waiter {
  readonly startedMs: number;
  readonly answer: (answer: Answer) => void;
  readonly fail: (error: unknown) => void;
  /** Stops listening. */
  readonly drop: () => void;
}

/** The ticket in the store's line. */
interface Attempt {
  readonly abort: AbortController;
  readonly trouble: Trouble;
  by: readonly string[];
  /** Others are known to stand before it. */
  isBehind: boolean;
  /** Resolves when nothing of it is left to do. */
  over: Promise<void>;
}

const NO_LONGER = Symbol("nobody waits any more");
const NO_ALARM = Symbol("the alarm is off");

export class Queue implements Sharers {
  readonly #context: QueueContext;
  readonly #waiters = new Map<number, Waiter>();
  readonly #holdings = new Map<number, Holding>();
  #turns: Turns = NOBODY;
  #next = 1;
  #attempt: Attempt | undefined;
  #alarm: { readonly atMs: number; readonly cancel: AbortController } | undefined;

  constructor(context: QueueContext) {
    this.#context = context;
  }

  get onlyValid(): boolean {
    return this.#context.rules.onlyValid;
  }

  /** Waits its turn. Throws what the attempt at the store throws, and the signal's reason unchanged. */
  async ask(mode: Mode, waitMs: number, signal: AbortSignal | undefined): Promise<Answer> {
    signal?.throwIfAborted();
    const startedMs = this.#context.clock.monotonicMs();
    const id = this.#next++;
    const asked = new Promise<Answer>((answer, fail) => {
      const onAbort = () => this.#leave([id], signal?.reason);
      const drop = () => signal?.removeEventListener("abort", onAbort);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.set(id, { startedMs, answer, fail, drop });
    });
    const ask: Ask = { id, mode, deadlineMs: startedMs + waitMs, tries: waitMs === 0 };
    // The others wait for its end anyway.
    if (mode === "shared" || ask.tries) this.#look();
    this.#become({ ...this.#turns, asks: [...this.#turns.asks, ask] });
    return asked;
  }

  /** Everybody who waits is sent away with that reason. After return nothing of theirs is left in line. */
  async close(reason: unknown): Promise<void> {
    // All at once: nobody is served because another leaves.
    this.#leave(
      this.#turns.asks.map(({ id }) => id),
      reason,
    );
    await this.#attempt?.over;
  }

  left(holding: Holding): boolean {
    this.#change(holding, (held) => ({ ...held, users: held.users - 1 }));
    return this.#idOf(holding) !== undefined;
  }

  closed(holding: Holding): void {
    this.#change(holding, (held) => ({ ...held, closed: true }));
  }

  gone(holding: Holding): void {
    const id = this.#idOf(holding);
    if (id === undefined) return;
    this.#holdings.delete(id);
    this.#become({ ...this.#turns, held: this.#turns.held.filter((held) => held.id !== id) });
  }

  #change(holding: Holding, change: (held: Held) => Held): void {
    const id = this.#idOf(holding);
    const held = this.#turns.held.map((one) => (one.id === id ? change(one) : one));
    this.#become({ ...this.#turns, held });
  }

  #idOf(holding: Holding): number | undefined {
    for (const [id, one] of this.#holdings) if (one === holding) return id;
    return undefined;
  }

  /** Something happened: whatever follows is done at once. */
  #become(turns: Turns): void {
    const { clock, rules } = this.#context;
    const open = turns.held.map((one) => this.#asked(one));
    const settled = settle({ ...turns, held: open }, clock.monotonicMs(), rules);
    this.#turns = settled.turns;
    for (const order of settled.orders) this.#carryOut(order);
    this.#setAlarm();
    const { asks, held, standing } = this.#turns;
    // Who is just coming in looks first, and is no ask yet.
    const isIdle = asks.length === 0 && held.length === 0 && standing === undefined && this.#waiters.size === 0;
    if (isIdle) this.#context.idle();
  }

  /** No timer fires while a process is stopped: what ran out unnoticed takes itself out (gone). */
  #look(): void {
    if (this.#context.rules.onlyValid) for (const holding of [...this.#holdings.values()]) holding.isValid();
  }

  /** Somebody asks for the release of that ticket: it is passed on to nobody. */
  #asked(held: Held): Held {
    const isAsked = this.#holdings.get(held.id)?.ticket.revocation.isAsked === true;
    return isAsked && held.turns > 0 ? { ...held, closed: true } : held;
  }

  #carryOut(order: Order): void {
    switch (order.do) {
      case "serve":
        this.#serve(order.ask, this.#holdings.get(order.held)!, order.isFirst);
        break;
      case "refuse":
        this.#refuse(order.ask);
        break;
      case "stand":
        this.#stand(order.ask);
        break;
      case "callBack":
        this.#attempt?.abort.abort(NO_LONGER);
        break;
      case "release": {
        const holding = this.#holdings.get(order.held);
        this.#holdings.delete(order.held);
        // Whoever left it last is told when that fails.
        holding?.release().catch(() => {});
      }
    }
  }

  #take(id: number): (Waiter & { waitedMs: number }) | undefined {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return undefined;
    this.#waiters.delete(id);
    waiter.drop();
    return { ...waiter, waitedMs: this.#context.clock.monotonicMs() - waiter.startedMs };
  }

  #serve(id: number, holding: Holding, isFirst: boolean): void {
    const turn = holding.turn(!isFirst && holding.ticket.mode === "exclusive" && this.#context.rules.ownToken);
    const waiter = this.#take(id);
    waiter?.answer({ turn, by: [], waitedMs: waiter.waitedMs, local: !isFirst });
  }

  #refuse(id: number, by?: readonly string[]): void {
    const waiter = this.#take(id);
    if (waiter === undefined) return;
    // A store that does not answer is what kept it waiting.
    const error = this.#attempt?.trouble.error;
    if (error !== undefined) {
      waiter.fail(error);
      return;
    }
    const before = () => [...this.#holdings.values()].map(({ ticket }) => ticket.id).concat(this.#attempt?.by ?? []);
    waiter.answer({ by: by ?? before(), waitedMs: waiter.waitedMs, local: false });
  }

  /** These give up. Told only when nothing is left in the store's line for them. */
  #leave(ids: readonly number[], reason: unknown): void {
    // Who comes next may be served by a ticket that is held.
    this.#look();
    const leaving = ids.map((id) => this.#take(id));
    this.#become({ ...this.#turns, asks: this.#turns.asks.filter(({ id }) => !ids.includes(id)) });
    const fail = () => {
      for (const waiter of leaving) waiter?.fail(reason);
    };
    if (this.#turns.standing?.ending === true) void this.#attempt!.over.then(fail);
    else fail();
  }

  #stand(ask: Ask): void {
    const trouble = new Told(() => this.#hindered());
    const over = Promise.resolve();
    const attempt: Attempt = { abort: new AbortController(), trouble, by: [], isBehind: false, over };
    this.#attempt = attempt;
    attempt.over = this.#run(attempt, ask);
  }

  /** Whoever only tries must not wait with those who are patient. */
  #hindered(): void {
    const { standing } = this.#turns;
    if (standing === undefined || this.#attempt === undefined) return;
    const waiting = this.#attempt.isBehind || this.#attempt.trouble.error !== undefined;
    if (waiting !== standing.waiting) this.#become({ ...this.#turns, standing: { ...standing, waiting } });
  }

  async #run(attempt: Attempt, ask: Ask): Promise<void> {
    let result: AttemptResult;
    try {
      result = await this.#context.attempt({
        mode: ask.mode,
        // As long as any of those it stands for wants to wait.
        deadlineMs: () => (ask.tries ? ask.deadlineMs : latest(stoodFor(this.#turns))),
        signal: attempt.abort.signal,
        trouble: attempt.trouble,
        onWaiting: (by) => {
          attempt.by = by;
          attempt.isBehind = true;
          this.#hindered();
        },
      });
    } catch (error) {
      // Those who would meet the same hear it at once.
      const failed = this.#turns.standing?.ending === true ? [] : stoodFor(this.#turns);
      return this.#finish(failed, (id) => this.#take(id)?.fail(error));
    }
    if (result.holding === undefined) {
      const nowMs = this.#context.clock.monotonicMs();
      const late = stoodFor(this.#turns).filter(({ deadlineMs }) => nowMs >= deadlineMs);
      return this.#finish(late, (id) => this.#refuse(id, result.by));
    }
    // Lost before anybody was told that it is held: those it was for stand in line anew.
    if (result.holding.lostError !== undefined && this.onlyValid) return this.#finish([], () => {});
    await this.#won(result.holding);
  }

  /** The attempt is over, for these without the lock; the others stand in line anew. */
  #finish(asks: readonly Ask[], tell: (id: number) => void): void {
    this.#look();
    this.#attempt = undefined;
    const left = this.#turns.asks.filter((ask) => !asks.includes(ask));
    this.#turns = { ...this.#turns, asks: left, standing: undefined };
    for (const { id } of asks) tell(id);
    this.#become(this.#turns);
  }

  async #won(holding: Holding): Promise<void> {
    this.#attempt = undefined;
    const id = this.#next++;
    this.#holdings.set(id, holding);
    holding.sharedBy(this);
    const { mode } = holding.ticket;
    const held = { id, mode, grantedMs: this.#context.clock.monotonicMs(), turns: 0, users: 0, closed: false };
    this.#turns = { ...this.#turns, standing: undefined, held: [...this.#turns.held, held] };
    this.#look();
    this.#become(this.#turns);
    // Nobody wanted it any more: who gave up is told when it has gone.
    if (!this.#holdings.has(id)) await holding.release().catch(() => {});
  }

  /** For those whose time may be over while nothing else happens. It keeps the process alive, as all waiting does. */
  #setAlarm(): void {
    const { clock, rules } = this.#context;
    const nowMs = clock.monotonicMs();
    const atMs = nextLookMs(this.#turns, nowMs, rules);
    // One that rings too early only looks.
    if (atMs !== undefined && this.#alarm !== undefined && this.#alarm.atMs <= atMs) return;
    this.#alarm?.cancel.abort(NO_ALARM);
    this.#alarm = undefined;
    if (atMs === undefined) return;
    const alarm = { atMs, cancel: new AbortController() };
    this.#alarm = alarm;
    clock.sleep(atMs - nowMs, { signal: alarm.cancel.signal }).then(
      () => {
        this.#alarm = undefined;
        this.#look();
        this.#become(this.#turns);
      },
      () => {},
    );
  }
}

/** Tells when it changes. */
class Told implements Trouble {
  readonly #tell: () => void;
  #error: unknown;

  constructor(tell: () => void) {
    this.#tell = tell;
  }

  get error(): unknown {
    return this.#error;
  }

  set error(error: unknown) {
    if (error === this.#error) return;
    this.#error = error;
    this.#tell();
  }
}

const latest = (asks: readonly Ask[]): number => Math.max(...asks.map(({ deadlineMs }) => deadlineMs));
