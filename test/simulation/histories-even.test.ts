/** The seeded simulation, even seeds (see histories-odd.test.ts). */
import { expect, test } from "vitest";
import { belowFloors, describeBroken, describeSum, runHistories, wanted, wantedSeed } from "./histories.js";

test("no history breaks a promise (even seeds)", { timeout: 3_600_000 }, async () => {
  // One seed asked for: the other file runs it.
  if (wantedSeed() !== undefined) return;
  const sum = await runHistories(2, wanted(), 2);
  console.log(describeSum("simulation, even seeds", sum));
  expect(describeBroken(sum)).toBe("");
  expect(belowFloors(sum)).toEqual([]);
});
