/** Elections: one leader, known by its token; hand-over, loss, and the loop that leads whenever it can. */
import assert from "node:assert/strict";
import type { Leader } from "../../election-rule.js";
import { LockLostError } from "../../errors.js";
import { fails, type LockTest, type Room } from "./room.js";

/** Resolves when it aborts. */
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Shows what an observer shows, until told to stop. */
function observer(room: Room, pollMs = room.leaseMs / 40) {
  const stop = new AbortController();
  const shown: (Leader | undefined)[] = [];
  const election = room.locks({ label: "observer" }).election(room.key(), { pollMs });
  const watch = async () => {
    for await (const leader of election.observe({ signal: stop.signal })) shown.push(leader);
  };
  const ended = assert.rejects(watch(), (error) => error === stop.signal.reason);
  // Of a test that failed before it asked.
  ended.catch(() => {});
  return {
    shown,
    /** Until the last one shown pleases. */
    async until(pleases: (leader: Leader | undefined) => boolean): Promise<void> {
      const endMs = room.clock.monotonicMs() + 20 * room.leaseMs;
      while (shown.length === 0 || !pleases(shown.at(-1))) {
        assert.ok(room.clock.monotonicMs() < endMs, "the observer did not show it");
        await room.clock.sleep(pollMs);
      }
    },
    stop(): Promise<void> {
      stop.abort();
      return ended;
    },
  };
}

function rising(shown: readonly (Leader | undefined)[]): void {
  const tokens = shown.flatMap((leader) => (leader === undefined ? [] : [leader.token]));
  for (const [index, token] of tokens.entries())
    if (index > 0) assert.ok(token >= tokens[index - 1]!, `an older leader was shown after a newer one: ${tokens}`);
}

