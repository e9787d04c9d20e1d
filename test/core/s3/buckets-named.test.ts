/** Calls that name their bucket, on sessions with a bucket of their own and without one. */
import { describe, expect, it } from "vitest";
import { openS3Session, type S3Event } from "../../../packages/core/src/index.js";
import { collect } from "./rig.js";
import { script } from "./scripted.js";

const LISTING = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
const VERSIONS = "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>";
const DELETED = "<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted></DeleteResult>";
const keys = { accessKeyId: "AK", secretAccessKey: "SK" };

describe("a call that names a bucket", () => {
  it("goes there, whatever the session's own", async () => {
    for (const own of ["bucket", undefined]) {
      const events: S3Event[] = [];
      const bodies: Record<string, string> = { "list-type": LISTING, versions: VERSIONS, delete: DELETED };
      const { server, session } = await script(
        ({ query }) => ({ body: Object.entries(bodies).find(([name]) => query.has(name))?.[1] ?? "" }),
        { bucket: own, onEvent: (event) => events.push(event) },
      );
      const there = { bucket: "other" };
      await session.putObject("k", "1", there);
      await session.getObject("k", there);
      await session.headObject("k", there);
      await session.deleteObject({ key: "k" }, there);
      await session.deleteObjectIf("k", '"e"', there);
      await session.deleteObjects([{ key: "a" }, { key: "b" }], there);
      await collect(session.listObjects("", there));
      await collect(session.listObjectVersions("", there));
      await session.createBucket(there);
      await session.headBucket(there);
      await session.deleteBucket(there);
      expect(server.seen.map(({ path }) => path.split("/")[1])).toEqual(Array(11).fill("other"));
      expect(events.map(({ bucket }) => bucket)).toEqual(Array(11).fill("other"));
      expect(session.presign("getObject", { key: "k", ...there })).toMatch(`${server.endpoint}/other/k?`);
    }
  });

  it("is checked: a bucket that is none, and none at all", async () => {
    const { server, session } = await script([], { bucket: undefined });
    await expect(session.getObject("k")).rejects.toThrow(/bucket: must be given/);
    await expect(session.getObject("k", { bucket: "a/b" })).rejects.toThrow(/bucket: must be 3/);
    expect(() => session.presign("getObject", { key: "k" })).toThrow(/bucket: must be given/);
    expect(() => session.store()).toThrow(/bucket: must be given/);
    expect(session.bucket).toBeUndefined();
    expect(server.seen).toEqual([]);
  });

  it("goes to a host of its own in virtual-host style", async () => {
    const aws = openS3Session({ region: "eu-west-1", bucket: "mine", credentials: keys });
    expect(aws.presign("getObject", { key: "k", bucket: "yours" })).toMatch(
      /^https:\/\/yours\.s3\.eu-west-1\.amazonaws\.com\/k\?/,
    );
    expect(aws.presign("getObject", { key: "k", bucket: "with.dots" })).toMatch(
      /^https:\/\/s3\.eu-west-1\.amazonaws\.com\/with\.dots\/k\?/,
    );
    await aws.close();
    // `*.localhost` is the loopback itself where the resolver knows RFC 6761; the Host header is what counts.
    const { server, session } = await script(() => ({}), { forcePathStyle: true });
    const port = new URL(server.endpoint).port;
    await session.headObject("k", { bucket: "yours" });
    expect(server.seen[0]!.headers.host).toBe(`127.0.0.1:${port}`);
    const virtual = openS3Session({
      endpoint: `http://localhost:${port}`,
      region: "us-east-1",
      bucket: "mine",
      forcePathStyle: false,
      credentials: keys,
      maxTries: 1,
    });
    const sent = await virtual.headObject("k", { bucket: "yours" }).then(
      () => "answered",
      (error: { code: string }) => error.code,
    );
    await virtual.close();
    if (sent === "answered")
      expect(server.seen[1]).toMatchObject({ path: "/k", headers: { host: `yours.localhost:${port}` } });
    else expect(sent).toBe("STORE_UNREACHABLE");
  });
});
