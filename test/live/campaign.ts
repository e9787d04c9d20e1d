/**
 * A campaign: contenders in processes of their own share locks while a seeded plan kills, stops and continues them; in the
 * end nothing may be left in the store. Gathers what was told; story.ts judges it.
 * Never touches a process that it did not start.
 */

import { SeededRandom } from "@bucketlock/core/testing";
import { createLocks, type Locks, type LocksOptions, type Store } from "@bucketlock/lock";
import { expect } from "vitest";
import type { Worker, WorkerOptions } from "../processes.js";
import type { ContenderOrders, Line } from "./lines.js";
import { type Story, showCounts, type Told, tellStory, troubles } from "./story.js";

/** How long one configuration contends, in ms. */
export const CAMPAIGN_MS = Number(process.env.BUCKETLOCK_CAMPAIGN_MS ?? 15_000);
/** A campaign goes on for so much longer while too little has happened to prove anything: a busy machine is slow. */
const LONGER_MAX_MS = 90_000;
/** The campaign's own share of a test's limit: start, going on, the last take-overs, the sweep. */
export const AROUND_CAMPAIGN_MS = LONGER_MAX_MS + 150_000;

/** BUCKETLOCK_CAMPAIGN_SEED repeats a run's plan; its timing is the machine's. */
export function seedOf(): number {
  const given = process.env.BUCKETLOCK_CAMPAIGN_SEED;
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}

export interface Campaign {
  readonly name: string;
  /** Where each contender works: they take turns on the list. */
  readonly stores: readonly ContenderOrders["store"][];
  /** Default: two-object. On a server `conditional` needs the bucket's probe: probed once, not by every contender. */
  readonly locks?: Pick<LocksOptions, "protocol" | "probed">;
  readonly keys: readonly string[];
  readonly contenders: number;
  readonly durationMs: number;
  readonly leaseMs: number;
  readonly settleMs?: number;
  readonly sharedShare?: number;
  readonly impatientShare?: number;
  readonly tokenShare?: number;
  /** Programs in each process. Default: 1. */
  readonly locals?: number;
  /** Every key is a semaphore of so many. */
  readonly permits?: number;
  /** One contender breaks others' live tickets. */
  readonly withCheat?: boolean;
  /** Mean pause between two blows (SIGKILL or SIGSTOP), in ms. Infinity: none. */
  readonly blowEveryMs: number;
  /** By the name of a count, what it must be above: an idle campaign proves nothing. */
  readonly floors: Readonly<Record<string, number>>;
  /** Counts of the caller's own, for `floors` too. */
  readonly counted?: () => Readonly<Record<string, number>>;
  /** Kinds of errors that the faults of the network explain. Default: none, but for who was stopped or held up. */
  readonly explained?: readonly string[];
  /** Of the campaign and all contenders; printed, so that it can be repeated. */
  readonly seed: number;
}

const contender = new URL("./contender.worker.ts", import.meta.url);
const PAUSE_MS = 5;
const LOOK_EVERY_MS = 1_000;

type Start = (file: string | URL, options?: WorkerOptions) => Worker;
interface Contender {
  readonly actor: string;
  readonly worker: Worker;
  /** Now. */
  stopped: boolean;
  wasStopped: boolean;
  killed: boolean;
}

export interface Outcome {
  readonly story: Story;
  readonly counts: Readonly<Record<string, number>>;
  readonly floors: Campaign["floors"];
  /** What went wrong in a contender and is not explained. */
  readonly troubles: readonly string[];
  /** For a failure's message. */
  readonly why: string;
  readonly locks: Pick<LocksOptions, "protocol" | "probed">;
}

