/** Schedules under virtual time: what is missed, what overlaps, clocks that are set, stores that are down, and the end. */
import { createMemoryStore, type Store, StoreError } from "@bucketlock/core";
import { FaultyStore, ManualClock } from "@bucketlock/core/testing";
import {
  type CronJob,
  type CronOptions,
  createLocks,
  everySchedule,
  type LocksOptions,
  type OnceJob,
} from "@bucketlock/lock";
import { afterEach, describe, expect, it } from "vitest";

const MINUTE = 60_000;
const NOON = Date.parse("2026-11-21T12:00:00Z");

/** One host under a clock of its own; what it ran is told in minutes after noon. */
class Bench {
  readonly clock = new ManualClock({ wallMs: NOON });
  readonly store: Store = createMemoryStore({ clock: this.clock });
  readonly ran: number[] = [];
  readonly #locks: ReturnType<typeof createLocks>[] = [];

  locks(options: LocksOptions = {}, store = this.store) {
    const locks = createLocks(store, { clock: this.clock, leaseMs: 10_000, ...options });
    this.#locks.push(locks);
    return locks;
  }

  cron(options: CronOptions = {}, jobMs = 0, locks = this.locks()): CronJob {
    return locks.cron("job", everySchedule(MINUTE), this.job(jobMs), options);
  }

  job(ms = 0): OnceJob<void> {
    return async ({ slotMs }) => {
      this.ran.push((slotMs - NOON) / MINUTE);
      if (ms > 0) await this.clock.sleep(ms);
    };
  }

  advance(minutes: number): Promise<void> {
    return this.clock.advance(minutes * MINUTE);
  }

