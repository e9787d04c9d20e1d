/**
 * The child of a dying process: reads delete plans from its standard input, carries them out, ends.
 * Never sees a credential, never retries, never asks a store for longer than two seconds: a program is waiting to end. Plain
 * JavaScript, so that it starts at once also where this package runs from source.
 */
import { readFileSync } from "node:fs";

const STANDARD_INPUT = 0;
/** For the requests: a busy machine's time to start a process is not theirs. */
const LIMIT_MS = 2_000;

/** @param {import("@bucketlock/core").DeletePlan} plan */
async function carryOut(plan) {
  if (plan.kind === "http") {
    const signal = AbortSignal.timeout(LIMIT_MS);
    await Promise.allSettled(plan.urls.map((url) => fetch(url, { method: "DELETE", redirect: "error", signal })));
    return;
  }
  // Loaded only where it is needed.
  const { openFileStore } = await import("@bucketlock/core");
  const store = openFileStore({ dir: plan.dir });
  await store.deleteMany(
    plan.keys.map((key) => ({ key })),
    { timeoutMs: LIMIT_MS },
  );
  await store.close();
}

/** @type {import("@bucketlock/core").DeletePlan[]} */
const plans = JSON.parse(readFileSync(STANDARD_INPUT, "utf8"));
await Promise.allSettled(plans.map(carryOut));
