/** What a lease is worth: renewals, release, loss, take-over, and the routine that runs under it. */
import assert from "node:assert/strict";
import { LockLostError } from "../../errors.js";
import { fails, type LockTest } from "./room.js";

export const leaseTests: readonly LockTest[] = [
  {
    title: "release leaves nothing, twice is once, and a released lease is over",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire();
      assert.notDeepEqual(await room.left(), []);
      await Promise.all([lease.release(), lease.release()]);
      await lease.release();
      assert.deepEqual(await room.left(), []);
      assert.equal(lease.isHeld, false);
      assert.equal(lease.signal.aborted, false);
      assert.throws(() => lease.throwIfLost(), LockLostError);
      assert.equal(await lease.verify(), false);
    },
  },
  {
    title: "leaves the block, leaves the lock",
    async run(room) {
      const lock = room.locks().lock(room.key());
      const lease = await lock.acquire();
      await lease[Symbol.asyncDispose]();
      assert.deepEqual(await room.left(), []);
      // Released by hand before: nothing more to do.
      await lease[Symbol.asyncDispose]();
    },
  },
  {
    title: "renews itself for as long as it is held",
    async run(room) {
      // Long enough to outlast what may hold a busy machine up, and then for longer than that.
      const steady = { leaseMs: 2 * room.leaseMs, renewEveryMs: room.leaseMs / 4 };
      const lease = await room.locks(steady).lock(room.key()).acquire();
      const other = room.locks().lock(room.key());
      for (let part = 0; part < 10; part++) {
        await room.clock.sleep(room.leaseMs / 4);
        lease.throwIfLost();
        assert.equal(lease.isHeld, true);
        assert.ok(lease.heldUntil > room.clock.wallMs());
        assert.equal(await other.tryAcquire(), undefined);
      }
      assert.equal(await lease.verify(), true);
      await lease.release();
    },
  },
  {
    title: "run: answers the routine's result, and releases",
    async run(room) {
      const lock = room.locks().lock(room.key());
      const result = await lock.run(
        async (lease) => {
          lease.throwIfLost();
          assert.equal(lease.mode, "shared");
          return 42;
        },
        { mode: "shared" },
      );
      assert.equal(result, 42);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "run: the routine's own error wins, a failing release is attached to it",
    async run(room) {
      const own = new Error("the routine failed");
      const lock = room.locks().lock(room.key());
      await assert.rejects(
        lock.run(() => Promise.reject(own)),
        (error) => error === own,
      );
      assert.equal("releaseError" in own, false);
      assert.deepEqual(await room.left(), []);

      const network = room.breakable();
      const promise = network.locks.lock(room.key()).run(() => {
        network.broken = true;
        throw own;
      });
      await assert.rejects(promise, (error) => error === own);
      assert.equal((own as { releaseError?: { code?: string } }).releaseError?.code, "RELEASE_FAILED");
    },
  },
  {
    title: "run: a release that fails is told when the routine did not",
    async run(room) {
      const network = room.breakable();
      const promise = network.locks.lock(room.key()).run(() => {
        network.broken = true;
      });
      const error = await fails(promise, "RELEASE_FAILED");
      assert.equal(error.kind, "unavailable");
    },
  },
  {
    title: "run: rejects when the lease was lost, though the routine succeeded",
    async run(room) {
      const network = room.breakable();
      const promise = network.locks.lock(room.key()).run(async (lease) => {
        network.broken = true;
        const reason = await room.aborted(lease.signal);
        assert.ok(reason instanceof LockLostError);
        assert.throws(
          () => lease.throwIfLost(),
          (error) => error === reason,
        );
        network.broken = false;
        return "too late";
      });
      const error = await fails(promise, "LEASE_LOST");
      assert.ok(error instanceof LockLostError);
      assert.equal(error.kind, "lost");
    },
  },
  {
    title: "a holder that cannot renew is told before another may hold",
    async run(room) {
      const network = room.breakable();
      const lease = await network.locks.lock(room.key()).acquire();
      network.broken = true;
      let told = false;
      lease.signal.addEventListener("abort", () => {
        told = true;
      });
      const next = await room
        .locks()
        .lock(room.key())
        .acquire({ waitMs: 30 * room.leaseMs });
      assert.equal(told, true);
      assert.equal(lease.isHeld, false);
      assert.equal(next.isHeld, true);
      await next.release();
      network.broken = false;
      await fails(lease.release(), "LEASE_LOST");
    },
  },
  {
    title: "an abandoned lease blocks until it runs out, then it is taken over",
    async run(room) {
      const lease = await room.mortal().lock(room.key()).acquire();
      await lease.abandon();
      assert.equal(lease.signal.aborted, true);
      assert.throws(() => lease.throwIfLost(), LockLostError);
      const other = room.locks().lock(room.key());
      assert.equal(await other.tryAcquire(), undefined);
      const next = await other.acquire({ waitMs: 30 * room.leaseMs });
      assert.equal(next.isHeld, true);
      assert.equal(await room.locks().lock(room.key()).tryAcquire(), undefined);
      await next.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "an abandoned lease is resumed by its id, by another program, and holds again",
    topic: "resume",
    async run(room) {
      const lease = await room.locks().lock(room.key()).acquire({ mode: "shared" });
      await lease.abandon();
      const again = await room.locks().lock(room.key()).resume(lease.ticketId);
      assert.equal(again.mode, "shared");
      assert.equal(again.isHeld, true);
      assert.equal(lease.isHeld, false);
      assert.equal(await room.locks().lock(room.key()).tryAcquire(), undefined);
      await again.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a ticket that is gone, or no ticket at all, is not resumed",
    topic: "resume",
    async run(room) {
      const lock = room.locks().lock(room.key());
      const lease = await lock.acquire();
      await lease.release();
      await fails(lock.resume(lease.ticketId), "TICKET_NOT_FOUND");
      for (const id of ["", "nonsense", "a-1"]) await fails(lock.resume(id), "INVALID_OPTION");
      assert.deepEqual(await room.left(), []);
    },
  },
];
