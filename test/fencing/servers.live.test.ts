/** Fenced writes and tokens on the real servers, each in a bucket of its own. */
import { probe } from "@bucketlock/core";
import { createLocks, fence } from "@bucketlock/lock";
import { expect, it } from "vitest";
import { useBucket } from "../live/buckets.js";
import { onEveryServer } from "../servers/on-server.js";
import { fencingSuite } from "./suite.js";

onEveryServer((server) => {
  const { session } = useBucket(server, "fencing");
  // RGW compares If-Match with an ETag without its quotes.
  const options = server.name === "rgw" ? { bareIfMatch: true } : {};
  let n = 0;
  fencingSuite({
    name: server.name,
    conditional: true,
    open: async () => ({ store: session(options).store(), prefix: `suite-${n++}/` }),
  });

  it("the report of a probe finds the form of ETags by itself", async () => {
    const store = session().store();
    const locks = createLocks(store);
    const probed = await probe(store);
    await locks.lock("probed").run(async (lease) => {
      const guarded = fence(store, lease, { probed });
      for (const body of ["a", "b"])
        expect(await guarded.put("probed-doc", body)).toMatchObject({ guarded: "conditional" });
    });
    await locks.close({ keepStore: true });
  });
});