/** Runs it; every contender that lived must have ended well. `expectSound` judges the rest. */
export async function runCampaign(start: Start, campaign: Campaign): Promise<Outcome> {
  const random = new SeededRandom(campaign.seed);
  const all: Contender[] = [];
  const enlist = () => {
    const n = all.length;
    const orders: ContenderOrders = {
      store: campaign.stores[n % campaign.stores.length]!,
      ...campaign.locks,
      keys: campaign.keys,
      seed: random.uint32(),
      leaseMs: campaign.leaseMs,
      settleMs: campaign.settleMs ?? 0,
      sharedShare: campaign.sharedShare ?? 0.4,
      impatientShare: campaign.impatientShare ?? 0.3,
      tokenShare: campaign.tokenShare ?? 0.6,
      locals: campaign.locals ?? 1,
      permits: campaign.permits,
      cheats: campaign.withCheat === true && n === 0,
    };
    const worker = start(contender, { args: [JSON.stringify(orders)] });
    all.push({ actor: `p${n}`, worker, stopped: false, wasStopped: false, killed: false });
  };
  for (let n = 0; n < campaign.contenders; n++) enlist();
  await Promise.all(all.map(({ worker }) => worker.message<Line>((line) => line.event === "hello")));

  const blows = { kills: 0, stops: 0 };
  // However the dice fall: the first to be hit are killed, until one of them held for certain.
  let felled = false;
  const pending = new Set<Promise<void>>();
  const told = () =>
    all.map(
      ({ actor, worker, killed, wasStopped }): Told => ({
        ...{ actor, killed, stopped: wasStopped },
        lines: worker.messages as Line[],
      }),
    );
  const countsOf = (story: Story) => ({
    processes: all.length,
    ...blows,
    blows: blows.kills + blows.stops,
    ...story.counts,
    ...campaign.counted?.(),
  });
  const isEnough = () => areAbove(countsOf(tellStory(told())), campaign.floors);
  const endMs = performance.now() + campaign.durationMs;
  let lookMs = endMs;
  let nextMs = performance.now() + campaign.blowEveryMs;
  for (;;) {
    await sleep(PAUSE_MS);
    const nowMs = performance.now();
    if (nowMs >= lookMs) {
      if (nowMs > endMs + LONGER_MAX_MS || isEnough()) break;
      lookMs = performance.now() + LOOK_EVERY_MS;
    }
    if (nowMs < nextMs) continue;
    const victim = choose(all, random);
    if (victim === undefined || (!felled && !isHolding(victim.worker.messages as Line[]))) continue;
    nextMs = performance.now() + campaign.blowEveryMs * (0.5 + random.float());
    if (!felled || random.float() < 0.4) {
      blows.kills++;
      victim.killed = true;
      await victim.worker.kill();
      felled ||= isHolding(victim.worker.messages as Line[]);
      enlist();
    } else {
      blows.stops++;
      victim.stopped = true;
      victim.wasStopped = true;
      victim.worker.signal("SIGSTOP");
      const thaw = sleep(campaign.leaseMs * (1.2 + random.float())).then(() => {
        victim.worker.signal("SIGCONT");
        victim.stopped = false;
        pending.delete(thaw);
      });
      pending.add(thaw);
    }
  }
  await Promise.all(pending);
  await end(all);

  const story = tellStory(told());
  const counts = { ...countsOf(story), requests: requestsOf(told()) };
  console.log(`ring 5: ${campaign.name} (seed ${campaign.seed}): ${showCounts(counts)}`);
  const why = `seed ${campaign.seed}\n${story.timeLine}`;
  const { floors, locks = {}, explained } = campaign;
  return { story, counts, floors, troubles: troubles(told(), explained), why, locks };
}

const areAbove = (counts: Readonly<Record<string, number>>, floors: Campaign["floors"]): boolean =>
  Object.entries(floors).every(([name, floor]) => counts[name]! > floor);

/** What holds for every campaign, and that enough happened. */
export function expectSound({ story, troubles, why, counts, floors }: Outcome): void {
  expect(story.findings, why).toEqual([]);
  expect(troubles, why).toEqual([]);
  for (const [name, floor] of Object.entries(floors)) expect(counts[name], `${name}, ${why}`).toBeGreaterThan(floor);
}

