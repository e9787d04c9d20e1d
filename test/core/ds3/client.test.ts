/** The calls of the client on our emulator of an appliance, which checks every signature by itself. */
import { inspect } from "node:util";
import { Ds3Client, type Ds3ClientOptions, openDs3Client } from "@bucketlock/core/ds3";
import { describe, expect, it } from "vitest";
import { Ds3Emulator } from "../../emulators/ds3/emulator.js";
import { startProxy } from "../config/rig.js";
import { collect, failure, ready, textOf } from "./rig.js";

const ODD_NAMES = [
  "sp ace",
  "plus+",
  "pct%41%",
  "q?x=1&y",
  "hash#",
  "ü-\u{1F512}",
  `quote'"<>;`,
  "a//b",
  "trail/",
  "!()*",
  "$&,:=@~",
  "_rest",
];

describe("service, buckets, objects", () => {
  it("buckets are made, found, listed and deleted", async () => {
    const { client, emulator } = await ready();
    expect(await client.service()).toEqual([]);
    expect(await client.bucketExists("b")).toBe(false);
    await client.createBucket("b");
    await expect(client.createBucket("b")).rejects.toMatchObject({ code: "STORE_BUCKET_EXISTS", kind: "invalid" });
    expect(await client.bucketExists("b")).toBe(true);
    expect(await client.service()).toEqual([{ name: "b", createdAt: "2026-11-21T00:00:00.000Z" }]);
    await client.putObject("b", "k", "1");
    await expect(client.deleteBucket("b")).rejects.toMatchObject({ code: "STORE_BUCKET_NOT_EMPTY" });
    await client.deleteBucket("b", { force: true });
    expect(await client.bucketExists("b")).toBe(false);
    await expect(client.deleteBucket("b")).rejects.toMatchObject({ code: "STORE_NO_BUCKET", kind: "denied" });
    expect(emulator.unknown).toEqual([]);
  });

  it("objects of every name survive put, head, get, list and delete", async () => {
    const { client, emulator } = await ready({}, "b");
    for (const name of ODD_NAMES) {
      await client.putObject("b", name, name, { metadata: { kind: "a  b" } });
      expect(await client.headObject("b", name)).toEqual({
        found: true,
        size: Buffer.byteLength(name),
        metadata: { kind: "a  b" },
      });
      expect(await textOf(await client.openObject("b", name))).toBe(name);
    }
    for (const pageSize of [1000, 5]) {
      const pages = await collect(client.listObjects("b", { pageSize }));
      expect(pages.flatMap(({ objects }) => objects.map(({ name }) => name))).toEqual([...ODD_NAMES].sort());
      expect(pages.length).toBe(Math.ceil(ODD_NAMES.length / pageSize));
    }
    const [first, ...rest] = ODD_NAMES;
    await client.deleteObject("b", first!);
    expect(await client.deleteObjects("b", [...rest, "gone"])).toEqual([
      { name: "gone", code: "NoSuchKey", message: "gone" },
    ]);
    expect(emulator.stored("b")).toEqual({});
    expect(await client.headObject("b", "gone")).toEqual({ found: false });
    expect(await client.openObject("b", "gone")).toBeUndefined();
    await client.deleteObject("b", "gone");
    expect(emulator.unknown).toEqual([]);
  });

  it("a folder goes with everything below it, and nothing beside it", async () => {
    const { client, emulator } = await ready({}, "b");
    for (const name of ["a/1", "a/b/2", "ab/3", "a"]) emulator.put("b", name, "x");
    await client.deleteFolder("b", "a/");
    expect(Object.keys(emulator.stored("b"))).toEqual(["ab/3", "a"]);
    await client.deleteFolder("b", "a");
  });

  it("a checksum that does not match is refused", async () => {
    const { client, emulator } = await ready({}, "b");
    const job = await client.startPut("b", [{ name: "k", size: 3 }]);
    const put = (value: string) =>
      client.putObject("b", "k", "abc", { job: job.jobId, offset: 0, checksum: { kind: "md5", value } });
    await expect(put("AAAA")).rejects.toMatchObject({ code: "STORE_REFUSED", details: { ds3Code: "BadDigest" } });
    await put("kAFQmDzST7DWlj99KOF/cg==");
    expect(emulator.stored("b")).toEqual({ k: "abc" });
  });
});

