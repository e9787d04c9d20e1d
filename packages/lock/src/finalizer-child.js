/**
 * The child of a dying process: reads plans of deletes and writes from its standard input, carries them out, ends.
 * Never sees a credential, never retries, never asks a store for longer than two seconds: a program is waiting to end. Plain
 * JavaScript, so that it starts at once also where this package runs from source.
 */
import { readFileSync } from "node:fs";

const STANDARD_INPUT = 0;
/** For the requests: a busy machine's time to start a process is not theirs. */
const LIMIT_MS = 2_000;

/** @typedef {import("@bucketlock/core").DeletePlan | import("@bucketlock/core").PutPlan} Plan */

/** @param {Plan} plan */
async function carryOut(plan) {
  const signal = AbortSignal.timeout(LIMIT_MS);
  if (plan.kind === "http-put") {
    await fetch(plan.url, { method: "PUT", headers: plan.headers, body: plan.body, redirect: "error", signal });
    return;
  }
  if (plan.kind === "http") {
    await Promise.allSettled(plan.urls.map((url) => fetch(url, { method: "DELETE", redirect: "error", signal })));
    return;
  }
  // Loaded only where it is needed.
  const { openFileStore } = await import("@bucketlock/core");
  const store = openFileStore({ dir: plan.dir });
  const limit = { timeoutMs: LIMIT_MS };
  if (plan.kind === "file-put") await store.put(plan.key, plan.body, { ...limit, condition: { etag: plan.etag } });
  else {
    await store.deleteMany(
      plan.keys.map((key) => ({ key })),
      limit,
    );
  }
  await store.close();
}

/** @type {Plan[]} */
const plans = JSON.parse(readFileSync(STANDARD_INPUT, "utf8"));
await Promise.allSettled(plans.map(carryOut));
