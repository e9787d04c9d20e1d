/** Jobs that run once for each slot: claims, marks, guarantees, overlaps, and what is remembered. */
import assert from "node:assert/strict";
import type { OnceJob, OnceResult } from "../../once.js";
import type { RunInfo } from "../../runs.js";
import { everySchedule } from "../../schedule.js";
import { fails, type LockTest, type Room } from "./room.js";

// Any will do: no clock takes part.
const SLOT = 1_750_000_000_000;
const MINUTE = 60_000;

const told = (result: OnceResult<unknown>): string => (result.ran ? "ran" : result.reason);
const outcomes = (runs: readonly RunInfo[]): string[] =>
  runs.map(({ slotMs, attempt, outcome }) => `${(slotMs - SLOT) / MINUTE}#${attempt} ${outcome}`);

/** A job that runs until it is told to end. */
function long(): { readonly job: OnceJob<string>; readonly began: Promise<void>; end(): void } {
  let begin = () => {};
  let end = () => {};
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const job = async () => {
    begin();
    await ended;
    return "long";
  };
  return { job, began, end };
}

/** A run whose host loses the store in the middle, and with it the lease. */
async function dies(room: Room, guarantee: "atMostOnce" | "atLeastOnce"): Promise<void> {
  const network = room.breakable();
  const run = network.locks.once(
    room.key("job"),
    SLOT,
    async ({ signal }) => {
      network.broken = true;
      await room.aborted(signal);
      network.broken = false;
    },
    { guarantee },
  );
  await fails(run, "LEASE_LOST");
}

