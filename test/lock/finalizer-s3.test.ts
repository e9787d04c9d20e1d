/** A dying program on S3: its child deletes by signed URLs and is given nothing else. Real processes, an S3 server of our own. */
import { openS3Session } from "@bucketlock/core";
import { afterEach, expect, test } from "vitest";
import { S3Emulator } from "../emulators/s3/emulator.js";
import { useWorkers } from "../processes.js";

const start = useWorkers();
const worker = new URL("./finalizer.worker.ts", import.meta.url);
let emulator: S3Emulator;

async function run(how: string, versions: boolean, protocol = "two-object") {
  emulator = await S3Emulator.start({ versions });
  const { accessKeyId, secretAccessKey } = emulator.keys;
  const url = `s3://${emulator.bucket}/locks?endpoint=${encodeURIComponent(emulator.endpoint)}&region=${emulator.region}`;
  return start(worker, {
    args: [how, url, protocol],
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
  });
}

afterEach(() => emulator.stop());

test.each([
  ["exit", false, 7],
  ["throw", false, 1],
  ["waiting-exit", false, 8],
  ["exit", true, 7],
] as const)("%s (versions: %s): both objects are gone, by DELETEs signed in the query", async (how, versions, code) => {
  const program = await run(how, versions);
  expect(await program.exit()).toEqual({ code, signal: null });
  expect(program.messages).toContainEqual(expect.objectContaining({ held: expect.any(String) }));
  expect(emulator.keysStored()).toEqual([]);
  expect(emulator.unknown).toEqual([]);
  const deletes = emulator.seen.filter((seen) => seen.method === "DELETE");
  expect(deletes.length).toBeGreaterThanOrEqual(2);
  for (const seen of deletes) {
    expect(seen.url).toContain("X-Amz-Signature=");
    expect(seen.headers.authorization).toBeUndefined();
    // By their version where there is one: a delete marker would be left behind.
    expect(seen.url.includes("versionId=")).toBe(versions);
  }
});

test("exit, conditional: the record is left by one PUT, signed in the query with its condition", async () => {
  const program = await run("exit", false, "conditional");
  expect(await program.exit()).toEqual({ code: 7, signal: null });
  expect(emulator.keysStored()).toEqual(["locks/k.lock.record"]);
  const last = emulator.seen.at(-1)!;
  expect(last).toMatchObject({ method: "PUT", headers: { "if-match": expect.stringMatching(/^"/) } });
  expect(last.url).toContain("X-Amz-Signature=");
  expect(last.headers.authorization).toBeUndefined();
  const { accessKeyId, secretAccessKey } = emulator.keys;
  const session = openS3Session({
    endpoint: emulator.endpoint,
    region: emulator.region,
    bucket: emulator.bucket,
    credentials: { accessKeyId, secretAccessKey },
  });
  const record = await session.store({ prefix: "locks/" }).get("k.lock.record");
  expect(record).toMatchObject({ found: true });
  if (record.found) expect(JSON.parse(new TextDecoder().decode(record.body))).toMatchObject({ holders: [], queue: [] });
  await session.close();
});

test("an orderly end on S3 is one multi-delete, and no child is needed", async () => {
  const program = await run("beforeExit", false);
  expect(await program.exit()).toEqual({ code: 0, signal: null });
  expect(emulator.keysStored()).toEqual([]);
  expect(emulator.seen.map((seen) => seen.method)).toEqual(["PUT", "GET", "PUT", "GET", "POST"]);
});
