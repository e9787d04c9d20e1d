/**
 * A bucket of its own for a test file, made on a real server and removed with everything in it, versions too.
 * Nothing else on the server is touched.
 */
import { openS3Session, type S3Session, type S3SessionOptions } from "@bucketlock/core";
import { afterAll, beforeAll } from "vitest";
import type { ServerFacts } from "../servers/server.js";

export interface OwnBucket {
  readonly bucket: string;
  /** A new session each time; closed after the file unless closed before. */
  session(options?: Partial<S3SessionOptions>): S3Session;
}

export function sessionOf(server: ServerFacts, bucket: string, options: Partial<S3SessionOptions> = {}): S3Session {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  return openS3Session({ endpoint, region, bucket, credentials: { accessKeyId, secretAccessKey }, ...options });
}

/** The bucket exists from `beforeAll` to `afterAll`. */
export function useBucket(server: ServerFacts, name: string): OwnBucket {
  const bucket = `${name}-${Math.floor(Math.random() * 2 ** 32).toString(36)}`;
  const sessions: S3Session[] = [];
  beforeAll(async () => {
    await using session = sessionOf(server, bucket);
    await session.createBucket();
  });
  afterAll(async () => {
    for (const session of sessions) await session.close();
    await using session = sessionOf(server, bucket);
    await empty(session);
    await session.deleteBucket();
  });
  return {
    bucket,
    session(options) {
      const session = sessionOf(server, bucket, options);
      sessions.push(session);
      return session;
    },
  };
}

async function empty(session: S3Session): Promise<void> {
  for await (const { versions } of session.listObjectVersions("")) {
    await session.deleteObjects(versions.map(({ key, versionId }) => ({ key, versionId })));
  }
}
