/**
 * The child of a dying process: reads delete plans from its standard input, carries them out, ends.
 * Never sees a credential, never retries, never outlives the limit its parent set. Plain JavaScript, so that it starts at once
 * also where this package runs from source: two seconds are all there is.
 */
import { readFileSync } from "node:fs";

const STANDARD_INPUT = 0;

/** @param {import("@bucketlock/core").DeletePlan} plan */
async function carryOut(plan) {
  if (plan.kind === "http") {
    await Promise.allSettled(plan.urls.map((url) => fetch(url, { method: "DELETE", redirect: "error" })));
    return;
  }
  // Loaded only where it is needed.
  const { openFileStore } = await import("@bucketlock/core");
  const store = openFileStore({ dir: plan.dir });
  await store.deleteMany(plan.keys.map((key) => ({ key })));
  await store.close();
}

/** @type {import("@bucketlock/core").DeletePlan[]} */
const plans = JSON.parse(readFileSync(STANDARD_INPUT, "utf8"));
await Promise.allSettled(plans.map(carryOut));
