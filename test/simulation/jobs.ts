/**
 * One history of jobs and elections: hosts whose clocks differ run a schedule and campaign, are stopped and killed, over a
 * network that loses, delays and repeats. The same worlds, hosts and faults as for locks (plan.ts says which); judged here by
 * what an omniscient observer saw of the runs and of the leaders.
 */
import { BucketlockError } from "@bucketlock/core";
import { everySchedule, type Guarantee, type Leader, type Leadership, type OnceRun } from "@bucketlock/lock";
import { Bucket } from "./bucket.js";
import { Client } from "./client.js";
import { Host, type Pause } from "./host.js";
import { type Plan, planOf } from "./plan.js";
import { createLocksWith, type Locks, type Mutation } from "./under-test.js";
import { World } from "./world.js";

export interface JobsOptions {
  readonly log?: boolean;
  readonly mutation?: Mutation;
  readonly change?: Partial<Plan>;
  readonly protocol?: Plan["protocol"];
  readonly guarantee?: Guarantee;
  readonly what?: What;
}

export type What = "jobs" | "leaders";

export interface JobsResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly log: readonly string[];
}

const FINISH_MS = 600_000;
const EVERY_MS = 1500;
const JOB = "jobs/nightly";
const PAUSES: readonly Pause[] = ["freeze", "suspend", "hold"];
/** What a job or a campaign may meet in such a world. Everything else is a bug. */
const ALLOWED = new Set([
  "LEASE_LOST",
  "FENCED",
  "WRITE_UNKNOWN",
  "RUN_NOT_RECORDED",
  "STORE_UNREACHABLE",
  "TICKET_NOT_WRITTEN",
  "DELETE_FAILED",
  "RELEASE_FAILED",
  "OBJECT_CHANGED",
  "WRITE_CONFLICTED",
]);
const OWN = new Error("the job failed, as jobs do");

interface Ran {
  readonly slotMs: number;
  readonly attempt: number;
  readonly host: string;
  readonly fromMs: number;
  /** Undefined: its host died, or it never came back. */
  end?: "ok" | "failed";
}

interface Process {
  readonly host: Host;
  readonly client: Client;
  readonly locks: Locks;
  readonly stop: AbortController;
  /** Routines of leaders that have begun and not ended. */
  leading: number;
}

export async function runJobs(seed: number, options: JobsOptions = {}): Promise<JobsResult> {
  const world = new World(seed, options.log ?? false);
  const { protocol = "two-object", change, mutation = {} } = options;
  const { random } = world;
  const guarantee = options.guarantee ?? random.pick(["atMostOnce", "atLeastOnce"] as const);
  // A world of jobs and one of leaders in turn: both in one would cost the time of three.
  const what = options.what ?? (seed % 2 === 0 ? "leaders" : "jobs");
  const faultsEndMs = 4000 + random.float() * 8000;
  const leases = [1000 + 500 * random.below(4)];
  const plan = planOf(random, { keys: [JOB], strays: 0, protocol, leases, faultsEndMs, ...change });
  world.tell("WORLD", () => `seed ${seed} ${guarantee} ${JSON.stringify(plan)}`);
  const unhandled = (error: unknown) => world.violate(`unhandled rejection: ${error}`);
  process.on("unhandledRejection", unhandled);
  const fleet = new Fleet(world, plan, what, guarantee, mutation);
  try {
    await fleet.run();
  } finally {
    await fleet.bury();
    process.off("unhandledRejection", unhandled);
  }
  world.count("histories");
  world.count(what);
  if (what === "jobs") world.count(guarantee);
  return { seed, violations: world.violations, counts: world.counts, log: world.log ?? [] };
}

class Fleet {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #what: What;
  readonly #guarantee: Guarantee;
  readonly #mutation: Mutation;
  readonly #bucket: Bucket;
  readonly #processes: Process[] = [];
  readonly #alive = new Set<Process>();
  readonly #ran: Ran[] = [];
  /** Highest token with which somebody acted, surely holding. */
  #acted = { job: 0n, leader: 0n };
  readonly #labels = new Map<bigint, string>();
  /** The highest token that a leader was told. */
  #newest = 0n;
  /** Of leaders that were replaced before their routine ended. */
  readonly #overtaken = new Set<bigint>();
  #restarts = 0;

