/**
 * Two-way interop with the Python library s3func on one lock: its processes and ours contend without an overlap, and each
 * sees, waits for and can break the other's tickets.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createLocks, type Locks } from "@bucketlock/lock";
import { afterEach, expect, it } from "vitest";
import { useWorkers, type Worker } from "../processes.js";
import { onServer, withS3func } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { CAMPAIGN_MS, expectNothingLeft, seedOf } from "./campaign.js";
import type { ContenderOrders, Line } from "./lines.js";
import { showCounts, type Told, tellStory, troubles } from "./story.js";

const start = useWorkers();
const python = new URL("./s3func_worker.py", import.meta.url);
const ours = new URL("./contender.worker.ts", import.meta.url);
const LEASE_MS = 10_000;
/** s3func's own rule needs a second, and it looks once a second: less than this shows next to nothing. */
const CONTEND_MS = Math.max(CAMPAIGN_MS, 20_000);
/** And so much longer where a busy machine has not come to this many leases of either. */
const LONGER_MAX_MS = 60_000;
const FLOOR = 3;

interface Did {
  readonly event: "did";
  readonly do: string;
  readonly answer?: unknown;
  readonly error?: string;
  readonly lockId?: string;
}

for (const name of ["rgw", "versitygw"] as const) {
  onServer(name, (server) => {
    withS3func(({ python: program }) => {
      const { bucket, session } = useBucket(server, "s3func");
      const { endpoint, region, accessKeyId, secretAccessKey } = server;
      const where = { endpoint, region, bucket, accessKeyId, secretAccessKey };
      const startPython = () => start(python, { program, args: [JSON.stringify(where)] });
      const opened: Locks[] = [];
      const open = (): Locks => {
        const locks = createLocks(session().store(), { leaseMs: LEASE_MS, settleMs: 1_000, renewEveryMs: 500 });
        opened.push(locks);
        return locks;
      };
      afterEach(async () => {
        for (const locks of opened.splice(0)) await locks.close().catch(() => {});
      });

      it("contends without an overlap", { timeout: CONTEND_MS + LONGER_MAX_MS + 180_000 }, async () => {
        const seed = seedOf();
        const keys = ["shared/lock"];
        const theirs = [1, 2, 3].map(startPython);
        const orders: ContenderOrders = {
          store: { kind: "s3", ...where },
          ...{ keys, seed, leaseMs: LEASE_MS, settleMs: 1_000 },
          // s3func draws no tokens, and does not know their markers.
          ...{ sharedShare: 0.5, impatientShare: 0.2, tokenShare: 0, cheats: false },
        };
        const own = [1, 2, 3].map((n) => start(ours, { args: [JSON.stringify({ ...orders, seed: seed + n })] }));
        const all = [...theirs, ...own];
        await Promise.all(all.map((worker) => worker.message<Line>((line) => line.event === "hello")));
        for (const [n, worker] of theirs.entries())
          worker.send({ do: "contend", keys, seed: seed + n, sharedShare: 0.5, waitS: 15 });
        const acquisitions = (workers: readonly Worker[]) =>
          (workers.flatMap(({ messages }) => messages) as Line[]).filter(({ event }) => event === "got").length;
        const endMs = performance.now() + CONTEND_MS;
        const longestMs = endMs + LONGER_MAX_MS;
        const isEnough = () => [theirs, own].every((workers) => acquisitions(workers) >= FLOOR);
        while (performance.now() < endMs || (!isEnough() && performance.now() < longestMs)) await sleep(100);
        for (const worker of all) worker.send("stop");
        for (const worker of all)
          expect({ ...(await worker.exit()), stderr: worker.stderr }).toMatchObject({ code: 0, stderr: "" });

        const toldOf = (workers: readonly Worker[], who: string) =>
          workers.map((worker, n): Told => ({ actor: `${who}${n}`, killed: false, lines: worker.messages as Line[] }));
        const told = [...toldOf(theirs, "python"), ...toldOf(own, "ours")];
        const story = tellStory(told);
        const by = (who: string) => story.holds.filter((hold) => hold.actor.startsWith(who)).length;
        const counts = { ...story.counts, python: by("python"), ours: by("ours") };
        console.log(`ring 5: ${server.name}, with s3func (seed ${seed}): ${showCounts(counts)}`);
        expect(story.findings, `seed ${seed}\n${story.timeLine}`).toEqual([]);
        expect(troubles(told)).toEqual([]);
        expect(by("python")).toBeGreaterThanOrEqual(FLOOR);
        expect(by("ours")).toBeGreaterThanOrEqual(FLOOR);
        await expectNothingLeft(session().store(), keys, LEASE_MS);
      });

      const ask = async (worker: Worker, order: { do: string; key: string; [name: string]: unknown }): Promise<Did> => {
        const before = worker.messages.length;
        worker.send(order);
        return worker.message<Did>((line) => line.event === "did" && worker.messages.indexOf(line) >= before);
      };

      it("sees, waits for and breaks a lock of s3func", async () => {
        const key = "theirs";
        const worker = startPython();
        const { lockId, ...acquired } = await ask(worker, { do: "acquire", key, mode: "shared", waitS: 60 });
        expect(acquired).toMatchObject({ answer: true });
        const lock = open().lock(key);
        const { holders } = await lock.inspect();
        expect(holders).toMatchObject([{ ticketId: lockId, mode: "shared", state: "holds", life: "foreign" }]);
        await using reader = await lock.acquire({ mode: "shared", waitMs: 60_000 });
        expect(reader.isHeld).toBe(true);
        await reader.release();
        expect(await lock.tryAcquire()).toBeUndefined();

        // Younger than two hours, and asked without an age: s3func's own guard, and ours.
        expect(await lock.breakLock()).toEqual([]);
        expect(await ask(worker, { do: "verify", key })).toMatchObject({ answer: true });
        expect(await lock.breakLock({ olderThanMs: 0 })).toEqual([lockId]);
        expect(await ask(worker, { do: "verify", key })).toMatchObject({ answer: false });
        await using lease = await lock.acquire({ waitMs: 60_000 });
        expect(await lease.verify()).toBe(true);
      });

      it("is seen, waited for and broken by s3func", async () => {
        const key = "ours";
        const worker = startPython();
        const lock = open().lock(key);
        const lease = await lock.acquire();
        expect(await ask(worker, { do: "others", key })).toMatchObject({ answer: { [lease.ticketId]: "exclusive" } });
        expect(await ask(worker, { do: "acquire", key, mode: "exclusive", waitS: 2 })).toMatchObject({ answer: false });
        expect(lease.isHeld).toBe(true);
        expect(await ask(worker, { do: "break", key })).toMatchObject({
          answer: [`${key}.lock.${lease.ticketId}-0`, `${key}.lock.${lease.ticketId}-1`],
        });
        // The next renewal finds out.
        await new Promise<void>((resolve) => lease.signal.addEventListener("abort", () => resolve()));
        expect(() => lease.throwIfLost()).toThrow(/removed by another/);
        await expect(lease.release()).rejects.toMatchObject({ code: "LEASE_LOST" });
        expect(await ask(worker, { do: "acquire", key, mode: "exclusive", waitS: 60 })).toMatchObject({ answer: true });
        expect(await lock.tryAcquire()).toBeUndefined();
        expect(await ask(worker, { do: "release", key })).not.toHaveProperty("error");
        await using next = await lock.acquire({ waitMs: 60_000 });
        expect(await next.verify()).toBe(true);
      });
    });
  });
}
