/** The semaphore: how many hold, in which order, and that all clients count the same. */
import assert from "node:assert/strict";
import { InvalidError } from "@bucketlock/core";
import { fails, type LockTest, type Room } from "./room.js";

const of = (room: Room, permits: number) => room.locks().semaphore(room.key(), { permits });

export const semaphoreTests: readonly LockTest[] = [
  {
    title: "as many hold as there are permits, and no more",
    async run(room) {
      const leases = [await of(room, 2).tryAcquire(), await of(room, 2).tryAcquire()];
      assert.ok(leases[0] && leases[1]);
      assert.equal(leases[0].mode, "permit");
      assert.equal(await of(room, 2).tryAcquire(), undefined);
      await leases[0].release();
      const next = await of(room, 2).tryAcquire();
      assert.ok(next);
      assert.equal(await of(room, 2).tryAcquire(), undefined);
      await leases[1].release();
      await next.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "whoever leaves first, the next in line holds, and all come in their order",
    async run(room) {
      const holders = [await of(room, 2).acquire(), await of(room, 2).acquire()];
      const order: number[] = [];
      const inside: Promise<void>[] = [];
      for (let place = 0; place < 3; place++) {
        const { locks, inLine } = room.waiter();
        const wait = locks.semaphore(room.key(), { permits: 2 }).acquire({ waitMs: 20 * room.leaseMs });
        inside.push(
          wait.then(async (lease) => {
            order.push(place);
            await lease.release();
          }),
        );
        await inLine;
      }
      // The second holder never leaves: the line passes beside it.
      await holders[0]!.release();
      await Promise.all(inside);
      assert.deepEqual(order, [0, 1, 2]);
      assert.equal(holders[1]!.isHeld, true);
      await holders[1]!.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "many at once: never more than may, and everybody gets in",
    async run(room) {
      let inside = 0;
      let rounds = 0;
      const program = async () => {
        const semaphore = of(room, 3);
        for (let round = 0; round < 2; round++) {
          await semaphore.run(
            async () => {
              assert.ok(++inside <= 3, `${inside} hold a semaphore of 3`);
              rounds++;
              await room.clock.sleep(room.leaseMs / 40);
              inside--;
            },
            { waitMs: 60 * room.leaseMs },
          );
        }
      };
      await Promise.all(Array.from({ length: 6 }, program));
      assert.equal(rounds, 12);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a holder that is gone gives its permit back when its lease is over",
    async run(room) {
      const kept = await of(room, 2).acquire();
      const gone = room.mortal().semaphore(room.key(), { permits: 2 });
      await (await gone.acquire()).abandon();
      assert.equal(await of(room, 2).tryAcquire(), undefined);
      const next = await of(room, 2).acquire({ waitMs: 30 * room.leaseMs });
      assert.equal(kept.isHeld, true);
      await next.release();
      await kept.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "who counts other permits, or wants a lock, is told who stands there and leaves nothing",
    async run(room) {
      const lease = await room.locks({ label: "the first" }).semaphore(room.key(), { permits: 2 }).acquire();
      const before = (await room.left()).sort();
      const others = [of(room, 1), of(room, 3), room.locks().lock(room.key())];
      for (const other of others) {
        const error = await fails(other.acquire({ waitMs: 20 * room.leaseMs }), "PERMITS_MISMATCH");
        assert.equal(error.kind, "invalid");
        assert.deepEqual((error.details as { others: unknown }).others, [
          { ticketId: lease.ticketId, permits: 2, label: "the first" },
        ]);
        assert.match(error.message, /2 permits to the first/);
        await fails(other.tryAcquire(), "PERMITS_MISMATCH");
      }
      await fails(room.locks().lock(room.key()).acquire({ mode: "shared" }), "PERMITS_MISMATCH");
      assert.deepEqual((await room.left()).sort(), before);
      assert.equal(await lease.verify(), true);
      await lease.release();
      // Nobody in line: the number is free again.
      for (const permits of [1, 3]) await (await of(room, permits).acquire()).release();
    },
  },
  {
    title: "a semaphore of a locked key is refused",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire({ mode: "shared" });
      const error = await fails(of(room, 2).acquire(), "PERMITS_MISMATCH");
      assert.match(error.message, /a lock to/);
      await lease.release();
      await (await of(room, 2).acquire()).release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a token is above those of all leases that were over before",
    async run(room) {
      const kept = await of(room, 2).acquire();
      const first = await kept.token();
      let highest = 0n;
      for (let round = 0; round < 3; round++) {
        const lease = await of(room, 2).acquire();
        const token = await lease.token();
        assert.ok(token > highest);
        highest = token;
        await lease.release();
      }
      assert.equal(await kept.token(), first);
      await kept.release();
      const last = await of(room, 2).acquire();
      assert.ok((await last.token()) > highest);
      await last.release();
    },
  },
  {
    title: "a ticket of a semaphore is resumed as one",
    topic: "resume",
    async run(room) {
      const lease = await of(room, 2).acquire();
      await lease.abandon();
      await fails(of(room, 3).resume(lease.ticketId), "INVALID_OPTION");
      await fails(room.locks().lock(room.key()).resume(lease.ticketId), "INVALID_OPTION");
      const again = await of(room, 2).resume(lease.ticketId);
      assert.equal(again.isHeld, true);
      await again.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "inspect tells the permits, who holds and who waits",
    topic: "inspect",
    async run(room) {
      const leases = [await of(room, 2).acquire(), await of(room, 2).acquire()];
      const { locks, inLine } = room.waiter();
      const wait = locks.semaphore(room.key(), { permits: 2 }).acquire({ waitMs: 20 * room.leaseMs });
      await inLine;
      const info = await of(room, 2).inspect();
      const seen = (all: typeof info.holders) => all.map(({ mode, permits, state }) => ({ mode, permits, state }));
      const holds = { mode: "permit", permits: 2, state: "holds" };
      assert.deepEqual(seen(info.holders), [holds, holds]);
      assert.deepEqual(seen(info.waiters), [{ ...holds, state: "waits" }]);
      await leases[0]!.release();
      await (await wait).release();
      await leases[1]!.release();
    },
  },
  {
    title: "bad permits are refused by name, and a mode too",
    async run(room) {
      const locks = room.locks();
      for (const permits of [0, -1, 1.5, Number.NaN, 10_000, "2", undefined])
        assert.throws(() => locks.semaphore(room.key(), { permits: permits as number }), InvalidError, String(permits));
      assert.throws(() => locks.semaphore(room.key(), undefined as never), InvalidError);
      await fails(of(room, 2).acquire({ mode: "shared" } as object), "INVALID_OPTION");
      assert.deepEqual(await room.left(), []);
    },
  },
];
