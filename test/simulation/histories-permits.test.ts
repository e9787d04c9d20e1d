/**
 * The seeded simulation of semaphores and of several locks at once, by both protocols: the same worlds, faults and checks as for
 * locks. BUCKETLOCK_PERMIT_HISTORIES sets how many of each; BUCKETLOCK_SEED runs one and prints its log.
 */
import { describe, expect, test } from "vitest";
import { belowFloors, describeBroken, describeSum, runHistories, wantedSeed } from "./histories.js";
import { runHistory } from "./history.js";
import { type Plan, PROTOCOLS } from "./plan.js";

const count = Number(process.env.BUCKETLOCK_PERMIT_HISTORIES ?? 40);
const seed = wantedSeed();

const KINDS: Readonly<
  Record<string, { readonly change: Partial<Plan>; readonly floors: Readonly<Record<string, number>> }>
> = {
  "semaphores of 2": {
    change: { permits: 2, hosts: 4, keys: ["k"], rounds: 4, tokenRate: 0.5 },
    floors: { acquired: 3000, crash: 50 },
  },
  "semaphores on which not all agree": {
    change: { permits: 2, hosts: 4, keys: ["k"], rounds: 4, sharedRate: 0.5, dissentRate: 0.2 },
    floors: { acquired: 3000, mismatch: 100 },
  },
  "several locks at once": {
    change: { manyRate: 0.7, hosts: 4, keys: ["k", "jobs/other", "a"], rounds: 4 },
    floors: { acquired: 3000, many: 1000 },
  },
};

describe.each(PROTOCOLS)("%s", (protocol) => {
  test.each(Object.entries(KINDS))(
    "%s: no history breaks a promise",
    { timeout: 3_600_000 },
    async (name, { change, floors }) => {
      if (seed !== undefined) {
        const { log, violations } = await runHistory(seed, { log: true, protocol, change });
        console.log(log.join("\n"));
        expect(violations).toEqual([]);
        return;
      }
      const sum = await runHistories(1, count, 1, { protocol, change });
      console.log(describeSum(`simulation, ${protocol}, ${name}`, sum));
      expect(describeBroken(sum)).toBe("");
      expect(belowFloors(sum, floors)).toEqual([]);
    },
  );
});
