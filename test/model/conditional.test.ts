/**
 * Every interleaving of two and three contenders over the real machine of the conditional protocol, alone and beside the
 * other protocol, and the machine with one rule less, which must be caught. BUCKETLOCK_EXPLORER=full adds the long scenes.
 */
import { afterAll, describe, expect, test } from "vitest";
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
