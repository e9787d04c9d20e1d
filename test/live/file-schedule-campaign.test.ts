/** A fleet that runs one schedule by a directory: clocks seconds apart, killed and stopped by chance. Needs no server. */
import { openFileStore } from "@bucketlock/core";
import { createLocks } from "@bucketlock/lock";
import { it } from "vitest";
import { useWorkers } from "../processes.js";
import { temporaryDirectory } from "../servers/guard.js";
import { seedOf } from "./campaign.js";
import { runJobCampaign } from "./schedule-campaign.js";

const start = useWorkers();
const SLOTS = Number(process.env.BUCKETLOCK_JOB_SLOTS || 200);

it("atLeastOnce: six processes run 200 slots, none is lost", async () => {
  const directory = temporaryDirectory("jobs");
  const locks = createLocks(openFileStore({ dir: directory.path }));
  try {
    const store = { kind: "file", dir: directory.path } as const;
    const campaign = { store, locks, protocol: "two-object", guarantee: "atLeastOnce" } as const;
    await runJobCampaign(start, { ...campaign, name: "jobs/nightly", slots: SLOTS, seed: seedOf() });
  } finally {
    await locks.close();
    directory.remove();
  }
});
