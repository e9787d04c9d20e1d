/**
 * A ticket of the conditional protocol that won: renewed, found and removed by compare-and-swap on the lock's record.
 * Decides nothing; the machine does.
 */
import type { CallOptions, DeleteTarget } from "@bucketlock/core";
import { LockLostError } from "../errors.js";
import type { HeldTicket, Renewal, RenewalCall } from "../held-ticket.js";
import { unlessAborted } from "../patience.js";
import { Revocation } from "../revocation.js";
import { type Mode, parseOwnId } from "../two-object/ticket.js";
import { type Facts, type Line, startLeave, startRenewal } from "./machine.js";
import { type Parting, partingOf } from "./parting.js";
import { entryOf, recordKey, standing } from "./record.js";
import { drive, type Hands, readRecord } from "./record-hands.js";

export class RecordTicket implements HeldTicket {
  readonly #hands: Hands;
  readonly #line: Line;
  /** When it was held; undefined: nobody stood before it. */
  readonly #wonMs: number | undefined;
  /** Undefined: another lease by this ticket may have it. */
  #token: bigint | undefined;
  #isTold = false;
  #drawing: Promise<bigint> | undefined;
  readonly mode: Mode;
  readonly revocation: Revocation;

  constructor(
    hands: Hands,
    line: Line,
    readonly id: string,
    token: bigint,
    /** Others stood before it, and more may come while it is held. */
    isContended: boolean,
  ) {
    this.#hands = hands;
    this.#line = line;
    this.#wonMs = isContended ? hands.settings.clock.monotonicMs() : undefined;
    this.#token = token;
    this.mode = parseOwnId(id)!.mode;
    this.revocation = new Revocation(hands.key, id);
  }

  get key(): string {
    return this.#hands.key;
  }

  /** The one that came with the lock, without a request. For another lease by this ticket it is counted up in the record. */
  async token(options: CallOptions): Promise<bigint> {
    for (;;) {
      if (this.#token !== undefined) {
        this.#isTold = true;
        return this.#token;
      }
      if (this.#drawing === undefined) break;
      // Another call draws: one lease has one token. If that fails, this call draws itself.
      await unlessAborted(
        this.#drawing.catch(() => {}),
        options.signal,
      );
    }
    options.signal?.throwIfAborted();
    this.#drawing = this.#draw(options);
    try {
      this.#token = await this.#drawing;
      this.#isTold = true;
      return this.#token;
    } finally {
      this.#drawing = undefined;
    }
  }

  nextTurn(): void {
    // What nobody was told may be the next one's. One that is being drawn just now is, for the lease before is over.
    if (this.#isTold) this.#token = undefined;
    this.#isTold = false;
  }

  async #draw(options: CallOptions): Promise<bigint> {
    const { memory, settings } = this.#hands;
    const nowMs = settings.clock.monotonicMs();
    const timeoutMs = options.timeoutMs ?? settings.requestTimeoutMs;
    const facts: Facts = { nowMs, steadyMs: nowMs, serverNowMs: whole(memory.serverTimeMs) };
    // Cut off, its write may land yet: under its ETag, before whatever we write next or never, and nobody was told the token.
    const verdict = await drive(this.#hands, {
      line: this.#line,
      first: startRenewal(this.#line, this.id, facts, memory.get(this.key), "draw"),
      signal: options.signal,
      patienceUntilMs: nowMs + timeoutMs,
      untilMs: nowMs + timeoutMs,
      steadyMs: () => settings.clock.monotonicMs(),
      timeoutMs,
    });
    if (verdict.is === "gone")
      throw new LockLostError(this.key, this.id, "another removed its ticket before the token was drawn");
    const entry = verdict.is === "renewed" ? entryOf(verdict.stored.record, this.id) : undefined;
    if (entry?.token === undefined) throw new Error(`bug: the drawing of a token ended with '${verdict.is}'`);
    return entry.token;
  }

  async renew(call: RenewalCall): Promise<Renewal> {
    if (!call.mayWrite()) return { is: "stopped" };
    const { memory, settings } = this.#hands;
    const nowMs = settings.clock.monotonicMs();
    const facts: Facts = { nowMs, steadyMs: call.nowMs(), serverNowMs: whole(memory.serverTimeMs) };
    const first = startRenewal(this.#line, this.id, facts, memory.get(this.key));
    // No signal: a conditional write that is cut off has an outcome nobody knows; the limit ends it soon enough.
    const verdict = await drive(this.#hands, {
      line: this.#line,
      first,
      patienceUntilMs: nowMs,
      steadyMs: () => call.nowMs(),
      timeoutMs: call.limit().timeoutMs,
    });
    if (verdict.is === "gone") return { is: "gone" };
    if (verdict.is === "renewed") return { is: "renewed", sentAtMs: verdict.sentAtMs };
    throw new Error(`bug: a renewal ended with '${verdict.is}'`);
  }

  /** On a bucket that keeps versions: those that writes of this process replaced. */
  async #sweep(options: CallOptions): Promise<void> {
    await this.#hands.memory.versions.sweep(this.#hands.store, recordKey(this.key), options);
  }

  /** The renewal has just read or written the record: what it says costs nothing. */
  async afterRenewal(options: CallOptions): Promise<void> {
    const stored = this.#hands.memory.get(this.key);
    const request = stored && entryOf(stored.record, this.id)?.request;
    if (request !== undefined) this.revocation.tell(request);
    await this.#sweep(options);
  }

  async isThere(options: CallOptions): Promise<boolean> {
    const stored = await readRecord(this.#hands, options);
    return stored !== undefined && standing(stored.record, this.id) === "holder";
  }

  async delete(options: CallOptions): Promise<void> {
    const { memory, settings } = this.#hands;
    const timeoutMs = options.timeoutMs ?? settings.requestTimeoutMs;
    const nowMs = settings.clock.monotonicMs();
    // Who gave the lock to us comes into line again a moment later.
    const isContended = this.#wonMs !== undefined && nowMs - this.#wonMs >= settings.pollMinMs / 4;
    const first = startLeave(this.#line, this.id, memory.get(this.key), true, isContended);
    const patienceUntilMs = nowMs + timeoutMs;
    const verdict = await drive(this.#hands, {
      line: this.#line,
      first,
      signal: options.signal,
      patienceUntilMs,
      untilMs: patienceUntilMs,
      steadyMs: () => settings.clock.monotonicMs(),
      timeoutMs,
    });
    if (verdict.is !== "left") throw new Error(`bug: a release ended with '${verdict.is}'`);
    await this.#sweep({ ...options, timeoutMs });
  }

  /** A record is never deleted by a release: tokens must not go back. */
  targets(): DeleteTarget[] {
    return [];
  }

  parting(): Parting | undefined {
    const { memory, settings } = this.#hands;
    return partingOf(this.key, this.id, true, memory.get(this.key), () => settings.random.hex(8));
  }
}

/** Into the record go whole numbers only. */
const whole = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : Math.floor(ms));
