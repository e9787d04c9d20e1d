/**
 * The campaigns on the real servers, by either protocol: eight processes, killed and stopped by chance, on one lock and on
 * several, straight and through a proxy that loses and repeats.
 */
import { beforeAll, describe, it } from "vitest";
import { useWorkers } from "../processes.js";
import { startFaultProxy } from "../proxy/fault-proxy.js";
import { type Plan, seeded } from "../proxy/plan.js";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import {
  AROUND_CAMPAIGN_MS,
  CAMPAIGN_MS,
  type Campaign,
  expectNothingLeft,
  expectSound,
  runCampaign,
  seedOf,
} from "./campaign.js";
import type { ContenderOrders } from "./lines.js";
import { PASSING } from "./story.js";

const leaseMs = 2_000;
const start = useWorkers();

/** The protocols take turns on the same suite. `several`: enough of it with one of them, for the time that it takes. */
const PROTOCOLS = [
  { protocol: "two-object", durationMs: CAMPAIGN_MS, blowEveryMs: 3_500, several: true },
  { protocol: "conditional", durationMs: CAMPAIGN_MS * 0.8, blowEveryMs: 2_000, several: false },
] as const;

onEveryServer((server) => {
  const storeAt = (bucket: string, endpoint: string): ContenderOrders["store"] => ({
    ...{ kind: "s3", endpoint, bucket, region: server.region },
    ...{ accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
  });

  for (const { protocol, durationMs, blowEveryMs, several } of PROTOCOLS)
    describe(`contention by the ${protocol}`, () => {
      const { bucket, session } = useBucket(server, "campaign");
      const common = { contenders: 8, durationMs, leaseMs, seed: seedOf() } as const;
      const busy = (aSecond: number) => ({
        acquisitions: (aSecond * durationMs) / 1000,
        ...{ tokens: 1, blows: 0, modes: 1 },
      });
      const limit = { timeout: durationMs + AROUND_CAMPAIGN_MS };
      const direct = server.endpoints.map((endpoint) => storeAt(bucket, endpoint));
      const named = (what: string) => `${server.name}, ${protocol}, ${what}`;
      let locks: NonNullable<Campaign["locks"]>;
      beforeAll(async () => {
        locks = protocol === "conditional" ? { protocol, probed: await session().probe() } : { protocol };
      });

      it("of one key is sound", limit, async () => {
        const campaign = {
          ...common,
          name: named("one key"),
          locks,
          stores: direct,
          keys: ["jobs/nightly"],
          blowEveryMs,
          // The conditional protocol names no victim: whoever writes the record leaves the dead out.
          floors: { ...busy(0.5), outlived: 0, ...(protocol === "two-object" ? { takeOvers: 0 } : {}) },
        };
        const outcome = await runCampaign(start, campaign);
        await expectNothingLeft(session().store(), campaign.keys, leaseMs, outcome);
        expectSound(outcome);
      });

      if (several) {
        it("of several keys is sound", limit, async () => {
          const keys = ["a", "b/c", "d e", "é"];
          const several = { ...common, name: named("several keys, 3 programs each"), locals: 3, locks, keys };
          const floors = { ...busy(1), passed: 0 };
          const campaign = { ...several, stores: direct, blowEveryMs: 1_500, floors };
          const outcome = await runCampaign(start, campaign);
          await expectNothingLeft(session().store(), keys, leaseMs, outcome);
          expectSound(outcome);
        });
      }

      it("through a lossy proxy is sound", limit, async () => {
        const keys = ["x", "y"];
        const proxy = await startFaultProxy({ target: server.endpoint, plan: lossy(common.seed) });
        try {
          const outcome = await runCampaign(start, {
            ...{ ...common, name: named("lossy"), locks, keys, blowEveryMs: 4_000, explained: PASSING },
            stores: [storeAt(bucket, proxy.endpoint)],
            floors: { ...busy(0.25), delay: 0, cutBefore: 0, cutAfter: 0, ghost: 0, duplicate: 0 },
            counted: () => proxy.counts,
          });
          await proxy.idle();
          await expectNothingLeft(session().store(), keys, leaseMs, outcome);
          expectSound(outcome);
        } finally {
          await proxy.stop();
        }
      });
    });
});

/** Loses, delays and repeats by chance, whatever the request: a repeated `-1` or conditional write finds the first and is refused. */
function lossy(seed: number): Plan {
  const rates = {
    ...{ delay: 0.04, delayAnswer: 0.04, cutBefore: 0.02, cutAfter: 0.02, cutWithin: 0.01 },
    ...{ ghost: 0.01, duplicate: 0.04 },
  };
  return seeded(seed, { rates, delayMaxMs: 400 });
}
