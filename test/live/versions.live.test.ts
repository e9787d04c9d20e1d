/**
 * Buckets that keep versions: the store's verbs on them, and that a lock leaves no version and no marker behind. On the
 * servers that keep versions as they are started here.
 */
import { storeConformance } from "@bucketlock/core/testing";
import { createLocks, type LockEvent } from "@bucketlock/lock";
import { beforeAll, expect, it } from "vitest";
import { onServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { keepVersions } from "./keep-versions.js";
import { limits, runnerFor } from "./limits.js";

// Of what limits.ts does not know.
const more = { minio: {}, rgw: { "conditional-writes": "conditions are silently ignored where versions are kept" } };

for (const name of ["minio", "rgw"] as const) {
  onServer(name, (server) => {
    const { bucket, session } = useBucket(server, "versions");
    beforeAll(() => keepVersions(server, bucket));
    let n = 0;
    storeConformance(runnerFor(name), {
      name: `S3 on ${name} with versions`,
      open: async () => ({ store: session().store(), prefix: `suite-${n++}/` }),
      skip: { ...limits[name].topics, ...more[name] },
      rounds: 20,
    });

    it("leaves no version of a lock behind, renewals and a take-over included", async () => {
      const versions = async () => {
        const names: string[] = [];
        for await (const page of session().listObjectVersions("locked"))
          names.push(...page.versions.map((version) => version.key));
        return names;
      };
      let renewals = 0;
      const onEvent = ({ type }: LockEvent) => {
        if (type === "renewed") renewals++;
      };
      const locks = createLocks(session().store(), { leaseMs: 30_000, renewEveryMs: 200, onEvent });
      const lock = locks.lock("locked");
      const held = await lock.acquire();
      await expect.poll(() => renewals).toBeGreaterThan(5);
      expect(held.isHeld).toBe(true);
      // Of `-0` the newest and the one before, should it not have been swept yet; of `-1` the only one.
      expect((await versions()).length).toBeLessThanOrEqual(3);
      await held.release();
      expect(await versions()).toEqual([]);

      const mortal = createLocks(session().store(), { leaseMs: 900 });
      await (await mortal.lock("locked").acquire()).abandon();
      await (await lock.acquire({ waitMs: 60_000 })).release();
      expect(await versions()).toEqual([]);
      await mortal.close();
      await locks.close();
    });
  });
}
