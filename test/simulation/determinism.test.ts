/** The same seed gives the same log byte for byte: what makes a found seed worth anything. */
import { expect, test } from "vitest";
import { runHistory } from "./history.js";

test("the same seed twice gives the same log, byte for byte", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const first = await runHistory(seed, { log: true });
    const second = await runHistory(seed, { log: true });
    expect(first.log.length).toBeGreaterThan(20);
    expect(second.log.join("\n")).toBe(first.log.join("\n"));
  }
});

test("keeping the log changes nothing, another seed does", async () => {
  const silent = await runHistory(7);
  const told = await runHistory(7, { log: true });
  expect([...silent.counts]).toEqual([...told.counts]);
  expect((await runHistory(8, { log: true })).log.slice(1)).not.toEqual(told.log.slice(1));
});
