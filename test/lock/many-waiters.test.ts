/** Crowds: one in one process is no leak, of which Node would warn; and what fifty processes send is bounded. */
import { createMemoryStore } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, SeededRandom } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";

const CROWD = 12;

const cases = (["two-object", "conditional"] as const).flatMap((protocol) =>
  // By one ticket for all, and by one each.
  [8, 1].map((localTurns) => ({ protocol, localTurns })),
);

test.each(cases)("$protocol, localTurns $localTurns: a dozen waiters raise no warning", async (given) => {
  const { protocol, localTurns } = given;
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  try {
    const waiting = new Set<string>();
    const locks = createLocks(createMemoryStore(), {
      protocol,
      localTurns,
      onEvent: (event) => {
        if (event.type === "waiting") waiting.add(event.ticketId);
      },
    });
    const held = await locks.lock("k").acquire();
    const crowd = Promise.all(Array.from({ length: CROWD }, () => locks.lock("k").run(() => {})));
    // Nobody waits at the store while its turn comes by the ticket that is held.
    if (localTurns === 1) await expect.poll(() => waiting.size).toBe(CROWD);
    else expect(waiting.size).toBe(0);
    await held.release();
    await crowd;
    await locks.close();
    expect(warnings).toEqual([]);
  } finally {
    process.off("warning", note);
  }
});

describe.each(["two-object", "conditional"] as const)("%s: fifty processes that come at once", (protocol) => {
  const PROCESSES = 50;

  async function comes() {
    const clock = new ManualClock();
    const memory = createMemoryStore({ clock });
    let seed = 1;
    // Each request takes a while, so that they meet.
    const open = () => {
      const random = new SeededRandom(seed++);
      const plan = () => ({ arriveMs: random.float() * 10, answerMs: random.float() * 10 });
      const store = new RecordingStore(new FaultyStore(memory, { clock, plan }));
      const waitMs = 600_000;
      return { store, locks: createLocks(store, { protocol, clock, random: new SeededRandom(seed++), waitMs }) };
    };
    const holder = await clock.settle(open().locks.lock("k").acquire());
    const crowd = Array.from({ length: PROCESSES }, open);
    let served = 0;
    const all = Promise.all(crowd.map(({ locks }) => locks.lock("k").run(() => void served++)));
    const sent = () => crowd.reduce((sum, { store }) => sum + store.count(), 0);
    const puts = () => crowd.reduce((sum, { store }) => sum + store.count("put"), 0);
    return { clock, holder, all, sent, puts, served: () => served };
  }

  test("each comes into line with a few requests, and sends one or two a second while it waits", async () => {
    const { clock, holder, all, sent, puts, served } = await comes();
    await clock.advance(5_000);
    const coming = sent();
    // Two by the one protocol; by the other they spoil each other's writes, and give way to each other.
    expect(puts()).toBeLessThan(PROCESSES * 7);
    expect(coming).toBeLessThan(PROCESSES * 60);
    await clock.advance(55_000);
    const before = sent();
    await clock.advance(60_000);
    const aSecond = (sent() - before) / 60;
    expect(aSecond).toBeLessThan(PROCESSES * 2);
    expect(aSecond).toBeGreaterThan(0);
    expect(holder.isHeld).toBe(true);
    await clock.settle(holder.release());
    await clock.settle(all);
    expect(served()).toBe(PROCESSES);
  });
});