describe("jobs", () => {
  it("are planned, worked on, looked at and canceled", async () => {
    const { client, emulator } = await ready({ pieceBytes: 4, piecesPerChunk: 2, chunksReady: 1 }, "b");
    const job = await client.startPut(
      "b",
      [
        { name: "a&<b>\"c'", size: 10 },
        { name: "e", size: 0 },
      ],
      {
        name: "the & job",
        priority: "high",
      },
    );
    expect(job).toMatchObject({ bucket: "b", name: "the & job", kind: "put", status: "in progress", originalSize: 10 });
    expect(job.chunks.map(({ blobs }) => blobs.map(({ name, offset, length }) => [name, offset, length]))).toEqual([
      [
        ["a&<b>\"c'", 0, 4],
        ["a&<b>\"c'", 4, 4],
      ],
      [
        ["a&<b>\"c'", 8, 2],
        ["e", 0, 0],
      ],
    ]);
    expect((await client.readyChunks(job.jobId)).job.chunks.length).toBe(1);
    await client.putObject("b", "a&<b>\"c'", "0123", { job: job.jobId, offset: 0 });
    expect(await client.job(job.jobId)).toMatchObject({ cachedSize: 4, status: "in progress" });
    expect(await client.jobs()).toMatchObject([{ jobId: job.jobId, name: "the & job" }]);
    await client.cancelJob(job.jobId, { force: true });
    expect(await client.job(job.jobId)).toMatchObject({ status: "canceled" });
    const { seen } = emulator;
    expect(
      seen.some(({ query }) => query.get("operation") === "start_bulk_put" && query.get("priority") === "HIGH"),
    ).toBe(true);
    await expect(client.job("none")).rejects.toMatchObject({ code: "DS3_NO_JOB", kind: "invalid" });
    await expect(client.startGet("b", ["none"])).rejects.toMatchObject({ kind: "denied" });
    await expect(client.startPut("none", [{ name: "k", size: 1 }])).rejects.toMatchObject({ code: "STORE_NO_BUCKET" });
  });

  it("are told when to ask again", async () => {
    const { client } = await ready({ notReadyEvery: 1 }, "b");
    const { jobId } = await client.startPut("b", [{ name: "k", size: 1 }]);
    expect(await client.readyChunks(jobId)).toMatchObject({ retryAfterMs: 7_000, job: { chunks: [] } });
  });
});

describe("trouble", () => {
  it.each([307, 503, 429])(
    "%i is busy: asked again, in the end an error that says when to come back",
    async (status) => {
      const { client, emulator } = await ready({}, "b");
      emulator.script(() => true, { kind: "status", status }, 4);
      expect(await client.service()).toHaveLength(1);
      const { client: hasty } = await ready({}, "b", { maxTries: 1 }, emulator);
      emulator.script(() => true, { kind: "status", status, headers: { "retry-after": "60" } });
      await expect(hasty.service()).rejects.toMatchObject({
        code: "DS3_BUSY",
        kind: "unavailable",
        details: { retryAfterMs: 60_000 },
      });
    },
  );

  it("a redirect elsewhere is not followed", async () => {
    const { client, emulator } = await ready({}, "b", { maxTries: 1 });
    emulator.script(() => true, { kind: "status", status: 307, headers: { location: "http://127.0.0.1:1/" } });
    await expect(client.service()).rejects.toMatchObject({ code: "DS3_BUSY" });
  });

  it("a job whose answer was lost is not planned twice", async () => {
    const { client, emulator } = await ready({}, "b");
    emulator.script(({ query }) => query.has("operation"), { kind: "lost" });
    await expect(client.startPut("b", [{ name: "k", size: 1 }])).rejects.toMatchObject({
      code: "STORE_UNCLEAR",
      kind: "unknown",
    });
    expect(emulator.jobs.size).toBe(1);
  });

  it("wrong keys, a clock far off, a web page, cut and foreign XML are told apart, without a secret", async () => {
    const { client, emulator } = await ready({}, "b", { maxTries: 1 });
    const wrong = async (options: Partial<Ds3ClientOptions>) =>
      failure((await ready({}, undefined, { maxTries: 1, ...options }, emulator)).client.service(), emulator);
    expect(await wrong({ secretKey: "another" })).toMatchObject({ code: "STORE_BAD_CREDENTIALS", kind: "denied" });
    expect(await wrong({ accessKey: "NOBODY" })).toMatchObject({ code: "STORE_BAD_CREDENTIALS" });
    for (const [body, code, status] of [
      ["<!DOCTYPE html><html><body>log in</body></html>", "STORE_NOT_S3", 200],
      ["<Other/>", "STORE_NOT_S3", 200],
      ["<ListAllMyBucketsResult><Buckets>", "STORE_CORRUPT_ANSWER", 200],
      ["", "STORE_CORRUPT_ANSWER", 200],
      ["<Error><Code>Odd</Code><Message>what</Message></Error>", "STORE_REFUSED", 400],
      ["<Error><Code>AccessDenied</Code></Error>", "STORE_ACCESS_DENIED", 403],
      ["no XML", "STORE_UNAVAILABLE", 500],
    ] as const) {
      emulator.script(() => true, { kind: "status", status, body });
      expect(await failure(client.service(), emulator)).toMatchObject({ code });
    }
    const late = await ready({ clockAheadMs: 3_600_000 }, undefined, { maxTries: 1 });
    expect(await failure(late.client.service(), late.emulator)).toMatchObject({ code: "STORE_CLOCK_SKEW" });
  });

  it("ends with the caller's own reason, with the limit, and with close", async () => {
    const { client, emulator } = await ready({}, "b");
    const reason = new Error("enough");
    emulator.script(() => true, { kind: "status", status: 307, headers: { "retry-after": "1" } });
    const ending = new AbortController();
    const asked = client.service({ signal: ending.signal });
    asked.catch(() => {});
    ending.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await client.close();
    await expect(client.service()).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });
});

