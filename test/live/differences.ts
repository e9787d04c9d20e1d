/**
 * What the S3 servers of ring 5 answer where they differ: one experiment a row, in words short enough for a table. Each has
 * a prefix of its own, and leaves what it wrote to the bucket's end. It judges nothing: the table in docs/stores.md is the
 * expectation.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { BucketlockError, type S3Session, StoreError, systemClock } from "@bucketlock/core";

export interface Ground {
  /** On a bucket without versions. */
  readonly session: S3Session;
  /** On another bucket, by name; the test removes it. */
  readonly bucket: (end: string) => string;
  /** A session that signs as of an hour ago. */
  readonly late: S3Session;
}
type Experiment = (ground: Ground) => Promise<string>;

/** Until then what is retained cannot be cleared away everywhere. */
export const RETAINED_MS = 2_000;
export const late = { ...systemClock, wallMs: () => systemClock.wallMs() - 3_600_000 };

/** In the order of the table. */
export const EXPERIMENTS: Readonly<Record<string, Experiment>> = {
  "listing: owners, asked for": async ({ session }) => {
    await session.putObject("owner/a", "");
    for await (const { owner } of session.objects("owner/", { withOwner: true }))
      return owner?.id ? "given" : "missing";
    return "not listed";
  },
  "listing: delimiter of two characters": async ({ session }) => {
    for (const key of ["two/a--1", "two/a--2", "two/b"]) await session.putObject(key, "");
    for await (const { prefixes, objects } of session.listObjects("two/", { delimiter: "--" }))
      return `${prefixes.length} prefix, ${objects.length} object`;
    return "nothing";
  },
  "listing: the first form": async ({ session }) => {
    const answer = await fetch(session.presign("listObjectsV1", { query: { prefix: "two/" } }));
    return /<ListBucketResult[\s\S]*<Key>two(?:\/|%2F)b</.test(await answer.text()) ? "works" : `${answer.status}`;
  },
  "key `/a`": ({ session }) => keyRound(session, "/slash"),
  "key `a//b`": ({ session }) => keyRound(session, "double//slash"),
  "key `a/` with a body": ({ session }) => keyRound(session, "trail/"),
  "keys `n` and `n/b` both, listed": async ({ session }) => {
    await session.putObject("nested/n", "1");
    return said(session.putObject("nested/n/b", "2"), async () => {
      const listed: string[] = [];
      for await (const { key } of session.objects("nested/")) listed.push(key);
      // What no listing shows, nobody clears away.
      await session.deleteObject("nested/n/b");
      return listed.length === 2 ? "both" : `**only \`${listed[0]?.slice(7)}\`**`;
    });
  },
  "key with a tab and a line break": ({ session }) => keyRound(session, "ctl\ta\nb"),
  "key of 1,024 bytes, no slash": ({ session }) => keyRound(session, `l${"o".repeat(1023)}`),
  "metadata: a name with `_`": async ({ session }) => {
    await session.putObject("meta/k", "", { metadata: { a_b: "1" } });
    const head = await session.headObject("meta/k");
    const [name] = Object.keys(head.found ? head.metadata : {});
    return name === "a_b" ? "kept" : `**becomes \`${name}\`**`;
  },
  "encryption with the caller's key, over plain HTTP": async ({ session }) => {
    const headers = customerKey("0");
    return said(session.putObject("sse/k", "1", { headers }), async () => {
      const plain = await session.getObject("sse/k").catch(() => undefined);
      return plain?.found ? "**ignored**, stored as it is" : "taken";
    });
  },
  "DELETE of nothing": ({ session }) => said(session.deleteObject({ key: "no/thing" }), () => "succeeds"),
  "DELETE of a version that never was": ({ session }) => {
    const versionId = "00000000-0000-4000-8000-000000000000";
    return said(session.deleteObject({ key: "no/thing", versionId }), () => "succeeds");
  },
  "DeleteObjects, quiet": async ({ session }) => {
    await session.putObject("quiet/1", "");
    return said(session.deleteObjects(["quiet/1", "quiet/2"], { quiet: true }), ({ failed }) =>
      failed.length === 0 ? "works" : "reports what is gone",
    );
  },
  "copy: the source's ETag is another": ({ session }) => copy(session, { sourceEtag: '"0"' }),
  "copy: the target must be absent, and is there": ({ session }) => copy(session, { condition: { absent: true } }),
  "upload: in parts, the target must be absent, and is there": async ({ session }) => {
    await session.putObject("upload/to", "1");
    const [condition, partBytes] = [{ absent: true } as const, 5 * 1024 * 1024];
    return said(session.upload("upload/to", Buffer.alloc(partBytes + 1), { condition, partBytes }), ({ outcome }) =>
      outcome === "stored" ? "**ignored**, written" : outcome,
    );
  },
  "copy: in parts, the source's ETag is another": ({ session }) =>
    copy(session, { sourceEtag: '"0"', partsAboveBytes: 0 }),
  "copy: new metadata, and the object's tags": async ({ session }) => {
    await session.putObject("copy/tags", "1", { headers: { "x-amz-tagging": "a=b" } });
    await session.updateMetadata("copy/tags", { metadata: { c: "d" } });
    const head = await session.getObject("copy/tags");
    return head.found && head.headers["x-amz-tagging-count"] === "1" ? "kept" : "**lost**";
  },
  "copy: onto itself, nothing new": async ({ session }) => {
    await session.putObject("copy/self", "1");
    return said(session.copyObject("copy/self", "copy/self"), ({ outcome }) => outcome);
  },
  "bucket created twice": async ({ session, bucket }) => {
    await session.createBucket({ bucket: bucket("twice") });
    return said(session.createBucket({ bucket: bucket("twice") }), () => "succeeds");
  },
  "location of a bucket": ({ session }) => said(session.getBucketLocation(), (location) => `\`${location}\``),
  "ACL of a bucket, read": ({ session }) =>
    said(session.getBucketAcl(), ({ owner, grants }) => `${owner.id ? "owner" : "no owner"}, ${grants.length} grant`),
  "ACL of a bucket, canned": ({ session }) => said(session.putBucketAcl("private"), () => "taken"),
  "ACL of a bucket, grants": async ({ session }) => {
    const acl = await session.getBucketAcl();
    return said(session.putBucketAcl({ owner: acl.owner, grants: acl.grants }), () => "taken");
  },
  "ACL of an object, canned `public-read`": async ({ session }) => {
    await session.putObject("acl/k", "1");
    return said(session.putObjectAcl("acl/k", "public-read"), () => "taken");
  },
  "its plain URL then": async ({ session }) => {
    const answer = await fetch(session.urlOf("acl/k"));
    await answer.body?.cancel();
    return `${answer.status}`;
  },
  "logging, read": ({ session }) => said(session.getBucketLogging(), (logging) => (logging ? "on" : "off")),
  "logging, switched on": ({ session, bucket }) =>
    said(session.putBucketLogging({ bucket: bucket("twice"), prefix: "log/" }), () => "taken"),
  "versions, switched on": async ({ session, bucket }) => {
    await session.createBucket({ bucket: bucket("kept") });
    return said(session.putBucketVersioning("enabled", { bucket: bucket("kept") }), () => "taken");
  },
  "object lock, on a bucket made without": ({ session, bucket }) =>
    said(session.putObjectLockConfiguration({}, { bucket: bucket("twice") }), () => "taken"),
  "object lock, on a bucket made with it": async ({ session, bucket }) => {
    const there = { bucket: bucket("locked") };
    return said(
      session.createBucket({ ...there, objectLock: true }).then(() => session.getObjectLockConfiguration(there)),
      ({ enabled }) => (enabled ? "on" : "off"),
    );
  },
  "legal hold, then DELETE of the version": async ({ session, bucket }) => {
    const there = { bucket: bucket("locked") };
    const { versionId } = await stored(session, there.bucket, "held");
    await session.putObjectLegalHold("held", "on", there);
    const answer = await said(session.deleteObject({ key: "held", versionId }, there), () => "succeeds");
    await session.putObjectLegalHold("held", "off", there);
    return answer;
  },
  "retention in governance mode, taken off": async ({ session, bucket }) => {
    const there = { bucket: bucket("locked") };
    await stored(session, there.bucket, "kept");
    await session.putObjectRetention(
      "kept",
      { mode: "governance", untilMs: systemClock.wallMs() + RETAINED_MS },
      there,
    );
    const off = session.putObjectRetention("kept", undefined, { ...there, bypassGovernance: true });
    return said(off, () => "taken off");
  },
  "presigned PUT, its header sent": ({ session }) => presignedPut(session, { "content-type": "text/x-1" }),
  "presigned PUT, its header left out": ({ session }) => presignedPut(session, {}),
  "presigned PUT, its header changed": ({ session }) => presignedPut(session, { "content-type": "text/x-2" }),
  "presigned PUT, one `x-amz-` header more": ({ session }) =>
    presignedPut(session, { "content-type": "text/x-1", "x-amz-meta-more": "1" }),
  "presigned GET, other content-disposition": async ({ session }) => {
    await session.putObject("pre/get", "1");
    const response = { contentDisposition: 'attachment; filename="a b.txt"' };
    const answer = await fetch(session.presign("getObject", { key: "pre/get", response }));
    await answer.body?.cancel();
    return answer.headers.get("content-disposition") === response.contentDisposition ? "given" : `${answer.status}`;
  },
  "presigned GET, after its end": async ({ late }) =>
    refusedAs(await fetch(late.presign("getObject", { key: "pre/get" }))),
};

