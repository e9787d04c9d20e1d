/** What is decided about a slot, in every case; and the names and texts of what stands in the store. */
import { describe, expect, it } from "vitest";
import {
  type Asked,
  checkSlot,
  claimKey,
  decideOnce,
  decodeRun,
  dueNow,
  encodeRun,
  ended,
  endKey,
  type Run,
  type Seen,
  type Slot,
  slotsIn,
  tooOld,
} from "../../packages/lock/src/once-rule.js";

const SLOT = Date.UTC(2026, 10, 21, 3);
const run: Run = {
  ...{ slotMs: SLOT, attempt: 1, guarantee: "atLeastOnce", ticketId: "01H.x.1000", token: "7", label: "host" },
  startedMs: SLOT + 5,
};
const asked: Asked = { slotMs: SLOT, guarantee: "atMostOnce", overlap: "queue", holding: false };
const nothing: Seen = { markMs: undefined, slot: undefined, run: undefined, earlier: undefined };
const claimed: Slot = { slotMs: SLOT, attempts: [1], ended: [] };
const done: Slot = { ...claimed, ended: [1] };
const leave = (why: string, by: Run | undefined = undefined) => ({ do: "leave", why, by });

describe("a slot", () => {
  it.each<[string, Partial<Asked>, Partial<Seen>, object]>([
    ["that nobody claimed is for who holds the lock", { holding: true }, {}, { do: "run", attempt: 1 }],
    ["that nobody claimed: stand in line", {}, {}, { do: "line" }],
    ["above the mark", { holding: true }, { markMs: SLOT - 1 }, { do: "run", attempt: 1 }],
    ["below the mark", { holding: true }, { markMs: SLOT + 1 }, leave("behind")],
    ["below the mark, not holding", {}, { markMs: SLOT + 1 }, leave("behind")],
    ["that ended", { holding: true, guarantee: "atLeastOnce" }, { slot: done, run }, leave("done", run)],
    [
      "that ended once though tried again",
      { holding: true },
      { slot: { ...done, attempts: [1, 2] }, run },
      leave("done", run),
    ],
    ["claimed, at most once", { holding: true }, { slot: claimed, run }, leave("claimed", run)],
    [
      "claimed at most once, asked for at least once",
      { holding: true, guarantee: "atLeastOnce" },
      { slot: claimed, run: { ...run, guarantee: "atMostOnce" } },
      leave("claimed", { ...run, guarantee: "atMostOnce" }),
    ],
    [
      "claimed by what cannot be read",
      { holding: true, guarantee: "atLeastOnce" },
      { slot: claimed },
      leave("claimed"),
    ],
    ["whose runner may live", { guarantee: "atLeastOnce" }, { slot: claimed, run }, { do: "line" }],
    [
      "whose runner died",
      { guarantee: "atLeastOnce", holding: true },
      { slot: claimed, run },
      { do: "run", attempt: 2 },
    ],
    [
      "whose runner died below the mark",
      { guarantee: "atLeastOnce", holding: true },
      { slot: { ...claimed, attempts: [1, 2, 3] }, run, markMs: SLOT + 1 },
      { do: "run", attempt: 4 },
    ],
    ["while an earlier one runs, to be left out", { overlap: "skip" }, { earlier: run }, leave("overlap", run)],
    ["while an earlier one runs, to wait", {}, { earlier: run }, { do: "line" }],
    [
      "to be left out, but the lock is ours",
      { overlap: "skip", holding: true },
      { earlier: run },
      { do: "run", attempt: 1 },
    ],
    ["the first ever", { first: true, holding: true }, {}, { do: "run", attempt: 1 }],
    ["no longer the first", { first: true, holding: true }, { markMs: SLOT - 1 }, leave("outdated")],
    [
      "no longer the first, and done",
      { first: true, holding: true },
      { slot: done, run, markMs: SLOT },
      leave("done", run),
    ],
  ])("%s", (_title, change, seen, decision) => {
    expect(decideOnce({ ...asked, ...change }, { ...nothing, ...seen })).toEqual(decision);
  });
});

