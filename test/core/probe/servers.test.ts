/** The probe through S3 sessions: on the project's own emulator with its faults, and on s3rver, an npm fake that ignores every condition. */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openS3Session, type ProbeReport, probe, type S3Session } from "@bucketlock/core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type EmulatorOptions, S3Emulator } from "../../emulators/s3/emulator.js";
import { expectRow } from "./row.js";

const small = { races: 3, listings: 10 };
const codes = (findings: readonly { code: string }[]) => findings.map(({ code }) => code);
const why = (report: ProbeReport, protocol: keyof ProbeReport["protocols"] = "conditional") =>
  codes(report.protocols[protocol].reasons);

describe("the emulator", () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  async function open(options: EmulatorOptions = {}): Promise<{ emulator: S3Emulator; session: S3Session }> {
    const emulator = await S3Emulator.start(options);
    const { endpoint, region, bucket, keys } = emulator;
    const session = openS3Session({ endpoint, region, bucket, credentials: keys });
    ends.push(
      () => emulator.stop(),
      () => session.close(),
    );
    return { emulator, session };
  }

  /** The report, after which the bucket is empty, versions included. */
  async function probed(options: EmulatorOptions = {}) {
    const { emulator, session } = await open(options);
    const report = await session.probe(small);
    expect(report.left).toEqual([]);
    expect(emulator.keysStored()).toEqual([]);
    for await (const { versions } of session.listObjectVersions("")) expect(versions).toEqual([]);
    return { emulator, report };
  }

  test("by the book it is fit for both, and its DELETE honours If-Match", async () => {
    const { report, emulator } = await probed();
    expect(why(report)).toEqual([]);
    expect(why(report, "two-object")).toEqual([]);
    expect(report.conditions).toMatchObject({ ifMatch: "asGiven", losers: "refused", onDelete: "honoured" });
    expect(report.conditions.races).toMatchObject({ rounds: 6, oneWinner: 6 });
    expect(report).toMatchObject({ endpoint: emulator.endpoint, versions: "none", multiDelete: "works" });
    expect(report.timestamps).toMatchObject({ headStepMs: 1000, moved: false });
    // The races had several connections.
    expect(emulator.connections).toBeGreaterThan(4);
  });

  test("a DELETE that ignores If-Match, and 501 to a listing of versions, are no faults", async () => {
    const { report } = await probed({ conditionalDelete: "ignore", listVersions: "refuse" });
    expect([why(report), why(report, "two-object")]).toEqual([[], []]);
    expect(report).toMatchObject({ versions: "none", conditions: { onDelete: "ignored" } });
  });

  test("with versions", async () => {
    const { report } = await probed({ versions: true });
    expect([why(report), report.versions]).toEqual([[], "kept"]);
  });

  test("ignoring conditions, with versions and without", async () => {
    expect(why((await probed({ conditions: "ignore" })).report)).toEqual(["CONDITIONS_IGNORED"]);
    const { report } = await probed({ conditions: "ignore", versions: true });
    expect(why(report)).toEqual(["CONDITIONS_IGNORED_WITH_VERSIONS"]);
    expect(why(report, "two-object")).toEqual([]);
  });

  test("without multi-delete, in whole seconds, with a clock ahead, closing connections", async () => {
    const { report } = await probed({
      ...{ multiDelete: false, wholeSeconds: true, clockAheadMs: 300_000, closeConnections: true },
    });
    expect([why(report), why(report, "two-object")]).toEqual([[], []]);
    expect(report.multiDelete).toBe("one by one");
    expect(report.protocols["two-object"].cost.requests.delete).toBe(2);
    expect(report.timestamps.listStepMs).toBe(1000);
    expect(report.clock!.lowMs).toBeLessThanOrEqual(300_000);
    expect(report.clock!.highMs).toBeGreaterThanOrEqual(300_000);
    expect(codes(report.notes)).toEqual(expect.arrayContaining(["CLOCK_FAR", "NO_MULTI_DELETE"]));
  });

  test("losers get 500, or a 409: unclear, read back", async () => {
    for (const status of [500, 409]) {
      const { emulator, session } = await open();
      const isCreate = (seen: { method: string; headers: object }) =>
        seen.method === "PUT" && "if-none-match" in seen.headers;
      // As RGW: whoever comes too late gets 500. Every other one here, whether it won or lost.
      let n = 0;
      emulator.script((seen) => isCreate(seen) && n++ % 2 === 1, { kind: "reply", status, apply: true }, 1_000);
      const report = await session.probe(small);
      expect(why(report)).toEqual([]);
      expect(report.conditions.losers).toBe("unclear");
      expect(emulator.keysStored()).toEqual([]);
    }
  });

  test("a wrong status", async () => {
    const { emulator, session } = await open();
    const isCreate = (seen: { method: string; headers: object }) =>
      seen.method === "PUT" && "if-none-match" in seen.headers;
    const body = "<?xml version='1.0'?><Error><Code>BadRequest</Code><Message>no</Message></Error>";
    emulator.script(
      (seen) => isCreate(seen) && emulator.bodyOf(decodeURIComponent(seen.url.slice(13))) !== undefined,
      { kind: "reply", status: 400, body },
      1_000,
    );
    const report = await session.probe(small);
    expect(why(report)).toEqual(["CONDITION_ANSWER_WRONG"]);
    expect(emulator.keysStored()).toEqual([]);
  });

  test("wrong keys and a bucket that is not there are errors, not verdicts", async () => {
    const { emulator } = await open();
    const { endpoint, region, bucket, keys } = emulator;
    const wrong = { accessKeyId: keys.accessKeyId, secretAccessKey: "another" };
    for (const [bad, code] of [
      [{ credentials: wrong, bucket }, "STORE_BAD_CREDENTIALS"],
      [{ credentials: keys, bucket: "not-there" }, "STORE_NO_BUCKET"],
    ] as const) {
      await using session = openS3Session({ endpoint, region, ...bad });
      await expect(session.probe(small)).rejects.toMatchObject({ code });
    }
    expect(emulator.keysStored()).toEqual([]);
  });

  test("a prefix of the store stays the only place that is touched", async () => {
    const { emulator, session } = await open();
    await probe(session.store({ prefix: "team/locks/" }), small);
    const written = emulator.seen.filter(({ method }) => method === "PUT").map(({ url }) => url);
    expect(written.length).toBeGreaterThan(100);
    expect(written.filter((url) => !url.startsWith("/test-bucket/team/locks/bucketlock-probe-"))).toEqual([]);
  });
});

/** What there is of its interface here. */
interface S3rver {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}

describe("s3rver", () => {
  const directory = mkdtempSync(join(tmpdir(), "bucketlock-s3rver-"));
  let server: S3rver;
  let session: S3Session;
  beforeAll(async () => {
    const Server = createRequire(import.meta.url)("s3rver") as new (options: object) => S3rver;
    const configureBuckets = [{ name: "known-bad", configs: [] }];
    server = new Server({ port: 0, address: "127.0.0.1", silent: true, directory, configureBuckets });
    const { port } = await server.run();
    const credentials = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
    session = openS3Session({
      ...{ endpoint: `http://127.0.0.1:${port}`, region: "us-east-1", bucket: "known-bad", credentials },
    });
  });
  afterAll(async () => {
    await session.close();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("is found out: 200 to everything", async () => {
    const report = await session.probe(small);
    expectRow("s3rver (an npm fake)", report);
    expect(why(report)).toContain("CONDITIONS_IGNORED");
    expect(report.protocols.conditional.safe).toBe(false);
    expect(report.left).toEqual([]);
    for await (const { objects } of session.listObjects("")) expect(objects).toEqual([]);
  });
});
