import { openB2Store } from "@bucketlock/b2";
import { createLocks } from "@bucketlock/lock";

// Credentials from B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY.
const locks = createLocks(openB2Store("b2://my-bucket/locks", { endpoint: "http://127.0.0.1:42225" }));
await locks.lock("jobs/nightly").run(async (lease) => {
  lease.throwIfLost();
});
await locks.close();