async function keyRound(session: S3Session, key: string): Promise<string> {
  try {
    await session.putObject(key, key);
    const got = await session.getObject(key);
    const listed: string[] = [];
    for await (const object of session.objects("")) listed.push(object.key);
    if (!got.found || Buffer.from(got.body).toString() !== key) return "written, not read";
    return listed.includes(key) ? "kept" : "**becomes another key**";
  } catch (error) {
    return refusal(error);
  }
}

async function copy(session: S3Session, options: Parameters<S3Session["copyObject"]>[2]): Promise<string> {
  await session.putObject("copy/from", "1");
  await session.putObject("copy/to", "2");
  return said(session.copyObject("copy/from", "copy/to", options), ({ outcome }) =>
    outcome === "stored" ? "**ignored**, copied" : outcome,
  );
}

async function presignedPut(session: S3Session, headers: Record<string, string>): Promise<string> {
  const url = session.presign("putObject", { key: "pre/put", headers: { "content-type": "text/x-1" } });
  // Bytes, so that fetch adds no type of its own.
  const answer = await fetch(url, { method: "PUT", headers, body: new Uint8Array([1]) });
  return answer.ok ? "taken" : refusedAs(answer);
}

async function stored(session: S3Session, bucket: string, key: string): Promise<{ versionId: string | undefined }> {
  const answer = await session.putObject(key, key, { bucket });
  return { versionId: answer.outcome === "stored" ? answer.versionId : undefined };
}

