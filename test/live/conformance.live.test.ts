/** What every store must do, on the real servers, each in a bucket of its own; and what a program gets when its input is bad. */
import { BucketlockError, type S3SessionOptions } from "@bucketlock/core";
import { storeConformance } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { describe, expect, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import type { ServerFacts } from "../servers/server.js";
import { sessionOf, useBucket } from "./buckets.js";
import { limits, runnerFor } from "./limits.js";

onEveryServer((server) => {
  const { bucket, session } = useBucket(server, "conformance");
  let n = 0;
  storeConformance(runnerFor(server.name), {
    name: `S3 on ${server.name}`,
    open: async () => ({ store: session().store(), prefix: `suite-${n++}/` }),
    skip: {
      ...limits[server.name].topics,
      versions: "this bucket keeps none; versions.live.test.ts has one that does",
    },
    rounds: 50,
  });

  describe("bad input", () => {
    const acquire = async (bad: Partial<S3SessionOptions>) => {
      const locks = createLocks(sessionOf(server, bucket, bad).store(), { leaseMs: 2_000 });
      try {
        await locks.lock("bad/input").acquire({ waitMs: 60_000 });
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
