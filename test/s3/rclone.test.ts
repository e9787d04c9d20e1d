/** rclone works on the emulator as on an S3 server: it judges the emulator, not our client. */
import { expect, it } from "vitest";
import { S3Emulator } from "../emulators/s3/emulator.js";
import { describeJudge } from "../judges.js";
import { runRclone } from "./rclone-script.js";

await describeJudge("rclone", (rclone) => {
  it("makes buckets, uploads, lists, reads ranges, copies, keeps versions, syncs, links and purges", async () => {
    const emulator = await S3Emulator.start();
    try {
      const { endpoint, region, keys } = emulator;
      const keepVersions = async (bucket: string) => {
        emulator.world.bucket(bucket).versioning = "Enabled";
      };
      const server = { endpoint, region, ...keys, keepVersions, encodes: true };
      const operations = await runRclone(rclone, server, "rclone");
      expect(operations).toBeGreaterThan(40);
      expect(emulator.unknown).toEqual([]);
      expect([...emulator.world.buckets.keys()]).toEqual([emulator.bucket]);
      const count = (of: (url: string) => boolean) => emulator.seen.filter(({ url }) => of(url)).length;
      // What it is trusted to have judged.
      expect(count((url) => url.includes("partNumber="))).toBeGreaterThan(4);
      expect(count((url) => url.includes("X-Amz-Signature="))).toBe(1);
      expect(count((url) => url.includes("versions"))).toBeGreaterThan(2);
    } finally {
      await emulator.stop();
    }
  }, 120_000);
});
