/** Makes a bucket of a test keep versions. */
import type { ServerFacts } from "../servers/server.js";
import { sessionOf } from "./buckets.js";

export async function keepVersions(server: ServerFacts, bucket: string): Promise<void> {
  await using session = sessionOf(server, bucket);
  await session.putBucketVersioning("enabled");
}
