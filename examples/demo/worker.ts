/**
 * One worker of the demo, a process of its own: takes the lock, does the job, gives the lock back, and tells what it does.
 * It knows nothing of the other workers; all it shares with them is the store.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { BucketlockError, createLocks, type Lease, LockLostError, openStore } from "@bucketlock/lock";
import { lockKey, nowMs, type Order, reportKey, type Shared, type Told } from "./conversation.js";

const [name = "worker", settings = "{}"] = process.argv.slice(2);
const shared = JSON.parse(settings) as Shared;
const tell = (told: Told) => void process.send?.(told);

const store = openStore(shared.store, { s3: shared.s3 });
// Until when the lease can be proved, on the machine's clock: what a lost lease is cut to in the demo's records.
let provenMs = 0;
let requests = 0;
const locks = createLocks(store, {
  leaseMs: shared.leaseMs,
  label: name,
  onEvent(event) {
    if (event.type === "acquired") requests = event.requests;
    if (event.type === "acquired" || event.type === "renewed") provenMs = nowMs() + shared.leaseMs;
    if (event.type === "tookOver") tell({ is: "tookOver", victim: event.victim });
  },
});
const lock = locks.lock(lockKey(shared));
let enough = () => {};
const isEnough = new Promise<void>((resolve) => {
  enough = resolve;
});

async function job({ mode, workMs, untilTold }: Extract<Order, { do: "job" }>): Promise<void> {
  for (;;) {
    const askedMs = nowMs();
    tell({ is: "asks", atMs: askedMs });
    const lease = await lock.acquire({ mode, waitMs: 60_000 });
    const atMs = nowMs();
    tell({ is: "holds", atMs, mode, ticketId: lease.ticketId, waitedMs: atMs - askedMs, requests });
    try {
      await (mode === "exclusive" ? runNightlyJob(lease, workMs) : readReport(lease, workMs, untilTold === true));
      tell({ is: "leaves", atMs: nowMs() });
      await lease.release();
      return;
    } catch (error) {
      if (!(error instanceof LockLostError)) throw error;
      // The machine stood still for longer than the lease. The work so far does not count: stand in line again.
      tell({ is: "lost", atMs: Math.min(nowMs(), provenMs), why: error.message });
    }
  }
}

/** Reads a number, takes its time, writes it back plus one. Two of these at once would lose one. */
async function runNightlyJob(lease: Lease, workMs: number): Promise<void> {
  const before = await store.get(reportKey(shared));
  const runs = before.found ? Number(Buffer.from(before.body).toString()) : 0;
  await work(lease, workMs);
  lease.throwIfLost();
  const put = await store.put(reportKey(shared), String(runs + 1));
  if (put.outcome !== "stored") throw new Error(`the report was not stored (${put.outcome})`);
}

async function readReport(lease: Lease, workMs: number, untilTold: boolean): Promise<void> {
  const report = await store.get(reportKey(shared));
  if (!report.found) throw new Error("there is no report to read");
  await work(lease, workMs);
  if (!untilTold) return;
  const lost = new Promise<void>((resolve) => lease.signal.addEventListener("abort", () => resolve(), { once: true }));
  await Promise.race([isEnough, lost]);
  lease.throwIfLost();
}

/** Real work would take `lease.signal` just like this: it ends when the lease can no longer be proved. */
async function work(lease: Lease, workMs: number): Promise<void> {
  try {
    await sleep(workMs, undefined, { signal: lease.signal });
  } catch (error) {
    lease.throwIfLost();
    throw error;
  }
}

async function end(): Promise<void> {
  await locks.close().catch(() => {});
  if (process.connected) process.disconnect();
}

// Ctrl-C reaches every process of a terminal; the demo itself decides who ends when.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
process.on("disconnect", () => void end());
process.on("message", async (order: Order) => {
  try {
    if (order.do === "end") return await end();
    if (order.do === "enough") return enough();
    await job(order);
    tell({ is: "done" });
  } catch (error) {
    // Told to end while it waited or worked: no failure.
    if (error instanceof BucketlockError && error.code === "LOCKS_CLOSED") return;
    if (error instanceof LockLostError && !process.connected) return;
    const code = error instanceof BucketlockError ? error.code : undefined;
    tell({ is: "failed", code, message: error instanceof Error ? error.message : String(error) });
  }
});
tell({ is: "ready" });
