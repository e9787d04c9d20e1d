/** The campaign on the file store: processes of one host that share nothing but a directory. Needs no server. */
import { openFileStore } from "@bucketlock/core";
import { describe, expect, it } from "vitest";
import { useWorkers } from "../processes.js";
import { temporaryDirectory } from "../servers/guard.js";
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

const start = useWorkers();
const leaseMs = 2_000;

async function campaignOnFiles(
  campaign: Pick<Campaign, "name" | "keys" | "durationMs" | "floors"> & Partial<Campaign>,
): Promise<Outcome> {
  const directory = temporaryDirectory("campaign");
  try {
    const outcome = await runCampaign(start, {
      stores: [{ kind: "file", dir: directory.path }],
      contenders: 8,
      leaseMs,
      blowEveryMs: 2_000,
      seed: seedOf(),
      ...campaign,
    });
    await expectNothingLeft(openFileStore({ dir: directory.path }), campaign.keys, leaseMs, outcome);
    return outcome;
  } finally {
    directory.remove();
  }
}

// Long enough for a holder to be killed, to be found dead after its lease, and for others to take turns after that.
const PROTOCOLS = [
  { protocol: "two-object", durationMs: (CAMPAIGN_MS * 2) / 3 },
  { protocol: "conditional", durationMs: (CAMPAIGN_MS * 2) / 3 },
] as const;

for (const { protocol, durationMs } of PROTOCOLS)
  describe(`contention on the file store by the ${protocol}`, () => {
    const limitMs = durationMs + AROUND_CAMPAIGN_MS;
    const common = { locks: { protocol }, durationMs } as const;

    it("of one key is sound", { timeout: limitMs }, async () => {
      // However short: some of the blows hit a holder, which somebody outlives.
      const blowEveryMs = durationMs / 4;
      const outcome = await campaignOnFiles({
        ...{ ...common, name: `file, ${protocol}, one key`, keys: ["line"], blowEveryMs },
        floors: {
          ...{ acquisitions: durationMs / 1000, tokens: 0, outlived: 0 },
          ...(protocol === "two-object" ? { takeOvers: 0 } : {}),
        },
      });
      expectSound(outcome);
    });

    it("of several keys is sound", { timeout: limitMs }, async () => {
      const outcome = await campaignOnFiles({
        ...{
          ...common,
          name: `file, ${protocol}, several keys, 3 programs each`,
          keys: ["a", "b/c", "d e"],
          locals: 3,
          floors: { passed: 0, acquisitions: durationMs / 500 },
        },
      });
      expectSound(outcome);
    });

    it("is found unsound when somebody breaks live tickets", { timeout: limitMs }, async () => {
      // Breaking between two leases does no harm, so it may take a few.
      let findings = "";
      for (let tries = 0; tries < 5 && findings === ""; tries++) {
        const outcome = await campaignOnFiles({
          ...{ locks: { protocol }, name: `file, ${protocol}, with a cheat` },
          keys: ["line"],
          contenders: 4,
          durationMs: 3_000,
          blowEveryMs: Number.POSITIVE_INFINITY,
          withCheat: true,
          floors: { acquisitions: 20 },
        });
        findings = outcome.story.findings.join("\n");
      }
      expect(findings).toMatch(/^overlap: /m);
    });
  });
