/** What elections, jobs, latches and members cost: the very requests, so that none creeps in unseen. */
import { createMemoryStore } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks, type Leadership, type Membership } from "@bucketlock/lock";
import { expect, it } from "vitest";

const SLOT = Date.UTC(2026, 10, 21, 3);

function bench(protocol: "two-object" | "conditional") {
  const store = new RecordingStore(createMemoryStore());
  const locks = createLocks(store, { protocol });
  return {
    locks,
    async cost(work: () => Promise<unknown>): Promise<string> {
      const before = store.calls.length;
      await work();
      return store.calls
        .slice(before)
        .map(({ verb }) => verb)
        .join(" ");
    },
  };
}

const COSTS = {
  "two-object": {
    // Look; lock; look again; token; claim; end; release.
    job: "list put list put list list list put head head put put list deleteMany",
    "a job that is done": "list get",
    "a job that is behind": "list",
    campaign: "put list put list list put head put list",
    leader: "list get head",
    resign: "list deleteMany deleteMany",
  },
  conditional: {
    job: "list put list head put put put",
    "a job that is done": "list get",
    "a job that is behind": "list",
    campaign: "put put list",
    leader: "list get get",
    resign: "put deleteMany",
  },
} as const;
const BY_EITHER = {
  "no leader": "list",
  arrive: "put",
  wait: "list",
  "wait again": "",
  join: "put list",
  list: "list get",
  "list again": "list",
  leave: "deleteMany",
};

it.each(["two-object", "conditional"] as const)("%s", async (protocol) => {
  const { locks, cost } = bench(protocol);
  const costs: Record<string, string> = {};
  await locks.once("job", SLOT - 1, () => {});
  costs.job = await cost(() => locks.once("job", SLOT, () => {}));
  costs["a job that is done"] = await cost(() => locks.once("job", SLOT, () => {}));
  costs["a job that is behind"] = await cost(() => locks.once("job", SLOT - 5, () => {}));
  const election = locks.election("lead");
  await (await election.campaign()).resign();
  let leadership: Leadership | undefined;
  costs.campaign = await cost(async () => {
    leadership = await election.campaign();
  });
  costs.leader = await cost(() => election.leader());
  costs.resign = await cost(() => leadership!.resign());
  costs["no leader"] = await cost(() => election.leader());
  const latch = locks.latch("gate", 1);
  costs.arrive = await cost(() => latch.arrive());
  costs.wait = await cost(() => latch.wait());
  costs["wait again"] = await cost(() => latch.wait());
  const members = locks.members("fleet");
  let membership: Membership | undefined;
  costs.join = await cost(async () => {
    membership = await members.join();
  });
  costs.list = await cost(() => members.list());
  costs["list again"] = await cost(() => members.list());
  costs.leave = await cost(() => membership!.leave());
  await locks.close();
  expect(costs).toEqual({ ...COSTS[protocol], ...BY_EITHER });
});
