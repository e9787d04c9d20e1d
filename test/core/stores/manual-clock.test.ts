/** The manual clock itself: what it fires, when, and in which order. */
import { createMemoryStore } from "@bucketlock/core";
import { ManualClock, SeededRandom } from "@bucketlock/core/testing";
import { describe, expect, it } from "vitest";

describe("ManualClock", () => {
  it("moves only when told, all three clocks alike", async () => {
    const clock = new ManualClock({ monotonicMs: 5, wallMs: 1000, uptimeMs: 70 });
    await clock.advance(10);
    expect([clock.monotonicMs(), clock.wallMs(), clock.uptimeMs()]).toEqual([15, 1010, 80]);
  });

  it("fires in order of time, ties in the order they were set, each at its own time", async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    clock.after(20, () => log.push(`late ${clock.monotonicMs()}`));
    void clock.sleep(10).then(() => log.push(`sleep ${clock.monotonicMs()}`));
    clock.after(10, () => log.push(`tie ${clock.monotonicMs()}`));
    await clock.advance(9);
    expect(log).toEqual([]);
    await clock.advance(100);
    expect(log).toEqual(["sleep 10", "tie 10", "late 20"]);
    expect(clock.pending).toBe(0);
  });

  it("fires what a woken sleeper sets while it advances, at its own time", async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    const store = createMemoryStore({ clock });
    void (async () => {
      for (let i = 0; i < 5; i++) {
        await clock.sleep(10);
        for (let hop = 0; hop < 50; hop++) await store.put("k", "v");
        times.push(clock.monotonicMs());
      }
    })();
    await clock.advance(45);
    expect(times).toEqual([10, 20, 30, 40]);
    expect(clock.nextDueMs).toBe(50);
  });

  it("stands still in a suspend while wall clock and uptime go on", async () => {
    const clock = new ManualClock();
    let fired = false;
    clock.after(10, () => {
      fired = true;
    });
    const wallMs = clock.wallMs();
    clock.suspend(60_000);
    await clock.advance(5);
    expect([clock.monotonicMs(), clock.wallMs() - wallMs, clock.uptimeMs()]).toEqual([5, 60_005, 60_005]);
    expect(fired).toBe(false);
  });

  it("rejects a sleep with the signal's own reason and forgets it", async () => {
    const clock = new ManualClock();
    const reason = new Error("enough");
    const controller = new AbortController();
    const sleep = clock.sleep(10, { signal: controller.signal });
    controller.abort(reason);
    await expect(sleep).rejects.toBe(reason);
    await expect(clock.sleep(10, { signal: controller.signal })).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it("cancels a timer", async () => {
    const clock = new ManualClock();
    const cancel = clock.after(1, () => expect.unreachable());
    cancel();
    await clock.advance(2);
  });

  it("settles a promise by going from one due time to the next", async () => {
    const clock = new ManualClock();
    const work = (async () => {
      for (let i = 0; i < 3; i++) await clock.sleep(1000);
      return clock.monotonicMs();
    })();
    expect(await clock.settle(work)).toBe(3000);
    await expect(clock.settle(new Promise(() => {}))).rejects.toThrow("no timer of this clock");
    await expect(clock.settle(clock.sleep(5000), 1000)).rejects.toThrow("within 1000 ms");
  });
});

describe("SeededRandom", () => {
  it("repeats for a seed and differs between seeds", () => {
    const draw = (seed: number) => {
      const random = new SeededRandom(seed);
      return [random.float(), random.hex(8), random.below(1000), random.pick(["a", "b", "c"])];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it("spreads over [0, 1)", () => {
    const random = new SeededRandom(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    expect(random.hex(5)).toMatch(/^[0-9a-f]{10}$/);
  });
});
