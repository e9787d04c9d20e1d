/** A crowd that waits in one process is no leak: Node must not warn of one. */
import { createMemoryStore } from "@bucketlock/core";
import { createLocks } from "@bucketlock/lock";
import { expect, test } from "vitest";

const CROWD = 12;

test.each(["two-object", "conditional"] as const)("%s: a dozen waiters raise no warning", async (protocol) => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  try {
    const waiting = new Set<string>();
    const locks = createLocks(createMemoryStore(), {
      protocol,
      onEvent: (event) => {
        if (event.type === "waiting") waiting.add(event.ticketId);
      },
    });
    const held = await locks.lock("k").acquire();
    const crowd = Promise.all(Array.from({ length: CROWD }, () => locks.lock("k").run(() => {})));
    await expect.poll(() => waiting.size).toBe(CROWD);
    await held.release();
    await crowd;
    await locks.close();
    expect(warnings).toEqual([]);
  } finally {
    process.off("warning", note);
  }
});
