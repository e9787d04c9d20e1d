/**
 * A new bucket on a real server, and sessions to it, straight or through a proxy. Removes what it made; touches no other.
 */
import { randomUUID } from "node:crypto";
import { openS3Session, type S3Session, type S3SessionOptions } from "@bucketlock/core";
import type { ServerFacts } from "./server.js";

export interface TestBucket {
  readonly name: string;
  /** Options for a session of one's own; plain JSON, for worker processes. */
  options(endpoint?: string): Pick<S3SessionOptions, "endpoint" | "region" | "bucket"> & {
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Closed by `remove`. */
  session(more?: Partial<S3SessionOptions>): S3Session;
  /** Empties and deletes the bucket, closes the sessions. */
  remove(): Promise<void>;
}

export async function newBucket(server: ServerFacts): Promise<TestBucket> {
  const name = `test-${randomUUID()}`;
  const { region, accessKeyId, secretAccessKey } = server;
  const sessions: S3Session[] = [];
  const options = (endpoint = server.endpoint) => ({
    endpoint,
    region,
    bucket: name,
    credentials: { accessKeyId, secretAccessKey },
  });
  const session = (more: Partial<S3SessionOptions> = {}) => {
    const made = openS3Session({ ...options(), ...more });
    sessions.push(made);
    return made;
  };
  await session().createBucket();
  return {
    name,
    options,
    session,
    async remove() {
      const own = session();
      for await (const { versions } of own.store().listVersions("")) {
        for (const { key, versionId } of versions) await own.store().delete({ key, versionId });
      }
      await own.deleteBucket();
      await Promise.all(sessions.map((made) => made.close()));
    },
  };
}
