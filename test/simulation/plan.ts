/**
 * What a seed decides about its world before it begins: hosts, keys, the store, and how bad things may get.
 * Every fault is one that the protocol promises to survive (docs/protocol.md, "What a store must give"):
 * - one object is written, read and deleted atomically, and listings are strong, though no snapshot;
 * - server timestamps may tie and run backwards between nodes; `clockSkewMs` covers their skew for the rule that uses them;
 * - clocks drift by up to 2%. The margin (a tenth of the lease) must cover the two extremes meeting: a holder whose clock is
 *   slow by d believes (L - m)/(1 - d) of true time, a watcher whose clock is fast by d waits L/(1 + d), so with m = L/10
 *   d may be up to 5.26%. A pause that only the wall clock shows is noticed from m/2 on; what is left then allows 2.56%;
 * - a virtual machine that is held (its uptime stands still too) shows only in the wall clock, so a wall clock that is set back
 *   meanwhile hides it from everybody: a world has the one or the other;
 * - `-1` is sent once. A proxy may double it before its answer, never after: a place rewritten later moves its ticket in line,
 *   which section 3.5 of the protocol excludes.
 */
import type { SeededRandom } from "@bucketlock/core/testing";

export const DRIFT_MAX = 0.02;

export const PROTOCOLS = ["two-object", "conditional"] as const;

export interface Plan {
  readonly protocol: (typeof PROTOCOLS)[number];
  /** Of each lease: its fencing token is drawn. */
  readonly tokenRate: number;
  readonly hosts: number;
  /** Programs of one process that take the same locks, each its rounds. */
  readonly locals: number;
  /** Bounds within which they pass leases on. */
  readonly localTurns: number;
  readonly localMs: number;
  readonly keys: readonly string[];
  readonly leases: readonly number[];
  /** Coarsest step of a timestamp in a listing, in ms. */
  readonly stepMs: number;
  /** A HEAD tells the time in HTTP's steps of a second, whatever the listing does. */
  readonly headStepMs: number;
  /** Clock of each storage node against true time, in ms. */
  readonly nodesMs: readonly number[];
  readonly clockSkewMs: number;
  readonly latencyMs: number;
  /** A LIST reads its objects within this, in ms. */
  readonly listSpreadMs: number;
  /** Of each request. */
  readonly faultRate: number;
  /** Of each PUT of `-0`: its process is stopped while it is on its way, and it takes its time. */
  readonly stallRate: number;
  /** Doors of processes that died while choosing: they make every waiter watch by LIST. */
  readonly strays: number;
  /** Pauses, jumps and crashes in the whole world. */
  readonly upsets: number;
  readonly crashes: boolean;
  /** Wall clocks are set back too; else machines are held. */
  readonly setsBack: boolean;
  /** The store refuses signatures that are too old, so that few ghosts land. */
  readonly refusesLate: boolean;
  readonly deleteMany: boolean;
  readonly drift: number;
  /** Faults and upsets end here. */
  readonly faultsEndMs: number;
  readonly rounds: number;
  readonly sharedRate: number;
  /** Of each lease: left on purpose. */
  readonly abandonRate: number;
  readonly resumes: boolean;
  /** Every key is a semaphore of so many. */
  readonly permits?: number;
  /** Of each acquire of a semaphore: it counts one permit more, or wants a lock. */
  readonly dissentRate: number;
  /** Of each acquire: of several keys at once, named in any order. */
  readonly manyRate: number;
  /** Of each process: it closes its locks at any time, whatever its programs do just then. */
  readonly closeRate: number;
  /** How often a person breaks all that stands in a lock, alive or not. */
  readonly breaks: number;
  /** A wall clock is set by up to this, in ms. */
  readonly jumpMs: number;
  /** Programs ask now and then whether they still hold; else they only release. */
  readonly looks: boolean;
}

/** A calm world (one of eight) has latency and drift only: there nothing may be lost, taken over or left behind. */
export function planOf(random: SeededRandom, change: Partial<Plan> = {}): Plan {
  const chance = (probability: number) => random.float() < probability;
  const between = (low: number, high: number) => low + random.float() * (high - low);
  const calm = chance(1 / 8);
  const skewMs = chance(0.5) ? 0 : between(50, 1000);
  const nodes = skewMs === 0 ? 1 : 2 + random.below(2);
  const lease = 1000 + 500 * random.below(7);
  const stepMs = chance(0.5) ? 1000 : 1;
  const plan: Plan = {
    protocol: "two-object",
    tokenRate: 0,
    hosts: 2 + random.below(3),
    locals: 1,
    localTurns: 3,
    localMs: 600,
    keys: chance(0.75) ? ["k"] : ["k", "jobs/other"],
    leases: chance(0.6) ? [lease] : [lease, 1000, 5000],
    stepMs,
    headStepMs: chance(0.5) ? 1000 : stepMs,
    nodesMs: Array.from({ length: nodes }, () => between(-skewMs, skewMs)),
    // Two nodes' skew, and the second by which `Date` and a timestamp may each be cut.
    clockSkewMs: 2 * skewMs + 1500,
    latencyMs: calm || chance(0.8) ? between(1, CALM_LATENCY_MS) : between(20, 60),
    listSpreadMs: chance(0.7) ? between(0, 5) : between(5, 80),
    faultRate: calm ? 0 : chance(0.25) ? 0 : between(0.005, 0.12),
    stallRate: !calm && chance(0.3) ? 0.05 : 0,
    strays: !calm && chance(0.3) ? 1 + random.below(3) : 0,
    upsets: calm ? 0 : random.below(6),
    setsBack: chance(0.5),
    crashes: !calm && chance(0.5),
    refusesLate: chance(0.4),
    deleteMany: chance(0.7),
    drift: chance(0.8) ? DRIFT_MAX : 0,
    faultsEndMs: between(8_000, 20_000),
    rounds: 2 + random.below(3),
    sharedRate: chance(0.3) ? 0 : between(0.2, 0.8),
    abandonRate: 0.07,
    resumes: chance(0.3),
    dissentRate: 0,
    manyRate: 0,
    closeRate: 0,
    breaks: 0,
    jumpMs: 4000,
    looks: true,
  };
  const wanted = { ...plan, ...change };
  // To the conditional protocol a stray door is one of the other protocol: a refusal, not a fault.
  return wanted.protocol === "conditional" ? { ...wanted, strays: 0 } : wanted;
}

/** Above that latency a lease of one second may miss a renewal with nobody at fault. */
const CALM_LATENCY_MS = 15;

export const isCalm = (plan: Plan): boolean =>
  plan.faultRate + plan.upsets + plan.stallRate + plan.strays + plan.breaks === 0 && plan.latencyMs <= CALM_LATENCY_MS;
