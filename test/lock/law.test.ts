/** The pure laws beside the machine: when a lease may be believed, when a ticket is dead, what a steady clock counts. */
import { ManualClock } from "@bucketlock/core/testing";
import { describe, expect, test } from "vitest";
import { SteadyClock } from "../../packages/lock/src/steady.js";
import { deadByServer, deadByWatching, seenByHead, seenInList } from "../../packages/lock/src/two-object/liveness.js";
import { at, begin, isValid, lose, renewed } from "../../packages/lock/src/two-object/validity.js";

describe("validity", () => {
  const rules = { leaseMs: 1000, marginMs: 100 };

  test("counts from the sending of the last successful write, and ends the margin early", () => {
    const lease = begin(5000, rules);
    expect(isValid(lease, 5899, rules)).toBe(true);
    expect(isValid(lease, 5900, rules)).toBe(false);
    const later = renewed(lease, 5300, 5400, rules);
    expect(later).toEqual({ heldUntilMs: 6300, renewals: 1, lost: undefined });
  });

  test("an answer that comes after the end changes nothing, ever", () => {
    const late = renewed(begin(5000, rules), 5300, 5900, rules);
    expect(late.lost).toMatch(/not renewed in time/);
    expect(renewed(late, 5850, 5860, rules)).toEqual(late);
    expect(isValid(late, 5000, rules)).toBe(false);
  });

  test("an answer that overtakes does not shorten the lease", () => {
    expect(renewed(renewed(begin(0, rules), 300, 310, rules), 200, 320, rules).heldUntilMs).toBe(1300);
  });

  test("the first reason of a loss stays", () => {
    expect(lose(lose(begin(0, rules), "a"), "b").lost).toBe("a");
    expect(at(lose(begin(0, rules), "a"), 99_999, rules).lost).toBe("a");
  });
});

describe("dead rules", () => {
  const rules = { clockSkewMs: 10_000, stepMs: 1000, breakAfterMs: undefined };
  const ticket = { id: "t", mode: "exclusive" as const, leaseMs: 1000, doorMs: 500, placeMs: 400 };

  test("watched by HEAD with a count: one lease; without a count or by LIST: one lease and one step", () => {
    const head = seenByHead(undefined, { lastModifiedMs: 1000, renewal: "3" }, 50);
    expect(deadByWatching(head, "head", 1000, true, 1049, rules)).toBe(false);
    expect(deadByWatching(head, "head", 1000, true, 1050, rules)).toBe(true);
    expect(deadByWatching(head, "head", 1000, false, 1050, rules)).toBe(false);
    expect(deadByWatching(head, "head", 1000, false, 2050, rules)).toBe(true);
    const list = seenInList(undefined, ticket, 50);
    expect(deadByWatching(list, "list", 1000, true, 1050, rules)).toBe(false);
    expect(deadByWatching(list, "list", 1000, true, 2050, rules)).toBe(true);
  });

  test("a change of time or count starts the watch anew; the same again does not", () => {
    let seen = seenByHead(undefined, { lastModifiedMs: 1000, renewal: "3" }, 0);
    seen = seenByHead(seen, { lastModifiedMs: 1000, renewal: "3" }, 900);
    expect(seen.head?.sinceMs).toBe(0);
    seen = seenByHead(seen, { lastModifiedMs: 1000, renewal: "4" }, 950);
    expect(seen.head?.sinceMs).toBe(950);
    seen = seenByHead(seen, { lastModifiedMs: 2000, renewal: "4" }, 960);
    expect(seen.head?.sinceMs).toBe(960);
    expect(seenInList(seen, { ...ticket, doorMs: 600 }, 970).list?.sinceMs).toBe(970);
  });

  test("by the store's own clock: lease and allowance, no more, no less", () => {
    expect(deadByServer(500, 1000, 11_500, rules)).toBe(false);
    expect(deadByServer(500, 1000, 11_501, rules)).toBe(true);
    expect(deadByServer(500, 1000, undefined, rules)).toBe(false);
  });

  test("a foreign ticket dies only by breakAfterMs", () => {
    const seen = seenInList(undefined, { ...ticket, leaseMs: undefined }, 0);
    expect(deadByWatching(seen, "list", undefined, false, 1e9, rules)).toBe(false);
    expect(deadByServer(0, undefined, 1e12, rules)).toBe(false);
    const breaking = { ...rules, breakAfterMs: 60_000 };
    expect(deadByWatching(seen, "list", undefined, false, 61_000, breaking)).toBe(true);
    expect(deadByServer(0, undefined, 70_001, breaking)).toBe(true);
  });
});

describe("the steady clock", () => {
  test("goes with the monotonic clock while nothing happens, slow drift and steps back of the wall clock included", async () => {
    const clock = new ManualClock();
    const steady = new SteadyClock(clock, 500);
    const start = steady.nowMs();
    await clock.advance(1000);
    clock.setWall(clock.wallMs() - 3_600_000);
    await clock.advance(1000);
    clock.setWall(clock.wallMs() + 400);
    expect(steady.nowMs() - start).toBe(2000);
  });

  test("counts a suspend, however often it is asked between", async () => {
    const clock = new ManualClock();
    const steady = new SteadyClock(clock, 500);
    const start = steady.nowMs();
    clock.suspend(60_000);
    expect(steady.nowMs() - start).toBe(60_000);
    await clock.advance(10);
    clock.suspend(60_000);
    await clock.advance(10);
    expect(steady.nowMs() - start).toBe(120_020);
  });

  test("counts a pause that only the wall clock shows, even after the wall clock had gone back", async () => {
    const clock = new ManualClock();
    const steady = new SteadyClock(clock, 500);
    const start = steady.nowMs();
    clock.setWall(clock.wallMs() - 3_600_000);
    steady.nowMs();
    clock.setWall(clock.wallMs() + 30_000);
    expect(steady.nowMs() - start).toBe(30_000);
  });
});
