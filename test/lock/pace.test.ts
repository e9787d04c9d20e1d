/** How often who waits looks: the law of pauses alone, and what a crowd costs and gains by it in virtual time. */
import { createMemoryStore } from "@bucketlock/core";
import { FaultyStore, ManualClock, RecordingStore, SeededRandom } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { describe, expect, test } from "vitest";
import { type Pace, paced, pauseMs } from "../../packages/lock/src/pace.js";

const limits = { pollMinMs: 20, pollMaxMs: 1000 };

describe("the pause", () => {
  test.each([
    [0, 20],
    [200, 20],
    [3_000, 300],
    [60_000, 1000],
  ])("behind others, nobody of whom has gone: a tenth of the %d ms waited, within the limits: %d", (nowMs, ms) => {
    expect(pauseMs(paced(undefined, 3, 0), nowMs, limits)).toBe(ms);
  });

  test("of who is next: a quarter of the first, growing by a tenth of the time since, however long it waited before", () => {
    const next = paced(paced(undefined, 1, 0), 0, 90_000);
    expect(pauseMs(next, 90_000, limits)).toBe(5);
    expect(pauseMs(next, 90_050, limits)).toBe(5);
    expect(pauseMs(next, 90_400, limits)).toBe(40);
    expect(pauseMs(next, 190_000, limits)).toBe(1000);
    // Where a look is a LIST nobody hurries.
    expect(pauseMs(next, 90_000, limits, true)).toBe(20);
  });

  test("of who is next for an hour: few looks a second at first, then one", () => {
    const next = paced(undefined, 0, 0);
    const looks = (untilMs: number) => {
      let count = 0;
      for (let nowMs = 0; nowMs < untilMs; nowMs += pauseMs(next, nowMs, limits)) count++;
      return count;
    };
    expect(looks(50)).toBe(10);
    expect(looks(10_000)).toBeLessThan(75);
    expect(looks(3_600_000)).toBeLessThan(3_590 + 75);
  });

  test("where turns were seen: half of what is left until we should be next, a fifth of the wait at most; overdue, a tenth of the time since", () => {
    // Two turns in 800 ms: with two more to go we are next 800 ms later.
    const pace = paced(paced(paced(undefined, 4, 0), 3, 500), 2, 800);
    expect(pauseMs(pace, 800, limits)).toBe(160);
    expect(pauseMs(pace, 1_200, limits)).toBe(200);
    expect(pauseMs(pace, 1_590, limits)).toBe(79);
    expect(pauseMs(pace, 4_800, limits)).toBe(400);
    expect(pauseMs(pace, 60_000, limits)).toBe(1000);
  });

  test("back in line further behind, with another ticket: as if no turn had been seen, and no hurry", () => {
    const next = paced(paced(undefined, 2, 0), 0, 1_000);
    const behind = paced(next, 1, 1_010);
    expect(pauseMs(behind, 1_010, limits)).toBe(101);
    expect(paced(behind, 1, 2_000)).toBe(behind);
  });

  test("never longer than the longest, never shorter than a quarter of the first, whatever was seen", () => {
    const random = new SeededRandom(5);
    for (let run = 0; run < 200; run++) {
      let pace: Pace | undefined;
      for (let nowMs = 0, step = 0; step < 30; step++) {
        nowMs += random.float() * 3_000;
        pace = paced(pace, Math.floor(random.float() * 6), nowMs);
        const ms = pauseMs(pace, nowMs + random.float() * 100, limits);
        expect(ms).toBeGreaterThanOrEqual(5);
        expect(ms).toBeLessThanOrEqual(1000);
      }
    }
  });
});

describe.each(["two-object", "conditional"] as const)("%s: a crowd that comes back again and again", (protocol) => {
  const PROCESSES = 10;
  const TURNS = 3;
  const WORK_MS = 20;

  test("is served without much idling in between, for few requests each", async () => {
    const clock = new ManualClock();
    const memory = createMemoryStore({ clock });
    let seed = 1;
    let held = 0;
    const crowd = Array.from({ length: PROCESSES }, () => {
      const random = new SeededRandom(seed++);
      const plan = () => ({ arriveMs: 0.5 + random.float(), answerMs: 0.5 + random.float() });
      const store = new RecordingStore(new FaultyStore(memory, { clock, plan }));
      const locks = createLocks(store, { protocol, clock, random: new SeededRandom(seed++) });
      const work = async () => {
        for (let turn = 0; turn < TURNS; turn++) {
          await locks.lock("k").run(async () => {
            expect(++held).toBe(1);
            await clock.sleep(WORK_MS);
            held--;
          });
        }
      };
      return { store, locks, work };
    });
    const startedMs = clock.monotonicMs();
    await clock.settle(Promise.all(crowd.map(({ work }) => work())));
    const idleMs = (clock.monotonicMs() - startedMs) / (PROCESSES * TURNS) - WORK_MS;
    const requests = crowd.reduce((sum, { store }) => sum + store.count(), 0) / (PROCESSES * TURNS);
    // Four requests of about 2 ms on the way from one to the next; to look but every twentieth of a second costs 40 ms.
    expect(idleMs).toBeLessThan(20);
    expect(requests).toBeLessThan(40);
    for (const { locks } of crowd) await locks.close();
  });
});
