/** One of the processes of contention.ts: acquires, holds for a while, releases, again and again; tells when at the end. */
import { once } from "node:events";
import { hrtime } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import type { ContentionShare, ContentionTask, Turn } from "./contention.js";

const nowMs = () => Number(hrtime.bigint()) / 1e6;
const task = JSON.parse(process.argv[2] ?? "{}") as ContentionTask;
const store = new RecordingStore(openStore(task.address.url, { s3: task.address.s3 }));
const locks = createLocks(store);
const lock = locks.lock(task.key);
process.once("disconnect", () => process.exit());

process.send!("ready");
await once(process, "message");
const turns: Turn[] = [];
const untilMs = nowMs() + task.seconds * 1000;
while (nowMs() < untilMs) {
  const lease = await lock.acquire();
  const acquiredMs = nowMs();
  await sleep(task.workMs);
  const leftMs = nowMs();
  await lease.release();
  turns.push({ acquiredMs, leftMs, releasedMs: nowMs() });
}
await locks.close();
process.send!({ turns, requests: store.count() } satisfies ContentionShare);
