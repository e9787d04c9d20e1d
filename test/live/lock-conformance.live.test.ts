/** What every lock must do through the public API, by either protocol, on the real servers, each in a bucket of its own. */
import type { ProbeReport } from "@bucketlock/core";
import { beforeAll } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { lockConformanceInParts } from "./parts.js";

onEveryServer((server) => {
  const { session } = useBucket(server, "locks");
  // Once for all tests: each set of locks would probe anew.
  let probed: ProbeReport;
  beforeAll(async () => {
    probed = await session().probe();
  });
  let n = 0;
  for (const protocol of ["two-object", "conditional"] as const) {
    lockConformanceInParts({
      name: `${protocol} on ${server.name}`,
      locksOptions: { protocol },
      open: () => ({
        store: session().store(),
        prefix: `suite-${n++}/`,
        locksOptions: protocol === "conditional" ? { probed } : {},
      }),
    });
  }
});
