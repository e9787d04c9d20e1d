/** What an observer may show, what a roll call says, and the texts of leaders and members. */
import { describe, expect, it } from "vitest";
import {
  decodeLeader,
  encodeLeader,
  FIRST_VIEW,
  type Leader,
  leaderKey,
  nextView,
  tokensIn,
} from "../../packages/lock/src/election-rule.js";
import {
  callRoll,
  checkCard,
  decodeMember,
  encodeMember,
  memberKey,
  sweepable,
} from "../../packages/lock/src/member-rule.js";
import { ticketId } from "../../packages/lock/src/two-object/ticket.js";

const leader = (token: bigint): Leader => ({ token, label: `host ${token}`, ticketId: `ticket ${token}` });

describe("an observer", () => {
  it("shows the first answer, and then what changes", () => {
    const none = nextView(FIRST_VIEW, undefined)!;
    expect(none.shown).toBeUndefined();
    expect(nextView(none, undefined)).toBeUndefined();
    const five = nextView(none, leader(5n))!;
    expect(five.shown).toEqual(leader(5n));
    expect(nextView(five, leader(5n))).toBeUndefined();
    expect(nextView(five, undefined)!.shown).toBeUndefined();
    expect(nextView(five, leader(6n))!.shown).toEqual(leader(6n));
  });

  it("never shows an older leader after a newer one, not even after none", () => {
    const six = nextView(FIRST_VIEW, leader(6n))!;
    const gone = nextView(six, leader(5n))!;
    expect(gone.shown).toBeUndefined();
    expect(nextView(gone, leader(5n))).toBeUndefined();
    expect(nextView(gone, leader(6n))!.shown).toEqual(leader(6n));
    expect(nextView(gone, leader(7n))!.shown).toEqual(leader(7n));
  });
});

describe("what leaders leave", () => {
  it("is named in the order of the tokens", () => {
    const tokens = [1n, 9n, 10n, 2n ** 63n - 1n];
    const keys = tokens.map((token) => leaderKey("k", token));
    expect([...keys].sort()).toEqual(keys);
    expect(tokensIn("k", [...keys, "k.election.leader.x", "k.election.leader.1"].reverse())).toEqual(tokens);
  });

  it("is read back; anything else is refused by name", () => {
    expect(decodeLeader("k", 5n, encodeLeader(leader(5n)))).toEqual(leader(5n));
    for (const bad of ["", "{}", "[1]", encodeLeader(leader(6n))])
      expect(() => decodeLeader("k", 5n, bad)).toThrow(expect.objectContaining({ code: "LEADER_CORRUPT" }));
  });
});

describe("a roll call", () => {
  const rules = { clockSkewMs: 10_000, stepMs: 1000, breakAfterMs: undefined };
  const id = (n: number) => ticketId(`01HZZZZZZZZZZZZZZZZZZZZZZ${n}`, "shared", 3000);
  const look = (ages: readonly number[], nowMs: number, serverTimeMs = 1_000_000) => ({
    objects: ages.map((ageMs, n) => ({ key: memberKey("k", id(n)), lastModifiedMs: serverTimeMs - ageMs, size: 1 })),
    serverTimeMs,
    sentAtMs: nowMs,
    answeredAtMs: nowMs,
  });
  const ids = (roll: ReturnType<typeof callRoll>) => roll.alive.map((member) => member.id);

  it("by the store's clock: dead after the lease and the allowance", () => {
    const roll = callRoll("k", look([0, 12_999, 13_001], 0), new Map(), rules);
    expect(ids(roll)).toEqual([id(0), id(1)]);
    expect(roll.dead).toEqual([id(2)]);
    expect(sweepable("k", look([0, 12_999, 13_001], 0), rules)).toEqual([id(2)]);
  });

  it("by who watches: dead when nothing changed for the lease and a step", () => {
    const first = callRoll("k", look([0], 0), new Map(), rules);
    const still = { ...look([0], 3999), serverTimeMs: undefined };
    const second = callRoll("k", still, first.sightings, rules);
    expect(ids(second)).toEqual([id(0)]);
    expect(callRoll("k", { ...still, sentAtMs: 4000 }, second.sightings, rules).dead).toEqual([id(0)]);
    const renewed = callRoll("k", { ...look([0], 4000, 1_003_000), serverTimeMs: undefined }, second.sightings, rules);
    expect(ids(renewed)).toEqual([id(0)]);
  });

  it("passes over what is no member", () => {
    const others = ["k.members.x", memberKey("k", ticketId("01HZZZZZZZZZZZZZZZZZZZZZZ1", "exclusive", 3000))];
    const objects = others.map((key) => ({ key, lastModifiedMs: 0, size: 1 }));
    expect(callRoll("k", { ...look([], 0), objects }, new Map(), rules)).toMatchObject({ alive: [], dead: [] });
  });
});

describe("what members write", () => {
  it("is read back; anything else is refused by name", () => {
    expect(decodeMember("k", encodeMember("a", { zone: "eu" }))).toEqual({ label: "a", metadata: { zone: "eu" } });
    for (const bad of ["", "{}", '{"format":1,"label":"a","metadata":{"n":1}}'])
      expect(() => decodeMember("k", bad)).toThrow(expect.objectContaining({ code: "MEMBER_CORRUPT" }));
  });

  it("is strings only, and not too many", () => {
    const card = { a: "1" };
    expect(checkCard(card)).toEqual(card);
    expect(checkCard(card)).not.toBe(card);
    for (const bad of [null, [], "x", { a: 1 }, { a: "x".repeat(4097) }])
      expect(() => checkCard(bad)).toThrow(/metadata/);
  });
});