describe("names", () => {
  it("sort as the slots do, and are read back", () => {
    const times = [0, 1, 999, SLOT - 1, SLOT, SLOT + 1, 253_402_300_799_999];
    const names = times.map((slotMs) => claimKey("a/job", slotMs, 1));
    expect([...names].sort()).toEqual(names);
    expect(slotsIn("a/job", names).map(({ slotMs }) => slotMs)).toEqual(times);
    expect(names[4]).toBe("a/job.once.slot.2026-11-21T03:00:00.000Z.1");
  });

  it("tell attempts and ends; what is not ours is passed over", () => {
    const keys = [
      claimKey("j", SLOT, 10),
      claimKey("j", SLOT, 2),
      endKey("j", SLOT, 2),
      // A claim that the listing does not show.
      endKey("j", SLOT + 1, 1),
      claimKey("j", SLOT + 2, 0),
      "j.once.slot.tomorrow.1",
      "j.once.slot.2026-11-21T03:00:00.000Z",
      "j.once.lock.record",
    ];
    expect(slotsIn("j", keys)).toEqual([
      { slotMs: SLOT, attempts: [2, 10], ended: [2] },
      { slotMs: SLOT + 1, attempts: [1], ended: [1] },
    ]);
  });

  it("a slot is a Date or epoch ms", () => {
    expect(checkSlot(new Date(SLOT))).toBe(SLOT);
    expect(checkSlot(SLOT + 0.9)).toBe(SLOT);
    for (const bad of [new Date(Number.NaN), -1, Number.POSITIVE_INFINITY, "2026-11-21", null, 253_402_300_800_000])
      expect(() => checkSlot(bad)).toThrow(/slot/);
  });
});

describe("texts", () => {
  it("are read back, claims and ends", () => {
    expect(decodeRun("k", encodeRun(run))).toEqual(run);
    const ok = ended(run, SLOT + 9, undefined);
    expect(decodeRun("k", encodeRun(ok))).toEqual({ ...run, end: { endedMs: SLOT + 9, outcome: "ok" } });
    const failed = ended(run, SLOT + 9, { error: new TypeError("x".repeat(1000)) });
    expect(decodeRun("k", encodeRun(failed))).toEqual(failed);
    expect(failed.end?.error?.length).toBe(500);
    expect(ended(run, 1, { error: undefined }).end?.error).toBe("undefined");
  });

  it("others are refused by name", () => {
    const text = encodeRun(run);
    for (const bad of ["", "[]", "null", "{", text.replace('"format":1', '"format":2'), text.replace('"7"', '"-7"')])
      expect(() => decodeRun("the/key", bad)).toThrow(expect.objectContaining({ code: "SLOT_CORRUPT" }));
    expect(() => decodeRun("the/key", text.replace("atLeastOnce", "often"))).toThrow(/the\/key/);
  });
});

it("old slots go, the newest never", () => {
  const slots = [1, 2, 3].map((slotMs): Slot => ({ slotMs, attempts: [1], ended: [1] }));
  expect(tooOld(slots, 2)).toEqual([slots[0]]);
  expect(tooOld(slots, 0)).toEqual([slots[0], slots[1]]);
  expect(tooOld(slots, 9)).toEqual([]);
});

it("of what came due the newest runs, and as many before it as are caught up", () => {
  expect(dueNow([1, 2, 3, 4], 0)).toEqual({ run: [4], missed: [1, 2, 3] });
  expect(dueNow([1, 2, 3, 4], 2)).toEqual({ run: [2, 3, 4], missed: [1] });
  expect(dueNow([1, 2], 9)).toEqual({ run: [1, 2], missed: [] });
  expect(dueNow([], 1)).toEqual({ run: [], missed: [] });
});
