/** What every lock must do through the public API, by either protocol, on the real servers, each in a bucket of its own. */
import type { ProbeReport } from "@bucketlock/core";
import { lockConformance } from "@bucketlock/lock/testing";
import { beforeAll, describe, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";

onEveryServer((server) => {
  const { session } = useBucket(server, "locks");
  // Once for all tests: each set of locks would probe anew.
  let probed: ProbeReport;
  beforeAll(async () => {
    probed = await session().probe();
  });
  let n = 0;
  for (const protocol of ["two-object", "conditional"] as const) {
    lockConformance(
      { describe, it },
      {
        name: `${protocol} on ${server.name}`,
        open: () => ({
          store: session().store(),
          prefix: `suite-${n++}/`,
          locksOptions: protocol === "conditional" ? { protocol, probed } : { protocol },
        }),
      },
    );
  }
});
