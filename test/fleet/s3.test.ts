/** What stands on locks, over signed S3 with versions: by either protocol, and nothing stays behind that should not, in no version. */
import { openS3Session, type ProbeReport, type Store } from "@bucketlock/core";
import { createLocks, type Locks } from "@bucketlock/lock";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { S3Emulator } from "../emulators/s3/emulator.js";

const SLOT = Date.UTC(2026, 10, 21, 3);

describe.each([
  { protocol: "two-object", versions: true },
  { protocol: "conditional", versions: false },
] as const)("$protocol, versions: $versions", ({ protocol, versions }) => {
  let emulator: S3Emulator;
  let store: Store;
  let hosts: readonly Locks[];
  let probed: ProbeReport | undefined;

  beforeEach(async () => {
    emulator = await S3Emulator.start({ versions });
    const { endpoint, bucket, keys } = emulator;
    const session = openS3Session({ endpoint, bucket, region: "us-east-1", credentials: keys });
    // Once: one emulator is as good as the other.
    if (protocol === "conditional") probed ??= await session.probe();
    store = session.store();
    hosts = ["a", "b"].map((label) => createLocks(store, { protocol, probed, label }));
  });
  afterEach(async () => {
    await Promise.all(hosts.map((locks) => locks.close({ keepStore: true })));
    await store.close();
    await emulator.stop();
  });

  /** Versions and delete markers too, but for what a lock keeps on purpose. */
  async function left(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of store.listVersions(prefix)) keys.push(...page.versions.map(({ key }) => key));
    return keys.filter((key) => !/\.lock\.(token\.\d+|record)$/.test(key));
  }

  it("an election", async () => {
    const [a, b] = hosts.map((locks) => locks.election("lead/x"));
    const first = await a!.campaign();
    expect(await b!.leader()).toEqual({ token: first.token, label: "a", ticketId: first.ticketId });
    const waiting = b!.campaign();
    await first.resign();
    const second = await waiting;
    expect(second.token > first.token).toBe(true);
    expect((await a!.leader())?.label).toBe("b");
    await second.resign();
    expect(await left("lead/")).toEqual([]);
  });

  it("a job", async () => {
    const [a, b] = hosts;
    const both = await Promise.all([
      a!.once("job", SLOT, () => 1, { keep: 1 }),
      b!.once("job", SLOT, () => 1, { keep: 1 }),
    ]);
    expect(both.map(({ ran }) => ran).sort()).toEqual([false, true]);
    expect(await b!.once("job", SLOT - 1, () => 1)).toMatchObject({ ran: false, reason: "behind" });
    await a!.once("job", SLOT + 1, () => 1, { keep: 1 });
    expect((await b!.history("job")).map(({ slotMs, outcome }) => [slotMs - SLOT, outcome])).toEqual([[1, "ok"]]);
    const at = "job.once.slot.2026-11-21T03:00:00.001Z.1";
    expect(await left("job.")).toEqual([at, `${at}.end`]);
  });

  it("a latch and members", async () => {
    const latches = hosts.map((locks) => locks.latch("gate", 2));
    await Promise.all(latches.map((latch) => latch.arrive()));
    await Promise.all(latches.map((latch) => latch.wait()));
    await latches[0]!.reset();
    const [a, b] = hosts.map((locks) => locks.members("fleet"));
    const stays = await Promise.all([a!.join({ metadata: { zone: "1" } }), b!.join()]);
    expect((await a!.list()).map(({ label }) => label).sort()).toEqual(["a", "b"]);
    await Promise.all(stays.map((membership) => membership.leave()));
    expect(await left("gate.")).toEqual([]);
    expect(await left("fleet.")).toEqual([]);
  });
});
