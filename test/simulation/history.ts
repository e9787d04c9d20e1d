/**
 * One history: a seed becomes a world, the world runs until everybody has finished, and the checks are made. The same
 * seed gives the same log, byte for byte.
 */
import { BucketlockError } from "@bucketlock/core";
import { checkHistory } from "@bucketlock/lock/testing";
import { Actor, type ActorContext } from "./actor.js";
import { Bucket } from "./bucket.js";
import { Client, short } from "./client.js";
import { Host, type Pause } from "./host.js";
import { isCalm, type Plan, planOf } from "./plan.js";
import { Records } from "./record.js";
import { createLocksWith, doorKey, drawUlid, type Lease, type Locks, type Mutation, ticketId } from "./under-test.js";
import { World } from "./world.js";

/** After the faults every actor ends within this of virtual time: its rounds, its waits, everybody's leases. */
const FINISH_MS = 600_000;
const PAUSES_TOLD: readonly Pause[] = ["freeze", "suspend"];
const PAUSES: readonly Pause[] = [...PAUSES_TOLD, "hold"];

export interface HistoryOptions {
  readonly log?: boolean;
  readonly mutation?: Mutation;
  readonly change?: Partial<Plan>;
  readonly protocol?: Plan["protocol"];
}

export interface HistoryResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly log: readonly string[];
}

export async function runHistory(seed: number, options: HistoryOptions = {}): Promise<HistoryResult> {
  const world = new World(seed, options.log ?? false);
  const { protocol = "two-object", change } = options;
  const plan = planOf(world.random, { protocol, ...change });
  world.tell("WORLD", () => `seed ${seed} ${JSON.stringify(plan)}`);
  const unhandled = (error: unknown) => world.violate(`unhandled rejection: ${error}`);
  process.on("unhandledRejection", unhandled);
  const population = new Population(world, plan, options.mutation ?? {});
  try {
    await population.run();
  } finally {
    await population.bury();
    process.off("unhandledRejection", unhandled);
  }
  return { seed, violations: world.violations, counts: world.counts, log: world.log ?? [] };
}

class Population {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #bucket: Bucket;
  readonly #records: Records;
  readonly #context: ActorContext;
  readonly #mutation: Mutation;
  readonly #actors: Actor[] = [];
  readonly #alive = new Set<Actor>();
  #restarts = 0;

  constructor(world: World, plan: Plan, mutation: Mutation) {
    this.#world = world;
    this.#plan = plan;
    this.#mutation = mutation;
    this.#bucket = new Bucket(world, plan);
    this.#records = new Records(world, this.#bucket, plan.protocol);
    this.#context = { world, plan, records: this.#records, mutation, abandoned: [] };
  }

