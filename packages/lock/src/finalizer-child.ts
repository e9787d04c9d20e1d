/**
 * The child of a dying process: reads delete plans from its standard input, carries them out, ends.
 * Never sees a credential, never retries, never outlives the limit its parent set.
 */
import { text } from "node:stream/consumers";
import { type DeletePlan, openFileStore } from "@bucketlock/core";

async function carryOut(plan: DeletePlan): Promise<void> {
  if (plan.kind === "http") {
    await Promise.allSettled(plan.urls.map((url) => fetch(url, { method: "DELETE", redirect: "error" })));
    return;
  }
  const store = openFileStore({ dir: plan.dir });
  await store.deleteMany(plan.keys.map((key) => ({ key })));
  await store.close();
}

const plans = JSON.parse(await text(process.stdin)) as DeletePlan[];
await Promise.allSettled(plans.map(carryOut));
