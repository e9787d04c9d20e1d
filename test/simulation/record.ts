/**
 * Writes down, by true time, who held what: from when `acquire` returned until release, until it was told lost, or until
 * its own clock would say that the lease is over, asked or not. Never asks a lease anything that changes it.
 */

import type { Hold } from "@bucketlock/lock/testing";
import type { Bucket } from "./bucket.js";
import { short } from "./client.js";
import type { Host } from "./host.js";
import type { Plan } from "./plan.js";
import { type Lease, parseOwnId, placeKeyOf } from "./under-test.js";
import type { World } from "./world.js";

/** A timer may be late by this (host.ts), and no later than it must the holder hear of a loss. */
const TIMER_LATE_MS = 25;

interface Entry {
  readonly host: Host;
  readonly lease: Lease;
  /** Its number among the acquires of its process; undefined: a ticket found again. */
  readonly asked: number | undefined;
  /** Which lease by this ticket in this process it is, from 1, and when the first began. */
  readonly turn: number;
  readonly firstMs: number;
  readonly fromMs: number;
  /** Until when its keeper would call it valid, if asked. */
  untilMs: number;
  endedMs: number | undefined;
  toldMs: number | undefined;
  token?: bigint;
}

export class Records {
  readonly #world: World;
  readonly #bucket: Bucket;
  readonly #protocol: Plan["protocol"];
  readonly #entries: Entry[] = [];
  readonly #byTicket = new Map<string, Entry[]>();
  readonly #broken = new Map<string, number>();

  constructor(world: World, bucket: Bucket, protocol: Plan["protocol"]) {
    this.#protocol = protocol;
    this.#world = world;
    this.#bucket = bucket;
  }

  get count(): number {
    return this.#entries.length;
  }

