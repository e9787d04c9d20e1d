/** The example and the demo that need a bucket, on every real server of the run. */
import { S3Session } from "@bucketlock/core";
import { expect, it } from "vitest";
import { useWorkers } from "../processes.js";
import { onEveryServer } from "../servers/on-server.js";
import type { ServerFacts } from "../servers/server.js";

const start = useWorkers();
const example = new URL("../../examples/s3.ts", import.meta.url);
const demo = new URL("../../examples/demo/index.ts", import.meta.url);

const session = (server: ServerFacts, bucket: string) =>
  new S3Session({ endpoint: server.endpoint, region: server.region, bucket, credentials: server });
const env = (server: ServerFacts) => ({
  AWS_ACCESS_KEY_ID: server.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
  AWS_REGION: server.region,
  NO_COLOR: "1",
});

async function keys(bucket: S3Session): Promise<string[]> {
  const found: string[] = [];
  for await (const page of bucket.listObjects("")) found.push(...page.objects.map(({ key }) => key));
  return found;
}

onEveryServer((server) => {
  it("runs examples/s3.ts", async () => {
    await using bucket = session(server, "bucketlock-example");
    await bucket.createBucket();
    const program = start(example, {
      args: ["bucketlock-example"],
      env: { ...env(server), AWS_ENDPOINT_URL: server.endpoint },
    });
    expect([await program.exit(), program.stderr]).toEqual([{ code: 0, signal: null }, ""]);
    expect(program.otherLines).toEqual(["held in the bucket", "free again: true"]);
    expect(await keys(bucket)).toEqual([]);
    await bucket.deleteBucket();
  });

  it("runs the demo", async () => {
    await using bucket = session(server, "bucketlock-demo");
    await bucket.createBucket();
    const args = ["--store", "s3://bucketlock-demo/some/prefix", "--endpoint", server.endpoint];
    const program = start(demo, { args, env: env(server) });
    const { code } = await program.exit(280_000);
    expect(code, `${program.otherLines.join("\n")}\n${program.stderr}`).toBe(0);
    expect(await keys(bucket)).toEqual([]);
    await bucket.deleteBucket();
  });

  it("tells a missing bucket and wrong keys apart from the rest", async () => {
    const args = ["--store", "s3://bucketlock-nowhere/p", "--endpoint", server.endpoint];
    const nowhere = start(demo, { args, env: env(server) });
    const wrong = start(demo, { args, env: { ...env(server), AWS_SECRET_ACCESS_KEY: "averywrongword" } });
    expect(await nowhere.exit()).toEqual({ code: 1, signal: null });
    expect(nowhere.stderr).toMatch(/bucket does not exist[\s\S]*Create the bucket/);
    expect(await wrong.exit()).toEqual({ code: 1, signal: null });
    expect(wrong.stderr).toMatch(/does not accept these credentials[\s\S]*Check AWS_ACCESS_KEY_ID/);
    expect(nowhere.stderr + wrong.stderr).not.toMatch(/^\s+at |averywrongword/m);
  });
});
