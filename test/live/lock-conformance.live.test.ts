/** What every lock must do through the public API, on the real servers, each in a bucket of its own. */
import { lockConformance } from "@bucketlock/lock/testing";
import { describe, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";

onEveryServer((server) => {
  const { session } = useBucket(server, "locks");
  let n = 0;
  lockConformance(
    { describe, it },
    {
      name: `two-object on ${server.name}`,
      open: () => ({ store: session().store(), prefix: `suite-${n++}/` }),
    },
  );
});