/** The headers of an encryption with that key. */
export function customerKey(fill: string): Record<string, string> {
  const name = "x-amz-server-side-encryption-customer-";
  const key = Buffer.alloc(32, fill);
  return {
    [`${name}algorithm`]: "AES256",
    [`${name}key`]: key.toString("base64"),
    [`${name}key-md5`]: createHash("md5").update(key).digest("base64"),
  };
}

async function said<T>(work: Promise<T>, words: (value: T) => string | Promise<string>): Promise<string> {
  try {
    return await words(await work);
  } catch (error) {
    return refusal(error);
  }
}

function refusal(error: unknown): string {
  if (error instanceof StoreError) {
    const { status, storeCode } = error.details;
    return storeCode === undefined ? `\`${error.code}\`` : `${status} \`${storeCode}\``;
  }
  if (error instanceof BucketlockError) return `\`${error.code}\``;
  throw error;
}

async function refusedAs(answer: Response): Promise<string> {
  const code = /<Code>(\w+)<\/Code>/.exec(await answer.text())?.[1];
  return code === undefined ? `${answer.status}` : `${answer.status} \`${code}\``;
}

// -- The document -------------------------------------------------------------------------------------------------------

export const COLUMNS = { minio: "MinIO", rgw: "Ceph RGW", versitygw: "versitygw" } as const;

/** What docs/stores.md says of a server, by row. */
export function documented(server: keyof typeof COLUMNS): Record<string, string> {
  const text = readFileSync(new URL("../../docs/stores.md", import.meta.url), "utf8");
  const section = text.slice(text.indexOf("\n## What the servers answer\n"));
  const table = section
    .slice(0, section.indexOf("\n## ", 1))
    .split("\n")
    .filter((line) => line.startsWith("| "));
  const cells = (line: string) => line.slice(2, -2).split(" | ");
  const column = cells(table[0] ?? "").indexOf(COLUMNS[server]);
  return Object.fromEntries(table.slice(1).map((line) => [cells(line)[0]!, cells(line)[column] ?? ""]));
}
