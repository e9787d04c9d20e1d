/**
 * The probe on the real servers: what each is known to do (docs/stores.md) must be found out, on buckets with versions and
 * without, and nothing of it may stay. Its reports are printed, and the document's table is compared with them.
 */
import { type ProbeReport, renderProbe, type S3Session } from "@bucketlock/core";
import { createLocks } from "@bucketlock/lock";
import { beforeAll, describe, expect, it } from "vitest";
import { expectRow } from "../core/probe/row.js";
import { onServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { keepVersions } from "./keep-versions.js";

const why = (report: ProbeReport, protocol: keyof ProbeReport["protocols"] = "conditional") =>
  report.protocols[protocol].reasons.map(({ code }) => code);
const noted = (report: ProbeReport) => report.notes.map(({ code }) => code);

async function probed(name: string, session: S3Session): Promise<ProbeReport> {
  const report = await session.probe();
  console.log(`probe of ${name}\n${renderProbe(report)}`);
  expect(report.left).toEqual([]);
  await expectNothingLeft(session);
  expectRow(name, report);
  // What every one of these servers does.
  expect(why(report, "two-object")).toEqual([]);
  expect(Object.values(report.rights).every((right) => right === "allowed")).toBe(true);
  expect(report.listing).toEqual({ rounds: 24, missedAfterPut: 0, seenAfterDelete: 0, staleReads: 0 });
  expect(report.timestamps.headStepMs).toBe(1000);
  // On the loopback the server's clock is ours: the interval must hold zero, a slow answer's Date allowed for.
  expect(report.clock!.lowMs).toBeLessThanOrEqual(0);
  expect(report.clock!.highMs).toBeGreaterThanOrEqual(0);
  return report;
}

async function expectNothingLeft(session: S3Session): Promise<void> {
  for await (const { objects } of session.listObjects("")) expect(objects).toEqual([]);
  for await (const { versions } of session.listObjectVersions("")) expect(versions).toEqual([]);
}

const oneWinner = { racers: 16, rounds: 16, oneWinner: 16, withoutWinner: 0 };

onServer("minio", (server) => {
  describe("without versions", () => {
    const { session } = useBucket(server, "probe");
    it("is fit for both protocols", async () => {
      const report = await probed("MinIO", session());
      expect(why(report)).toEqual([]);
      expect(report.conditions).toMatchObject({
        ifMatch: "both",
        losers: "refused",
        onDelete: "ignored",
        races: oneWinner,
      });
      expect(report).toMatchObject({ versions: "none", multiDelete: "works", timestamps: { listStepMs: 1 } });
    });
  });
  describe("with versions", () => {
    const { bucket, session } = useBucket(server, "probe-versions");
    beforeAll(() => keepVersions(server, bucket));
    it("is fit for both protocols", async () => {
      const report = await probed("MinIO with versions", session());
      expect(why(report)).toEqual([]);
      expect(report.conditions).toMatchObject({ ifMatch: "both", races: oneWinner });
      expect(report.versions).toBe("kept");
    });
  });
});

onServer("rgw", (server) => {
  describe("without versions", () => {
    const { session } = useBucket(server, "probe");
    it("is fit for both protocols once ETags go without their quotes", async () => {
      const report = await probed("Ceph RGW", session());
      expect(why(report)).toEqual([]);
      expect(report.conditions).toMatchObject({ ifMatch: "bareOnly", onDelete: "ignored", races: oneWinner });
      expect(report.changes.map(({ code }) => code)).toEqual(["OPEN_WITH_BARE_IF_MATCH"]);
      const bare = await session({ bareIfMatch: true }).probe();
      expect([why(bare), bare.changes]).toEqual([[], []]);
    });
    it("lets locks through by the conditional protocol, with ETags in its form", async () => {
      const open = () => createLocks(session().store(), { protocol: "conditional", waitMs: 20_000 });
      await using one = open();
      await using two = open();
      const held = await one.lock("k").acquire();
      expect(await two.lock("k").tryAcquire()).toBeUndefined();
      const waiting = two.lock("k").acquire();
      await held.release();
      await (await waiting).release();
      expect(await one.lock("k").forget({ keepToken: false })).toBe(true);
      await expectNothingLeft(session());
    });
    it.skipIf(server.endpoints.length < 2)("is fit over two gateways", async () => {
      const [one, two] = server.endpoints.map((endpoint) => session({ endpoint }));
      const report = await one!.probe({ endpoints: [two!.store()] });
      console.log(`probe of RGW by two gateways\n${renderProbe(report)}`);
      expect(report.endpoints).toBe(2);
      expect([why(report), why(report, "two-object")]).toEqual([[], []]);
      await expectNothingLeft(one!);
    });
  });
  describe("with versions", () => {
    const { bucket, session } = useBucket(server, "probe-versions");
    beforeAll(() => keepVersions(server, bucket));
    it("silently ignores conditions: refused, with the reason", async () => {
      const report = await probed("Ceph RGW with versions", session());
      // A create passes whatever is there; a replace never does, in no form.
      expect(why(report)).toEqual(["CONDITIONS_IGNORED_WITH_VERSIONS", "REPLACE_FAILS"]);
      expect(report.versions).toBe("kept");
      expect(noted(report)).toContain("VERSIONS_KEPT");
      await using locks = createLocks(session().store(), { protocol: "conditional" });
      await expect(locks.lock("k").acquire()).rejects.toMatchObject({
        code: "PROTOCOL_UNSAFE",
        details: { reasons: report.protocols.conditional.reasons },
      });
      await expectNothingLeft(session());
    });
  });
});

onServer("versitygw", (server) => {
  const { session } = useBucket(server, "probe");
  it("is fit for both protocols, in steps of a second", async () => {
    const report = await probed("versitygw", session());
    expect(why(report)).toEqual([]);
    expect(report.conditions).toMatchObject({ ifMatch: "both", onDelete: "honoured", races: oneWinner });
    expect(report.timestamps.listStepMs).toBe(1000);
  });
});
