/** Asking holders to release: who is told, what it changes (nothing), and what stays behind (nothing). */
import assert from "node:assert/strict";
import { ReleaseRequestedError } from "../../errors.js";
import { fails, type LockTest, type Room } from "./room.js";

/** Holders that look often, so that the suite does not take long on a real clock. */
const often = (room: Room) => ({ renewEveryMs: room.leaseMs / 20 });
const someRenewals = (room: Room) => room.clock.sleep(room.leaseMs / 6);

export const revokeTests: readonly LockTest[] = [
  {
    title: "the holder is told, with the reason, by its next renewal, and holds on",
    async run(room) {
      const lease = await room.locks(often(room)).lock(room.key()).acquire();
      assert.equal(lease.revocation.aborted, false);
      const asked = await room.locks({ label: "ops" }).lock(room.key()).requestRelease("a deploy at 14:00 ✓");
      assert.deepEqual(asked, [lease.ticketId]);
      const reason = await room.aborted(lease.revocation);
      assert.ok(reason instanceof ReleaseRequestedError);
      assert.equal(reason.code, "RELEASE_REQUESTED");
      assert.equal(reason.kind, "contended");
      assert.deepEqual([reason.reason, reason.by], ["a deploy at 14:00 ✓", "ops"]);
      assert.equal(lease.signal.aborted, false);
      assert.equal(lease.isHeld, true);
      await someRenewals(room);
      lease.throwIfLost();
      await lease.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "who begins to listen after the request is told too, and the first reason stays",
    async run(room) {
      const lease = await room.locks(often(room)).lock(room.key()).acquire();
      const lock = room.locks().lock(room.key());
      await lock.requestRelease("first");
      const reason = await room.aborted(lease.revocation);
      await lock.requestRelease("second");
      await someRenewals(room);
      assert.equal((lease.revocation.reason as ReleaseRequestedError).reason, "first");
      assert.equal(lease.revocation.reason, reason);
      await lease.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "nobody holds: nobody is asked, and nothing is left",
    async run(room) {
      const lock = room.locks().lock(room.key());
      assert.deepEqual(await lock.requestRelease("why not"), []);
      await (await lock.acquire()).release();
      assert.deepEqual(await lock.requestRelease("why not"), []);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "never a later holder, and what an earlier one did not hear is swept",
    async run(room) {
      const lock = room.locks().lock(room.key());
      const deaf = await room.locks(often(room)).lock(room.key()).acquire();
      const { locks, inLine } = room.waiter(often(room));
      const wait = locks.lock(room.key()).acquire({ waitMs: 20 * room.leaseMs });
      await inLine;
      assert.deepEqual(await lock.requestRelease("for the first"), [deaf.ticketId]);
      await deaf.release();
      const next = await wait;
      assert.equal(next.revocation.aborted, false);
      await someRenewals(room);
      assert.equal(next.revocation.aborted, false);
      assert.deepEqual(await lock.requestRelease("for the second"), [next.ticketId]);
      await room.aborted(next.revocation);
      assert.equal((next.revocation.reason as ReleaseRequestedError).reason, "for the second");
      await next.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "all readers are told, or the one that is meant",
    async run(room) {
      const readers = [
        await room.locks(often(room)).lock(room.key()).acquire({ mode: "shared" }),
        await room.locks(often(room)).lock(room.key()).acquire({ mode: "shared" }),
      ] as const;
      const signals = readers.map((lease) => lease.revocation);
      const lock = room.locks().lock(room.key());
      const ids = readers.map((lease) => lease.ticketId);
      assert.deepEqual(await lock.requestRelease("only one", { ticketIds: [ids[1]!, "another"] }), [ids[1]]);
      await room.aborted(signals[1]!);
      await someRenewals(room);
      assert.equal(signals[0]!.aborted, false);
      assert.deepEqual((await lock.requestRelease("all")).sort(), [...ids].sort());
      await room.aborted(signals[0]!);
      await Promise.all(readers.map((lease) => lease.release()));
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "the holders of a semaphore are told, those who wait are not",
    async run(room) {
      const semaphore = () => room.locks(often(room)).semaphore(room.key(), { permits: 2 });
      const leases = [await semaphore().acquire(), await semaphore().acquire()] as const;
      const signals = leases.map((lease) => lease.revocation);
      const { locks, inLine } = room.waiter(often(room));
      const wait = locks.semaphore(room.key(), { permits: 2 }).acquire({ waitMs: 20 * room.leaseMs });
      await inLine;
      const asked = await semaphore().requestRelease("all of you");
      assert.deepEqual(asked.sort(), leases.map((lease) => lease.ticketId).sort());
      for (const signal of signals) await room.aborted(signal);
      await leases[0].release();
      const next = await wait;
      const signal = next.revocation;
      await someRenewals(room);
      assert.equal(signal.aborted, false);
      await leases[1].release();
      await next.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "inspect tells who was asked, why and by whom",
    topic: "inspect",
    async run(room) {
      const lease = await room.locks(often(room)).lock(room.key()).acquire();
      lease.revocation.throwIfAborted();
      const lock = room.locks({ label: "ops" }).lock(room.key());
      const revocation = async () => (await lock.inspect()).holders.map((holder) => holder.revocation);
      assert.deepEqual(await revocation(), [undefined]);
      await lock.requestRelease("maintenance");
      assert.deepEqual(await revocation(), [{ reason: "maintenance", by: "ops" }]);
      await lease.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a bad reason is refused by name",
    async run(room) {
      const lock = room.locks().lock(room.key());
      for (const reason of ["", "x".repeat(1001), "\ud800", 7, undefined])
        await fails(lock.requestRelease(reason as string), "INVALID_OPTION");
      await fails(lock.requestRelease("ok", { ticketIds: "all" as never }), "INVALID_OPTION");
      assert.deepEqual(await room.left(), []);
    },
  },
];