  async end(): Promise<void> {
    await this.clock.settle(Promise.all(this.#locks.map((locks) => locks.close())));
    expect(this.clock.pending).toBe(0);
  }
}

let bench = new Bench();
afterEach(() => {
  const over = bench;
  bench = new Bench();
  return over.end();
});

it("runs each slot, and tells the next", async () => {
  const job = bench.cron();
  // A slot that begins this very moment is not missed.
  await bench.advance(0.5);
  expect(bench.ran).toEqual([0]);
  expect(job.nextMs).toBe(NOON + MINUTE);
  await bench.advance(3);
  expect(bench.ran).toEqual([0, 1, 2, 3]);
  await job.stop();
  expect(job.nextMs).toBeUndefined();
  await bench.advance(3);
  expect(bench.ran).toEqual([0, 1, 2, 3]);
});

it.each([
  { catchUp: 0, expected: [1, 10] },
  { catchUp: 2, expected: [1, 7, 8, 9, 10] },
  { catchUp: 100, expected: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] },
])("what was missed while no host was up: $catchUp besides the newest", async ({ catchUp, expected }) => {
  const first = bench.locks();
  await first.once("job", NOON + MINUTE, bench.job());
  bench.clock.setWall(NOON + 9.5 * MINUTE);
  bench.cron({ catchUp });
  await bench.advance(0.6);
  expect(bench.ran).toEqual(expected);
});

it.each([
  { overlap: "skip", catchUp: 0, expected: [0, 3, 6] },
  { overlap: "queue", catchUp: 0, expected: [0, 2, 5, 7] },
  { overlap: "queue", catchUp: 9, expected: [0, 1, 2, 3] },
] as const)("a job longer than its slot: $overlap, $catchUp caught up", async ({ overlap, catchUp, expected }) => {
  const job = bench.cron({ overlap, catchUp }, 2.6 * MINUTE);
  await bench.advance(8);
  expect(bench.ran).toEqual(expected);
  await bench.clock.settle(job.stop());
});

it("a wall clock that is set back runs nothing twice; one set ahead runs the newest", async () => {
  bench.cron();
  await bench.advance(2.5);
  bench.clock.setWall(NOON);
  await bench.advance(2.2);
  expect(bench.ran).toEqual([0, 1, 2]);
  await bench.advance(1);
  expect(bench.ran).toEqual([0, 1, 2, 3]);
  bench.clock.setWall(NOON + 20.5 * MINUTE);
  await bench.advance(1);
  // It looks again within a minute, and of what came due then the newest runs.
  expect(bench.ran.slice(4)).toEqual([21]);
});

it("a store that is down for a while costs time, not the slot", async () => {
  let isDown = true;
  const down = new StoreError("down", { code: "STORE_UNREACHABLE", kind: "unavailable" });
  const store = new FaultyStore(bench.store, { plan: () => (isDown ? { error: down } : undefined) });
  const failed: unknown[] = [];
  const onError = (cause: unknown) => failed.push(cause);
  bench.cron({ onError }, 0, bench.locks({}, store));
  await bench.advance(0.5);
  expect(bench.ran).toEqual([]);
  isDown = false;
  await bench.advance(0.4);
  expect(bench.ran).toEqual([0]);
  expect(failed).toEqual([]);
});

it("tells results and failures, and goes on", async () => {
  const told: unknown[] = [];
  const locks = bench.locks({ label: "here" });
  const own = new Error("no");
  locks.cron(
    "job",
    everySchedule(MINUTE),
    ({ slotMs }) => {
      if (slotMs === NOON + MINUTE) throw own;
      return "done";
    },
    {
      onResult: (result) => told.push(result.ran ? result.value : result.reason),
      onError: (error, slotMs) => {
        told.push(error, slotMs - NOON);
        throw new TypeError("a listener's own mistake ends nothing");
      },
    },
  );
  const warned = new Promise((resolve) => process.once("warning", resolve));
  await bench.advance(2.5);
  expect(told).toEqual(["done", own, MINUTE, "done"]);
  expect(await warned).toBeInstanceOf(TypeError);
});

it("at least once: a host that starts sees to slots whose runners died", async () => {
  const dying = bench.locks();
  let began = false;
  void dying
    .once(
      "job",
      NOON - 5 * MINUTE,
      () => {
        began = true;
        return new Promise(() => {});
      },
      { guarantee: "atLeastOnce" },
    )
    .catch(() => {});
  await bench.clock.settle(bench.clock.sleep(1));
  expect(began).toBe(true);
  // Its process is gone: nobody renews.
  const lease = await dying.lock("job.once").inspect();
  expect(lease.holders).toHaveLength(1);
  await bench.clock.settle(dying.lock("job.once").breakLock({ olderThanMs: 0 }));
  bench.cron({ guarantee: "atLeastOnce" });
  await bench.advance(0.9);
  expect(bench.ran).toEqual([-5]);
  await bench.advance(0.2);
  expect(bench.ran).toEqual([-5, 1]);
});

it("ends with its locks, with the caller's signal, and when there is no slot any more", async () => {
  const locks = bench.locks();
  const closed = bench.cron({}, 0, locks);
  const refused = expect(closed.ended).rejects.toMatchObject({ code: "LOCKS_CLOSED" });
  await bench.clock.settle(locks.close({ keepStore: true }));
  await refused;

  const stop = new AbortController();
  const ended = expect(bench.cron({ signal: stop.signal }).ended).rejects.toThrow("enough");
  stop.abort(new Error("enough"));
  await ended;

  const empty = bench.locks().cron("other", { next: () => undefined, last: () => undefined }, () => {});
  await bench.clock.settle(empty.ended);
});

it("stop waits for the run under way and does not disturb it", async () => {
  const signals: AbortSignal[] = [];
  let isOver = false;
  const job = bench.locks().cron("job", everySchedule(MINUTE), async ({ signal }) => {
    signals.push(signal);
    await bench.clock.sleep(5000);
    isOver = true;
  });
  await bench.advance(0.01);
  await bench.clock.settle(job.stop());
  expect([isOver, signals[0]!.aborted, signals.length]).toEqual([true, false, 1]);
});

describe("what comes while the claim is being written", () => {
  /** Calls `then` when the claim of NOON's slot is on its way; the store takes its time to answer. */
  const claiming = (then: () => void) =>
    new FaultyStore(bench.store, {
      clock: bench.clock,
      plan({ verb, key }) {
        if (verb !== "put" || !key.startsWith("job.once.slot.2")) return undefined;
        then();
        return { answerMs: 1000 };
      },
    });
  const history = async () => {
    const runs = await bench.clock.settle(bench.locks().history("job"));
    return runs.map(({ outcome, error }) => error ?? outcome);
  };

  it("stop: the slot is run, since nobody else will", async () => {
    let stopped: Promise<void> | undefined;
    const network = claiming(() => {
      stopped ??= job.stop();
    });
    const job: CronJob = bench.cron({}, 0, bench.locks({}, network));
    await bench.advance(0.5);
    await bench.clock.settle(stopped!);
    expect(bench.ran).toEqual([0]);
    expect(await history()).toEqual(["ok"]);
  });

  it.each([
    { guarantee: "atMostOnce", left: ["Error: enough"], after: "done" },
    { guarantee: "atLeastOnce", left: ["died"], after: "ran" },
  ] as const)("$guarantee: the caller's signal: the job does not begin, and that is told", async (scene) => {
    const { guarantee, left, after } = scene;
    const caller = new AbortController();
    const reason = new Error("enough");
    const network = claiming(() => caller.abort(reason));
    const locks = bench.locks({}, network);
    const asked = locks.once("job", NOON, bench.job(), { guarantee, signal: caller.signal });
    await bench.clock.settle(expect(asked).rejects.toBe(reason));
    expect(bench.ran).toEqual([]);
    expect(await history()).toEqual(left);
    // At most once it has had its chance; at least once it is for the next who asks, at once.
    const again = await bench.clock.settle(bench.locks().once("job", NOON, bench.job(), { guarantee, waitMs: 0 }));
    expect(again.ran ? "ran" : again.reason).toBe(after);
  });
});

it("a claim of which nobody knows whether it was written is not run", async () => {
  for (const lost of ["request", "answer"] as const) {
    const name = `job-${lost}`;
    const network = new FaultyStore(bench.store, {
      clock: bench.clock,
      // Its readings back fail too, or it would find out.
      plan: ({ verb, key }) => {
        if (!key.startsWith(`${name}.once.slot.2`)) return undefined;
        return verb === "put" ? { lost } : verb === "head" && claims++ > 0 ? { lost: "answer" } : undefined;
      },
    });
    let claims = 0;
    const locks = bench.locks({}, network);
    const unclear = locks.once(name, NOON, bench.job());
    const code = bench.clock.settle(unclear).then(
      () => "none",
      (error) => error.code,
    );
    expect(await code).toBe("WRITE_UNKNOWN");
    expect(bench.ran).toEqual([]);
    // Asking again is safe: it runs only if the claim did not arrive.
    const again = await bench.clock.settle(bench.locks().once(name, NOON, bench.job()));
    expect(again.ran ? "ran" : again.reason).toBe(lost === "request" ? "ran" : "claimed");
    bench.ran.length = 0;
  }
});

it("node-cron's coordinator runs a slot on one host, until it is told that it is over", async () => {
  const [here, there] = [bench.locks({ label: "here" }), bench.locks()].map((locks) =>
    locks.runCoordinator({ prefix: "jobs/" }),
  );
  const key = `nightly:${new Date(NOON).toISOString()}`;
  const asked = (coordinator: typeof here) => bench.clock.settle(coordinator!.shouldRun(key, 60_000));
  expect(await asked(here)).toBe(true);
  expect(await asked(there)).toBe(false);
  const history = () => bench.clock.settle(bench.locks().history("jobs/nightly"));
  expect((await history()).map(({ outcome, label }) => [outcome, label])).toEqual([["running", "here"]]);
  await bench.clock.settle(here!.onComplete(key));
  expect((await history()).map(({ outcome }) => outcome)).toEqual(["ok"]);
  expect(await asked(there)).toBe(false);
  await bench.clock.settle(here!.onComplete("nightly:never asked"));
  await expect(here!.shouldRun("nightly", 1)).rejects.toMatchObject({ code: "INVALID_OPTION" });
});
