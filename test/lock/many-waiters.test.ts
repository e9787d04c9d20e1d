/** A crowd that waits in one process is no leak: Node must not warn of one. */
import { createMemoryStore } from "@bucketlock/core";
import { createLocks } from "@bucketlock/lock";
import { expect, test } from "vitest";

const CROWD = 12;

const cases = (["two-object", "conditional"] as const).flatMap((protocol) =>
  // By one ticket for all, and by one each.
  [8, 1].map((localTurns) => ({ protocol, localTurns })),
);

test.each(cases)("$protocol, localTurns $localTurns: a dozen waiters raise no warning", async (given) => {
  const { protocol, localTurns } = given;
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  try {
    const waiting = new Set<string>();
    const locks = createLocks(createMemoryStore(), {
      protocol,
      localTurns,
      onEvent: (event) => {
        if (event.type === "waiting") waiting.add(event.ticketId);
      },
    });
    const held = await locks.lock("k").acquire();
    const crowd = Promise.all(Array.from({ length: CROWD }, () => locks.lock("k").run(() => {})));
    // Nobody waits at the store while its turn comes by the ticket that is held.
    if (localTurns === 1) await expect.poll(() => waiting.size).toBe(CROWD);
    else expect(waiting.size).toBe(0);
    await held.release();
    await crowd;
    await locks.close();
    expect(warnings).toEqual([]);
  } finally {
    process.off("warning", note);
  }
});
