/**
 * Locks in a bucket. Credentials and region come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; another
 * server than AWS from AWS_ENDPOINT_URL. The bucket must exist; its name is the first argument.
 */
import { createLocks, openS3Session, openStore } from "@bucketlock/lock";

const bucket = process.argv[2] ?? "my-bucket";

// By URL, everything else from the environment:
await using locks = createLocks(openStore(`s3://${bucket}/locks`));
await locks.lock("jobs/nightly").run(() => console.log("held in the bucket"));

// Or with everything spelt out:
const session = openS3Session({
  endpoint: process.env.AWS_ENDPOINT_URL,
  region: process.env.AWS_REGION ?? "us-east-1",
  bucket,
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "",
  },
});
await using same = createLocks(session.store({ prefix: "locks/" }));
console.log("free again:", (await same.lock("jobs/nightly").inspect()).holders.length === 0); // true
