/** The probe's verdicts as tables: whatever was seen gets one, and only what a read has shown to hold is called safe. */
import { expect, test } from "vitest";
import { judgeRound } from "../../../packages/core/src/probe-conditions.js";
import { judge } from "../../../packages/core/src/probe-judge.js";
import {
  type ConditionsSeen,
  narrow,
  type Observations,
  type RoundSeen,
  type WriteSeen,
} from "../../../packages/core/src/probe-observations.js";
import { backwardMs, stepOf } from "../../../packages/core/src/probe-timestamps.js";

const saids = ["stored", "conflict", "unknown", "refused"] as const;
const writes: readonly WriteSeen[] = saids.flatMap((said) => [true, false].map((landed) => ({ said, landed })));
const done: WriteSeen = { said: "stored", landed: true };
const refused: WriteSeen = { said: "conflict", landed: false };
const round: RoundSeen = { race: "create", stored: 1, conflicts: 15, unknown: 0, refused: 0, final: "stored" };
const sound: ConditionsSeen = {
  ...{ create: done, createAgain: refused, createAfterDelete: done, hasEtag: true, replaceAsGiven: done },
  ...{ replaceBare: refused, replaceStale: refused, replaceMissing: refused, notModified: "asGiven" },
};
const allowed = { put: "allowed", get: "allowed", head: "allowed", list: "allowed", delete: "allowed" } as const;
const seen: Observations = {
  ...{ store: "s3://b/", endpoint: undefined, endpoints: 1, declaredStepMs: 1000, bareIfMatch: false },
  ...{ rights: { ...allowed, listVersions: "allowed", deleteMany: "allowed" }, codes: {}, versions: "none" },
  ...{ conditions: sound, rounds: [round, { ...round, race: "replace" }], racers: 16 },
  ...{ conditionalDelete: "ignored", multiDelete: "works", clock: undefined, left: [], requests: 1, durationMs: 1 },
  listing: {
    ...{ rounds: 1, missedAfterPut: 0, seenAfterDelete: 0, staleReads: 0, timestampMoved: false, stamps: [] },
  },
};
const conditional = (change: Partial<Observations>) =>
  judge({ ...seen, ...change }, "2026-01-01T00:00:00.000Z").protocols.conditional;

test("what is sound in everything is safe", () => {
  expect(conditional({}).reasons).toEqual([]);
});

test.each(["createAgain", "replaceStale", "replaceMissing"] as const)(
  "%s: safe only if a read shows no write",
  (name) => {
    for (const write of writes) {
      const { safe, reasons } = conditional({ conditions: { ...sound, [name]: write } });
      const isSound = !write.landed && (write.said === "conflict" || write.said === "unknown");
      expect([write, safe]).toEqual([write, isSound]);
      expect(reasons.length > 0).toBe(!isSound);
    }
  },
);

test.each(["create", "createAfterDelete", "replaceAsGiven"] as const)(
  "%s: safe only if a read shows the write",
  (name) => {
    for (const write of writes) {
      const { safe } = conditional({ conditions: { ...sound, [name]: write } });
      expect([write, safe]).toEqual([write, write.landed && (write.said === "stored" || write.said === "unknown")]);
    }
  },
);

test("every pair of answers to the two forms of the ETag has a verdict: safe if one of them replaces and none lies", () => {
  for (const replaceAsGiven of writes) {
    for (const replaceBare of writes) {
      const { safe } = conditional({ conditions: { ...sound, replaceAsGiven, replaceBare } });
      const pair = [replaceAsGiven, replaceBare];
      const works = pair.some(({ said, landed }) => landed && (said === "stored" || said === "unknown"));
      const lies = pair.some(({ said, landed }) => (said === "stored" && !landed) || (said === "conflict" && landed));
      expect([pair, safe]).toEqual([pair, works && !lies]);
    }
  }
});

test("a race has one winner, none, or is broken", () => {
  const finals = [...saids, "none of ours"] as const;
  const table = [0, 1, 2].map((stored) => finals.map((final) => judgeRound({ ...round, stored, final })));
  expect(table).toEqual([
    // stored, conflict, unknown, refused, none of ours
    ["several", "several", "one", "several", "none"],
    ["one", "several", "several", "several", "several"],
    ["several", "several", "several", "several", "several"],
  ]);
});

test("without races, without conditions, without rights: never safe", () => {
  expect(conditional({ rounds: [] }).safe).toBe(false);
  expect(conditional({ rounds: [round] }).safe).toBe(false);
  expect(conditional({ conditions: undefined }).safe).toBe(false);
  for (const right of ["denied", "refused"] as const)
    expect(conditional({ rights: { ...seen.rights, list: right } }).safe).toBe(false);
});

test("the step of timestamps, and how far they run back", () => {
  const stamps = (values: readonly number[], everyMs = 10) =>
    values.map((listMs, n) => ({ sentMs: n * everyMs, answeredMs: n * everyMs + 1, listMs, headMs: undefined }));
  const range = (n: number, step: number) => Array.from({ length: n }, (_none, at) => at * step);
  expect(stepOf(stamps(range(7, 1)), "listMs")).toBeUndefined();
  expect(stepOf(stamps(range(10, 3)), "listMs")).toBe(1);
  expect(stepOf(stamps(range(10, 1000)), "listMs")).toBe(1000);
  expect(stepOf(stamps(range(10, 5000)), "listMs")).toBe(5000);
  // One value only, round by chance; and one value for writes that were four seconds apart.
  expect(stepOf(stamps(Array(10).fill(60_000)), "listMs")).toBe(1000);
  expect(stepOf(stamps(Array(10).fill(60_000), 450), "listMs")).toBe(5000);
  expect(stepOf(stamps(range(10, 1)), "headMs")).toBeUndefined();
  expect(backwardMs(stamps([1, 2, 2, 3]))).toBe(0);
  expect(backwardMs(stamps([5, 9, 4, 10, 2]))).toBe(8);
});

test("the server's clock is an interval that answers narrow, and that contradictions widen", () => {
  const first = narrow(undefined, 10_000, 9_500, 9_700);
  expect(first).toEqual({ lowMs: 300, highMs: 2_500, contradictions: 0 });
  const second = narrow(first, 11_000, 10_400, 10_500);
  expect(second).toEqual({ lowMs: 500, highMs: 2_500, contradictions: 0 });
  expect(narrow(second, 5_000, 10_400, 10_500)).toEqual({ lowMs: -5_500, highMs: 2_500, contradictions: 1 });
});
