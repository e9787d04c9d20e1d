/**
 * A ticket of the conditional protocol that won: renewed, found and removed by compare-and-swap on the lock's record.
 * Decides nothing; the machine does.
 */
import type { CallOptions, DeleteTarget } from "@bucketlock/core";
import type { HeldTicket, Renewal, RenewalCall } from "../held-ticket.js";
import { Revocation } from "../revocation.js";
import { type Mode, parseOwnId } from "../two-object/ticket.js";
import { type Facts, type Line, startLeave, startRenewal } from "./machine.js";
import { entryOf, standing } from "./record.js";
import { drive, type Hands, readRecord } from "./record-hands.js";

export class RecordTicket implements HeldTicket {
  readonly #hands: Hands;
  readonly #line: Line;
  readonly #token: bigint;
  readonly revocation: Revocation;

  constructor(
    hands: Hands,
    line: Line,
    readonly id: string,
    token: bigint,
  ) {
    this.#hands = hands;
    this.#line = line;
    this.#token = token;
    this.revocation = new Revocation(hands.key, id);
  }

  get key(): string {
    return this.#hands.key;
  }

  get mode(): Mode {
    return parseOwnId(this.id)!.mode;
  }

  async token(): Promise<bigint> {
    return this.#token;
  }

  async renew(call: RenewalCall): Promise<Renewal> {
    if (!call.mayWrite()) return { is: "stopped" };
    const { memory, settings } = this.#hands;
    const nowMs = settings.clock.monotonicMs();
    const facts: Facts = { nowMs, steadyMs: call.nowMs(), serverNowMs: memory.serverTimeMs };
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

  /** The renewal has just read or written the record: what it says costs nothing. */
  async afterRenewal(): Promise<void> {
    const stored = this.#hands.memory.get(this.key);
    const request = stored && entryOf(stored.record, this.id)?.request;
    if (request !== undefined) this.revocation.tell(request);
  }

  async isThere(options: CallOptions): Promise<boolean> {
    const stored = await readRecord(this.#hands, options);
    return stored !== undefined && standing(stored.record, this.id) === "holder";
  }

  async delete(options: CallOptions): Promise<void> {
    const { memory, settings } = this.#hands;
    const timeoutMs = options.timeoutMs ?? settings.requestTimeoutMs;
    const first = startLeave(this.#line, this.id, memory.get(this.key), true);
    const patienceUntilMs = settings.clock.monotonicMs() + timeoutMs;
    const verdict = await drive(this.#hands, {
      line: this.#line,
      first,
      signal: options.signal,
      patienceUntilMs,
      steadyMs: () => settings.clock.monotonicMs(),
      timeoutMs,
    });
    if (verdict.is !== "left") throw new Error(`bug: a release ended with '${verdict.is}'`);
  }

  /** A record is never deleted by a release: tokens must not go back. A dying process leaves its entry to the lease. */
  targets(): DeleteTarget[] {
    return [];
  }
}
