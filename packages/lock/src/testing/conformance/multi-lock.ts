/** Several locks as one: all or none, in whatever order they are named. */
import assert from "node:assert/strict";
import { InvalidError } from "@bucketlock/core";
import { LockLostError, NotAcquiredError, NotReleasedError, ReleaseRequestedError } from "../../errors.js";
import type { Wanted } from "../../lock-order.js";
import { fails, type LockTest, type Room } from "./room.js";

const keys = (room: Room, ...names: string[]) => names.map((name) => room.key(name));

export const multiLockTests: readonly LockTest[] = [
  {
    title: "all are held, each with its mode and its token, and all are given back",
    async run(room) {
      const wanted = [room.key("b"), { key: room.key("c"), mode: "shared" as const }, { key: room.key("a") }];
      const lease = await room.locks().all(wanted).acquire();
      assert.deepEqual(lease.keys, keys(room, "a", "b", "c"));
      assert.equal(lease.isHeld, true);
      assert.equal(await lease.verify(), true);
      assert.ok(lease.heldUntil > room.clock.wallMs());
      assert.deepEqual(
        lease.keys.map((key) => lease.lease(key).mode),
        ["exclusive", "exclusive", "shared"],
      );
      assert.throws(() => lease.lease("another"), InvalidError);
      const tokens = await lease.tokens();
      assert.deepEqual([...tokens.keys()], lease.keys);
      assert.ok([...tokens.values()].every((token) => token > 0n));
      for (const key of lease.keys) assert.equal(await room.locks().lock(key).tryAcquire(), undefined);
      const reader = await room.locks().lock(room.key("c")).tryAcquire({ mode: "shared" });
      assert.ok(reader);
      await reader.release();
      await Promise.all([lease.release(), lease.release()]);
      assert.equal(lease.isHeld, false);
      assert.throws(() => lease.throwIfLost(), LockLostError);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "named in any order, nobody waits for each other",
    async run(room) {
      const orders = [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["b", "c"],
        ["c", "a"],
      ];
      const inside = new Map<string, number>();
      const program = async (names: string[]) => {
        const all = room.locks().all(keys(room, ...names));
        for (let round = 0; round < 2; round++) {
          await all.run(
            async () => {
              for (const name of names) {
                assert.equal(inside.get(name) ?? 0, 0, `two in ${name}`);
                inside.set(name, 1);
              }
              await room.clock.sleep(5);
              for (const name of names) inside.set(name, 0);
            },
            { waitMs: 60 * room.leaseMs },
          );
        }
      };
      await Promise.all(orders.map(program));
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "one that is not to be had: none is held, whether it waited or only tried",
    async run(room) {
      const taken = await room.locks().lock(room.key("b")).acquire();
      const before = (await room.left()).sort();
      const all = room.locks().all(keys(room, "c", "a", "b"));
      assert.equal(await all.tryAcquire(), undefined);
      assert.deepEqual((await room.left()).sort(), before);
      const waitMs = room.leaseMs / 4;
      const error = await fails(all.acquire({ waitMs }), "NOT_ACQUIRED");
      assert.ok(error instanceof NotAcquiredError);
      assert.equal(error.details.key, room.key("b"));
      assert.ok((error.details.waitedMs as number) >= waitMs);
      const controller = new AbortController();
      const wait = all.acquire({ signal: controller.signal, waitMs: 20 * room.leaseMs });
      const reason = new Error("enough");
      await room.clock.sleep(room.leaseMs / 10);
      controller.abort(reason);
      await assert.rejects(wait, (caught) => caught === reason);
      assert.deepEqual((await room.left()).sort(), before);
      await taken.release();
      const lease = await all.tryAcquire();
      assert.ok(lease);
      await lease[Symbol.asyncDispose]();
      await lease[Symbol.asyncDispose]();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "the first that is lost ends it, and the others are given back all the same",
    topic: "break",
    async run(room) {
      const often = { renewEveryMs: room.leaseMs / 20 };
      const lease = await room
        .locks(often)
        .all(keys(room, "a", "b", "c"))
        .acquire();
      await room.locks().lock(room.key("b")).breakLock({ olderThanMs: 0 });
      const reason = await room.aborted(lease.signal);
      assert.ok(reason instanceof LockLostError);
      assert.equal(reason.details.key, room.key("b"));
      assert.equal(lease.isHeld, false);
      assert.throws(
        () => lease.throwIfLost(),
        (error) => error === reason,
      );
      assert.equal(lease.lease(room.key("a")).isHeld, true);
      const error = await fails(lease.release(), "LEASE_LOST");
      assert.equal(error, reason);
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "releases that fail are all told in one error",
    async run(room) {
      const network = room.breakable();
      const lease = await network.locks.all(keys(room, "a", "b")).acquire();
      network.broken = true;
      const error = await fails(lease.release(), "RELEASE_FAILED");
      assert.ok(error instanceof NotReleasedError);
      assert.deepEqual(error.details.keys, keys(room, "b", "a"));
      assert.equal(error.errors.length, 2);
    },
  },
  {
    title: "who loses one while it waits for another stops waiting, and keeps none",
    topic: "break",
    async run(room) {
      const taken = await room.locks().lock(room.key("b")).acquire();
      const { locks, inLine } = room.waiter({ renewEveryMs: room.leaseMs / 20 });
      const wait = locks.all(keys(room, "b", "a")).acquire({ waitMs: 30 * room.leaseMs });
      const told = fails(wait, "LEASE_LOST");
      await inLine;
      await room.locks().lock(room.key("a")).breakLock({ olderThanMs: 0 });
      const error = await told;
      assert.equal(error.details.key, room.key("a"));
      await taken.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a request to release one of them is told",
    async run(room) {
      const lease = await room
        .locks({ renewEveryMs: room.leaseMs / 20 })
        .all(keys(room, "a", "b"))
        .acquire();
      assert.equal(lease.revocation.aborted, false);
      await room.locks().lock(room.key("b")).requestRelease("please");
      assert.ok((await room.aborted(lease.revocation)) instanceof ReleaseRequestedError);
      assert.equal(lease.isHeld, true);
      await lease.release();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "no keys, a key twice and what is no key are refused by name",
    async run(room) {
      const locks = room.locks();
      const k = room.key();
      const bad: unknown[] = [
        [],
        undefined,
        k,
        [k, k],
        [k, { key: k, mode: "shared" }],
        [7],
        [{ key: k, mode: "write" }],
        [null],
        ["a//b"],
      ];
      for (const wanted of bad)
        assert.throws(() => locks.all(wanted as Wanted[]), InvalidError, `not refused: ${JSON.stringify(wanted)}`);
      await fails(locks.all([k]).tryAcquire({ waitMs: 5 } as object), "INVALID_OPTION");
      await fails(locks.all([k]).run(undefined as never), "INVALID_OPTION");
      assert.deepEqual(await room.left(), []);
    },
  },
];
