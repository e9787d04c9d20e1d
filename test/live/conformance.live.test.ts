/** What every store must do, on the real servers, each in a bucket of its own; and what a program gets when its input is bad. */
import { BucketlockError, type S3SessionOptions } from "@bucketlock/core";
import { type ConformanceRunner, type ConformanceTopic, storeConformance } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { describe, expect, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import type { ServerFacts, ServerName } from "../servers/server.js";
import { sessionOf, useBucket } from "./buckets.js";

interface Limits {
  readonly topics: Partial<Record<ConformanceTopic, string>>;
  /** By the start of a test's title: what no topic names. */
  readonly titles?: Readonly<Record<string, string>>;
}

const unversioned = { versions: "the bucket keeps none; another suite has one that does" };
const paths = "keeps keys as paths, where a file is no directory";

/** What a server cannot take, with the reason: reported as skipped. */
const limits: Record<ServerName, Limits> = {
  minio: {
    topics: {
      ...{ "key: double slash": "refused with 400", "key: leading slash": "refused with 400" },
      ...unversioned,
    },
    titles: { "lists by the exact prefix": "does not list a/b while there is an object a" },
  },
  rgw: {
    topics: unversioned,
    titles: {
      "replaces only what still has the ETag": "If-Match with the quotes of the ETag never matches",
      "lets exactly one of 16 replace": "If-Match with the quotes of the ETag never matches",
    },
  },
  versitygw: {
    topics: {
      "key: trailing slash": "a directory takes no data",
      "key: double slash": `${paths}: the slashes become one`,
      "key: leading slash": `${paths}: the slashes become one`,
      "key: control character": "lists U+FFFD in its place",
      "nested-keys": paths,
      ...unversioned,
    },
    titles: {
      "lists in the byte order of UTF-8": paths,
      "lists by the exact prefix": paths,
      "lists each present object as the latest version": "its pages of versions begin at the start again",
    },
  },
};

/** The runner, with some tests skipped by title. */
function runner(titles: Readonly<Record<string, string>> = {}): ConformanceRunner {
  const test = (title: string, body: () => Promise<void>, timeoutMs?: number) => {
    const reason = Object.entries(titles).find(([start]) => title.startsWith(start))?.[1];
    if (reason === undefined) it(title, body, timeoutMs);
    else it.skip(`${title} (skipped: ${reason})`, body);
  };
  return { describe, it: Object.assign(test, { skip: it.skip }) };
}

onEveryServer((server) => {
  const { bucket, session } = useBucket(server, "conformance");
  let n = 0;
  storeConformance(runner(limits[server.name].titles), {
    name: `S3 on ${server.name}`,
    open: async () => ({ store: session().store(), prefix: `suite-${n++}/` }),
    skip: limits[server.name].topics,
    rounds: 50,
  });

  describe("bad input", () => {
    const acquire = async (bad: Partial<S3SessionOptions>) => {
      const locks = createLocks(sessionOf(server, bucket, bad).store(), { leaseMs: 2_000 });
      try {
        await locks.lock("bad/input").acquire({ waitMs: 1_000 });
      } catch (error) {
        return error as BucketlockError;
      } finally {
        await locks.close();
      }
      throw new Error("acquired");
    };

    it.each(wrongs(server))("%s is refused by name, without a secret", async (_what, bad, code, names) => {
      const error = await acquire(bad);
      expect(error).toBeInstanceOf(BucketlockError);
      expect(error).toMatchObject({ code, kind: "denied" });
      expect(error.message).toContain(names);
      expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain("secret");
      for await (const { objects } of session().listObjects("bad/")) expect(objects).toEqual([]);
    });
  });
});

type Wrong = readonly [string, Partial<S3SessionOptions>, string, string];

function wrongs({ accessKeyId }: ServerFacts): Wrong[] {
  const keys = (id: string, secret: string) => ({ credentials: { accessKeyId: id, secretAccessKey: secret } });
  return [
    ["a wrong secret", keys(accessKeyId, "another-secret"), "STORE_BAD_CREDENTIALS", "bad/input"],
    ["an unknown key id", keys("nobody", "another-secret"), "STORE_BAD_CREDENTIALS", "bad/input"],
    ["a bucket that is not there", { bucket: "not-there-at-all" }, "STORE_NO_BUCKET", "not-there-at-all"],
  ];
}
