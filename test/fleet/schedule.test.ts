/** Slots of schedules: patterns, zones, both changes of daylight saving, intervals. Fixed dates, no clock. */
import { cronSchedule, everySchedule } from "@bucketlock/lock";
import { describe, expect, it } from "vitest";
import { DUE_MAX, slotsBetween } from "../../packages/lock/src/schedule.js";

const at = (text: string) => Date.parse(text);
const show = (slots: readonly (number | undefined)[]) =>
  slots.map((ms) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16)));

function following(pattern: string, timezone: string, from: string, count: number): (string | undefined)[] {
  const schedule = cronSchedule(pattern, { timezone });
  const slots: (number | undefined)[] = [];
  for (let ms: number | undefined = at(from); slots.length < count && ms !== undefined; slots.push(ms))
    ms = schedule.next(ms);
  return show(slots);
}

describe("daylight saving", () => {
  it("in spring, a time that is left out is due when the clocks have gone forward", () => {
    expect(following("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", 3)).toEqual([
      "2026-03-28T01:30",
      // 02:00 becomes 03:00 at 01:00 UTC.
      "2026-03-29T01:00",
      "2026-03-30T00:30",
    ]);
    expect(following("30 2 * * *", "America/New_York", "2026-03-07T00:00Z", 3)).toEqual([
      "2026-03-07T07:30",
      "2026-03-08T07:00",
      "2026-03-09T06:30",
    ]);
  });

  it("in autumn, a time that comes twice is due the first time", () => {
    expect(following("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", 3)).toEqual([
      "2026-10-24T00:30",
      "2026-10-25T00:30",
      "2026-10-26T01:30",
    ]);
    expect(following("30 1 * * *", "America/New_York", "2026-10-31T00:00Z", 3)).toEqual([
      "2026-10-31T05:30",
      "2026-11-01T05:30",
      "2026-11-02T06:30",
    ]);
  });

  it("whatever runs often goes on through both", () => {
    expect(following("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15Z", 3)).toEqual([
      "2026-03-29T00:30",
      "2026-03-29T01:00",
      "2026-03-29T01:30",
    ]);
    expect(following("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15Z", 4)).toEqual([
      "2026-10-25T00:30",
      "2026-10-25T01:00",
      "2026-10-25T01:30",
      "2026-10-25T02:00",
    ]);
  });

  it.each([
    ["30 2 * * *", "2026-03-27T00:00Z", "2026-04-01T00:00Z"],
    ["30 2 * * *", "2026-10-23T00:00Z", "2026-10-28T00:00Z"],
    ["*/20 * * * *", "2026-03-29T00:00Z", "2026-03-29T04:00Z"],
    ["*/20 * * * *", "2026-10-25T00:00Z", "2026-10-25T04:00Z"],
    ["15,45 1-3 * * *", "2026-10-24T00:00Z", "2026-10-27T00:00Z"],
  ])("backwards and forwards give the same slots: %s from %s", (pattern, from, until) => {
    const schedule = cronSchedule(pattern, { timezone: "Europe/Berlin" });
    const forwards: number[] = [];
    for (let ms = schedule.next(at(from)); ms !== undefined && ms <= at(until); ms = schedule.next(ms))
      forwards.push(ms);
    expect(forwards.length).toBeGreaterThan(3);
    expect(show(slotsBetween(schedule, at(from), at(until)))).toEqual(show(forwards));
  });
});

describe("patterns", () => {
  it("are in UTC unless told, and may have seconds", () => {
    expect(show([cronSchedule("0 3 * * *").next(at("2026-07-01T00:00Z"))])).toEqual(["2026-07-01T03:00"]);
    expect(cronSchedule("*/10 * * * * *").next(at("2026-07-01T00:00:05Z"))).toBe(at("2026-07-01T00:00:10Z"));
  });

  it("the last slot is at or before the instant, the next after it", () => {
    const daily = cronSchedule("0 3 * * *");
    const slot = at("2026-07-01T03:00Z");
    expect(daily.last(slot)).toBe(slot);
    expect(daily.last(slot + 1)).toBe(slot);
    expect(daily.last(slot + 999)).toBe(slot);
    expect(daily.last(slot - 1)).toBe(slot - 86_400_000);
    expect(daily.next(slot)).toBe(slot + 86_400_000);
    expect(daily.next(slot - 1)).toBe(slot);
  });

  it("that end have no next slot", () => {
    const once = cronSchedule("0 0 3 1 1 *");
    expect(once.next(at("2026-01-01T03:00Z"))).toBe(at("2027-01-01T03:00Z"));
  });

  it.each(["", "* * *", "61 * * * *", "every day", "? * * * *", "@hourly?"])(
    "that are none are refused: '%s'",
    (pattern) => {
      expect(() => cronSchedule(pattern)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
    },
  );

  it("zones that are none are refused by name", () => {
    expect(() => cronSchedule("* * * * *", { timezone: "Mars/Base" })).toThrow(/timezone: .*"Mars\/Base"/);
  });
});

describe("intervals", () => {
  it("are counted from 1970, alike on all hosts", () => {
    const every = everySchedule(60_000);
    expect(every.last(119_999)).toBe(60_000);
    expect(every.last(120_000)).toBe(120_000);
    expect(every.next(120_000)).toBe(180_000);
    expect(slotsBetween(every, 60_000, 200_000)).toEqual([120_000, 180_000]);
    expect(() => everySchedule(0)).toThrow(/everyMs/);
  });

  it("of a long time off, the newest slots count", () => {
    const slots = slotsBetween(everySchedule(1), 0, 1_000_000);
    expect(slots.length).toBe(DUE_MAX);
    expect(slots.at(-1)).toBe(1_000_000);
  });
});
