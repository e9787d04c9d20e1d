/**
 * One process that uses locks as programs do: acquires, works across renewals, looks, gives up, abandons, resumes,
 * releases, closes. Runs the real locks on its host's clock and its client's network; what it meets goes to the records.
 */
import { BucketlockError } from "@bucketlock/core";
import type { Lock, LockEvent, MultiLease, Semaphore } from "@bucketlock/lock";
import { type Client, short } from "./client.js";
import type { Host } from "./host.js";
import { isCalm, type Plan } from "./plan.js";
import type { Records } from "./record.js";
import { createLocksWith, type Lease, type Locks, type Mutation, parseOwnId } from "./under-test.js";
import type { World } from "./world.js";

export interface ActorContext {
  readonly world: World;
  readonly plan: Plan;
  readonly records: Records;
  readonly mutation: Mutation;
  /** Tickets that somebody left on purpose, for anyone to find again. */
  readonly abandoned: { readonly key: string; readonly ticketId: string; readonly leaseMs: number }[];
}

/** How an acquire may end without a lease. Everything else is a bug. */
const ALLOWED = new Set(["NOT_ACQUIRED", "STORE_UNREACHABLE", "TICKET_NOT_WRITTEN", "DELETE_FAILED", "WRITE_UNKNOWN"]);

export class Actor {
  readonly locks: Locks;
  roundsLeft: number;
  readonly #c: ActorContext;
  readonly #leaseMs: number;
  readonly #leases: Lease[] = [];
  #asks = 0;
  #isClosed = false;