  async run(): Promise<void> {
    const world = this.#world;
    for (let index = 0; index < this.#plan.hosts; index++) this.#start(`h${index + 1}`, this.#plan.rounds);
    this.#scheduleUpsets();
    const finished = await world.run(
      () => this.#alive.size === 0 && this.#restarts === 0,
      this.#plan.faultsEndMs + FINISH_MS,
    );
    if (!finished) {
      const who = [...this.#alive].map((actor) => actor.host.name).join(", ");
      return world.violate(`did not finish: ${who}`);
    }
    // Requests of the dead and of those who gave up land now, and faults are over.
    world.at(this.#plan.faultsEndMs, () => {});
    await world.run(() => false, Number.POSITIVE_INFINITY);
    this.#checkNothingLeft();
    await this.#sweep();
    this.#checkHolds();
    for (const [kind, by] of [
      ["histories", 1],
      ["calm", Number(isCalm(this.#plan))],
      ["lossesTold", this.#records.losses],
    ] as const)
      world.count(kind, by);
  }

  /** Ends what crashed or hung, so that nothing of this world is kept alive by the process. */
  async bury(): Promise<void> {
    this.#world.over = true;
    for (const actor of this.#actors) {
      actor.client.bury();
      actor.host.bury();
      actor.forget();
    }
    await Promise.allSettled(this.#actors.map((actor) => actor.locks.close({ keepStore: true })));
  }

  #start(name: string, rounds: number): void {
    const { random } = this.#world;
    const { drift } = this.#plan;
    const host = new Host(this.#world, {
      name,
      rate: 1 + drift * (random.float() < 0.5 ? random.pick([-1, 1]) : 2 * random.float() - 1),
      wallOffsetMs: (random.float() - 0.5) * 3_600_000,
    });
    const actor = new Actor(this.#context, host, new Client(this.#world, this.#plan, this.#bucket, host), rounds);
    this.#actors.push(actor);
    this.#alive.add(actor);
    this.#world.tell(name, () => "starts");
    actor.live().then(
      () => this.#alive.delete(actor),
      (error: unknown) => {
        this.#alive.delete(actor);
        if (!host.crashed) this.#world.violate(`${name} threw ${error}`);
      },
    );
  }

  #scheduleUpsets(): void {
    const { random } = this.#world;
    const { strays, upsets, faultsEndMs, crashes, leases, setsBack } = this.#plan;
    const lease = Math.max(...leases);
    for (let index = 0; index < strays; index++) {
      this.#world.at(random.float() * faultsEndMs, () => {
        const key = random.pick(this.#plan.keys);
        const id = ticketId(drawUlid(undefined, 1_700_000_000_000 + this.#world.nowMs, random), "exclusive", 5000);
        this.#world.count("stray");
        this.#world.tell("WORLD", () => `a stray door ${short(id)}`);
        this.#bucket.put(doorKey(key, id), "1", { renewal: "0" });
      });
    }
    if (this.#plan.breaks > 0) {
      const host = new Host(this.#world, { name: "person", rate: 1, wallOffsetMs: 0 });
      const client = new Client(this.#world, this.#plan, this.#bucket, host);
      const { protocol, clockSkewMs } = this.#plan;
      const locks = createLocksWith(client, { protocol, clock: host, random, clockSkewMs });
      for (let index = 0; index < this.#plan.breaks; index++)
        this.#world.at(random.float() * faultsEndMs, () => void this.#break(locks, random.pick(this.#plan.keys)));
    }
    for (let index = 0; index < upsets; index++) {
      const atMs = random.float() * faultsEndMs;
      const which = random.float();
      const ms = random.float() < 0.3 ? random.float() * 300 : random.float() * 2.5 * lease;
      const how = random.pick(setsBack ? PAUSES_TOLD : PAUSES);
      this.#world.at(atMs, () => {
        const alive = [...this.#alive];
        const actor = alive[Math.floor(which * alive.length)];
        if (actor === undefined) return;
        if (crashes && random.float() < 0.4) return this.#crash(actor);
        if (random.float() < 0.2) return actor.host.jump((random.float() - (setsBack ? 0.5 : 0)) * this.#plan.jumpMs);
        actor.host.pause(how, ms);
      });
    }
  }

  /** A person breaks all that stands in the lock. Its holders find out at their next renewal: until then two believe to hold. */
  async #break(locks: Locks, key: string): Promise<void> {
    const world = this.#world;
    const lock = locks.lock(key);
    try {
      const { holders, waiters } = await lock.inspect();
      const ids = [...holders, ...waiters].map(({ ticketId }) => ticketId);
      this.#records.breaking(ids);
      world.tell("WORLD", () => `breaks ${ids.map(short).join(", ")}`);
      const broken = await lock.breakLock({ olderThanMs: 0, ticketIds: ids });
      world.count("broken", broken.length);
    } catch (error) {
      const isFault = error instanceof BucketlockError && (error.retryable || error.kind === "unknown");
      if (!isFault && !(error instanceof BucketlockError && error.code === "DELETE_FAILED"))
        world.violate(`a person could not break: ${error}`);
    }
  }

  #crash(actor: Actor): void {
    actor.host.crash();
    this.#alive.delete(actor);
    const rounds = actor.roundsLeft;
    if (rounds <= 1) return;
    this.#restarts++;
    this.#world.in(50 + this.#world.random.float() * 4000, () => {
      this.#restarts--;
      this.#world.count("restart");
      this.#start(`${actor.host.name}'`, rounds - 1);
    });
  }

  /** Nobody crashed, nothing was abandoned, every request was answered: then every release must have left nothing. */
  #checkNothingLeft(): void {
    const counts = this.#world.counts;
    if (!isCalm(this.#plan) || counts.has("abandoned")) return;
    const left = this.#bucket.leftovers;
    if (left.length > 0) this.#world.violate(`left in a calm world: ${left.join(", ")}`);
  }

  /** Whoever comes last takes over every ghost and leaves nothing. */
  async #sweep(): Promise<void> {
    const world = this.#world;
    const host = new Host(world, { name: "sweep", rate: 1, wallOffsetMs: 0 });
    const client = new Client(world, this.#plan, this.#bucket, host);
    const { protocol, clockSkewMs } = this.#plan;
    const options = { protocol, leaseMs: 5000, clock: host, random: world.random, clockSkewMs };
    const locks = createLocksWith(client, options, this.#mutation);
    let done = false;
    const sweep = async () => {
      if (this.#plan.permits !== undefined) {
        for (const key of this.#plan.keys) await this.#sweepPermits(locks, key, this.#plan.permits, host);
        return locks.close();
      }
      for (const key of this.#plan.keys) {
        const lease = await locks.lock(key).acquire({ waitMs: 120_000 });
        // Who draws a token sweeps the markers before it.
        if (this.#plan.tokenRate > 0) await lease.token();
        await lease.release();
      }
      await locks.close();
    };
    const swept = sweep().then(
      () => {
        done = true;
      },
      (error: unknown) => {
        done = true;
        world.violate(`the sweep failed: ${error}`);
      },
    );
    if (!(await world.run(() => done, world.nowMs + FINISH_MS))) return world.violate("the sweep did not finish");
    await swept;
    if (host.timers > 0) world.violate("the sweep left timers");
    const left = this.#bucket.leftovers;
    if (left.length > 0) world.violate(`left after the sweep: ${left.join(", ")}`);
  }

  /** As many as may hold, for beside fewer the dead of a semaphore are in nobody's way. Who counted otherwise goes when it is dead. */
  async #sweepPermits(locks: Locks, key: string, permits: number, host: Host): Promise<void> {
    const leases: Lease[] = [];
    while (leases.length < permits) {
      try {
        const lease = await locks.semaphore(key, { permits }).acquire({ waitMs: 120_000 });
        leases.push(lease);
        if (this.#plan.tokenRate > 0) await lease.token();
      } catch (error) {
        if (!(error instanceof BucketlockError) || error.code !== "PERMITS_MISMATCH") throw error;
        await host.sleep(1000);
      }
    }
    for (const lease of leases) await lease.release();
  }

  #checkHolds(): void {
    const { nodesMs, stepMs } = this.#plan;
    const skewMs = Math.max(...nodesMs) - Math.min(...nodesMs);
    const holds = this.#records.holds();
    const rules = {
      overlapToleranceMs: 0.01,
      // Nodes' clocks, one step, and a place that a proxy doubled.
      orderToleranceMs: skewMs + stepMs + 250,
    };
    for (const { rule, message } of checkHistory(holds, rules)) this.#world.violate(`${rule}: ${message}`);
    for (const message of this.#records.wrongTokens()) this.#world.violate(`token: ${message}`);
    for (const message of this.#records.wrongTurns(this.#plan)) this.#world.violate(`turns: ${message}`);
    for (const hold of holds) {
      if (hold.toldLostMs === Number.POSITIVE_INFINITY)
        this.#world.violate(`never told: ${hold.actor} ${hold.ticketId}`);
    }
  }
}