export const onceTests: readonly LockTest[] = [
  {
    title: "a slot runs on one of many hosts, and never again",
    async run(room) {
      let runs = 0;
      const hosts = ["a", "b", "c"].map((label) => room.locks({ label }));
      const job: OnceJob<number> = async ({ slotMs, attempt, lease }) => {
        assert.equal(slotMs, SLOT);
        assert.equal(attempt, 1);
        lease.throwIfLost();
        await room.clock.sleep(room.leaseMs / 20);
        return ++runs;
      };
      const results = await Promise.all(hosts.map((locks) => locks.once(room.key("job"), SLOT, job)));
      assert.equal(runs, 1);
      const [ran, ...others] = results.sort((a, b) => Number(b.ran) - Number(a.ran));
      assert.ok(ran!.ran && ran!.value === 1);
      for (const other of others) assert.ok(told(other) === "claimed" || told(other) === "done", told(other));
      for (const locks of hosts) assert.equal(told(await locks.once(room.key("job"), SLOT, job)), "done");
      assert.equal(runs, 1);
    },
  },
  {
    title: "a host that is behind runs no slot below the mark, and slots of another job are its own",
    async run(room) {
      const locks = room.locks();
      const job = () => {};
      assert.equal(told(await locks.once(room.key("job"), SLOT + MINUTE, job)), "ran");
      assert.equal(told(await locks.once(room.key("job"), SLOT, job)), "behind");
      assert.equal(told(await locks.once(room.key("job"), SLOT + 2 * MINUTE, job)), "ran");
      assert.equal(told(await locks.once(room.key("job-2"), SLOT, job)), "ran");
      assert.deepEqual(outcomes(await locks.history(room.key("job"))), ["2#1 ok", "1#1 ok"]);
    },
  },
  {
    title: "a job that fails is told and recorded, and its slot stays claimed",
    async run(room) {
      const locks = room.locks({ label: "host-7" });
      const own = new Error("no space left");
      for (const guarantee of ["atMostOnce", "atLeastOnce"] as const) {
        const name = room.key(guarantee);
        await assert.rejects(
          locks.once(name, SLOT, () => Promise.reject(own), { guarantee }),
          (error) => error === own,
        );
        assert.equal(told(await locks.once(name, SLOT, () => assert.fail("again"), { guarantee })), "done");
        const [run, ...more] = await locks.history(name);
        assert.equal(more.length, 0);
        assert.equal(run!.outcome, "failed");
        assert.equal(run!.label, "host-7");
        assert.match(run!.error!, /no space left/);
        assert.ok(run!.endedMs! >= run!.startedMs);
        assert.ok(run!.token > 0n);
      }
    },
  },
  {
    title: "at most once: the slot of a runner that died is lost, and told",
    async run(room) {
      const locks = room.locks();
      await dies(room, "atMostOnce");
      const job = () => assert.fail("again");
      assert.equal(told(await locks.once(room.key("job"), SLOT, job)), "claimed");
      // The guarantee it was claimed with.
      assert.equal(told(await locks.once(room.key("job"), SLOT, job, { guarantee: "atLeastOnce" })), "claimed");
      const waitMs = 30 * room.leaseMs;
      assert.equal(told(await locks.once(room.key("job"), SLOT + MINUTE, () => {}, { waitMs })), "ran");
      assert.deepEqual(outcomes(await locks.history(room.key("job"))), ["1#1 ok", "0#1 died"]);
    },
  },
  {
    title: "at least once: the slot of a runner that died is run again, with a higher token",
    async run(room) {
      await dies(room, "atLeastOnce");
      const locks = room.locks();
      const options = { guarantee: "atLeastOnce", waitMs: 30 * room.leaseMs } as const;
      const result = await locks.once(room.key("job"), SLOT, ({ attempt }) => attempt, options);
      assert.ok(result.ran && result.value === 2 && result.attempt === 2);
      const runs = await locks.history(room.key("job"));
      assert.deepEqual(outcomes(runs), ["0#2 ok", "0#1 died"]);
      assert.ok(runs[0]!.token > runs[1]!.token);
      assert.equal(told(await locks.once(room.key("job"), SLOT, () => assert.fail("again"), options)), "done");
    },
  },
  {
    title: "while a slot runs, the next is left out or waits, as is asked",
    async run(room) {
      const [here, there] = [room.locks({ label: "here" }), room.locks()];
      const first = long();
      const running = here.once(room.key("job"), SLOT, first.job);
      await first.began;
      assert.deepEqual(outcomes(await there.history(room.key("job"))), ["0#1 running"]);
      const skipped = await there.once(room.key("job"), SLOT + MINUTE, () => {}, { overlap: "skip" });
      assert.ok(!skipped.ran && skipped.reason === "overlap" && skipped.by === "here");
      const waitMs = room.leaseMs / 10;
      assert.equal(told(await there.once(room.key("job"), SLOT + MINUTE, () => {}, { waitMs })), "busy");
      // Asked for the slot that runs, nobody waits: it is claimed.
      const same = await there.once(room.key("job"), SLOT, () => {});
      assert.ok(!same.ran && same.reason === "claimed" && same.by === "here");
      const queued = there.once(room.key("job"), SLOT + MINUTE, () => "queued", { waitMs: 30 * room.leaseMs });
      first.end();
      assert.equal(told(await running), "ran");
      assert.equal(told(await queued), "ran");
      assert.deepEqual(outcomes(await there.history(room.key("job"))), ["1#1 ok", "0#1 ok"]);
    },
  },
  {
    title: "only the last slots are remembered, and the mark always",
    async run(room) {
      const locks = room.locks();
      for (let n = 0; n < 4; n++) await locks.once(room.key("job"), SLOT + n * MINUTE, () => {}, { keep: 2 });
      assert.deepEqual(outcomes(await locks.history(room.key("job"))), ["3#1 ok", "2#1 ok"]);
      assert.deepEqual(outcomes(await locks.history(room.key("job"), { limit: 1 })), ["3#1 ok"]);
      for (let n = 0; n < 3; n++) {
        const result = await locks.once(room.key("job"), SLOT + n * MINUTE, () => assert.fail("again"), { keep: 1 });
        assert.equal(told(result), n < 2 ? "behind" : "done");
      }
    },
  },
  {
    title: "a schedule runs each slot on one of two hosts, in order, until it is stopped",
    async run(room) {
      const everyMs = Math.ceil(room.leaseMs / 16);
      const ran: number[] = [];
      // However long a busy machine holds both up.
      const options = { catchUp: 1000, keep: 1000 };
      const jobs = [0, 1].map(() =>
        room.locks().cron(room.key("job"), everySchedule(everyMs), ({ slotMs }) => void ran.push(slotMs), options),
      );
      const endMs = room.clock.monotonicMs() + 40 * room.leaseMs;
      while (ran.length < 4) {
        assert.ok(room.clock.monotonicMs() < endMs, "the slots did not run");
        await room.clock.sleep(everyMs);
      }
      await Promise.all(jobs.map((job) => job.stop()));
      await Promise.all(jobs.map((job) => job.ended));
      assert.equal(new Set(ran).size, ran.length);
      for (const [index, slotMs] of ran.entries()) if (index > 0) assert.equal(slotMs, ran[index - 1]! + everyMs);
      const count = ran.length;
      await room.clock.sleep(3 * everyMs);
      assert.equal(ran.length, count);
      assert.deepEqual(
        (await room.locks().history(room.key("job"), { limit: 1000 })).map(({ slotMs }) => slotMs),
        [...ran].reverse(),
      );
    },
  },
  {
    title: "the caller's signal ends the wait with its reason, and reaches the job",
    async run(room) {
      const reason = new Error("the program ends");
      const first = long();
      const running = room.locks().once(room.key("job"), SLOT, first.job);
      await first.began;
      const stop = new AbortController();
      const options = { signal: stop.signal };
      const waiting = room.locks().once(room.key("job"), SLOT + MINUTE, () => assert.fail("it ran"), options);
      stop.abort(reason);
      await assert.rejects(waiting, (error) => error === reason);
      first.end();
      await running;
      const during = new AbortController();
      const job = async ({ signal }: { signal: AbortSignal }) => {
        during.abort(reason);
        signal.throwIfAborted();
      };
      await assert.rejects(
        room.locks().once(room.key("job"), SLOT + MINUTE, job, { signal: during.signal }),
        (error) => error === reason,
      );
      assert.deepEqual(outcomes(await room.locks().history(room.key("job"))), ["1#1 failed", "0#1 ok"]);
    },
  },
  {
    title: "what is wrong with a call is said by name",
    async run(room) {
      const locks = room.locks();
      for (const slot of [Number.NaN, -1, "2026-01-01", undefined, 1e18])
        await fails(
          locks.once(room.key("job"), slot as number, () => {}),
          "INVALID_OPTION",
        );
      await fails(
        locks.once(room.key("job"), SLOT, () => {}, { keep: 0 }),
        "INVALID_OPTION",
      );
      await fails(
        locks.once(room.key("job"), SLOT, () => {}, { guarantee: "exactlyOnce" as never }),
        "INVALID_OPTION",
      );
      await fails(locks.once(room.key("job"), SLOT, undefined as never), "INVALID_OPTION");
      assert.throws(() => locks.cron(room.key("job"), "every minute", () => {}), /pattern/);
      assert.throws(() => locks.cron(room.key("job"), "* * * * *", () => {}, { timezone: "Mars/Base" }), /timezone/);
      assert.throws(() => locks.cron(room.key("job"), "* * * * *", () => {}, { catchUp: -1 }), /catchUp/);
    },
  },
];
