/**
 * Members: who is alive, with a label and a card, for fleets that want to know each other. A member keeps one object alive as a
 * lease does, and is gone when it leaves or dies. Excludes nobody, and proves nothing: a view from outside.
 */
import { BucketlockError, durationMs, knownOptions } from "@bucketlock/core";
import type { EventFacts, LockEvent } from "./events.js";
import { Holding } from "./holding.js";
import { Keeper } from "./keeper.js";
import { Lease } from "./lease.js";
import type { LockContext } from "./lock.js";
import {
  type Card,
  callRoll,
  checkCard,
  decodeMember,
  encodeMember,
  type Look,
  type Member,
  memberKey,
  memberPrefix,
  type Sightings,
  sweepable,
} from "./member-rule.js";
import { MemberTicket } from "./member-ticket.js";
import { breathe, isPassing, listAll, readText, removeAll, type Side } from "./side-objects.js";
import { SteadyClock } from "./steady.js";
import { drawUlid } from "./two-object/driver.js";
import { lockKey, ticketId } from "./two-object/ticket.js";

export interface MembersOptions {
  /** How often `watch` looks, in ms. Default: the locks' `pollMaxMs`. */
  readonly pollMs?: number | undefined;
}

export interface JoinOptions {
  /** What others are shown, besides the locks' label: an object of strings, at most 4096 bytes of JSON. Default: nothing. */
  readonly metadata?: Card | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What changed between two looks. */
export interface MembersChange {
  /** Who is there now, in the order in which they joined. */
  readonly members: readonly Member[];
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
}

/** Requests at a time when cards are read. */
const AT_A_TIME = 8;

/** One stay among the members. Keep a reference while it lasts: a collected one leaves. */
export class Membership {
  readonly #lease: Lease;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  get id(): string {
    return this.#lease.ticketId;
  }

  /** Aborts when others may take us for dead: not renewed in time, or removed. Join again then. Reason: LockLostError. */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /** True while others must take us for alive, by the clock of this very moment. */
  get isMember(): boolean {
    return this.#lease.isHeld;
  }

  /** After return nothing of it is in the store. Rejects as a lease's `release` does; harmless twice. */
  leave(): Promise<void> {
    return this.#lease.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lease[Symbol.asyncDispose]();
  }
}

export class Members {
  readonly #context: LockContext;
  readonly #pollMs: number;
  /** Cards never change. */
  readonly #cards = new Map<string, { label: string; metadata: Card }>();

  constructor(
    readonly key: string,
    context: LockContext,
    options: MembersOptions = {},
  ) {
    lockKey(`${key}.members`);
    knownOptions(options, ["pollMs"]);
    this.#context = context;
    this.#pollMs = durationMs("pollMs", options.pollMs ?? context.settings.pollMaxMs, { min: 1 });
  }

  /**
   * Joins. After return others see us, and the membership renews itself (two requests every `renewEveryMs`) until `leave`.
   * Throws MEMBER_NOT_WRITTEN when the store did not clearly take our object, the signal's reason, store errors.
   */
  async join(options: JoinOptions = {}): Promise<Membership> {
    const { store, settings } = this.#context;
    knownOptions(options, ["metadata", "signal"]);
    const { clock, random, leaseMs, label } = settings;
    const text = encodeMember(label, checkCard(options.metadata ?? {}));
    const { signal, done } = this.#context.begin(options.signal);
    const id = ticketId(drawUlid(undefined, clock.wallMs(), random), "shared", leaseMs);
    const ticket = new MemberTicket(store, this.key, id, label, text);
    this.#context.opened(ticket);
    try {
      const side = { store, settings, signal };
      const keeper = await this.#enter(ticket, side);
      const membership = this.#begin(ticket, keeper);
      // Who died without leaving is removed by who comes next.
      await this.#sweep(side).catch(() => {});
      return membership;
    } catch (error) {
      await ticket.delete({ timeoutMs: settings.requestTimeoutMs }).catch(() => {});
      throw error;
    } finally {
      this.#context.closed(ticket);
      done();
    }
  }

  /** Writes until the store clearly has it, and has it kept alive from that write on. */
  async #enter(ticket: MemberTicket, side: Side): Promise<Keeper> {
    const { settings, signal } = side;
    const { clock, requestTimeoutMs, marginMs } = settings;
    const steady = new SteadyClock(clock, marginMs / 2);
    const endMs = clock.monotonicMs() + requestTimeoutMs;
    for (let renewal = 0; ; renewal++) {
      const sentAtMs = steady.nowMs();
      let cause: unknown;
      try {
        const put = await ticket.put(renewal, { signal, timeoutMs: requestTimeoutMs, validForMs: requestTimeoutMs });
        if (put.outcome === "stored")
          return new Keeper(ticket, settings, steady, sentAtMs, renewal, (facts) => this.#tell(ticket.id, facts));
        cause = put.outcome === "unknown" ? put.cause : put;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        cause = error;
      }
      if (clock.monotonicMs() >= endMs) throw notWritten(this.key, cause);
      await breathe(side);
    }
  }

