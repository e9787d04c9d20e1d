/**
 * The seeded simulation of what is done to locks from outside, by both protocols: locks that are closed while their programs wait,
 * hold and draw tokens; tickets that a person breaks, alive or not; wall clocks that are set by hours. BUCKETLOCK_MEDDLED_HISTORIES
 * sets how many of each; BUCKETLOCK_SEED runs one and prints its log.
 */
import { describe, expect, test } from "vitest";
import { belowFloors, describeBroken, describeSum, runHistories, wantedSeed } from "./histories.js";
import { runHistory } from "./history.js";
import { type Plan, PROTOCOLS } from "./plan.js";

const count = Number(process.env.BUCKETLOCK_MEDDLED_HISTORIES ?? 25);
const seed = wantedSeed();

const KINDS: Readonly<
  Record<string, { readonly change: Partial<Plan>; readonly floors: Readonly<Record<string, number>> }>
> = {
  "closed at any time": {
    change: { closeRate: 0.5, locals: 4, tokenRate: 0.7 },
    floors: { acquired: 3000, closedEarly: 500, closedMeanwhile: 500, local: 500 },
  },
  "broken by a person": {
    change: { breaks: 6, locals: 2, tokenRate: 1, keys: ["k"] },
    floors: { acquired: 3000, broken: 3000, token: 3000 },
  },
  "clocks set by hours": {
    change: { upsets: 10, jumpMs: 14_400_000, crashes: false, locals: 2, tokenRate: 0.5 },
    floors: { acquired: 3000, jump: 500 },
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
