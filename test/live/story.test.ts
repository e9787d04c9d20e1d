/** The reader of what contenders told: nothing forbidden slips through, and nothing allowed is called forbidden. */
import { describe, expect, it } from "vitest";
import type { Line } from "./lines.js";
import { type Told, tellStory, troubles } from "./story.js";

const got = (ticket: string, at: number, until: number): Line => ({
  event: "got",
  key: "k",
  mode: "exclusive",
  ticket,
  at,
  until,
});
const drawn = (ticket: string, at: number): Line[] => [
  { event: "door", ticket, at },
  { event: "place", ticket, at: at + 10 },
];
const ending = (ticket: string, at: number): Line => ({ event: "ending", ticket, at });
const told = (actor: string, lines: Line[], killed = false): Told => ({ actor, lines, killed });
const findings = (...all: Told[]) => tellStory(all).findings.map((finding) => finding.slice(0, finding.indexOf(":")));

describe("a story", () => {
  it("of turns is sound", () => {
    const a = told("a", [...drawn("A", 0), got("A", 20, 2000), ending("A", 100)]);
    const b = told("b", [...drawn("B", 30), got("B", 101, 2000), ending("B", 200)]);
    expect(findings(a, b)).toEqual([]);
    expect(tellStory([a, b]).counts).toMatchObject({ acquisitions: 2, inOrder: 2, orderToleranceMs: 10 });
  });

  it("of a killed holder lasts to the end that it knew, renewals included", () => {
    const renewed: Line = { event: "renewed", ticket: "A", at: 600, until: 2600 };
    const killed = told("a", [got("A", 0, 2000), renewed], true);
    expect(findings(killed, told("b", [got("B", 2601, 5000), ending("B", 2700)]))).toEqual([]);
    expect(findings(killed, told("b", [got("B", 2599, 5000), ending("B", 2700)]))).toEqual(["overlap"]);
  });

  it("of a holder that lived on and never told its end is wrong", () => {
    const b = told("b", [got("B", 2001, 5000), ending("B", 2700)]);
    expect(findings(told("a", [got("A", 0, 2000)]), b)).toEqual(["untold"]);
  });

  it("of a stopped holder that told as soon as it ran is sound, one that ran on in silence is not", () => {
    const b = told("b", [got("B", 2100, 5000), ending("B", 2200)]);
    const lost = (ranAt: number): Line => ({ event: "lost", ticket: "A", at: 4000, ranAt, why: "late" });
    expect(findings(told("a", [got("A", 0, 2000), lost(500), ending("A", 4001)]), b)).toEqual([]);
    expect(findings(told("a", [got("A", 0, 2000), lost(3990), ending("A", 4001)]), b)).toEqual(["untold"]);
  });

  it("believes what was seen more than what was reckoned", () => {
    const touch: Line = { event: "touch", ticket: "A", at: 2150 };
    const b = told("b", [got("B", 2100, 5000), ending("B", 2200)]);
    expect(findings(told("a", [got("A", 0, 2000), touch, ending("A", 2160)]), b)).toEqual(["overlap"]);
  });

  it("of who was placed before another came, and held after it, is wrong", () => {
    const a = told("a", [...drawn("A", 0), got("A", 200, 2000), ending("A", 300)]);
    const b = told("b", [...drawn("B", 50), got("B", 100, 2000), ending("B", 150)]);
    expect(findings(a, b)).toEqual(["order"]);
  });

  it("of a take-over before the end is wrong, even where nobody held next", () => {
    const early: Line = { event: "tookOver", victim: "A", at: 1900 };
    const late: Line = { event: "tookOver", victim: "A", at: 2001 };
    expect(findings(told("a", [got("A", 0, 2000)], true), told("b", [early]))).toEqual(["take-over"]);
    expect(findings(told("a", [got("A", 0, 2000)], true), told("b", [late]))).toEqual([]);
  });

  it("of tokens that do not rise is wrong, except between readers and where who held when is not known", () => {
    const token = (ticket: string, token: string, at: number): Line => ({ event: "token", ticket, token, at });
    const a = told("a", [got("A", 0, 2000), token("A", "7", 10), ending("A", 100)]);
    const next = (value: string) => told("b", [got("B", 200, 2200), token("B", value, 210), ending("B", 300)]);
    expect(findings(a, next("8"))).toEqual([]);
    expect(findings(a, next("7"))).toEqual(["token"]);
    expect(findings(a, next("6"))).toEqual(["token"]);
    expect(tellStory([a, next("8")]).tokens).toEqual(new Map([["k", 8n]]));
    // Stopped between its claim and telling it: held before a did, if ever.
    const late = told("c", [got("C", 400, 400), token("C", "5", 401), ending("C", 402)]);
    expect(findings(a, late)).toEqual([]);
    const reader = (ticket: string, at: number): Line => ({
      ...{ event: "got", key: "k", mode: "shared", ticket, at, until: at + 2000 },
    });
    const readers = ["D", "E"].map((ticket, n) =>
      told(ticket, [reader(ticket, 500 + n), token(ticket, "9", 510), ending(ticket, 600)]),
    );
    expect(findings(a, ...readers)).toEqual([]);
  });

  it("counts who was outlived: another held what it never gave back", () => {
    const killed = told("a", [got("A", 0, 2000)], true);
    const outlived = (...all: Told[]) => tellStory(all).counts.outlived;
    expect(outlived(killed)).toBe(0);
    expect(outlived(killed, told("b", [got("B", 2001, 5000), ending("B", 2700)]))).toBe(1);
  });
});

describe("troubles", () => {
  const trouble = (kind: string, heldUpMs: number): Line => ({
    ...{ event: "trouble", where: "acquire", kind, text: "TEXT" },
    heldUpMs,
  });
  const of = (kind: string, more: { heldUpMs?: number; stopped?: boolean; explained?: string[] } = {}) =>
    troubles([{ ...told("a", [trouble(kind, more.heldUpMs ?? 0)]), stopped: more.stopped === true }], more.explained);

  it("of a store that does not answer are told, unless the process was stopped or held up", () => {
    expect(of("unavailable")).toEqual(["a: acquire: unavailable: TEXT (held up for 0 ms)"]);
    expect([of("unavailable", { stopped: true }), of("unknown", { heldUpMs: 600 })]).toEqual([[], []]);
    expect(of("unknown", { explained: ["unknown"] })).toEqual([]);
  });

  it("of any other kind are always told", () => {
    expect(of("bug", { heldUpMs: 600, stopped: true })).toHaveLength(1);
  });
});
