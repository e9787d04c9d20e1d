/** One of the processes of waiters.ts: stands in line many times over, and says how many requests that took when it is asked. */
import { openStore } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { lockOptions } from "./players.js";
import type { WaitersCount, WaitersTask } from "./waiters.js";

// Longer than any run: nobody gives up.
const WAIT_MS = 3_600_000;

const { player, key, waiters } = JSON.parse(process.argv[2] ?? "{}") as WaitersTask;
let failed = 0;
const inLine = new Set<string>();
const store = new RecordingStore(openStore(player.address.url, { s3: player.address.s3 }));
const locks = createLocks(store, {
  ...lockOptions(player),
  waitMs: WAIT_MS,
  onEvent: (event) => {
    if (event.type === "waiting") inLine.add(event.ticketId);
  },
});
process.once("disconnect", () => process.exit());
process.on("message", (word) => {
  process.send!({ requests: store.count(), inLine: inLine.size, failed } satisfies WaitersCount);
  if (word !== "go") return;
  for (let n = 0; n < waiters; n++) {
    void locks
      .lock(key)
      .acquire()
      .catch(() => failed++);
  }
});
process.send!("ready");