export const electionTests: readonly LockTest[] = [
  {
    title: "one leads, others see its token and label, and the next has a higher one",
    async run(room) {
      const here = room.locks({ label: "here" }).election(room.key());
      const there = room.locks({ label: "there" }).election(room.key());
      assert.equal(await there.leader(), undefined);
      const first = await here.campaign();
      assert.equal(first.isLeader, true);
      first.throwIfLost();
      const { token, ticketId } = first;
      assert.deepEqual(await there.leader(), { token, label: "here", ticketId });
      await fails(there.campaign({ waitMs: 0 }), "NOT_ACQUIRED");
      assert.deepEqual(await there.leader(), { token, label: "here", ticketId });
      await first.resign();
      await first.resign();
      assert.equal(first.isLeader, false);
      assert.throws(() => first.throwIfLost(), LockLostError);
      assert.equal(await there.leader(), undefined);
      const second = await there.campaign({ waitMs: 0 });
      assert.ok(second.token > token);
      assert.equal((await here.leader())?.label, "there");
      await second.resign();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "who resigns hands over, and observers are shown each leader in order",
    async run(room) {
      const view = observer(room);
      await view.until((leader) => leader === undefined);
      const [one, two] = ["one", "two"].map((label) => room.locks({ label }).election(room.key()));
      const first = await one!.campaign();
      await view.until((leader) => leader?.label === "one");
      const waiting = two!.campaign();
      await first.resign();
      const second = await waiting;
      await view.until((leader) => leader?.label === "two");
      await second.resign();
      await view.until((leader) => leader === undefined);
      await view.stop();
      rising(view.shown);
      assert.deepEqual(
        view.shown.flatMap((leader) => leader?.label ?? []),
        ["one", "two"],
      );
    },
  },
  {
    title: "a leader that cannot renew is told before it is replaced, and is never shown again",
    async run(room) {
      const network = room.breakable();
      const old = await network.locks.election(room.key()).campaign();
      const view = observer(room);
      await view.until((leader) => leader?.token === old.token);
      network.broken = true;
      let told = false;
      void aborted(old.signal).then(() => {
        told = true;
      });
      const next = await room
        .locks({ label: "next" })
        .election(room.key())
        .campaign({ waitMs: 30 * room.leaseMs });
      assert.equal(told, true);
      assert.equal(old.isLeader, false);
      await view.until((leader) => leader?.label === "next");
      network.broken = false;
      // It tidies up behind itself, late.
      await old.resign().catch(() => {});
      assert.equal((await room.locks().election(room.key()).leader())?.token, next.token);
      await next.resign();
      await view.stop();
      rising(view.shown);
    },
  },
  {
    title: "lead: answers what the routine answers, and has resigned",
    async run(room) {
      const election = room.locks().election(room.key());
      let token = 0n;
      const answer = await election.lead(async (leadership) => {
        leadership.throwIfLost();
        token = leadership.token;
        assert.equal((await election.leader())?.token, token);
        return 42;
      });
      assert.equal(answer, 42);
      assert.ok(token > 0n);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "lead: an error of the routine ends it, or only its term of office",
    async run(room) {
      // Who failed pauses that long before it campaigns again.
      const election = room.locks({ pollMaxMs: 50 }).election(room.key());
      const own = new Error("the routine failed");
      await assert.rejects(
        election.lead(() => Promise.reject(own)),
        (error) => error === own,
      );
      assert.deepEqual(await room.left(), []);
      let terms = 0;
      const answer = election.lead(
        async () => {
          if (++terms < 3) throw own;
          return terms;
        },
        { onError: "campaign" },
      );
      assert.equal(await answer, 3);
    },
  },
  {
    title: "lead: leads again after a loss, with a higher token",
    async run(room) {
      const network = room.breakable();
      const tokens: bigint[] = [];
      const leading = network.locks.election(room.key()).lead(async ({ signal, token }) => {
        tokens.push(token);
        if (tokens.length > 1) return "again";
        network.broken = true;
        await aborted(signal);
        network.broken = false;
        signal.throwIfAborted();
        return "never";
      });
      assert.equal(await leading, "again");
      assert.equal(tokens.length, 2);
      assert.ok(tokens[1]! > tokens[0]!);
    },
  },
  {
    title: "lead: the caller's signal ends the term and the loop, with its own reason",
    async run(room) {
      const stop = new AbortController();
      const reason = new Error("the program ends");
      const election = room.locks().election(room.key());
      const leading = election.lead(
        async ({ signal }) => {
          stop.abort(reason);
          await aborted(signal);
          assert.equal(signal.reason, reason);
        },
        { signal: stop.signal },
      );
      await assert.rejects(leading, (error) => error === reason);
      assert.deepEqual(await room.left(), []);
      // While it only waits, too.
      const held = await room.locks().election(room.key()).campaign();
      const again = new AbortController();
      const waiting = election.lead(() => assert.fail("it never led"), { signal: again.signal });
      again.abort(reason);
      await assert.rejects(waiting, (error) => error === reason);
      await held.resign();
    },
  },
  {
    title: "closing the locks ends campaigns, observers and terms of office",
    async run(room) {
      const holder = await room.locks().election(room.key()).campaign();
      const locks = room.locks();
      const election = locks.election(room.key());
      const campaign = fails(election.campaign(), "LOCKS_CLOSED");
      const observed = fails(
        (async () => {
          for await (const _leader of election.observe());
        })(),
        "LOCKS_CLOSED",
      );
      await room.clock.sleep(room.leaseMs / 10);
      await locks.close({ keepStore: true });
      await Promise.all([campaign, observed]);
      await holder.resign();
      const leader = room.locks();
      const led = fails(
        leader.election(room.key()).lead(async ({ signal }) => {
          void leader.close({ keepStore: true });
          await aborted(signal);
          signal.throwIfAborted();
        }),
        "LOCKS_CLOSED",
      );
      await led;
    },
  },
  {
    title: "what is wrong with a call is said by name",
    async run(room) {
      const locks = room.locks();
      assert.throws(() => locks.election("a//b"), /key/);
      assert.throws(() => locks.election("k", { pollMs: 0 }), /pollMs/);
      await fails(locks.election(room.key()).lead(undefined as never), "INVALID_OPTION");
      await fails(
        locks.election(room.key()).lead(() => {}, { onError: "again" as never }),
        "INVALID_OPTION",
      );
    },
  },
];