  /** True: by a ticket of another lease of its process. */
  acquired(host: Host, lease: Lease, asked: number | undefined): boolean {
    const nowMs = this.#world.nowMs;
    const before = this.#byTicket.get(lease.ticketId) ?? [];
    const entry: Entry = {
      host,
      lease,
      asked,
      turn: before.length + 1,
      firstMs: before[0]?.fromMs ?? nowMs,
      fromMs: nowMs,
      untilMs: nowMs,
      endedMs: undefined,
      toldMs: undefined,
    };
    const leftMs = lease.heldUntil - host.wallMs();
    if (leftMs <= 0) this.#world.violate(`${host.name} acquired ${short(lease.ticketId)} when it was over`);
    this.#entries.push(entry);
    this.#byTicket.set(lease.ticketId, [...before, entry]);
    this.#refresh(entry);
    lease.signal.addEventListener("abort", () => this.#told(entry), { once: true });
    return before.length > 0;
  }

  /** The holder ends it: from now on it does not believe to hold. */
  ending(lease: Lease): void {
    const entry = this.#entries.find((other) => other.lease === lease)!;
    this.#refresh(entry);
    entry.endedMs ??= this.#world.nowMs;
  }

  drew(lease: Lease, token: bigint): void {
    this.#entries.find((other) => other.lease === lease)!.token = token;
  }

  /** Of two leases in conflict the later one has the higher token. */
  wrongTokens(): string[] {
    const wrong: string[] = [];
    const drawn = this.#entries.filter((entry) => entry.token !== undefined && !this.#isStillborn(entry));
    for (const [index, later] of drawn.entries()) {
      for (const earlier of drawn.slice(0, index)) {
        const { lease } = earlier;
        if (lease.key !== later.lease.key) continue;
        if (lease.mode === "shared" && later.lease.mode === "shared") continue;
        if (later.lease.mode === "permit" && !this.#mustRise(earlier, later)) continue;
        if (later.token! <= earlier.token!)
          wrong.push(
            `${earlier.host.name} ${short(lease.ticketId)} had ${earlier.token}, then ${later.host.name} ${short(later.lease.ticketId)} had ${later.token}`,
          );
      }
    }
    return wrong;
  }

  /**
   * Of a semaphore. Two objects: drawn while it is held, so above those of all leases that were over before; the others may have any.
   * In a record it is given with the permit, which may be long before it is claimed: no two are alike, that is all.
   */
  #mustRise(earlier: Entry, later: Entry): boolean {
    if (this.#protocol === "conditional") return later.token === earlier.token;
    return (earlier.endedMs ?? earlier.untilMs) <= later.fromMs;
  }

  /** Within a process: who came first is served first, and a ticket is passed on within its bounds only. */
  wrongTurns({ localTurns, localMs }: Pick<Plan, "localTurns" | "localMs">): string[] {
    const wrong: string[] = [];
    for (const [index, later] of this.#entries.entries()) {
      const { host, lease, asked, turn, firstMs, fromMs } = later;
      const who = `${host.name} ${short(lease.ticketId)}`;
      for (const earlier of this.#entries.slice(0, index)) {
        if (earlier.host !== host || earlier.lease.key !== lease.key) continue;
        const isConflict = lease.mode === "exclusive" || earlier.lease.mode === "exclusive";
        if (isConflict && asked !== undefined && earlier.asked !== undefined && asked < earlier.asked)
          wrong.push(`${who} asked as number ${asked}, and was served after number ${earlier.asked}`);
      }
      if (lease.mode === "exclusive" && turn > localTurns) wrong.push(`${who} was passed on ${turn - 1} times`);
      const afterMs = fromMs - firstMs;
      // Its clock drifts; and a clock that stood still did not count.
      // One of several is written down only when all are held.
      if (asked !== undefined && afterMs > localMs * 1.05 + 1 && !host.stoodStill(firstMs, fromMs))
        wrong.push(`${who} was passed on or joined after ${afterMs.toFixed(0)} ms`);
    }
    return wrong;
  }

  /** A person breaks these: from now on nobody who holds by one is in the right, though only its next renewal tells it so. */
  breaking(ticketIds: readonly string[]): void {
    for (const ticketId of ticketIds)
      this.#broken.set(ticketId, Math.min(this.#broken.get(ticketId) ?? Number.POSITIVE_INFINITY, this.#world.nowMs));
  }

  /** Somebody finds the ticket again: what its keeper tells from now on is not the old lease's. */
  resuming(ticketId: string): void {
    this.#byTicket.delete(ticketId);
  }

  renewed(ticketId: string): void {
    for (const entry of this.#byTicket.get(ticketId) ?? []) {
      if (entry.toldMs !== undefined)
        this.#world.violate(`${entry.host.name} believes again in ${short(ticketId)}, which was lost`);
      this.#refresh(entry);
    }
  }

  /** The holder looked, and believes. */
  looked(lease: Lease): void {
    this.#refresh(this.#entries.find((other) => other.lease === lease)!);
  }

  /**
   * Only where the holder looked at its clock anyway, for a look is what notices a pause. In between `untilMs` stands: true
   * time that a pause took counts for the keeper as soon as it looks.
   */
  #refresh(entry: Entry): void {
    if (entry.endedMs !== undefined || entry.host.crashed) return;
    const nowMs = this.#world.nowMs;
    const leftMs = entry.lease.heldUntil - entry.host.wallMs();
    if (leftMs > 0) entry.untilMs = nowMs + entry.host.trueMs(leftMs);
    else entry.untilMs = Math.min(entry.untilMs, nowMs);
  }

  #told(entry: Entry): void {
    if (entry.endedMs !== undefined) return;
    const nowMs = this.#world.nowMs;
    entry.endedMs = nowMs;
    // A process that stands still is told the moment it looks.
    entry.toldMs = entry.host.stoodStill(entry.untilMs, nowMs) ? entry.untilMs : Math.max(nowMs - TIMER_LATE_MS, 0);
    entry.untilMs = Math.min(entry.untilMs, nowMs);
  }

  get losses(): number {
    return this.#entries.filter((entry) => entry.toldMs !== undefined).length;
  }

  /** Its answer was on its way when a person broke its ticket: it was over before it began. */
  #isStillborn({ lease, fromMs }: Entry): boolean {
    return (this.#broken.get(lease.ticketId) ?? Number.POSITIVE_INFINITY) <= fromMs;
  }

  holds(): Hold[] {
    return this.#entries
      .filter((entry) => !this.#isStillborn(entry))
      .map((entry) => {
        const { host, lease, asked, turn, fromMs, untilMs, endedMs } = entry;
        // Neither ended nor told although its host ran on: it was never told.
        const brokenMs = this.#broken.get(lease.ticketId) ?? Number.POSITIVE_INFINITY;
        const isBroken = brokenMs < untilMs && entry.toldMs !== undefined;
        const toldLostMs = isBroken
          ? undefined
          : (entry.toldMs ?? (endedMs === undefined && !host.crashed ? Number.POSITIVE_INFINITY : undefined));
        return {
          actor: host.name,
          key: lease.key,
          mode: lease.mode,
          permits: parseOwnId(lease.ticketId)?.permits,
          fromMs,
          toMs: Math.max(fromMs, Math.min(untilMs, brokenMs, endedMs ?? Number.POSITIVE_INFINITY)),
          toldLostMs,
          // Who comes after by the same ticket has no place of its own.
          placedMs: asked === undefined || turn > 1 ? undefined : this.#bucket.firstPutMs.get(placeKeyOf(lease)),
          ticketId: short(lease.ticketId),
        };
      });
  }
}
