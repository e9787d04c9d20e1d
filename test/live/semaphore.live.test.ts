/**
 * Semaphores with real processes, killed and stopped by chance, now and then asked to release: on the real servers by the
 * two-object protocol, on the file store by both.
 */
import { openFileStore } from "@bucketlock/core";
import { describe, expect, it } from "vitest";
import { useWorkers } from "../processes.js";
import { temporaryDirectory } from "../servers/guard.js";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import {
  AROUND_CAMPAIGN_MS,
  type Campaign,
  expectNothingLeft,
  expectSound,
  type Outcome,
  runCampaign,
  seedOf,
} from "./campaign.js";

const leaseMs = 2_000;
const permits = 2;
const durationMs = Number(process.env.BUCKETLOCK_SEMAPHORE_MS ?? 3_000);
const limit = { timeout: durationMs + AROUND_CAMPAIGN_MS };
const start = useWorkers();

const contend = (campaign: Pick<Campaign, "name" | "stores"> & Partial<Campaign>): Promise<Outcome> =>
  runCampaign(start, {
    ...{ keys: ["tokens"], contenders: 5, durationMs, leaseMs, permits, blowEveryMs: durationMs / 3, seed: seedOf() },
    floors: { acquisitions: durationMs / 1_000, permitsAtOnce: permits - 1, blows: 0 },
    ...campaign,
  });

const expectAllHeld = ({ counts }: Outcome): void => expect(counts.permitsAtOnce).toBe(permits);

onEveryServer((server) => {
  describe("a semaphore by the two-object protocol", () => {
    const { bucket, session } = useBucket(server, "semaphore");

    it("is never held by more than may, and leaves nothing", limit, async () => {
      const { region, accessKeyId, secretAccessKey } = server;
      const stores = server.endpoints.map((endpoint) => ({
        ...({ kind: "s3", endpoint, bucket, region, accessKeyId, secretAccessKey } as const),
      }));
      const outcome = await contend({ name: `${server.name}, semaphore`, stores });
      await expectNothingLeft(session().store(), ["tokens"], leaseMs, outcome, permits);
      expectSound(outcome);
      expectAllHeld(outcome);
    });
  });
});

describe("a semaphore on the file store", () => {
  it.each(["two-object", "conditional"] as const)(
    "by the %s protocol: never held by more than may",
    limit,
    async (protocol) => {
      const directory = temporaryDirectory("semaphore");
      try {
        const stores = [{ kind: "file", dir: directory.path }] as const;
        const outcome = await contend({ name: `file, ${protocol}, semaphore`, locks: { protocol }, stores });
        await expectNothingLeft(openFileStore({ dir: directory.path }), ["tokens"], leaseMs, outcome, permits);
        expectSound(outcome);
        expectAllHeld(outcome);
      } finally {
        directory.remove();
      }
    },
  );
});
