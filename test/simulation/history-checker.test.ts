/** The judge of histories: sound ones pass, and each kind of bad one is named. A judge that never says no proves nothing. */
import { checkHistory, type Hold } from "@bucketlock/lock/testing";
import { describe, expect, it } from "vitest";

let count = 0;
const hold = (fromMs: number, toMs: number, more: Partial<Hold> = {}): Hold => ({
  actor: `a${++count}`,
  key: "k",
  mode: "exclusive",
  fromMs,
  toMs,
  ...more,
});
const rulesBroken = (holds: Hold[], rules = {}) => checkHistory(holds, rules).map((violation) => violation.rule);

describe("overlap", () => {
  it("passes what touches, what is shared, and what is elsewhere", () => {
    expect(checkHistory([])).toEqual([]);
    expect(rulesBroken([hold(0, 10), hold(10, 20)])).toEqual([]);
    expect(rulesBroken([hold(0, 10, { mode: "shared" }), hold(5, 20, { mode: "shared" })])).toEqual([]);
    expect(rulesBroken([hold(0, 10), hold(5, 20, { key: "other" })])).toEqual([]);
  });

  it("finds exclusive with exclusive and with shared, in any order of the records", () => {
    expect(rulesBroken([hold(5, 20), hold(0, 10)])).toEqual(["overlap"]);
    expect(rulesBroken([hold(0, 10, { mode: "shared" }), hold(9, 20)])).toEqual(["overlap"]);
    expect(rulesBroken([hold(0, 10), hold(9, 20, { mode: "shared" })])).toEqual(["overlap"]);
    expect(rulesBroken([hold(0, Number.POSITIVE_INFINITY), hold(99, 100)])).toEqual(["overlap"]);
  });

  it("finds one behind others that ended long before", () => {
    expect(rulesBroken([hold(0, 100), hold(10, 11), hold(20, 21)])).toEqual(["overlap", "overlap"]);
  });

  it("says who, and how long", () => {
    const [violation] = checkHistory([hold(0, 10, { ticketId: "T1" }), hold(7, 20)]);
    expect(violation).toMatchObject({ rule: "overlap", holds: [{ fromMs: 0 }, { fromMs: 7 }] });
    expect(violation!.message).toMatch(/^3 ms: .*\(T1\) and/);
  });

  it("allows what the caller's clocks cannot tell", () => {
    expect(rulesBroken([hold(0, 10), hold(9, 20)], { overlapToleranceMs: 1 })).toEqual([]);
    expect(rulesBroken([hold(0, 10), hold(8, 20)], { overlapToleranceMs: 1 })).toEqual(["overlap"]);
  });

  it("holds a lease of no length for no lease", () => {
    expect(rulesBroken([hold(0, 10), hold(5, 5)])).toEqual([]);
  });
});

describe("told", () => {
  it("passes who was told in time, or lost to nobody", () => {
    expect(rulesBroken([hold(0, 10, { toldLostMs: 10 }), hold(10, 20)])).toEqual([]);
    expect(rulesBroken([hold(0, 10, { toldLostMs: Number.POSITIVE_INFINITY })])).toEqual([]);
    const shared = { mode: "shared" } as const;
    expect(rulesBroken([hold(0, 10, { ...shared, toldLostMs: 15 }), hold(12, 20, shared)])).toEqual([]);
  });

  it("finds who was told late or never", () => {
    expect(rulesBroken([hold(0, 10, { toldLostMs: 13 }), hold(12, 20)])).toEqual(["untold"]);
    expect(rulesBroken([hold(0, 10, { toldLostMs: Number.POSITIVE_INFINITY }), hold(12, 20)])).toEqual(["untold"]);
  });
});

describe("order", () => {
  const order = { orderToleranceMs: 5 };

  it("is not asked unless the caller says how exact it is", () => {
    expect(rulesBroken([hold(20, 30, { placedMs: 10 }), hold(30, 40, { placedMs: 0 })])).toEqual([]);
  });

  it("passes first in first out, small differences, and readers among themselves", () => {
    expect(rulesBroken([hold(20, 30, { placedMs: 0 }), hold(30, 40, { placedMs: 10 })], order)).toEqual([]);
    expect(rulesBroken([hold(20, 30, { placedMs: 5 }), hold(30, 40, { placedMs: 0 })], order)).toEqual([]);
    const shared = { mode: "shared" } as const;
    expect(
      rulesBroken([hold(20, 30, { ...shared, placedMs: 9 }), hold(21, 40, { ...shared, placedMs: 0 })], order),
    ).toEqual([]);
    expect(rulesBroken([hold(0, 3, { placedMs: 0 }), hold(30, 40, { placedMs: 9 })], order)).toEqual([]);
  });

  it("finds who was overtaken, behind others too", () => {
    expect(rulesBroken([hold(20, 30, { placedMs: 10 }), hold(30, 40, { placedMs: 0 })], order)).toEqual(["order"]);
    expect(
      rulesBroken(
        [hold(20, 25, { placedMs: 10 }), hold(25, 30, { placedMs: 1 }), hold(30, 40, { placedMs: 0 })],
        order,
      ),
    ).toEqual(["order", "order"]);
  });
});

describe("a semaphore", () => {
  const permit = (fromMs: number, toMs: number, more: Partial<Hold> = {}) =>
    hold(fromMs, toMs, { mode: "permit", permits: 2, ...more });
  const order = { orderToleranceMs: 0 };

  it("passes as many as may hold, one after the other too", () => {
    expect(rulesBroken([permit(0, 10), permit(5, 20), permit(10, 30), permit(20, 40)])).toEqual([]);
    expect(rulesBroken([permit(0, 10), permit(5, 20), permit(7, 7)])).toEqual([]);
  });

  it("finds one too many, and who counts otherwise", () => {
    expect(rulesBroken([permit(0, 10), permit(5, 20), permit(9, 30)])).toEqual(["overlap"]);
    expect(rulesBroken([permit(0, 10), permit(5, 20), permit(9, 30)], { overlapToleranceMs: 1 })).toEqual([]);
    expect(rulesBroken([permit(0, 10), permit(5, 20, { permits: 3 })])).toEqual(["overlap"]);
    expect(rulesBroken([permit(0, 10), hold(5, 20, { mode: "shared" })])).toEqual(["overlap"]);
  });

  it("finds who was told late only where it made one too many", () => {
    expect(rulesBroken([permit(0, 10, { toldLostMs: 15 }), permit(12, 20)])).toEqual([]);
    expect(rulesBroken([permit(0, 10, { toldLostMs: 15 }), permit(2, 20), permit(12, 20)])).toEqual(["untold"]);
  });

  it("finds who was overtaken, unless there was room for both", () => {
    const waits = permit(30, 40, { placedMs: 3 });
    const late = permit(20, 40, { placedMs: 5 });
    // One permit was free, and two might have taken it: the earlier one must.
    expect(rulesBroken([permit(0, 30, { placedMs: 0 }), waits, late], order)).toEqual(["order"]);
    // Two were free: who looks first holds first.
    expect(rulesBroken([permit(0, 20, { placedMs: 0 }), waits, late], order)).toEqual([]);
    expect(rulesBroken([permit(0, 30, { placedMs: 0 }), waits, late], { orderToleranceMs: 2 })).toEqual([]);
  });
});

it("refuses a record that cannot be", () => {
  expect(rulesBroken([hold(10, 5)])).toEqual(["record"]);
  expect(rulesBroken([hold(Number.NaN, 5)])).toEqual(["record"]);
});
