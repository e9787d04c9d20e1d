/** A fleet that runs one schedule on a real server: clocks seconds apart, killed and stopped by chance. */
import { createLocks } from "@bucketlock/lock";
import { it } from "vitest";
import { useWorkers } from "../processes.js";
import { onServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { seedOf } from "./campaign.js";
import { runJobCampaign } from "./schedule-campaign.js";

const start = useWorkers();
const SLOTS = Number(process.env.BUCKETLOCK_JOB_SLOTS || 50);

// The whole fleet is costly, and the suite of locks runs schedules on the others.
onServer("minio", (server) => {
  const { bucket, session } = useBucket(server, "jobs");
  const campaign = { protocol: "conditional", guarantee: "atMostOnce", slots: SLOTS } as const;
  it(`${campaign.guarantee}: six processes run ${campaign.slots} slots, none is lost`, async () => {
    const probed = await session().probe();
    const { region, accessKeyId, secretAccessKey } = server;
    const endpoint = server.endpoints[0]!;
    const locks = createLocks(session().store(), { protocol: campaign.protocol, probed });
    await runJobCampaign(start, {
      store: { kind: "s3", endpoint, bucket, region, accessKeyId, secretAccessKey },
      ...{ ...campaign, probed, locks, name: "jobs/nightly", seed: seedOf() },
    });
    await locks.close({ keepStore: true });
  });
});