  constructor(world: World, plan: Plan, what: What, guarantee: Guarantee, mutation: Mutation) {
    this.#world = world;
    this.#plan = plan;
    this.#what = what;
    this.#guarantee = guarantee;
    this.#mutation = mutation;
    this.#bucket = new Bucket(world, plan);
  }

  async run(): Promise<void> {
    const world = this.#world;
    const { hosts, faultsEndMs, upsets, crashes, leases } = this.#plan;
    for (let index = 0; index < hosts; index++) this.#start(`h${index + 1}`);
    for (let index = 0; index < upsets; index++) {
      const which = world.random.float();
      const how = world.random.pick(PAUSES);
      const ms = world.random.float() * 2.5 * Math.max(...leases);
      world.at(world.random.float() * faultsEndMs, () => {
        const target = [...this.#alive][Math.floor(which * this.#alive.size)];
        if (target === undefined) return;
        if (crashes && world.random.float() < 0.5) return this.#crash(target);
        target.host.pause(how, ms);
      });
    }
    // Faults are over some time before the end.
    await world.run(() => false, faultsEndMs + 5000);
    for (const process of this.#alive) process.stop.abort(new Error("the program ends"));
    const finished = await world.run(() => this.#alive.size === 0 && this.#restarts === 0, faultsEndMs + FINISH_MS);
    if (!finished) return world.violate(`did not finish: ${[...this.#alive].map(({ host }) => host.name).join(", ")}`);
    await world.run(() => false, Number.POSITIVE_INFINITY);
    if (this.#what === "jobs") await this.#judge();
  }

  async bury(): Promise<void> {
    this.#world.over = true;
    for (const { client, host } of this.#processes) {
      client.bury();
      host.bury();
    }
    await Promise.allSettled(this.#processes.map(({ locks }) => locks.close({ keepStore: true })));
  }

  #open(name: string, wallOffsetMs: number): Process {
    const { random } = this.#world;
    const { protocol, clockSkewMs, leases, drift } = this.#plan;
    const rate = 1 + drift * (2 * random.float() - 1);
    const host = new Host(this.#world, { name, rate, wallOffsetMs });
    const client = new Client(this.#world, this.#plan, this.#bucket, host);
    const settings = { protocol, leaseMs: leases[0]!, clock: host, random, clockSkewMs, label: name };
    const locks = createLocksWith(client, settings, this.#mutation);
    const process = { host, client, locks, stop: new AbortController(), leading: 0 };
    this.#processes.push(process);
    return process;
  }

  #start(name: string): void {
    const world = this.#world;
    // Clocks that differ by seconds.
    const process = this.#open(name, (world.random.float() - 0.5) * 8000);
    this.#alive.add(process);
    world.tell(name, () => "starts");
    this.#live(process).then(
      () => this.#alive.delete(process),
      (error: unknown) => {
        this.#alive.delete(process);
        if (!process.host.crashed) world.violate(`${name} threw ${error}`);
      },
    );
  }

  #crash(process: Process): void {
    process.host.crash();
    this.#alive.delete(process);
    this.#restarts++;
    this.#world.in(50 + this.#world.random.float() * 3000, () => {
      this.#restarts--;
      if (process.stop.signal.aborted) return;
      this.#world.count("restart");
      this.#start(`${process.host.name}'`);
    });
  }

  async #live(process: Process): Promise<void> {
    await (this.#what === "jobs" ? this.#runJobs(process) : this.#runElection(process));
    await process.locks.close();
  }

  #runJobs(process: Process): Promise<void> {
    const { locks, stop } = process;
    const job = locks.cron(JOB, everySchedule(EVERY_MS), (run) => this.#job(process, run), {
      guarantee: this.#guarantee,
      catchUp: 1000,
      keep: 1000,
      onError: (error) => this.#allowed(process, error),
      onResult: (result) => this.#world.count(result.ran ? "ran" : result.reason),
    });
    stop.signal.addEventListener("abort", () => void job.stop(), { once: true });
    return job.ended;
  }

