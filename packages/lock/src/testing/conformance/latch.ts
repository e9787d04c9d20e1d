/** Latches: they open when all have arrived, and stay open. */
import assert from "node:assert/strict";
import { fails, type LockTest } from "./room.js";

export const latchTests: readonly LockTest[] = [
  {
    title: "opens when all have arrived, and stays open",
    async run(room) {
      const latches = [0, 1, 2].map(() => room.locks().latch(room.key(), 3));
      const waiting = latches.map((latch) => latch.wait({ waitMs: 30 * room.leaseMs }));
      await latches[0]!.arrive();
      await latches[1]!.arrive();
      assert.equal(await latches[2]!.arrived(), 2);
      const error = await fails(latches[2]!.wait({ waitMs: 0 }), "LATCH_NOT_OPEN");
      assert.equal(error.details.arrived, 2);
      await latches[2]!.arrive();
      await Promise.all(waiting);
      await room.locks().latch(room.key(), 3).wait({ waitMs: 0 });
      await latches[0]!.arrive();
      assert.equal(await latches[0]!.arrived(), 4);
    },
  },
  {
    title: "who arrives twice under one id counts once",
    async run(room) {
      const latch = room.locks().latch(room.key(), 2);
      await Promise.all([latch.arrive({ id: "worker/1.a" }), latch.arrive({ id: "worker/1.a" })]);
      await room.locks().latch(room.key(), 2).arrive({ id: "worker/1.a" });
      assert.equal(await latch.arrived(), 1);
      await latch.arrive({ id: "worker/1.b" });
      await latch.wait({ waitMs: 0 });
    },
  },
  {
    title: "reset forgets all arrivals and leaves nothing",
    async run(room) {
      const latch = room.locks().latch(room.key(), 1);
      await latch.arrive();
      await latch.wait();
      await latch.reset();
      assert.deepEqual(await room.left(), []);
      assert.equal(await latch.arrived(), 0);
      await fails(latch.wait({ waitMs: 0 }), "LATCH_NOT_OPEN");
    },
  },
  {
    title: "another number is refused, other keys are other latches",
    async run(room) {
      const locks = room.locks();
      await locks.latch(room.key(), 2).arrive();
      const error = await fails(locks.latch(room.key(), 3).arrived(), "LATCH_MISMATCH");
      assert.equal(error.kind, "invalid");
      await fails(locks.latch(room.key(), 3).wait(), "LATCH_MISMATCH");
      assert.equal(await locks.latch(room.key("k2"), 3).arrived(), 0);
      assert.throws(() => locks.latch(room.key(), 0), /count/);
      await fails(locks.latch(room.key(), 2).arrive({ id: "two words" }), "INVALID_OPTION");
    },
  },
  {
    title: "the caller's signal and closing end the wait",
    async run(room) {
      const stop = new AbortController();
      const reason = new Error("enough");
      const locks = room.locks();
      const waiting = locks.latch(room.key(), 1).wait({ signal: stop.signal });
      stop.abort(reason);
      await assert.rejects(waiting, (error) => error === reason);
      const closed = fails(locks.latch(room.key(), 1).wait(), "LOCKS_CLOSED");
      await locks.close({ keepStore: true });
      await closed;
    },
  },
];
