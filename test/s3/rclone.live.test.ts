/** The script of rclone on real servers: they do what the emulator does (rclone.test.ts). */
import { randomUUID } from "node:crypto";
import { it } from "vitest";
import { describeJudge } from "../judges.js";
import { onEveryServer } from "../servers/on-server.js";
import { runRclone } from "./rclone-script.js";
import { clientOf } from "./sdk-script.js";

await describeJudge("rclone", (rclone) => {
  onEveryServer((server) => {
    // It ignores the wish for encoded keys, and runs without a folder for versions here.
    const isPlain = server.name === "versitygw";
    const keepVersions = async (Bucket: string) => {
      const client = clientOf(server);
      await client.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Enabled" } });
      client.destroy();
    };
    it("sees the same as on the emulator", async () => {
      const name = `rclone-${randomUUID().slice(0, 18)}`;
      const asked = { ...server, encodes: !isPlain, keepVersions: isPlain ? undefined : keepVersions };
      const operations = await runRclone(rclone, asked, name);
      console.log(`rclone on ${server.name}: ${operations} operations`);
    });
  });
});
