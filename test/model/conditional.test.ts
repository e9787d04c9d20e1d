/**
 * Every interleaving of two and three contenders over the real machine of the conditional protocol, alone and beside the
 * other protocol, and the machine with one rule less, which must be caught. BUCKETLOCK_EXPLORER=full adds the long scenes.
 */
import { afterAll, describe, expect, test } from "vitest";
import { ALL_RULES, type Answer, type Line, start, step } from "../../packages/lock/src/conditional/machine.js";
import { EMPTY } from "../../packages/lock/src/conditional/record.js";
import type { RecordScene } from "./conditional-scene.js";
import { RECORD_MUTANTS, RECORD_SCENES } from "./conditional-scenes.js";
import { RecordWorld } from "./conditional-world.js";
import { type Explored, exploreWorld } from "./explorer.js";

const full = process.env.BUCKETLOCK_EXPLORER === "full";
const MINUTES = 60_000;

const rows: string[] = [];
afterAll(() => {
  const more = RECORD_SCENES.filter((staged) => staged.full === true).length;
  if (!full) rows.push(`  ${more} longer scenes only with BUCKETLOCK_EXPLORER=full`);
  console.log(["", "Explored, conditional protocol:", ...rows].join("\n"));
});

function explore(scene: RecordScene): Explored {
  const world = new RecordWorld(scene);
  return exploreWorld(world, world, scene);
}

const story = ({ found }: Explored): string => (found === undefined ? "" : [found.what, ...found.trace].join("\n"));

describe("every interleaving", () => {
  for (const { title, scene, floor, full: long } of RECORD_SCENES) {
    if (long === true && !full) continue;
    const modes = scene.modes.map((mode) => mode[0]).join("");
    test(`${modes}: ${title}`, { timeout: 30 * MINUTES }, () => {
      const startedMs = performance.now();
      const explored = explore(scene);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      const counts = `${explored.states.toLocaleString("en")} states ${explored.steps.toLocaleString("en")} steps`;
      rows.push(`  ${modes.padEnd(4)}${title.padEnd(62)}${counts.padEnd(36)}${seconds} s`);
      expect(story(explored)).toBe("");
      expect(explored.states).toBeGreaterThan(floor);
    });
  }
});

describe("marks", () => {
  test("a ticket that was taken out and came in again is not as old as it was then", () => {
    const facts = (nowMs: number) => ({ nowMs, steadyMs: nowMs, serverNowMs: undefined });
    const holder = { id: "h", mode: "exclusive", label: "l", leaseMs: 1000, renewals: 0, atMs: undefined } as const;
    const seen = (token: bigint, sentAtMs: number): Answer => {
      const holders = [{ ...holder, token, granted: false }];
      const record = { ...EMPTY, confirmed: true, token, holders, writeId: `w${token}` };
      const found = { record, etag: `e${token}`, lastModifiedMs: undefined };
      return { of: "read", found, serverTimeMs: undefined, sentAtMs };
    };
    const line: Line = {
      mode: "exclusive",
      label: "l",
      leaseMs: 1000,
      marginMs: 100,
      clockSkewMs: 1000,
      pollMinMs: 20,
      pollMaxMs: 1000,
      deadlineMs: Number.POSITIVE_INFINITY,
      rules: ALL_RULES,
    };
    const drawn = step(line, start(0, undefined).state, { of: "draw", id: "me" }, facts(0));
    const joining = step(line, drawn.state, seen(1n, 0), facts(0));
    const refused = { of: "write", outcome: "conflict", writeId: "x", sentAtMs: 0 } as const;
    const again = step(line, joining.state, refused, facts(2000));
    const holders = (token: bigint) => {
      const { request } = step(line, again.state, seen(token, 2000), facts(2000));
      return request.do === "write" ? request.content.holders.map((one) => one.id) : [];
    };
    expect(holders(1n)).toEqual(["me"]);
    expect(holders(2n)).toEqual(["h"]);
  });
});

describe("without one rule", () => {
  for (const { name, scene, without, found } of RECORD_MUTANTS) {
    test(`${name} is caught`, { timeout: MINUTES }, () => {
      const mutant = explore({ ...scene, ...without });
      expect(mutant.found?.what).toMatch(found);
      rows.push(`  ${name}: ${mutant.found!.what}, after ${mutant.found!.trace.length} steps`);
      // The same scene with the rule is safe, so it is the rule that was missed.
      expect(story(explore(scene))).toBe("");
    });
  }
});