describe("the client", () => {
  it("is opened from the environment, through its proxy", async () => {
    const { emulator } = await ready({}, "b");
    const proxy = await startProxy();
    const env = {
      DS3_ENDPOINT: new URL(emulator.endpoint).host,
      DS3_ACCESS_KEY: emulator.keys.accessKey,
      DS3_SECRET_KEY: emulator.keys.secretKey,
      http_proxy: proxy.url,
    };
    await using client = Ds3Client.fromEnv({}, env);
    expect(await client.service()).toHaveLength(1);
    expect(proxy.asked).toEqual([`GET ${emulator.endpoint}`]);
    for (const name of ["DS3_ENDPOINT", "DS3_ACCESS_KEY", "DS3_SECRET_KEY"])
      expect(() => Ds3Client.fromEnv({}, { ...env, [name]: "" })).toThrowError(`${name}: must be set`);
  });

  it("refuses what makes no sense, without showing a secret", () => {
    const keys = { accessKey: "A", secretKey: "hunter2" };
    for (const [options, names] of [
      [{ endpoint: "http://me:hunter2@host" }, "endpoint"],
      [{ endpoint: "" }, "endpoint"],
      [{ endpoint: "host", secretKey: "hunter2 hunter2" }, "secretKey"],
      [{ endpoint: "host", accessKey: "" }, "accessKey"],
      [{ endpoint: "host", timeoutMs: 0 }, "timeoutMs"],
      [{ endpoint: "host", maxTries: 0 }, "maxTries"],
    ] as const) {
      let error: unknown;
      try {
        openDs3Client({ ...keys, ...options });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
      expect((error as Error).message).toContain(names);
      expect(inspect(error)).not.toContain("hunter2");
    }
    const client = openDs3Client({ endpoint: "host", ...keys });
    expect(inspect(client, { depth: 9, showHidden: true })).not.toContain("hunter2");
    expect(JSON.stringify(client)).not.toContain("hunter2");
  });

  it("refuses bad names before anything is sent", async () => {
    const { client, emulator } = await ready();
    for (const work of [
      client.createBucket("a/b"),
      client.createBucket(".."),
      client.headObject("b", "a/../c"),
      client.job("a/b"),
      client.startPut("b", []),
      client.startPut("b", [{ name: "tab\t", size: 1 }]),
      client.startPut("b", [{ name: "k", size: -1 }]),
      client.deleteFolder("b", ""),
    ])
      await expect(work).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect(emulator.seen).toEqual([]);
    expect(Ds3Emulator).toBeDefined();
  });
});
