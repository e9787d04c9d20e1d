/** A program that calls process.exit() while it holds by the conditional protocol, on real servers: its child leaves the record for it. */
import { expect, it } from "vitest";
import { useWorkers } from "../processes.js";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";

const start = useWorkers();
const worker = new URL("../lock/finalizer.worker.ts", import.meta.url);

onEveryServer((server) => {
  const { bucket, session } = useBucket(server, "exit");
  it("leaves a record in which nobody stands", async () => {
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const url = `s3://${bucket}/locks?endpoint=${encodeURIComponent(endpoint)}&region=${region}`;
    const program = start(worker, {
      args: ["exit", url, "conditional"],
      env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    });
    expect(await program.exit()).toEqual({ code: 7, signal: null });
    expect(program.messages).toContainEqual(expect.objectContaining({ held: expect.any(String) }));
    const record = await session().store({ prefix: "locks/" }).get("k.lock.record");
    expect(JSON.parse(new TextDecoder().decode(record.found ? record.body : undefined))).toMatchObject({
      token: "1",
      holders: [],
      queue: [],
    });
  });
});
