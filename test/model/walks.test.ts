/**
 * Random walks, every one from its seed: a failing seed is named and walks again alone. BUCKETLOCK_WALKS sets how many,
 * BUCKETLOCK_WALK_SEED where they begin.
 */
import { afterAll, describe, expect, test } from "vitest";
import type { Rules } from "../../packages/lock/src/two-object/machine.js";
import { walk } from "./walks.js";

const count = Number(process.env.BUCKETLOCK_WALKS ?? 200_000);
const first = Number(process.env.BUCKETLOCK_WALK_SEED ?? 1);

const rows: string[] = [];
afterAll(() => console.log(["", "Walked:", ...rows].join("\n")));

test(`${count} walks of 2 to 4 contenders end well`, { timeout: 60_000 + count * 20 }, () => {
  const startedMs = performance.now();
  const { ends, bad } = walk(first, count);
  const seconds = (performance.now() - startedMs) / 1000;
  rows.push(`  ${count} walks from seed ${first}: ${JSON.stringify([...ends])}, ${seconds.toFixed(1)} s`);
  expect(bad.slice(0, 10)).toEqual([]);
  expect(ends.get("ok")).toBe(count);
});

test("a seed walks the same way twice", () => {
  const rules = { doorwayList: false };
  expect(walk(first, 500, rules).bad).toEqual(walk(first, 500, rules).bad);
});

describe("without one rule", () => {
  const rules: (keyof Rules)[] = ["doorwayList", "withdrawal", "waitForChoosing", "idTieBreak", "validAtClaim"];
  for (const rule of rules) {
    test(`${rule} is missed`, { timeout: 60_000 }, () => {
      const { ends } = walk(1, 1_000, { [rule]: false });
      rows.push(`  1000 walks without ${rule}: ${JSON.stringify([...ends])}`);
      expect(ends.get("both hold") ?? 0).toBeGreaterThan(0);
    });
  }
});
