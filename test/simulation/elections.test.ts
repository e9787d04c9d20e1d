/**
 * For each rule of an election, that its absence is noticed: by seeded histories, by the conformance suite, or by what is
 * left of leaders that came back too late.
 */
import { createMemoryStore, type Store } from "@bucketlock/core";
import { FaultyStore, ManualClock } from "@bucketlock/core/testing";
import type { Leader, Leadership, LocksOptions } from "@bucketlock/lock";
import { describe, expect, it } from "vitest";
import { electionTests } from "../../packages/lock/src/testing/conformance/election.js";
import { Room } from "../../packages/lock/src/testing/conformance/room.js";
import { runJobs } from "./jobs.js";
import { type Plan, PROTOCOLS } from "./plan.js";
import { createLocksWith, type ElectionRules, type Locks } from "./under-test.js";

type Protocol = Plan["protocol"];

// -- By histories ----------------------------------------------------------------------------------------------------

const WITHIN_SEEDS = 60;
const CALM = { faultRate: 0, stallRate: 0, upsets: 12, crashes: false, latencyMs: 10, hosts: 3 } as const;
const IN_HISTORIES: readonly { rule: keyof ElectionRules; change: Partial<Plan>; found: RegExp }[] = [
  // A frozen leader learns on waking.
  { rule: "looksAtClock", change: CALM, found: /acted with token \d+ after|ended well as leader/ },
  { rule: "looksAgain", change: { ...CALM, stallRate: 0.3 }, found: /was told that it leads by \d+, which was over/ },
  { rule: "awaitsRoutine", change: { ...CALM, hosts: 1 }, found: /leads twice at once/ },
  { rule: "endsHeld", change: CALM, found: /ended well as leader \d+, which was over/ },
];

describe("histories notice that a rule of elections is gone", () => {
  for (const { rule, change, found } of IN_HISTORIES) {
    it.each(PROTOCOLS)(`%s: ${rule}`, { timeout: 600_000 }, async (protocol) => {
      const options = { protocol, change, what: "leaders" } as const;
      let seed = 0;
      let violation: string | undefined;
      while (seed < WITHIN_SEEDS && violation === undefined) {
        const { violations } = await runJobs(++seed, { ...options, mutation: { election: { [rule]: false } } });
        violation = violations.find((one) => found.test(one));
      }
      console.log(
        `mutant of ${protocol} '${rule}': ${violation === undefined ? "not found" : `seed ${seed}: ${violation}`}`,
      );
      expect(violation).toMatch(found);
      // The same history shows that this is the rule's doing.
      expect((await runJobs(seed, options)).violations).toEqual([]);
    });
  }
});

// -- By conformance --------------------------------------------------------------------------------------------------

const LEASE_MS = 2000;

/** The suite's own room, with a rule less. */
class PoorerRoom extends Room {
  readonly #options: LocksOptions;
  readonly #rules: Partial<ElectionRules>;
  readonly #opened: Locks[] = [];

  constructor(
    readonly store: Store,
    clock: ManualClock,
    protocol: Protocol,
    rules: Partial<ElectionRules>,
  ) {
    super(store, "", {}, clock, LEASE_MS);
    this.#options = { protocol, clock, leaseMs: LEASE_MS };
    this.#rules = rules;
  }

  override locks(options: LocksOptions = {}): Locks {
    return this.mortal({ leaseMs: 10 * LEASE_MS, ...options });
  }

  override mortal(options: LocksOptions = {}): Locks {
    return this.#open(this.store, options);
  }

  override breakable(options: LocksOptions = {}) {
    const error = new Error("the network is down");
    const state = { broken: false, locks: undefined as unknown as Locks };
    const store = new FaultyStore(this.store, { plan: () => (state.broken ? { error } : undefined) });
    state.locks = this.#open(store, options);
    return state;
  }