  #begin(ticket: MemberTicket, keeper: Keeper): Membership {
    const { store, settings } = this.#context;
    const holding = new Holding(
      { ticket, keeper, waitedMs: 0, requests: 1 },
      {
        store,
        settings,
        emit: (id, facts) => this.#tell(id, facts),
        onEnd: (ended, rest) => this.#context.ended(ended, rest),
      },
    );
    this.#context.held(holding);
    keeper.start();
    return new Membership(new Lease(holding.turn(false)));
  }

  #tell(id: string, facts: EventFacts): void {
    this.#context.emit({
      ...facts,
      key: memberPrefix(this.key).slice(0, -1),
      ticketId: id,
      mode: "shared",
    } as LockEvent);
  }

  async #sweep(side: Side): Promise<void> {
    const dead = sweepable(this.key, await this.#look(side), side.settings);
    await removeAll(
      side,
      dead.map((id) => memberKey(this.key, id)),
    );
  }

  /**
   * Who is alive now, by the store's own clock, in the order in which they joined: one LIST, and one GET for each member not seen before.
   * Who died is shown until its lease and `clockSkewMs` are over. Throws store errors, MEMBER_CORRUPT.
   */
  async list(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Member[]> {
    return this.#within(options.signal, async (side) => (await this.#members(side, new Map())).members);
  }

  /**
   * Changes as they are seen, those who are there now first (as `joined`). Who died is gone within its lease and one look. Store
   * trouble that passes is waited out; meanwhile nobody is said to have left. Ends by throwing the signal's reason, or a store error
   * that does not pass; leaving the loop ends it too.
   */
  async *watch(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<MembersChange, never, void> {
    let before: readonly Member[] = [];
    let sightings: Sightings = new Map();
    for (let first = true, told = false; ; first = false) {
      let change: MembersChange | undefined;
      try {
        change = await this.#within(options.signal, async (side) => {
          if (!first) await side.settings.clock.sleep(this.#pollMs, { signal: side.signal });
          const now = await this.#members(side, sightings);
          sightings = now.sightings;
          const joined = now.members.filter(({ id }) => !before.some((member) => member.id === id));
          const left = before.filter(({ id }) => !now.members.some((member) => member.id === id));
          return { members: now.members, joined, left };
        });
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        continue;
      }
      before = change.members;
      if (told && change.joined.length + change.left.length === 0) continue;
      told = true;
      yield change;
    }
  }

  async #members(side: Side, before: Sightings): Promise<{ members: Member[]; sightings: Sightings }> {
    const { alive, sightings } = callRoll(this.key, await this.#look(side), before, side.settings);
    for (const id of this.#cards.keys()) if (!sightings.has(id)) this.#cards.delete(id);
    const unknown = alive.filter(({ id }) => !this.#cards.has(id));
    for (let at = 0; at < unknown.length; at += AT_A_TIME)
      await Promise.all(unknown.slice(at, at + AT_A_TIME).map(({ id }) => this.#read(side, id)));
    const members = alive.flatMap(({ id, renewedAtMs }) => {
      const card = this.#cards.get(id);
      // Gone between the listing and the reading.
      return card === undefined ? [] : [{ id, ...card, renewedAtMs }];
    });
    return { members, sightings };
  }

  async #read(side: Side, id: string): Promise<void> {
    const objectKey = memberKey(this.key, id);
    const text = await readText(side, objectKey);
    if (text !== undefined) this.#cards.set(id, decodeMember(objectKey, text));
  }

  async #look(side: Side): Promise<Look> {
    const { clock } = side.settings;
    const sentAtMs = clock.monotonicMs();
    const { objects, serverTimeMs } = await listAll(side, memberPrefix(this.key));
    return { objects, serverTimeMs, sentAtMs, answeredAtMs: clock.monotonicMs() };
  }

  async #within<T>(given: AbortSignal | undefined, work: (side: Side) => Promise<T>): Promise<T> {
    const { store, settings } = this.#context;
    const { signal, done } = this.#context.begin(given);
    try {
      return await work({ store, settings, signal });
    } finally {
      done();
    }
  }
}

function notWritten(key: string, cause: unknown): BucketlockError {
  return new BucketlockError(`the store did not clearly take our object: ${key}`, {
    code: "MEMBER_NOT_WRITTEN",
    kind: "unavailable",
    cause,
    details: { key },
  });
}
