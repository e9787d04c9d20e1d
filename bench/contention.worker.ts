/** One of the processes of contention.ts: acquires, holds for a while, releases, again and again; tells when at the end. */
import { once } from "node:events";
import { hrtime } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContentionShare, ContentionTask, Turn } from "./contention.js";
import { play } from "./players.js";

const nowMs = () => Number(hrtime.bigint()) / 1e6;
const task = JSON.parse(process.argv[2] ?? "{}") as ContentionTask;
const hand = await play(task.player, task.key);
process.once("disconnect", () => process.exit());

process.send!("ready");
await once(process, "message");
const turns: Turn[] = [];
const untilMs = nowMs() + task.seconds * 1000;
while (nowMs() < untilMs) {
  const release = await hand.acquire();
  const acquiredMs = nowMs();
  await sleep(task.workMs);
  const leftMs = nowMs();
  await release();
  turns.push({ acquiredMs, leftMs, releasedMs: nowMs() });
}
await hand.close();
process.send!({ turns, requests: hand.requests() } satisfies ContentionShare);
