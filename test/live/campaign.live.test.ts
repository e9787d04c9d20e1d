/**
 * The campaigns on the real servers: eight processes, killed and stopped by chance, on one lock and on several, straight
 * and through a proxy that loses and repeats.
 */
import { describe, expect, it } from "vitest";
import { useWorkers } from "../processes.js";
import { startFaultProxy } from "../proxy/fault-proxy.js";
import { type Plan, seeded } from "../proxy/plan.js";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import {
  AROUND_CAMPAIGN_MS,
  CAMPAIGN_MS,
  expectNothingLeft,
  expectSound,
  type Outcome,
  runCampaign,
  seedOf,
} from "./campaign.js";
import type { ContenderOrders } from "./lines.js";
import { PASSING } from "./story.js";

const leaseMs = 2_000;
const limit = { timeout: CAMPAIGN_MS + AROUND_CAMPAIGN_MS };
const start = useWorkers();

onEveryServer((server) => {
  const storeAt = (bucket: string, endpoint: string): ContenderOrders["store"] => ({
    ...{ kind: "s3", endpoint, bucket, region: server.region },
    ...{ accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
  });
  const common = { contenders: 8, durationMs: CAMPAIGN_MS, leaseMs, seed: seedOf() } as const;

  describe("contention", () => {
    const { bucket, session } = useBucket(server, "campaign");

    it("of one key is sound", limit, async () => {
      const outcome = await runCampaign(start, {
        ...common,
        name: `${server.name}, one key`,
        stores: server.endpoints.map((endpoint) => storeAt(bucket, endpoint)),
        keys: ["jobs/nightly"],
        blowEveryMs: 3_500,
      });
      await expectNothingLeft(session().store(), ["jobs/nightly"], leaseMs);
      expectSound(outcome);
      expectBusy(outcome, { acquisitions: 0.5 });
      expect(outcome.counts.takeOvers).toBeGreaterThan(0);
    });

    it("of several keys is sound", limit, async () => {
      const keys = ["a", "b/c", "d e", "é"];
      const outcome = await runCampaign(start, {
        ...common,
        name: `${server.name}, several keys`,
        stores: server.endpoints.map((endpoint) => storeAt(bucket, endpoint)),
        keys,
        blowEveryMs: 1_500,
      });
      await expectNothingLeft(session().store(), keys, leaseMs);
      expectSound(outcome);
      expectBusy(outcome, { acquisitions: 1 });
    });

    it("through a lossy proxy is sound", limit, async () => {
      const keys = ["x", "y"];
      const proxy = await startFaultProxy({ target: server.endpoint, plan: lossy(common.seed) });
      try {
        const outcome = await runCampaign(start, {
          ...common,
          name: `${server.name}, lossy`,
          stores: [storeAt(bucket, proxy.endpoint)],
          keys,
          blowEveryMs: 4_000,
          explained: PASSING,
        });
        await proxy.idle();
        console.log(`ring 5: ${server.name}, lossy: ${JSON.stringify(proxy.counts)}`);
        await expectNothingLeft(session().store(), keys, leaseMs);
        expectSound(outcome);
        expectBusy(outcome, { acquisitions: 0.25 });
        for (const kind of ["delay", "cutBefore", "cutAfter", "ghost", "duplicate"] as const)
          expect(proxy.counts[kind]).toBeGreaterThan(0);
      } finally {
        await proxy.stop();
      }
    });
  });
});

/** Floors: an idle campaign proves nothing. `acquisitions` is per second. */
function expectBusy({ counts, story }: Outcome, floor: { acquisitions: number }): void {
  expect(counts.acquisitions).toBeGreaterThan((floor.acquisitions * CAMPAIGN_MS) / 1000);
  expect(counts.kills! + counts.stops!).toBeGreaterThan(0);
  expect(new Set(story.holds.map((hold) => hold.mode)).size).toBe(2);
}

/** Loses, delays and repeats by chance, whatever the request: a repeated `-1` finds the first and is refused. */
function lossy(seed: number): Plan {
  const rates = {
    ...{ delay: 0.04, delayAnswer: 0.04, cutBefore: 0.02, cutAfter: 0.02, cutWithin: 0.01 },
    ...{ ghost: 0.01, duplicate: 0.04 },
  };
  return seeded(seed, { rates, delayMaxMs: 400 });
}