  async #runElection(process: Process): Promise<void> {
    const { locks, stop } = process;
    const election = locks.election("leader");
    const options = { signal: stop.signal, onError: "campaign" } as const;
    const lead = async () => {
      // Whose routine has ended well leads again all the same.
      for (;;) {
        const token = await election.lead((leadership) => this.#lead(process, leadership), options);
        this.#world.count("ledToTheEnd");
        if (this.#overtaken.has(token))
          this.#world.violate(`${process.host.name} ended well as leader ${token}, which was over by then`);
      }
    };
    const led = lead().catch((error: unknown) => {
      if (error !== stop.signal.reason) throw error;
    });
    await Promise.all([led, this.#observe(process)]);
  }

  #allowed({ host }: Process, error: unknown): void {
    const code = error instanceof BucketlockError ? error.code : undefined;
    if (error === OWN) this.#world.count("jobFailed");
    else if (code !== undefined && ALLOWED.has(code)) this.#world.count(code);
    else if (!host.crashed) this.#world.violate(`${host.name}: ${error}`);
  }

  async #job({ host }: Process, { slotMs, attempt, lease, signal }: OnceRun): Promise<void> {
    const world = this.#world;
    const ran: Ran = { slotMs, attempt, host: host.name, fromMs: world.nowMs };
    this.#ran.push(ran);
    world.count(attempt > 1 ? "retried" : "began");
    world.tell(host.name, () => `runs slot ${slotMs} attempt ${attempt}`);
    const endMs = host.monotonicMs() + world.random.float() ** 4 * 3000;
    const fails = world.random.float() < 0.1;
    const token = await lease.token();
    while (host.monotonicMs() < endMs && !signal.aborted) {
      await host.sleep(10 + world.random.float() * 200);
      this.#act("job", host, token, () => lease.throwIfLost());
    }
    signal.throwIfAborted();
    ran.end = fails ? "failed" : "ok";
    if (fails) throw OWN;
  }

  async #lead(process: Process, leadership: Leadership): Promise<bigint> {
    const world = this.#world;
    const { host } = process;
    const { token } = leadership;
    world.count("led");
    if (this.#labels.has(token)) world.violate(`token ${token} was given twice`);
    if (!leadership.isLeader || this.#newest > token)
      world.violate(`${host.name} was told that it leads by ${token}, which was over; the newest is ${this.#newest}`);
    if (process.leading > 0) world.violate(`${host.name} leads twice at once`);
    this.#labels.set(token, host.name);
    if (token > this.#newest) this.#newest = token;
    process.leading++;
    try {
      return await this.#reign(host, leadership);
    } finally {
      process.leading--;
      if (this.#newest > token) this.#overtaken.add(token);
    }
  }

  async #reign(host: Host, leadership: Leadership): Promise<bigint> {
    const { random } = this.#world;
    const { token, signal } = leadership;
    // Some heed no signal, and do nothing for which they would have to lead.
    const isDeaf = random.float() < 0.1;
    const endMs = host.monotonicMs() + random.float() * 5000;
    while (host.monotonicMs() < endMs && (isDeaf || !signal.aborted)) {
      await host.sleep(20 + random.float() * 300);
      if (!isDeaf) this.#act("leader", host, token, () => leadership.throwIfLost());
    }
    if (isDeaf) return token;
    signal.throwIfAborted();
    if (random.float() < 0.2) return token;
    // Others lead, then this one again.
    throw OWN;
  }

  /** Something is done under the lease, at this very instant: nobody with a higher token may have done anything before. */
  #act(what: "job" | "leader", host: Host, token: bigint, throwIfLost: () => void): void {
    throwIfLost();
    if (token < this.#acted[what])
      this.#world.violate(`${what}: ${host.name} acted with token ${token} after ${this.#acted[what]}`);
    this.#acted[what] = token > this.#acted[what] ? token : this.#acted[what];
    this.#world.count(`acted as ${what}`);
  }

  async #observe({ host, locks, stop }: Process): Promise<void> {
    let highest = 0n;
    try {
      for await (const leader of locks.election("leader", { pollMs: 300 }).observe({ signal: stop.signal })) {
        this.#world.count(leader === undefined ? "sawNone" : "sawLeader");
        highest = this.#seen(host, leader, highest);
      }
    } catch (error) {
      if (error !== stop.signal.reason) throw error;
    }
  }

  #seen(host: Host, leader: Leader | undefined, highest: bigint): bigint {
    if (leader === undefined) return highest;
    if (leader.token < highest) this.#world.violate(`${host.name} was shown leader ${leader.token} after ${highest}`);
    const label = this.#labels.get(leader.token);
    // A leader may be seen before its routine has begun.
    if (label !== undefined && label !== leader.label)
      this.#world.violate(`leader ${leader.token} is ${label}, shown as ${leader.label}`);
    return leader.token;
  }

  /** Everything is calm now; one more host, with a good clock, brings what is owed to its end and reads what is remembered. */
  async #judge(): Promise<void> {
    const world = this.#world;
    const process = this.#open("judge", 0);
    const { locks } = process;
    let done = false;
    const work = async () => {
      const options = { guarantee: this.#guarantee, keep: 1000, waitMs: 120_000 };
      for (const { slotMs, outcome } of (await locks.history(JOB, { limit: 1000 })).reverse())
        if (outcome === "died" && this.#guarantee === "atLeastOnce")
          await locks.once(JOB, slotMs, (run) => this.#job(process, run).catch(() => {}), options);
      this.#check(await locks.history(JOB, { limit: 1000 }));
      await locks.close();
    };
    const worked = work().then(
      () => {
        done = true;
      },
      (error: unknown) => {
        done = true;
        world.violate(`the judge failed: ${error}`);
      },
    );
    if (!(await world.run(() => done, world.nowMs + FINISH_MS))) return world.violate("the judge did not finish");
    await worked;
  }

  #check(history: Awaited<ReturnType<Locks["history"]>>): void {
    const world = this.#world;
    const runsOf = new Map<number, Ran[]>();
    for (const ran of this.#ran) runsOf.set(ran.slotMs, [...(runsOf.get(ran.slotMs) ?? []), ran]);
    const slots = [...new Set(history.map(({ slotMs }) => slotMs))].sort((a, b) => a - b);
    world.count("slots", slots.length);
    // Every slot from the first to the last: none was passed over. But when a job is new, the claim of one that was stopped may land
    // late above the first slots of others: it was made while there was no mark, and such a claim begins nothing.
    for (const [index, slotMs] of slots.entries()) {
      if (index === 0 || slotMs === slots[index - 1]! + EVERY_MS) continue;
      const isLate = !(runsOf.get(slotMs) ?? []).some(({ attempt }) => attempt === 1);
      if (index <= 3 && isLate) world.count("lateFirst");
      else world.violate(`lost: no claim between ${slots[index - 1]} and ${slotMs}`);
    }
    for (const slotMs of runsOf.keys())
      if (!slots.includes(slotMs)) world.violate(`slot ${slotMs} ran, yet is not claimed`);
    for (const slotMs of slots) {
      const runs = runsOf.get(slotMs) ?? [];
      if (this.#guarantee === "atMostOnce" && runs.length > 1) world.violate(`slot ${slotMs} ran ${runs.length} times`);
      const told = history.filter((run) => run.slotMs === slotMs);
      for (const { attempt, outcome, label } of told) {
        if (outcome === "running") world.violate(`slot ${slotMs} is said to run still`);
        if (outcome === "died") world.count("died");
        if (outcome !== "ok" && outcome !== "failed") continue;
        const ran = runs.find((run) => run.attempt === attempt && run.host === label);
        // The judge's own runs end well whatever they met.
        if (label !== "judge" && ran?.end !== outcome)
          world.violate(`slot ${slotMs} attempt ${attempt} is said to have ended ${outcome}; it did ${ran?.end}`);
      }
      const isEnded = told.some(({ outcome }) => outcome === "ok" || outcome === "failed");
      if (this.#guarantee === "atLeastOnce" && !isEnded) world.violate(`slot ${slotMs} never ran to its end`);
    }
  }
}
