/** Who may hold, in which order, and how one leaves the line. */
import assert from "node:assert/strict";
import { NotAcquiredError } from "../../errors.js";
import { fails, type LockTest } from "./room.js";

export const lineTests: readonly LockTest[] = [
  {
    title: "exclusive excludes everybody until it is released",
    async run(room) {
      const mine = room.locks().lock(room.key());
      const other = room.locks().lock(room.key());
      const lease = await mine.acquire();
      assert.equal(lease.mode, "exclusive");
      assert.equal(lease.isHeld, true);
      assert.equal(await other.tryAcquire(), undefined);
      assert.equal(await other.tryAcquire({ mode: "shared" }), undefined);
      // Within one program too.
      assert.equal(await mine.tryAcquire(), undefined);
      await lease.release();
      const next = await other.tryAcquire();
      assert.ok(next);
      await next.release();
    },
  },
  {
    title: "shared leases share, and keep the exclusive out until the last is released",
    async run(room) {
      const readers = [room.locks(), room.locks(), room.locks()].map((locks) => locks.lock(room.key()));
      const leases = await Promise.all(readers.map((lock) => lock.acquire({ mode: "shared" })));
      const writer = room.locks().lock(room.key());
      for (const lease of leases) {
        assert.equal(lease.isHeld, true);
        assert.equal(await writer.tryAcquire(), undefined);
        await lease.release();
      }
      const lease = await writer.tryAcquire();
      assert.ok(lease);
      await lease.release();
    },
  },
  {
    title: "other keys are other locks, names that begin alike too",
    async run(room) {
      const names = ["k", "k2", "k/k", "k.loc", "k.", "K"];
      const leases = await Promise.all(names.map((name) => room.locks().lock(room.key(name)).tryAcquire()));
      assert.deepEqual(
        leases.map((lease) => lease?.key),
        names.map((name) => room.key(name)),
      );
      await Promise.all(leases.map((lease) => lease!.release()));
    },
  },
  {
    title: "first in, first out",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire();
      const order: number[] = [];
      const waits: Promise<void>[] = [];
      for (let place = 0; place < 4; place++) {
        const { locks, inLine } = room.waiter();
        const wait = locks.lock(room.key()).acquire({ waitMs: 20 * room.leaseMs });
        waits.push(
          wait.then(async (next) => {
            order.push(place);
            await next.release();
          }),
        );
        await inLine;
      }
      await lease.release();
      await Promise.all(waits);
      assert.deepEqual(order, [0, 1, 2, 3]);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a waiting writer is not overtaken by readers",
    async run(room) {
      const reader = await room.locks().lock(room.key()).acquire({ mode: "shared" });
      const { locks, inLine } = room.waiter();
      const wait = locks.lock(room.key()).acquire({ waitMs: 20 * room.leaseMs });
      await inLine;
      assert.equal(await room.locks().lock(room.key()).tryAcquire({ mode: "shared" }), undefined);
      await reader.release();
      await (await wait).release();
    },
  },
  {
    title: "many at once: never two in there, and everybody gets in",
    async run(room) {
      let inside = 0;
      let count = 0;
      const program = async () => {
        const lock = room.locks().lock(room.key());
        for (let round = 0; round < 2; round++) {
          await lock.run(
            async () => {
              assert.equal(++inside, 1);
              const before = count;
              await room.clock.sleep(5);
              count = before + 1;
              inside--;
            },
            { waitMs: 60 * room.leaseMs },
          );
        }
      };
      await Promise.all(Array.from({ length: 5 }, program));
      assert.equal(count, 10);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "waitMs is over: NotAcquiredError, and nothing is left in line",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire();
      const before = await room.left();
      const waitMs = room.leaseMs / 4;
      const startMs = room.clock.monotonicMs();
      const error = await fails(room.locks().lock(room.key()).acquire({ waitMs }), "NOT_ACQUIRED");
      assert.ok(error instanceof NotAcquiredError);
      assert.equal(error.kind, "contended");
      assert.ok(room.clock.monotonicMs() - startMs >= waitMs, "gave up early");
      assert.deepEqual((await room.left()).sort(), before.sort());
      await fails(room.locks().lock(room.key()).acquire({ waitMs: 0 }), "NOT_ACQUIRED");
      await lease.release();
    },
  },
  {
    title: "an abort ends the wait with the signal's own reason, unchanged",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire();
      const before = await room.left();
      for (const reason of [new Error("enough"), "a string", { any: "thing" }]) {
        const { locks, inLine } = room.waiter();
        const controller = new AbortController();
        const wait = locks.lock(room.key()).acquire({ signal: controller.signal, waitMs: 20 * room.leaseMs });
        await inLine;
        controller.abort(reason);
        await assert.rejects(wait, (error) => error === reason);
        assert.deepEqual((await room.left()).sort(), before.sort());
      }
      const never = AbortSignal.abort("too late");
      await assert.rejects(
        room.locks().lock(room.key("free")).acquire({ signal: never }),
        (error) => error === never.reason,
      );
      await lease.release();
      assert.deepEqual(await room.left(), []);
    },
  },
];
