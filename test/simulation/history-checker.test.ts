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

it("refuses a record that cannot be", () => {
  expect(rulesBroken([hold(10, 5)])).toEqual(["record"]);
  expect(rulesBroken([hold(Number.NaN, 5)])).toEqual(["record"]);
});
