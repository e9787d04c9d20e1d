/** The seeded simulation, odd seeds (the even ones are a file of their own, so that two cores share them). */
import { expect, test } from "vitest";
import { belowFloors, describeBroken, describeSum, runHistories, wanted, wantedSeed } from "./histories.js";
import { runHistory } from "./history.js";

const seed = wantedSeed();

if (seed === undefined) {
  test("no history breaks a promise (odd seeds)", { timeout: 3_600_000 }, async () => {
    const sum = await runHistories(1, wanted(), 2);
    console.log(describeSum("simulation, odd seeds", sum));
    expect(describeBroken(sum)).toBe("");
    expect(belowFloors(sum)).toEqual([]);
  });
} else {
  test(`seed ${seed}`, { timeout: 600_000 }, async () => {
    const { log, violations } = await runHistory(seed, { log: true });
    console.log(log.join("\n"));
    expect(violations).toEqual([]);
  });
}