/** A holder every other time: killing who only waits proves less. */
function choose(all: readonly Contender[], random: SeededRandom): Contender | undefined {
  const alive = all.filter((one) => !one.stopped && !one.killed && one.worker.messages.length > 0);
  // Most must run, or nothing happens any more.
  if (alive.length <= all.filter((one) => !one.killed).length / 2) return undefined;
  const holders = alive.filter(({ worker }) => isHolding(worker.messages as Line[]));
  return random.pick(random.float() < 0.5 && holders.length > 0 ? holders : alive);
}

function isHolding(lines: readonly Line[]): boolean {
  const last = lines.findLast((line) => ["got", "ending", "lost"].includes(line.event));
  return last?.event === "got";
}

/** Everyone alive closes its locks and ends by itself: neither a timer nor a socket nor a listener keeps it. */
async function end(all: readonly Contender[]): Promise<void> {
  const left = all.filter((one) => !one.killed);
  for (const { worker } of left) worker.send("stop");
  for (const { actor, worker } of left) {
    const exit = await worker.exit();
    const said = (worker.messages.at(-1) as Line | undefined)?.event;
    expect({ actor, ...exit, said, stderr: worker.stderr }).toEqual({
      actor,
      code: 0,
      signal: null,
      said: "bye",
      stderr: "",
    });
  }
}

function requestsOf(all: readonly Told[]): number {
  return all.reduce((sum, { lines }) => {
    const bye = lines.findLast((line) => line.event === "bye");
    return sum + (bye?.event === "bye" ? bye.requests : 0);
  }, 0);
}

/**
 * After the last contender: one exclusive lease of each lock, which outwaits whatever the killed left and draws a token above
 * all of theirs; then only what stays on purpose may be there, one object for each lock. Removes that too, so that a caller
 * can see with its own eyes that nothing is left. `store` is closed.
 */
export async function expectNothingLeft(
  store: Store,
  keys: readonly string[],
  leaseMs: number,
  after?: Pick<Outcome, "locks" | "story">,
  permits?: number,
): Promise<void> {
  // Our own leases are not to end: how long to wait for others is said by theirs.
  const locks = createLocks(store, { leaseMs: 30 * leaseMs, ...after?.locks });
  try {
    if (permits !== undefined) for (const key of keys) await outwaitPermits(locks, key, permits);
    const kept = await Promise.all(
      keys.map((key) =>
        locks.lock(key).run(
          async (lease) => {
            const token = await lease.token();
            expect(token, `the last token of '${key}'`).toBeGreaterThan(after?.story.tokens.get(key) ?? 0n);
            return after?.locks.protocol === "conditional" ? `${key}.lock.record` : `${key}.lock.token.${token}`;
          },
          { waitMs: 120_000 },
        ),
      ),
    );
    expect((await everything(store)).map(nameOf).sort()).toEqual(kept.sort());
    if (after?.locks.protocol === "conditional") {
      for (const key of keys) {
        const { holders, waiters } = await locks.lock(key).inspect();
        expect({ key, holders, waiters }).toEqual({ key, holders: [], waiters: [] });
        expect(await locks.lock(key).forget({ keepToken: false })).toBe(true);
      }
    } else {
      await store.deleteMany(await everything(store));
    }
    expect((await everything(store)).map(nameOf)).toEqual([]);
  } finally {
    await locks.close();
  }
}

/** The dead of a semaphore go when somebody needs their permit, and what they were asked with the next request. */
async function outwaitPermits(locks: Locks, key: string, permits: number): Promise<void> {
  const semaphore = locks.semaphore(key, { permits });
  const leases = [];
  while (leases.length < permits) leases.push(await semaphore.acquire({ waitMs: 120_000 }));
  for (const lease of leases) await lease.release();
  expect(await semaphore.requestRelease("is anybody left?")).toEqual([]);
}

type Version = Awaited<ReturnType<typeof everything>>[number];
const nameOf = ({ key, isDeleteMarker }: Version): string => (isDeleteMarker ? `${key} (marker)` : key);

async function everything(store: Store) {
  const all = [];
  for await (const page of store.listVersions("")) all.push(...page.versions);
  return all;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
