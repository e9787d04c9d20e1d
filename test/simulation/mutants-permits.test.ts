/**
 * Rules of the semaphore taken away: the simulation must see it too, by the real driver and keeper. Of the conditional protocol no
 * client reads a record that breaks them, nor does the simulated bucket: the explorer shows those.
 */
import { expect, test } from "vitest";
import { runHistories } from "./histories.js";
import type { HistoryOptions } from "./history.js";

const world = { permits: 2, hosts: 4, keys: ["k"], rounds: 4 } as const;

const MUTANTS: readonly { readonly name: string; readonly options: HistoryOptions; readonly seen: RegExp }[] = [
  {
    name: "two-object: one more than the permits",
    options: { change: world, mutation: { rules: { waitSetSmaller: false } } },
    seen: /overlap: more than 2/,
  },
  {
    name: "two-object: permits not compared",
    options: { change: { ...world, dissentRate: 0.3 }, mutation: { rules: { permitsCompared: false } } },
    seen: /overlap/,
  },
];

test.each(MUTANTS)("$name is caught", { timeout: 600_000 }, async ({ options, seen }) => {
  const { broken } = await runHistories(1, 25, 1, options);
  expect(broken.flatMap(({ violations }) => violations).join("\n")).toMatch(seen);
});