  #open(store: Store, options: LocksOptions): Locks {
    const locks = createLocksWith(store, { ...this.#options, ...options }, { election: this.#rules });
    this.#opened.push(locks);
    return locks;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#opened.map((locks) => locks.close({ keepStore: true })));
  }
}

/** The titles of the suite's tests that fail without these rules. */
async function failing(protocol: Protocol, rules: Partial<ElectionRules>): Promise<string[]> {
  const failed: string[] = [];
  for (const { title, run } of electionTests) {
    const clock = new ManualClock();
    const room = new PoorerRoom(createMemoryStore({ clock }), clock, protocol, rules);
    const limit = clock.sleep(200 * LEASE_MS).then(() => {
      throw new Error("it did not end");
    });
    const ended = Promise.race([run(room), limit]).finally(() => room.close());
    await clock.settle(ended).catch(() => failed.push(title));
  }
  return failed;
}

const IN_CONFORMANCE: readonly { rule: keyof ElectionRules; found: RegExp }[] = [
  { rule: "announces", found: /^one leads, others see its token/ },
  // Before the lease ends.
  { rule: "stepsDown", found: /is told before it is replaced/ },
  { rule: "campaignsAgain", found: /^lead: leads again after a loss/ },
];

describe.each(PROTOCOLS)("conformance notices that a rule of elections is gone: %s", (protocol) => {
  it("with all rules, nothing fails", async () => expect(await failing(protocol, {})).toEqual([]));

  it.each(IN_CONFORMANCE)("$rule", async ({ rule, found }) => {
    expect(await failing(protocol, { [rule]: false })).toEqual(
      expect.arrayContaining([expect.stringMatching(found) as unknown as string]),
    );
  });
});

// -- By what comes back ----------------------------------------------------------------------------------------------

/**
 * What an observer shows, and who is said to lead in the end, when writes of a leader long gone arrive after a newer leader has
 * resigned: the object with its name, or its ticket as well.
 */
async function shownAfterGhosts(rules: Partial<ElectionRules>, ticketToo: boolean) {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  const locks = createLocksWith(store, { clock, leaseMs: LEASE_MS, label: "host" }, { election: rules });
  const shown: (bigint | undefined)[] = [];
  let leader: Leader | undefined;
  const stop = new AbortController();
  const observe = async () => {
    const election = locks.election("k", { pollMs: 100 });
    for await (const leader of election.observe({ signal: stop.signal }))
      shown.push((leader as Leader | undefined)?.token);
  };
  const story = async () => {
    const watching = observe().catch(() => {});
    const look = () => clock.sleep(300);
    const first: Leadership = await locks.election("k").campaign();
    const ghosts: [string, Uint8Array][] = [];
    for await (const { objects } of store.list("k.election.")) {
      for (const { key } of objects) {
        const answer = await store.get(key);
        if (answer.found && !answer.unchanged) ghosts.push([key, answer.body]);
      }
    }
    await look();
    await first.resign();
    const second = await locks.election("k").campaign();
    await look();
    await second.resign();
    await look();
    for (const [key, body] of ghosts) if (ticketToo || key.includes(".leader.")) await store.put(key, body);
    await look();
    leader = await locks.election("k").leader();
    stop.abort();
    await watching;
    await locks.close();
  };
  await clock.settle(story());
  return { shown, leader: leader?.token };
}

describe("writes of an old leader that arrive late", () => {
  it("its name alone is shown to nobody", async () => {
    expect(await shownAfterGhosts({}, false)).toEqual({ shown: [undefined, 1n, 2n, undefined], leader: undefined });
    expect((await shownAfterGhosts({ showsStanding: false }, false)).leader).toBe(1n);
  });

  it("nor, its ticket beside it, to whoever was shown a newer one", async () => {
    expect((await shownAfterGhosts({}, true)).shown).toEqual([undefined, 1n, 2n, undefined]);
    expect((await shownAfterGhosts({ showsRising: false }, true)).shown).toEqual([undefined, 1n, 2n, undefined, 1n]);
  });
});
