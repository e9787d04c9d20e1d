/** Members: who is there, who came and who left, and that the dead are gone. */
import assert from "node:assert/strict";
import type { MembersChange } from "../../members.js";
import { fails, type LockTest, type Room } from "./room.js";

const labels = (members: readonly { readonly label: string }[]): string[] => members.map(({ label }) => label);

function watcher(room: Room) {
  const stop = new AbortController();
  const changes: MembersChange[] = [];
  const pollMs = room.leaseMs / 40;
  const members = room.locks().members(room.key(), { pollMs });
  const watch = async () => {
    for await (const change of members.watch({ signal: stop.signal })) changes.push(change);
  };
  const ended = assert.rejects(watch(), (error) => error === stop.signal.reason);
  return {
    changes,
    async until(...expected: string[]): Promise<void> {
      const endMs = room.clock.monotonicMs() + 20 * room.leaseMs;
      while (changes.length === 0 || String(labels(changes.at(-1)!.members)) !== String(expected)) {
        assert.ok(room.clock.monotonicMs() < endMs, `never seen: ${expected}`);
        await room.clock.sleep(pollMs);
      }
    },
    stop(): Promise<void> {
      stop.abort();
      return ended;
    },
  };
}

export const membersTests: readonly LockTest[] = [
  {
    title: "who joins is listed with label and metadata, and who leaves is gone",
    async run(room) {
      const [a, b] = ["a", "b"].map((label) => room.locks({ label }).members(room.key()));
      assert.deepEqual(await a!.list(), []);
      const first = await a!.join({ metadata: { zone: "eu", "any key": "ünïcode" } });
      await room.clock.sleep(5);
      const second = await b!.join();
      const list = await b!.list();
      assert.deepEqual(labels(list), ["a", "b"]);
      assert.deepEqual(list[0]!.metadata, { zone: "eu", "any key": "ünïcode" });
      assert.deepEqual(list[1]!.metadata, {});
      assert.equal(list[0]!.id, first.id);
      assert.equal(first.isMember, true);
      await first.leave();
      await first.leave();
      assert.equal(first.isMember, false);
      assert.deepEqual(labels(await b!.list()), ["b"]);
      await second[Symbol.asyncDispose]();
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "a member stays for as long as it lives, and closing its locks ends it",
    async run(room) {
      const steady = { leaseMs: 2 * room.leaseMs, renewEveryMs: room.leaseMs / 4 };
      const locks = room.locks({ label: "a", ...steady });
      const membership = await locks.members(room.key()).join();
      const other = room.locks().members(room.key());
      for (let part = 0; part < 5; part++) {
        await room.clock.sleep(room.leaseMs / 2);
        assert.deepEqual(labels(await other.list()), ["a"]);
        assert.equal(membership.signal.aborted, false);
      }
      await locks.close({ keepStore: true });
      assert.deepEqual(await room.left(), []);
    },
  },
  {
    title: "changes are told in order, the dead are told as left and then swept away",
    async run(room) {
      const view = watcher(room);
      await view.until();
      const staying = await room.locks({ label: "stays" }).members(room.key()).join();
      await view.until("stays");
      const network = room.breakable({ label: "dies" });
      const dying = await network.locks.members(room.key()).join();
      await view.until("stays", "dies");
      network.broken = true;
      await room.aborted(dying.signal);
      assert.equal(dying.isMember, false);
      await view.until("stays");
      assert.deepEqual(labels(view.changes.at(-1)!.left), ["dies"]);
      await staying.leave();
      await view.until();
      await view.stop();
      for (const { joined, left } of view.changes.slice(1)) assert.ok(joined.length + left.length > 0);
      network.broken = false;
    },
  },
  {
    title: "whoever is removed by others is told",
    async run(room) {
      const often = { renewEveryMs: room.leaseMs / 20 };
      const membership = await room.locks(often).members(room.key()).join();
      // A renewal under way may bring it back.
      while (!membership.signal.aborted) {
        await room.remove(`${room.key()}.members.${membership.id}`);
        await room.clock.sleep(room.leaseMs / 10);
      }
      await fails(membership.leave(), "LEASE_LOST");
    },
  },
  {
    title: "what is wrong with a call is said by name",
    async run(room) {
      const members = room.locks().members(room.key());
      await fails(members.join({ metadata: { n: 1 } as never }), "INVALID_OPTION");
      await fails(members.join({ metadata: { n: "x".repeat(5000) } }), "INVALID_OPTION");
      assert.throws(() => room.locks().members(room.key(), { pollMs: 0 }), /pollMs/);
      const stop = new AbortController();
      stop.abort(new Error("enough"));
      await assert.rejects(members.join({ signal: stop.signal }), (error) => error === stop.signal.reason);
      assert.deepEqual(await room.left(), []);
    },
  },
];
