/**
 * Every interleaving of two and three contenders over the real machine, and the machine with one rule less, which must be
 * caught. BUCKETLOCK_EXPLORER=full adds the scenes that take minutes.
 */
import { afterAll, describe, expect, test } from "vitest";
import type { Rules } from "../../packages/lock/src/two-object/machine.js";
import { exploreAll, type Total } from "./explorer.js";
import type { Scene } from "./scene.js";
import { SCENES } from "./scenes.js";

const full = process.env.BUCKETLOCK_EXPLORER === "full";
const MINUTES = 60_000;

const rows: string[] = [];
afterAll(() => {
  const more = SCENES.filter((staged) => staged.full === true).length;
  if (!full) rows.push(`  ${more} longer scenes only with BUCKETLOCK_EXPLORER=full`);
  console.log(
    ["", "Explored (states are compared whole; steps are the ways from one to the next):", ...rows].join("\n"),
  );
});

function report(title: string, scene: Omit<Scene, "ranks">, total: Total): void {
  const modes = scene.modes.map((mode) => mode[0]).join("");
  const orders = `${total.orders} of ${total.of} id orders`;
  const counts = `${total.states.toLocaleString("en")} states ${total.steps.toLocaleString("en")} steps`;
  rows.push(
    `  ${modes.padEnd(4)}${title.padEnd(46)}${scene.listing.padEnd(9)}${orders.padEnd(22)}${counts.padEnd(40)}${total.seconds.toFixed(1)} s`,
  );
}

const story = (total: Total): string =>
  total.found === undefined ? "" : [total.found.what, ...total.found.trace].join("\n");

describe("every interleaving", () => {
  for (const { title, scene, orders, floor, full: long } of SCENES) {
    if (long === true && !full) continue;
    const modes = scene.modes.join(", ");
    const some = orders === undefined ? "" : `, ${orders} id orders`;
    test(`${modes}: ${title}, ${scene.listing}${some}`, { timeout: 30 * MINUTES }, () => {
      const total = exploreAll(scene, orders);
      report(title, scene, total);
      expect(story(total)).toBe("");
      expect(total.states).toBeGreaterThan(floor);
    });
  }
});

const pair: Omit<Scene, "ranks"> = {
  modes: ["exclusive", "exclusive"],
  tickets: 1,
  timestamps: 2,
  listing: "snapshot",
};
/**
 * Each rule with the scene that shows why it is there. Time stands still in the model, so the rule about renewals is shown by
 * the simulation (test/simulation/regressions.test.ts).
 */
const MUTANTS: Record<Exclude<keyof Rules, "renewingDieByCount">, Omit<Scene, "ranks">> = {
  doorwayList: pair,
  withdrawal: pair,
  waitForChoosing: pair,
  idTieBreak: pair,
  ownOrderFromListing: { ...pair, putAnswerLies: true },
  placeWrittenOnce: { ...pair, unknownPlace: true },
  ownObjectsAtClaim: { ...pair, breaker: true },
  validAtClaim: { ...pair, expiry: true },
  permitsCompared: { ...pair, modes: ["permit", "permit"], permits: [2, 3] },
  waitSetSmaller: { ...pair, modes: ["permit", "permit", "permit"], permits: [2, 2, 2] },
  // It is no safety that is missed: who waits does not see that a permit is free.
  looksInTurn: { ...pair, modes: ["permit", "permit", "permit"], permits: [2, 2, 2], keeps: [0] },
};

describe("without one rule", () => {
  for (const [rule, scene] of Object.entries(MUTANTS)) {
    test(`${rule} is missed`, { timeout: MINUTES }, () => {
      const mutant = exploreAll({ ...scene, rules: { [rule]: false } });
      expect(mutant.found?.what).toMatch(rule === "looksInTurn" ? /not everybody can finish/ : /hold|claims/);
      rows.push(`  without ${rule}: ${mutant.found!.what}, after ${mutant.found!.trace.length} steps`);
      // The same scene with the rule is safe, so it is the rule that was missed.
      expect(story(exploreAll(scene))).toBe("");
    });
  }

  test("a ticket resumed after its lease may be under take-over already", { timeout: 2 * MINUTES }, () => {
    const scene: Omit<Scene, "ranks"> = {
      modes: ["exclusive", "exclusive", "exclusive", "exclusive"],
      tickets: 1,
      timestamps: 1,
      listing: "spread",
      crash: [0],
      expiry: [0],
      resume: "anyTime",
    };
    const late = exploreAll(scene, 1);
    expect(late.found?.what).toMatch(/hold/);
    rows.push(`  resumed after the lease: ${late.found!.what}, after ${late.found!.trace.length} steps`);
    expect(story(exploreAll({ ...scene, resume: "inTime" }, 1))).toBe("");
  });

  test("a ticket that never dies is seen to stop everybody behind it", () => {
    // Its lease never ends here, and nobody comes to resume it before that.
    const scene: Omit<Scene, "ranks"> = {
      ...pair,
      modes: ["exclusive", "exclusive", "exclusive"],
      crash: [0],
      resume: "inTime",
    };
    const stuck = exploreAll(scene, 1);
    expect(stuck.found?.what).toBe("from here on not everybody can finish");
    rows.push(`  a crash without take-over: ${stuck.found!.what}, after ${stuck.found!.trace.length} steps`);
  });
});
