/** The first lock. Run it in two terminals with the same directory: the second waits for the first. */
import { createLocks, openStore } from "@bucketlock/lock";

const locks = createLocks(openStore(process.argv[2] ?? "memory:")); // or "file:/var/lib/locks?create=1", "s3://bucket/prefix"
await locks.lock("jobs/nightly").run(async () => {
  console.log("nobody else is here now");
});
await locks.close();
