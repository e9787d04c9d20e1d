import { openB2Store } from "@bucketlock/b2";
import { createLocks } from "@bucketlock/lock";

// B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY
const locks = createLocks(openB2Store("b2://my-bucket/locks", { endpoint: "http://127.0.0.1:34859" }));
await locks.lock("jobs/nightly").run(async (lease) => {
  console.log("ours until", new Date(lease.heldUntil).toISOString(), "unless renewed");
});
await locks.close();
