/**
 * The campaigns on the real servers, by either protocol: eight processes, killed and stopped by chance, on one lock and on
 * several, straight and through a proxy that loses and repeats.
 */
import { beforeAll, describe, expect, it } from "vitest";
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
  type Outcome,
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
        };
        const outcome = await runCampaign(start, campaign);
        await expectNothingLeft(session().store(), campaign.keys, leaseMs, outcome);
        expectSound(outcome);
        expectBusy(outcome, { durationMs, acquisitions: 0.5 });
        expect(outcome.counts.outlived).toBeGreaterThan(0);
        // The conditional protocol names no victim: whoever writes the record leaves the dead out.
        if (protocol === "two-object") expect(outcome.counts.takeOvers).toBeGreaterThan(0);
      });

      if (several) {
        it("of several keys is sound", limit, async () => {
          const keys = ["a", "b/c", "d e", "é"];
          const several = { ...common, name: named("several keys, 3 programs each"), locals: 3, locks, keys };
          const campaign = { ...several, stores: direct, blowEveryMs: 1_500 };
          const outcome = await runCampaign(start, campaign);
          await expectNothingLeft(session().store(), keys, leaseMs, outcome);
          expectSound(outcome);
          expectBusy(outcome, { durationMs, acquisitions: 1 });
          expect(outcome.counts.passed).toBeGreaterThan(0);
        });
      }

      it("through a lossy proxy is sound", limit, async () => {
        const keys = ["x", "y"];
        const proxy = await startFaultProxy({ target: server.endpoint, plan: lossy(common.seed) });
        try {
          const outcome = await runCampaign(start, {
            ...{ ...common, name: named("lossy"), locks, keys, blowEveryMs: 4_000, explained: PASSING },
            stores: [storeAt(bucket, proxy.endpoint)],
          });
          await proxy.idle();
          console.log(`ring 5: ${named("lossy")}: ${JSON.stringify(proxy.counts)}`);
          await expectNothingLeft(session().store(), keys, leaseMs, outcome);
          expectSound(outcome);
          expectBusy(outcome, { durationMs, acquisitions: 0.25 });
          for (const kind of ["delay", "cutBefore", "cutAfter", "ghost", "duplicate"] as const)
            expect(proxy.counts[kind]).toBeGreaterThan(0);
        } finally {
          await proxy.stop();
        }
      });
    });
});

/** Floors: an idle campaign proves nothing. `acquisitions` is per second. */
function expectBusy(
  { counts, story }: Outcome,
  { durationMs, acquisitions }: { durationMs: number; acquisitions: number },
): void {
  expect(counts.acquisitions).toBeGreaterThan((acquisitions * durationMs) / 1000);
  expect(counts.tokens).toBeGreaterThan(1);
  expect(counts.kills! + counts.stops!).toBeGreaterThan(0);
  expect(new Set(story.holds.map((hold) => hold.mode)).size).toBe(2);
}

/** Loses, delays and repeats by chance, whatever the request: a repeated `-1` or conditional write finds the first and is refused. */
function lossy(seed: number): Plan {
  const rates = {
    ...{ delay: 0.04, delayAnswer: 0.04, cutBefore: 0.02, cutAfter: 0.02, cutWithin: 0.01 },
    ...{ ghost: 0.01, duplicate: 0.04 },
  };
  return seeded(seed, { rates, delayMaxMs: 400 });
}
