/** A fleet that runs one schedule on the real servers: clocks seconds apart, killed and stopped by chance. */
import { createLocks } from "@bucketlock/lock";
import { it } from "vitest";
import { useWorkers } from "../processes.js";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { seedOf } from "./campaign.js";
import { runJobCampaign } from "./schedule-campaign.js";

const start = useWorkers();
const slots = (most: number) => Number(process.env.BUCKETLOCK_JOB_SLOTS || most);
/** The whole of it once, and enough on the others for the time that it takes. */
const CAMPAIGNS = {
  minio: { protocol: "conditional", guarantee: "atMostOnce", slots: slots(200) },
  rgw: { protocol: "conditional", guarantee: "atLeastOnce", slots: slots(40) },
  versitygw: { protocol: "two-object", guarantee: "atMostOnce", slots: slots(40) },
} as const;

onEveryServer((server) => {
  const { bucket, session } = useBucket(server, "jobs");
  const campaign = CAMPAIGNS[server.name as keyof typeof CAMPAIGNS] ?? CAMPAIGNS.versitygw;
  it(`${campaign.guarantee}: six processes run ${campaign.slots} slots, none is lost`, async () => {
    const { protocol } = campaign;
    const probed = protocol === "conditional" ? { probed: await session().probe() } : {};
    const { region, accessKeyId, secretAccessKey } = server;
    const endpoint = server.endpoints[0]!;
    const locks = createLocks(session().store(), { protocol, ...probed });
    await runJobCampaign(start, {
      store: { kind: "s3", endpoint, bucket, region, accessKeyId, secretAccessKey },
      ...{ ...campaign, ...probed, locks, name: "jobs/nightly", seed: seedOf() },
    });
    await locks.close({ keepStore: true });
  });
});
