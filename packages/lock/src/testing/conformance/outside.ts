/** Looking at a lock and breaking it from outside, closing, and what is refused before anything is asked of the store. */
import assert from "node:assert/strict";
import { InvalidError } from "@bucketlock/core";
import { LockLostError } from "../../errors.js";
import type { AcquireOptions } from "../../lock.js";
import type { LocksOptions } from "../../settings.js";
import { fails, type LockTest } from "./room.js";

export const outsideTests: readonly LockTest[] = [
  {
    title: "inspect tells who holds and who waits",
    topic: "inspect",
    async run(room) {
      const lock = room.locks().lock(room.key());
      const empty = await lock.inspect();
      assert.deepEqual([empty.key, empty.holders, empty.waiters], [room.key(), [], []]);
      const lease = await room.locks({ label: "the holder" }).lock(room.key()).acquire();
      const { locks, inLine } = room.waiter();
      const wait = locks.lock(room.key()).acquire({ mode: "shared", waitMs: 20 * room.leaseMs });
      await inLine;
      const info = await lock.inspect();
      assert.deepEqual(
        info.holders.map(({ ticketId, mode, state, label, life }) => ({ ticketId, mode, state, label, life })),
        [{ ticketId: lease.ticketId, mode: "exclusive", state: "holds", label: "the holder", life: "alive" }],
      );
      assert.deepEqual(
        info.waiters.map(({ mode, state }) => ({ mode, state })),
        [{ mode: "shared", state: "waits" }],
      );
      await lease.release();
      await (await wait).release();
    },
  },
  {
    title: "verify asks the store",
    topic: "break",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire();
      assert.equal(await lease.verify(), true);
      await room.locks().lock(room.key()).breakLock({ olderThanMs: 0 });
      assert.equal(await lease.verify(), false);
    },
  },
  {
    title: "breakLock spares what is young, and tells the holder of what it broke",
    topic: "break",
    async run(room) {
      const often = { renewEveryMs: room.leaseMs / 20 };
      const lease = await room.locks(often).lock(room.key()).acquire();
      const lock = room.locks().lock(room.key());
      assert.deepEqual(await lock.breakLock(), []);
      assert.deepEqual(await lock.breakLock({ olderThanMs: 600_000 }), []);
      assert.deepEqual(await lock.breakLock({ olderThanMs: 0, ticketIds: ["another"] }), []);
      lease.throwIfLost();
      assert.deepEqual(await lock.breakLock({ olderThanMs: 0, ticketIds: [lease.ticketId] }), [lease.ticketId]);
      assert.ok((await room.aborted(lease.signal)) instanceof LockLostError);
      await fails(lease.release(), "LEASE_LOST");
      const next = await lock.tryAcquire();
      assert.ok(next);
      await next.release();
    },
  },
  {
    title: "close ends waits, releases leases, and leaves nothing",
    async run(room) {
      const locks = room.locks();
      const lease = await locks.lock(room.key()).acquire();
      const { locks: waiting, inLine } = room.waiter();
      const wait = fails(waiting.lock(room.key()).acquire({ waitMs: 20 * room.leaseMs }), "LOCKS_CLOSED");
      await inLine;
      await waiting.close({ keepStore: true });
      await wait;
      await Promise.all([locks.close({ keepStore: true }), locks.close({ keepStore: true })]);
      assert.equal(lease.isHeld, false);
      assert.deepEqual(await room.left(), []);
      await fails(locks.lock(room.key()).acquire(), "LOCKS_CLOSED");
      await fails(locks.lock(room.key()).tryAcquire(), "LOCKS_CLOSED");
    },
  },
  {
    title: "bad keys are refused at once",
    async run(room) {
      const locks = room.locks();
      const bad: unknown[] = [
        "",
        "a.lock.b",
        "a.lock",
        "x".repeat(1025),
        "/a",
        "a//b",
        "a/../b",
        "a\u0000b",
        "\ud800",
        7,
        undefined,
      ];
      for (const key of bad)
        assert.throws(() => locks.lock(key as string), InvalidError, `not refused: ${String(key)}`);
    },
  },
  {
    title: "bad options are refused by name, and nothing is left",
    async run(room) {
      const bad: LocksOptions[] = [
        { leaseMs: 0 },
        { leaseMs: Number.NaN },
        { leaseMs: -1 },
        { leaseMs: 1000, marginMs: 1000 },
        { leaseMs: 1000, renewEveryMs: 950 },
        { pollMinMs: 100, pollMaxMs: 50 },
        { waitMs: -1 },
        { label: "" },
        { leaseSeconds: 5 } as LocksOptions,
      ];
      for (const options of bad) assert.throws(() => room.locks(options), InvalidError, JSON.stringify(options));
      const lock = room.locks().lock(room.key());
      const acquires: unknown[] = [{ mode: "write" }, { waitMs: -1 }, { waitMs: "5" }, { waitMs: Number.NaN }];
      for (const options of acquires) await fails(lock.acquire(options as AcquireOptions), "INVALID_OPTION");
      await fails(lock.tryAcquire({ waitMs: 5 } as AcquireOptions), "INVALID_OPTION");
      await fails(lock.run(undefined as never), "INVALID_OPTION");
      await fails(lock.breakLock({ olderThanMs: -1 }), "INVALID_OPTION");
      assert.deepEqual(await room.left(), []);
    },
  },
];
