/** Within one process the lease of a lock is passed on without a request: jobs, leaders and tokens must not be confused by it. */
import { createMemoryStore } from "@bucketlock/core";
import { ManualClock } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { describe, expect, it } from "vitest";

const SLOT = Date.UTC(2026, 10, 21, 3);

describe.each(["two-object", "conditional"] as const)("%s", (protocol) => {
  const open = () => {
    const clock = new ManualClock();
    const locks = createLocks(createMemoryStore({ clock }), { protocol, clock });
    return { clock, locks };
  };

  it("several slots, and one asked for several times", async () => {
    const { clock, locks } = open();
    const ran: string[] = [];
    const asked = [0, 1, 1, 2, 2, 2].map((n) =>
      locks.once("job", SLOT + n, async ({ slotMs, lease }) => {
        const token = await lease.token();
        await clock.sleep(100);
        ran.push(`${slotMs - SLOT} by ${token}`);
      }),
    );
    const results = await clock.settle(Promise.all(asked));
    expect(results.filter(({ ran }) => ran).length).toBe(ran.length);
    expect(new Set(ran.map((line) => line.split(" ")[0])).size).toBe(ran.length);
    expect(ran.length).toBeGreaterThan(0);
    const history = await clock.settle(locks.history("job"));
    expect(history.map(({ outcome }) => outcome)).toEqual(ran.map(() => "ok"));
    const tokens = history.map(({ token }) => token).reverse();
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1)));
    // Whatever order they were served in: no slot ran after a later one.
    expect(ran.map((line) => Number(line.split(" ")[0]))).toEqual(
      [...new Set(ran.map((line) => Number(line.split(" ")[0])))].sort(),
    );
    await clock.settle(locks.close());
  });

  it("a run's signal ends with the locks while it runs, and never after", async () => {
    const { clock, locks } = open();
    const signals: AbortSignal[] = [];
    await clock.settle(locks.once("job", SLOT, ({ signal }) => void signals.push(signal)));
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const running = locks.once("job", SLOT + 1, ({ signal }) => {
      signals.push(signal);
      begin();
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    const failed = expect(running).rejects.toMatchObject({ code: "LOCKS_CLOSED" });
    await clock.settle(begun);
    await clock.settle(locks.close());
    await failed;
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
  });

  it("leaders that follow each other", async () => {
    const { clock, locks } = open();
    const election = locks.election("lead");
    const first = await clock.settle(election.campaign());
    const waiting = election.campaign();
    expect((await clock.settle(election.leader()))?.token).toBe(first.token);
    await clock.settle(first.resign());
    const second = await clock.settle(waiting);
    expect(second.token > first.token).toBe(true);
    expect((await clock.settle(election.leader()))?.token).toBe(second.token);
    expect([first.isLeader, second.isLeader]).toEqual([false, true]);
    await clock.settle(second.resign());
    expect(await clock.settle(election.leader())).toBeUndefined();
    await clock.settle(locks.close());
  });
});
