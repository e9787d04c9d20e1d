/**
 * Contention on B2: 8 processes, exclusive and shared, killed and stopped by chance, on an emulator that is as rough as the
 * service may be: stamps at the begin of an upload, pods whose clocks differ, late commits, connections that drop before and
 * after the write, busy pods, throttling, tokens and upload URLs that end. Judged by the same story as the campaigns on real
 * servers; the bill is printed.
 */
import { openB2Session } from "@bucketlock/b2";
import { describe, expect, it } from "vitest";
import { B2Emulator } from "../emulators/b2/emulator.js";
import type { Knobs } from "../emulators/b2/knobs.js";
import {
  AROUND_CAMPAIGN_MS,
  CAMPAIGN_MS,
  type Campaign,
  expectNothingLeft,
  expectSound,
  type Outcome,
  runCampaign,
  seedOf,
} from "../live/campaign.js";
import { useWorkers } from "../processes.js";

const start = useWorkers();
const leaseMs = 3_000;

async function campaignOnB2(
  campaign: Pick<Campaign, "name" | "keys" | "durationMs" | "floors"> & Partial<Campaign>,
  knobs: Partial<Knobs>,
): Promise<Outcome> {
  const emulator = await B2Emulator.start({ knobs });
  emulator.makeBucket("campaign");
  const where = { endpoint: emulator.endpoint, bucket: "campaign" };
  const credentials = { applicationKeyId: emulator.keyId, applicationKey: emulator.key };
  try {
    const outcome = await runCampaign(start, {
      stores: [{ kind: "b2", ...where, ...credentials }],
      contenders: 8,
      leaseMs,
      blowEveryMs: 2_000,
      seed: seedOf(),
      ...campaign,
    });
    const { classes, usd } = emulator.costs;
    const each = (usd / Math.max(1, outcome.counts.acquisitions ?? 0)) * 1000;
    console.log(
      `${campaign.name}: ${JSON.stringify(classes)}, ${usd.toFixed(6)} USD, ${each.toFixed(4)} per 1000 acquisitions`,
    );
    Object.assign(emulator.knobs, { dropBefore: 0, dropAfter: 0, busyShare: 0, throttleShare: 0, tokenUses: 0 });
    await expectNothingLeft(openB2Session({ ...where, credentials }).store(), campaign.keys, leaseMs);
    // No version and no hide marker either, of any name.
    expect(emulator.stored).toEqual([]);
    return outcome;
  } finally {
    await emulator.stop();
  }
}

describe("contention on B2", () => {
  const limitMs = CAMPAIGN_MS + AROUND_CAMPAIGN_MS;

  it("is sound on a service without faults", { timeout: limitMs }, async () => {
    // Long enough for a holder to be killed, to be found dead after its lease, and for others to take turns after that.
    const durationMs = (CAMPAIGN_MS * 2) / 3;
    const floors = { acquisitions: durationMs / 2000 };
    const outcome = await campaignOnB2({ name: "B2, calm", keys: ["line"], durationMs, floors }, {});
    expectSound(outcome);
  });

  it("is sound through every fault", { timeout: limitMs }, async () => {
    const knobs = {
      podClocksMs: [0, -400, 700, 150],
      commitDelayMs: 60,
      dropBefore: 0.01,
      dropAfter: 0.01,
      busyShare: 0.02,
      throttleShare: 0.01,
      retryAfterS: 0,
      urlUses: 40,
      tokenUses: 150,
    };
    const floors = { acquisitions: CAMPAIGN_MS / 2000 };
    const campaign = { name: "B2, rough", keys: ["line", "b/c"], durationMs: CAMPAIGN_MS, floors };
    const outcome = await campaignOnB2({ ...campaign, explained: ["unavailable", "unknown"] }, knobs);
    expectSound(outcome);
  });
});