  constructor(
    context: ActorContext,
    readonly host: Host,
    readonly client: Client,
    rounds: number,
  ) {
    this.#c = context;
    this.roundsLeft = rounds;
    const { world, plan, mutation } = context;
    this.#leaseMs = world.random.pick(plan.leases);
    this.locks = createLocksWith(
      client,
      {
        protocol: plan.protocol,
        leaseMs: this.#leaseMs,
        clock: host,
        random: world.random,
        clockSkewMs: plan.clockSkewMs,
        localTurns: plan.localTurns,
        localMs: plan.localMs,
        label: host.name,
        onEvent: (event) => this.#heard(event),
        ...(world.random.float() < 0.3 ? { settleMs: 200 } : {}),
        ...(world.random.float() < 0.5 ? { requestTimeoutMs: this.#leaseMs / 2 } : {}),
      },
      mutation,
    );
  }

  /** The whole program. Ends with nothing of its own left running; a crash simply never ends. */
  async live(): Promise<void> {
    const rounds = this.roundsLeft;
    const { random } = this.#c.world;
    const { closeRate, faultsEndMs } = this.#c.plan;
    // No chance is drawn for what a world does not have: old seeds keep their histories.
    let cancel = () => {};
    if (closeRate > 0 && random.float() < closeRate)
      cancel = this.host.after(random.float() * faultsEndMs, () => {
        this.#c.world.count("closedEarly");
        void this.#closeLocks();
      });
    await Promise.all(Array.from({ length: this.#c.plan.locals }, () => this.#program(rounds)));
    cancel();
    await this.#close();
  }

  async #program(rounds: number): Promise<void> {
    const { world } = this.#c;
    for (let left = rounds; left > 0; left--) {
      this.roundsLeft = Math.min(this.roundsLeft, left);
      await this.host.sleep(world.random.float() ** 2 * 3000);
      if (this.#isClosed) return;
      await this.#round();
    }
  }

  /** Leases that a collected actor would report as leaked, at a moment that no seed decides. */
  forget(): void {
    for (const lease of this.#leases) void lease.abandon().catch(() => {});
  }

  async #round(): Promise<void> {
    const { world, plan, abandoned } = this.#c;
    const { random } = world;
    const left =
      plan.resumes && random.float() < 0.5 ? abandoned.findIndex((one) => one.leaseMs === this.#leaseMs) : -1;
    const found = left < 0 ? undefined : abandoned.splice(left, 1)[0];
    const key = found?.key ?? random.pick(plan.keys);
    // No chance is drawn for what a world does not have: old seeds keep their histories.
    if (plan.manyRate > 0 && random.float() < plan.manyRate) return this.#manyRound();
    const { lock, mode } = this.#wanted(key, found?.ticketId);
    const giveUp = new AbortController();
    const reason = new Error("the program changed its mind");
    const cancel =
      random.float() < 0.15 ? this.host.after(random.float() * 4000, () => giveUp.abort(reason)) : () => {};
    const signal = giveUp.signal;
    const waitMs = random.float() < 0.2 ? random.float() * 500 : 3000 + random.float() * 20_000;
    let lease: Lease | undefined;
    const asked = this.#asks++;
    try {
      if (found !== undefined) {
        world.count("resume");
        this.#c.records.resuming(found.ticketId);
        lease = await lock.resume(found.ticketId, { waitMs, signal });
      } else if (random.float() < 0.2) {
        lease = await lock.tryAcquire({ mode, signal });
      } else {
        lease = await lock.acquire({ mode, waitMs, signal });
      }
    } catch (error) {
      this.#checkFailure(error, reason, found !== undefined);
      return;
    } finally {
      cancel();
    }
    if (lease === undefined) return world.count("refused");
    world.count("acquired");
    // Kept for the whole life of the world: a collected lease acts when the collector pleases.
    this.#leases.push(lease);
    if (this.#c.records.acquired(this.host, lease, found === undefined ? asked : undefined)) world.count("local");
    await this.#hold(lease);
  }

  #wanted(key: string, resumed: string | undefined): { lock: Lock | Semaphore; mode?: "shared" | "exclusive" } {
    const { random } = this.#c.world;
    const { permits, dissentRate, sharedRate } = this.#c.plan;
    const mode = random.float() < sharedRate ? "shared" : "exclusive";
    if (permits === undefined) return { lock: this.locks.lock(key), mode };
    const known = resumed === undefined ? undefined : (parseOwnId(resumed)?.permits ?? 0);
    if (known !== undefined)
      return { lock: known === 0 ? this.locks.lock(key) : this.locks.semaphore(key, { permits: known }) };
    if (dissentRate === 0 || random.float() >= dissentRate) return { lock: this.locks.semaphore(key, { permits }) };
    if (random.float() < 0.5) return { lock: this.locks.lock(key), mode };
    return { lock: this.locks.semaphore(key, { permits: permits + 1 }) };
  }

  /** Two keys or more, in an order of its own. */
  async #manyRound(): Promise<void> {
    const { world, plan, records } = this.#c;
    const { random } = world;
    const keys = [...plan.keys].sort(() => random.float() - 0.5).slice(0, 2 + random.below(plan.keys.length - 1));
    const all = this.locks.all(
      keys.map((key) => ({ key, mode: random.float() < plan.sharedRate ? "shared" : "exclusive" })),
    );
    let many: MultiLease | undefined;
    try {
      many =
        random.float() < 0.2 ? await all.tryAcquire() : await all.acquire({ waitMs: 3000 + random.float() * 20_000 });
    } catch (error) {
      // Lost while it waited for another.
      if (hasCode(error, "LEASE_LOST") && !isCalm(plan)) return world.count("lostOne");
      // What was got before was not given back.
      if (hasCode(error, "RELEASE_FAILED") && !isCalm(plan)) return world.count("releaseFailed");
      return this.#checkFailure(error, new Error("never"), false);
    }
    if (many === undefined) return world.count("refused");
    world.count("acquired");
    world.count("many");
    const leases = many.keys.map((key) => many.lease(key));
    this.#leases.push(...leases);
    for (const lease of leases) records.acquired(this.host, lease, undefined);
    await this.host.sleep(20 + random.float() ** 2 * 2 * this.#leaseMs);
    for (const lease of leases) records.ending(lease);
    await this.#release(() => many.release());
  }

  async #hold(lease: Lease): Promise<void> {
    const { world, abandoned, records } = this.#c;
    const { random } = world;
    await this.#drawToken(lease);
    const endMs = this.host.monotonicMs() + random.float() ** 2 * 3 * this.#leaseMs;
    while (this.host.monotonicMs() < endMs) {
      await this.host.sleep(20 + random.float() * 400);
      if (!this.#c.plan.looks) continue;
      try {
        lease.throwIfLost();
        records.looked(lease);
      } catch (error) {
        if (!hasCode(error, "LEASE_LOST")) this.#c.world.violate(`throwIfLost threw ${error}`);
        break;
      }
    }
    const how = random.float();
    // Left for close().
    if (how < 0.05) return;
    records.ending(lease);
    if (how < 0.05 + this.#c.plan.abandonRate) {
      world.count("abandoned");
      // Not waited for: another program of this process may share it to the end.
      const { key, ticketId } = lease;
      void lease.abandon().then(() => {
        // All who shared it are told at once, and one may resume it.
        const isKnown = abandoned.some((one) => one.ticketId === ticketId);
        if (!isKnown) abandoned.push({ key, ticketId, leaseMs: this.#leaseMs });
      });
      return;
    }
    await this.#release(() => lease.release());
  }

  async #drawToken(lease: Lease): Promise<void> {
    const { world, plan, records } = this.#c;
    // No chance is drawn where no token is: old seeds keep their histories.
    if (plan.tokenRate === 0 || world.random.float() >= plan.tokenRate) return;
    try {
      const token = await lease.token();
      world.count("token");
      records.drew(lease, token);
    } catch (error) {
      const lost = hasCode(error, "LEASE_LOST");
      const unclear = error instanceof BucketlockError && ALLOWED.has(error.code) && !isCalm(plan);
      if (!lost && !unclear) world.violate(`${this.host.name} could not draw a token: ${error}`);
    }
  }

  async #release(release: () => Promise<void>): Promise<void> {
    try {
      await release();
    } catch (error) {
      if (hasCode(error, "LEASE_LOST")) return;
      if (hasCode(error, "RELEASE_FAILED") && !isCalm(this.#c.plan)) return this.#c.world.count("releaseFailed");
      this.#c.world.violate(`${this.host.name} could not release: ${error}`);
    }
  }

  async #close(): Promise<void> {
    const { world } = this.#c;
    await this.#closeLocks();
    if (this.host.timers > 0) world.violate(`${this.host.name} left ${this.host.timers} timer(s) after close()`);
  }

  async #closeLocks(): Promise<void> {
    const { world, records } = this.#c;
    this.#isClosed = true;
    for (const lease of this.#leases) if (lease.isHeld) records.ending(lease);
    await this.#release(() => this.locks.close());
    world.tell(this.host.name, () => "closed");
    if (this.client.waiting > 0)
      world.violate(`${this.host.name} left ${this.client.waiting} request(s) after close()`);
    for (const lease of this.#leases)
      if (lease.isHeld) world.violate(`${this.host.name} holds ${short(lease.ticketId)} after close()`);
  }

  #checkFailure(error: unknown, reason: Error, resumed: boolean): void {
    const { world } = this.#c;
    world.tell(this.host.name, () => `no lease: ${error instanceof Error ? short(error.message) : error}`);
    const allowed = error instanceof BucketlockError && ALLOWED.has(error.code);
    if (hasCode(error, "PERMITS_MISMATCH") && this.#c.plan.dissentRate > 0) world.count("mismatch");
    else if (error === reason) world.count("changedMind");
    // A person broke the ticket while it was choosing, before its own listing showed it.
    else if (hasCode(error, "LISTING_NOT_VISIBLE") && this.#c.plan.breaks > 0) world.count("brokenAtTheDoor");
    else if (this.#isClosed && hasCode(error, "LOCKS_CLOSED")) world.count("closedMeanwhile");
    else if (resumed && hasCode(error, "TICKET_NOT_FOUND")) world.count("resumeGone");
    else if (hasCode(error, "NOT_ACQUIRED") || (allowed && !isCalm(this.#c.plan))) world.count("notAcquired");
    else world.violate(`${this.host.name} acquire failed: ${error}`);
  }

  #heard(event: LockEvent): void {
    const { world, plan, records } = this.#c;
    world.tell(this.host.name, () => `* ${event.type} ${short(event.ticketId)}${detail(event)}`);
    if (event.type === "renewed") records.renewed(event.ticketId);
    if (event.type === "tookOver") world.count("takeOver");
    if (event.type === "lost") world.count("lost");
    if (event.type === "withdrew") world.count("withdrew");
    if (event.type === "leaked") world.violate(`${this.host.name} leaked ${event.ticketId}`);
    // In a calm world only a ticket left on purpose may die.
    const needless =
      event.type === "lost" || (event.type === "withdrew" && /kept alive|taken over|unknown/.test(event.why));
    if (isCalm(plan) && needless) world.violate(`${this.host.name} ${event.type} in a calm world: ${event.why}`);
  }
}

const hasCode = (error: unknown, code: string): boolean => error instanceof BucketlockError && error.code === code;

function detail(event: LockEvent): string {
  if ("why" in event) return ` (${event.why})`;
  if (event.type === "tookOver") return ` from ${short(event.victim)}`;
  if (event.type === "waiting") return ` for ${event.for.map(short).join(", ")}`;
  return event.type === "renewed" ? ` ${event.renewals}` : "";
}
