/** Histories that once went wrong: worlds that broke the lock before a rule was mended, kept with the rule that mends them. */
import { expect, test } from "vitest";
import { runHistory } from "./history.js";

// A waiter's listings lie far apart, for it looks by HEAD between them; storage nodes' clocks differ; two renewals carry the same second.
const NODES_APART = {
  leases: [1000],
  keys: ["k"],
  hosts: 8,
  stepMs: 1000,
  headStepMs: 1000,
  nodesMs: [-1000, 0, 1000],
  clockSkewMs: 3500,
  sharedRate: 0,
  upsets: 0,
  faultRate: 0,
  rounds: 4,
  latencyMs: 3,
  strays: 25,
  stallRate: 0,
  faultsEndMs: 40_000,
  crashes: false,
  abandonRate: 0,
} as const;

// Which seeds show it depends on how often waiters look.
test.each([9, 39, 112])("a renewing ticket is not taken over by the times of two listings: %s", async (seed) => {
  expect((await runHistory(seed, { change: NODES_APART })).violations).toEqual([]);
});

test.each([9, 39, 112])("it was, before a renewing ticket died by its count alone: %s", async (seed) => {
  const { violations } = await runHistory(seed, {
    change: NODES_APART,
    mutation: { rules: { renewingDieByCount: false } },
  });
  expect(violations.join("\n")).toMatch(/overlap/);
});

// abandon() of a lease that was lost resolved before its ticket was deleted, and somebody found that ticket again meanwhile.
test("a lost ticket that was abandoned is not found again while it is being deleted", async () => {
  const { violations } = await runHistory(1300, { protocol: "conditional", change: { tokenRate: 0.5, locals: 3 } });
  expect(violations).toEqual([]);
});
