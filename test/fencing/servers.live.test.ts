/** Fenced writes and tokens on the real servers, each in a bucket of its own. */
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
});
