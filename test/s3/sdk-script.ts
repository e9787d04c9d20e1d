/**
 * A script of S3 verbs in the words of the AWS SDK for JavaScript, which nobody here wrote, with the answers of the book. It
 * runs against the emulator and against real servers; it knows none of them and compares nothing.
 */
import { createHash } from "node:crypto";
import type * as s3 from "@aws-sdk/client-s3";
import { S3 } from "@aws-sdk/client-s3";
import { Answers } from "./answers.js";

export interface Endpoint {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}
export type Told = readonly (readonly [step: string, answer: unknown, book: unknown])[];

const etagOf = (text: string) => `"${createHash("md5").update(text).digest("hex")}"`;
const NOTHING = {};
const ODD = ["a b", "plus+", "per%cent", "'()*!", "ü/ñ/日本/😀", "q?x=1&y", "tab\there", "#hash", "semi;colon,@:$=~"];

export function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: Endpoint): s3.S3 {
  return new S3({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
}

/** Runs it in two buckets of its own, which it removes. `part`: the length of a part. */
export async function runScript(server: Endpoint, bucket: string, part = 5 * 1024 * 1024): Promise<Told> {
  const client = clientOf(server);
  const answers = new Answers(bucket);
  const told: [string, unknown, unknown][] = [];
  const step = async <T>(name: string, work: () => Promise<T>, book: unknown): Promise<T | undefined> => {
    let got: T | undefined;
    const answer = await answers.of(async () => {
      got = await work();
      return got;
    });
    told.push([name, answer, book]);
    return got;
  };
  const locked = `${bucket}-locked`;
  try {
    await aboutBuckets(client, step, bucket);
    await aboutObjects(client, step, bucket);
    await aboutConditions(client, step, bucket);
    await aboutCopies(client, step, bucket);
    await aboutListings(client, step, bucket);
    await aboutUploads(client, step, bucket, part);
    await aboutDeletes(client, step, bucket);
    await aboutVersions(client, step, bucket);
    await aboutLocks(client, step, locked);
  } finally {
    for (const name of [bucket, locked]) await empty(client, name);
    client.destroy();
  }
  return told;
}

type Step = <T>(name: string, work: () => Promise<T>, book: unknown) => Promise<T | undefined>;

async function aboutBuckets(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  await step("head a bucket that is not there", () => c.headBucket({ Bucket }), "404 NotFound");
  await step("list a bucket that is not there", () => c.listObjectsV2({ Bucket }), "404 NoSuchBucket");
  await step("create a bucket", () => c.createBucket({ Bucket }), NOTHING);
  await step("create it again", () => c.createBucket({ Bucket }), "409 BucketAlreadyOwnedByYou");
  await step("head it", async () => void (await c.headBucket({ Bucket })), undefined);
  await step(
    "find it among all",
    async () => (await c.listBuckets({})).Buckets?.filter(({ Name }) => Name === Bucket).map(({ Name }) => Name),
    ["BUCKET"],
  );
  await step("its location", () => c.getBucketLocation({ Bucket }), NOTHING);
  await step("its versioning", () => c.getBucketVersioning({ Bucket }), NOTHING);
  await step(
    "its ACL",
    async () =>
      (await c.getBucketAcl({ Bucket })).Grants?.map(({ Permission, Grantee }) => [Permission, Grantee?.Type]),
    [["FULL_CONTROL", "CanonicalUser"]],
  );
  await step("a public ACL", async () => {
    await c.putBucketAcl({ Bucket, ACL: "public-read" });
    const { Grants } = await c.getBucketAcl({ Bucket });
    await c.putBucketAcl({ Bucket, ACL: "private" });
    return Grants?.map(({ Permission, Grantee }) => `${Permission} ${Grantee?.URI ?? "owner"}`).sort();
  }, ["FULL_CONTROL owner", "READ http://acs.amazonaws.com/groups/global/AllUsers"]);
  await step("its logging", () => c.getBucketLogging({ Bucket }), NOTHING);
  await step(
    "logging on and off",
    async () => {
      const LoggingEnabled = { TargetBucket: Bucket, TargetPrefix: "logs/" };
      await c.putBucketLogging({ Bucket, BucketLoggingStatus: { LoggingEnabled } });
      const { LoggingEnabled: got } = await c.getBucketLogging({ Bucket });
      await c.putBucketLogging({ Bucket, BucketLoggingStatus: {} });
      return got;
    },
    { TargetBucket: "BUCKET", TargetPrefix: "logs/" },
  );
  await step(
    "its object lock",
    () => c.getObjectLockConfiguration({ Bucket }),
    "404 ObjectLockConfigurationNotFoundError",
  );
}

async function aboutObjects(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  const Key = "dir/object.txt";
  const Body = "0123456789";
  const ETag = etagOf(Body);
  await step("get what is not there", () => c.getObject({ Bucket, Key }), "404 NoSuchKey");
  await step("head what is not there", () => c.headObject({ Bucket, Key }), "404 NotFound");
  await step("delete what is not there", () => c.deleteObject({ Bucket, Key }), NOTHING);
  await step(
    "put with headers and metadata",
    async () =>
      (
        await c.putObject({
          Bucket,
          Key,
          Body,
          ContentType: "text/plain; charset=utf-8",
          CacheControl: "max-age=60",
          ContentDisposition: 'attachment; filename="x y"',
          ContentLanguage: "en",
          Metadata: { one: "1", "two-words": "a  b" },
        })
      ).ETag,
    ETag,
  );
  const about = {
    ETag,
    LastModified: "date",
    ContentLength: 10,
    ContentType: "text/plain; charset=utf-8",
    CacheControl: "max-age=60",
    ContentDisposition: 'attachment; filename="x y"',
    ContentLanguage: "en",
    Metadata: { one: "1", "two-words": "a  b" },
  };
  const bare = { ChecksumCRC32: undefined, ChecksumType: undefined, ChecksumCRC64NVME: undefined };
  await step("head it all", async () => ({ ...(await c.headObject({ Bucket, Key })), ...bare }), about);
  const get = async (more: Partial<s3.GetObjectCommandInput>) => {
    const { Body: stream, ...rest } = await c.getObject({ Bucket, Key, ...more });
    const { ContentLength, ContentRange, ContentType, ChecksumCRC32 } = rest;
    return { ContentLength, ContentRange, ContentType, ChecksumCRC32, Text: await stream?.transformToString() };
  };
  const ContentType = about.ContentType;
  const whole = { ContentLength: 10, ContentType, Text: Body };
  const ranged = (ContentRange: string, Text: string) => ({
    ContentLength: Text.length,
    ContentRange,
    ContentType,
    Text,
  });
  await step(
    "get it without asking for checksums",
    async () => ({ ...(await get({})), ChecksumCRC32: undefined }),
    whole,
  );
  await step("get it with its checksum", () => get({ ChecksumMode: "ENABLED" }), {
    ...whole,
    ChecksumCRC32: "poTHxg==",
  });
  await step("a range", () => get({ Range: "bytes=2-4" }), ranged("bytes 2-4/10", "234"));
  await step("from an offset", () => get({ Range: "bytes=7-" }), ranged("bytes 7-9/10", "789"));
  await step("the last bytes", () => get({ Range: "bytes=-3" }), ranged("bytes 7-9/10", "789"));
  await step("a range that ends behind the end", () => get({ Range: "bytes=8-99" }), ranged("bytes 8-9/10", "89"));
  await step("a range behind the end", () => get({ Range: "bytes=10-" }), "416 InvalidRange");
  await step("other headers of the answer", () => get({ ResponseContentType: "image/x" }), {
    ...whole,
    ContentType: "image/x",
    ChecksumCRC32: "poTHxg==",
  });
  await step("an empty object", async () => (await c.putObject({ Bucket, Key: "empty", Body: "" })).ETag, etagOf(""));
  await step("a range of nothing", () => c.getObject({ Bucket, Key: "empty", Range: "bytes=0-" }), "416 InvalidRange");
  for (const ChecksumAlgorithm of ["CRC32C", "SHA1", "SHA256"] as const) {
    const named = `Checksum${ChecksumAlgorithm}` as const;
    const sum = { CRC32C: "KAwGng==", SHA1: digest(Body, "sha1"), SHA256: digest(Body) }[ChecksumAlgorithm];
    await step(`put with ${ChecksumAlgorithm}`, async () => {
      const put = await c.putObject({ Bucket, Key: "summed", Body, ChecksumAlgorithm });
      const head = await c.headObject({ Bucket, Key: "summed", ChecksumMode: "ENABLED" });
      return [put[named], head[named]];
    }, [sum, sum]);
  }
  await step(
    "a wrong checksum",
    () => c.putObject({ Bucket, Key: "summed", Body, ChecksumSHA256: digest("other") }),
    "400 BadDigest",
  );
  await step(
    "a wrong MD5",
    () => c.putObject({ Bucket, Key: "summed", Body, ContentMD5: createHash("md5").update("x").digest("base64") }),
    "400 BadDigest",
  );
  await step(
    "metadata of 3 KB",
    () => c.putObject({ Bucket, Key: "much", Body, Metadata: { much: "x".repeat(3000) } }),
    "400 MetadataTooLarge",
  );
  await step(
    "a key of 1025 bytes",
    () => c.putObject({ Bucket, Key: `${"x/".repeat(512)}x`, Body }),
    "400 KeyTooLongError",
  );
  for (const key of ODD) {
    await step(
      `the key ${JSON.stringify(key)}`,
      async () => {
        await c.putObject({ Bucket, Key: `odd/${key}`, Body: key });
        const got = await c.getObject({ Bucket, Key: `odd/${key}` });
        return got.Body?.transformToString();
      },
      key,
    );
  }
}

async function aboutConditions(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  const Key = "conditional";
  const put = async (Body: string, more: Partial<s3.PutObjectCommandInput>) =>
    (await c.putObject({ Bucket, Key, Body, ...more })).ETag;
  await step("create if absent", () => put("1", { IfNoneMatch: "*" }), etagOf("1"));
  await step("create again if absent", () => put("2", { IfNoneMatch: "*" }), "412 PreconditionFailed");
  await step("replace what is known", () => put("3", { IfMatch: etagOf("1") }), etagOf("3"));
  await step("replace what was", () => put("4", { IfMatch: etagOf("1") }), "412 PreconditionFailed");
  await step(
    "replace what is not there",
    () => c.putObject({ Bucket, Key: "nothing", Body: "x", IfMatch: etagOf("1") }),
    "404 NoSuchKey",
  );
  // Of its own: not every server takes the replacement.
  await c.putObject({ Bucket, Key, Body: "3" });
  const read = async (more: Partial<s3.GetObjectCommandInput>) =>
    (await c.getObject({ Bucket, Key, ...more })).Body?.transformToString();
  await step("read if it is that", () => read({ IfMatch: etagOf("3") }), "3");
  await step("read if it is another", () => read({ IfMatch: etagOf("1") }), "412 PreconditionFailed");
  await step("read if it is not that", () => read({ IfNoneMatch: etagOf("3") }), "304");
  await step("read if it is not another", () => read({ IfNoneMatch: etagOf("1") }), "3");
  const past = new Date(Date.now() - 86_400_000);
  await step("read if changed since yesterday", () => read({ IfModifiedSince: past }), "3");
  await step("read if not changed since yesterday", () => read({ IfUnmodifiedSince: past }), "412 PreconditionFailed");
  await step("head if it is not that", () => c.headObject({ Bucket, Key, IfNoneMatch: etagOf("3") }), "304");
  await step(
    "delete if it is another",
    async () => void (await c.deleteObject({ Bucket, Key, IfMatch: etagOf("1") })),
    "412 PreconditionFailed",
  );
  await step("delete if it is that", () => c.deleteObject({ Bucket, Key, IfMatch: etagOf("3") }), NOTHING);
  await step(
    "delete if it is that, once more",
    () => c.deleteObject({ Bucket, Key, IfMatch: etagOf("3") }),
    "404 NoSuchKey",
  );
}

async function aboutCopies(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  const Key = "copies/to";
  const from = `${Bucket}/${encodeURIComponent("copies/from é+%")}`;
  const ETag = etagOf("copy me");
  await c.putObject({
    Bucket,
    Key: "copies/from é+%",
    Body: "copy me",
    ContentType: "text/x-from",
    Metadata: { from: "1" },
  });
  const head = async () => {
    const { ContentType, Metadata } = await c.headObject({ Bucket, Key });
    return { ContentType, Metadata };
  };
  const copy = async (more: Partial<s3.CopyObjectCommandInput>) => {
    const { CopyObjectResult } = await c.copyObject({ Bucket, Key, CopySource: from, ...more });
    return {
      ETag: `"${CopyObjectResult?.ETag?.replaceAll('"', "")}"`,
      LastModified: CopyObjectResult?.LastModified,
      ...(await head()),
    };
  };
  await step(
    "the ETag of a copy",
    async () => (await c.copyObject({ Bucket, Key, CopySource: from })).CopyObjectResult?.ETag,
    ETag,
  );
  const kept = { ETag, LastModified: "date", ContentType: "text/x-from", Metadata: { from: "1" } };
  await step("copy", () => copy({}), kept);
  await step(
    "copy and replace metadata",
    () => copy({ MetadataDirective: "REPLACE", ContentType: "text/x-to", Metadata: { to: "2" } }),
    { ...kept, ContentType: "text/x-to", Metadata: { to: "2" } },
  );
  await step(
    "copy to itself with other metadata",
    () =>
      copy({
        CopySource: `${Bucket}/${Key}`,
        MetadataDirective: "REPLACE",
        Metadata: { self: "3" },
        ContentType: "a/b",
      }),
    { ...kept, ContentType: "a/b", Metadata: { self: "3" } },
  );
  await step("copy to itself", () => copy({ CopySource: `${Bucket}/${Key}` }), "400 InvalidRequest");
  await step("copy what is not there", () => copy({ CopySource: `${Bucket}/no` }), "404 NoSuchKey");
  await step("copy from no bucket", () => copy({ CopySource: "no-such-bucket-here/no" }), "404 NoSuchBucket");
  await step("copy if it is another", () => copy({ CopySourceIfMatch: etagOf("x") }), "412 PreconditionFailed");
  await step("copy if it is not that", () => copy({ CopySourceIfNoneMatch: ETag }), "412 PreconditionFailed");
  await step("copy if it is that", () => copy({ CopySourceIfMatch: ETag }), kept);
}

async function aboutListings(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  const Prefix = "list/";
  const names = ["a", "b/1", "b/2", "c", "d/1", "e f", "z"].map((name) => Prefix + name);
  for (const Key of names) await c.putObject({ Bucket, Key, Body: Key });
  const shown = (page: Pick<s3.ListObjectsV2CommandOutput, "Contents" | "CommonPrefixes" | "IsTruncated">) => [
    ...(page.Contents ?? []).map(({ Key }) => Key),
    ...(page.CommonPrefixes ?? []).map((one) => `${one.Prefix}*`),
    ...(page.IsTruncated ? ["..."] : []),
  ];
  await step("list a prefix", async () => shown(await c.listObjectsV2({ Bucket, Prefix })), names);
  await step("one entry as a whole", async () => (await c.listObjectsV2({ Bucket, Prefix: names[0]! })).Contents?.[0], {
    Key: "list/a",
    ETag: etagOf("list/a"),
    Size: 6,
    LastModified: "date",
  });
  await step(
    "what a page says of itself",
    async () => {
      const page = await c.listObjectsV2({ Bucket, Prefix, MaxKeys: 3, Delimiter: "/" });
      const { KeyCount, MaxKeys, Delimiter, Name, IsTruncated } = page;
      return { KeyCount, MaxKeys, Delimiter, Name, IsTruncated, Prefix: page.Prefix };
    },
    { KeyCount: 3, MaxKeys: 3, Delimiter: "/", Name: "BUCKET", Prefix, IsTruncated: true },
  );
  const rolled = ["list/a", "list/c", "list/e f", "list/z", "list/b/*", "list/d/*"];
  await step("with a delimiter", async () => shown(await c.listObjectsV2({ Bucket, Prefix, Delimiter: "/" })), rolled);
  await step(
    "after a key",
    async () => shown(await c.listObjectsV2({ Bucket, Prefix, StartAfter: "list/c" })),
    names.slice(4),
  );
  await step("no keys", async () => shown(await c.listObjectsV2({ Bucket, Prefix, MaxKeys: 0 })), []);
  await step("by pages of two with a delimiter", async () => {
    const pages: unknown[] = [];
    for (let token: string | undefined; ; ) {
      const page: s3.ListObjectsV2CommandOutput = await c.listObjectsV2({
        Bucket,
        Prefix,
        Delimiter: "/",
        MaxKeys: 2,
        ...(token !== undefined && { ContinuationToken: token }),
      });
      pages.push(shown(page).join(" "));
      token = page.NextContinuationToken;
      if (token === undefined) return pages;
    }
  }, ["list/a list/b/* ...", "list/c list/d/* ...", "list/e f list/z"]);
  await step(
    "version 1 of the call",
    async () => shown(await c.listObjects({ Bucket, Prefix, Delimiter: "/" })),
    rolled,
  );
  await step("version 1 by pages", async () => {
    const pages: unknown[] = [];
    for (let marker: string | undefined; ; ) {
      const page: s3.ListObjectsCommandOutput = await c.listObjects({
        Bucket,
        Prefix,
        Delimiter: "/",
        MaxKeys: 2,
        ...(marker !== undefined && { Marker: marker }),
      });
      pages.push([shown(page).join(" "), page.NextMarker?.replace(/\[minio_cache.*/, "[...]")]);
      marker = page.NextMarker;
      if (marker === undefined) return pages;
    }
  }, [
    ["list/a list/b/* ...", "list/b/"],
    ["list/c list/d/* ...", "list/d/"],
    ["list/e f list/z", undefined],
  ]);
  await step("encoded", async () => {
    const page = await c.listObjectsV2({ Bucket, Prefix: "list/e", EncodingType: "url" });
    return [page.EncodingType, page.Contents?.map(({ Key }) => decodeURIComponent(Key!.replaceAll("+", " ")))];
  }, ["url", ["list/e f"]]);
  await step(
    "a false token",
    async () => shown(await c.listObjectsV2({ Bucket, ContinuationToken: "*", MaxKeys: 1 })),
    "400 InvalidArgument",
  );
}

async function aboutUploads(c: s3.S3, step: Step, Bucket: string, size: number): Promise<void> {
  const Key = "by parts";
  const bodies = ["a".repeat(size), "b".repeat(10)];
  const digests = bodies.map((body) => createHash("md5").update(body).digest());
  const whole = `"${createHash("md5").update(Buffer.concat(digests)).digest("hex")}-2"`;
  const create = async () => {
    const { UploadId } = await c.createMultipartUpload({
      Bucket,
      Key,
      ContentType: "x/parts",
      Metadata: { by: "parts" },
    });
    return UploadId!;
  };
  const upload = async (UploadId: string, PartNumber: number, Body: string) =>
    (await c.uploadPart({ Bucket, Key, UploadId, PartNumber, Body })).ETag!;
  const UploadId = await create();
  const tags: string[] = [];
  await step(
    "parts",
    async () => {
      for (const [at, body] of bodies.entries()) tags.push(await upload(UploadId, at + 1, body));
      return tags;
    },
    bodies.map(etagOf),
  );
  await step("list parts", async () => {
    const { Parts, IsTruncated } = await c.listParts({ Bucket, Key, UploadId });
    return [IsTruncated, Parts?.map(({ PartNumber, Size, ETag }) => [PartNumber, Size, ETag])];
  }, [false, bodies.map((body, at) => [at + 1, body.length, etagOf(body)])]);
  await step("list parts by pages", async () => {
    const one = await c.listParts({ Bucket, Key, UploadId, MaxParts: 1 });
    const two = await c.listParts({ Bucket, Key, UploadId, PartNumberMarker: one.NextPartNumberMarker! });
    return [one, two].map(({ Parts, IsTruncated }) => [Parts?.map(({ PartNumber }) => PartNumber), IsTruncated]);
  }, [
    [[1], true],
    [[2], false],
  ]);
  await step(
    "list uploads",
    async () => (await c.listMultipartUploads({ Bucket, Prefix: Key })).Uploads?.map((one) => one.Key),
    [Key],
  );
  const complete = (Parts: s3.CompletedPart[], id = UploadId) =>
    c.completeMultipartUpload({ Bucket, Key, UploadId: id, MultipartUpload: { Parts } });
  const parts = () => tags.map((ETag, at) => ({ ETag, PartNumber: at + 1 }));
  await step("complete with a wrong ETag", () => complete([{ ETag: etagOf("no"), PartNumber: 1 }]), "400 InvalidPart");
  await step("complete in the wrong order", () => complete(parts().reverse()), "400 InvalidPartOrder");
  await step("complete", async () => (await complete(parts())).ETag, whole);
  await step(
    "the object",
    async () => {
      const { ETag, ContentLength, ContentType, Metadata } = await c.headObject({ Bucket, Key });
      return { ETag, ContentLength, ContentType, Metadata };
    },
    { ETag: whole, ContentLength: size + 10, ContentType: "x/parts", Metadata: { by: "parts" } },
  );
  await step("one part of it", async () => {
    const { ContentRange, PartsCount, Body } = await c.getObject({ Bucket, Key, PartNumber: 2 });
    return [ContentRange, PartsCount, (await Body!.transformToString()).slice(0, 20)];
  }, [`bytes ${size}-${size + 9}/${size + 10}`, 2, bodies[1]]);
  await step("no such upload", () => upload("no-such-upload", 1, "x"), "404 NoSuchUpload");
  await step(
    "abort what is not there",
    () => c.abortMultipartUpload({ Bucket, Key, UploadId: "none" }),
    "404 NoSuchUpload",
  );
  const copied = await create();
  await step("parts by copy", async () => {
    const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
    const common = { Bucket, Key, UploadId: copied, CopySource };
    const one = await c.uploadPartCopy({ ...common, PartNumber: 1, CopySourceRange: `bytes=0-${size - 1}` });
    const two = await c.uploadPartCopy({ ...common, PartNumber: 2, CopySourceRange: `bytes=${size}-${size + 4}` });
    const made = [one, two].map(({ CopyPartResult }, at) => ({
      ETag: `"${CopyPartResult!.ETag!.replaceAll('"', "")}"`,
      PartNumber: at + 1,
    }));
    await complete(made, copied);
    const { ContentLength } = await c.headObject({ Bucket, Key });
    return [made.map(({ ETag }) => ETag), ContentLength];
  }, [[etagOf(bodies[0]!), etagOf("bbbbb")], size + 5]);
  const small = await create();
  await step(
    "parts that are too small",
    async () => {
      const ETag = await upload(small, 1, "x");
      return complete(
        [
          { ETag, PartNumber: 1 },
          { ETag: await upload(small, 2, "y"), PartNumber: 2 },
        ],
        small,
      );
    },
    "400 EntityTooSmall",
  );
  await step("abort", () => c.abortMultipartUpload({ Bucket, Key, UploadId: small }), NOTHING);
  await step(
    "nothing is left",
    async () => (await c.listMultipartUploads({ Bucket, Prefix: Key })).Uploads?.length ?? 0,
    0,
  );
  await step(
    "complete if absent",
    async () => {
      const id = await create();
      const ETag = await upload(id, 1, "x");
      try {
        return await c.completeMultipartUpload({
          Bucket,
          Key,
          UploadId: id,
          IfNoneMatch: "*",
          MultipartUpload: { Parts: [{ ETag, PartNumber: 1 }] },
        });
      } finally {
        await c.abortMultipartUpload({ Bucket, Key, UploadId: id }).catch(() => {});
      }
    },
    "412 PreconditionFailed",
  );
}

async function aboutDeletes(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  for (const Key of ["many/1", "many/2 <&>", "many/3"]) await c.putObject({ Bucket, Key, Body: "x" });
  const del = (keys: string[], Quiet: boolean) =>
    c.deleteObjects({ Bucket, Delete: { Quiet, Objects: keys.map((Key) => ({ Key })) } });
  await step(
    "delete many",
    async () => (await del(["many/1", "many/2 <&>", "many/none"], false)).Deleted?.map(({ Key }) => Key).sort(),
    ["many/1", "many/2 <&>", "many/none"],
  );
  await step("delete many, quietly", () => del(["many/3"], true), NOTHING);
  await step("delete none", () => del([], false), "400 MalformedXML");
  await step(
    "delete 1001",
    async () => {
      const keys = Array.from({ length: 1001 }, (_, at) => `x${at}`);
      return (await del(keys, false)).Deleted?.length;
    },
    "400 MalformedXML",
  );
  await step("delete a bucket that is not empty", () => c.deleteBucket({ Bucket }), "409 BucketNotEmpty");
}

async function aboutVersions(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  const Key = "versions/k";
  const put = async (Body: string) => (await c.putObject({ Bucket, Key, Body })).VersionId;
  const list = async (more: Partial<s3.ListObjectVersionsCommandInput> = {}) => {
    const page = await c.listObjectVersions({ Bucket, Prefix: "versions/", ...more });
    return {
      versions: page.Versions?.map(({ VersionId, IsLatest, Size }) => ({ VersionId, IsLatest, Size })),
      markers: page.DeleteMarkers?.map(({ VersionId, IsLatest }) => ({ VersionId, IsLatest })),
    };
  };
  await put("zero");
  await step("versions where none are kept", () => list(), {
    versions: [{ VersionId: "null", IsLatest: true, Size: 4 }],
  });
  const on = await step(
    "versioning on",
    async () => {
      await c.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Enabled" } });
      return c.getBucketVersioning({ Bucket });
    },
    { Status: "Enabled" },
  );
  // The rest is about nothing without.
  if (on?.Status !== "Enabled") return;
  const one = await step("the first version", async () => ({ VersionId: await put("one") }), { VersionId: "v1" });
  await step("the second version", async () => ({ VersionId: await put("two!!") }), { VersionId: "v2" });
  const gone = await step("delete lays a marker", () => c.deleteObject({ Bucket, Key }), {
    DeleteMarker: true,
    VersionId: "v3",
  });
  await step("all versions", () => list(), {
    versions: [
      { VersionId: "v2", IsLatest: false, Size: 5 },
      { VersionId: "v1", IsLatest: false, Size: 3 },
      { VersionId: "null", IsLatest: false, Size: 4 },
    ],
    markers: [{ VersionId: "v3", IsLatest: true }],
  });
  await step("by pages of one", async () => {
    const ids: unknown[] = [];
    let more: Partial<s3.ListObjectVersionsCommandInput> = {};
    for (;;) {
      const page: s3.ListObjectVersionsCommandOutput = await c.listObjectVersions({
        Bucket,
        Prefix: "versions/",
        MaxKeys: 1,
        ...more,
      });
      ids.push([...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ VersionId }) => ({ VersionId })));
      if (!page.IsTruncated || ids.length > 9) return ids;
      more = { KeyMarker: page.NextKeyMarker!, VersionIdMarker: page.NextVersionIdMarker! };
    }
  }, [[{ VersionId: "v3" }], [{ VersionId: "v2" }], [{ VersionId: "v1" }], [{ VersionId: "null" }]]);
  const text = async (VersionId?: string) =>
    (await c.getObject({ Bucket, Key, ...(VersionId && { VersionId }) })).Body?.transformToString();
  await step("get what is deleted", () => text(), "404 NoSuchKey");
  await step("get the first version", () => text(one!.VersionId), "one");
  await step("get the marker", () => text(gone!.VersionId), "405 MethodNotAllowed");
  await step(
    "create if absent over a marker",
    async () => {
      const { VersionId } = await c.putObject({ Bucket, Key, Body: "new", IfNoneMatch: "*" });
      await c.deleteObject({ Bucket, Key, VersionId: VersionId! });
      return { VersionId };
    },
    { VersionId: "v4" },
  );
  await step("delete the marker", () => c.deleteObject({ Bucket, Key, VersionId: gone!.VersionId! }), {
    DeleteMarker: true,
    VersionId: "v3",
  });
  await step("what is back", () => text(), "two!!");
  await step(
    "copy a version",
    async () => {
      const CopySource = `${Bucket}/${Key}?versionId=${one!.VersionId}`;
      const { CopySourceVersionId } = await c.copyObject({ Bucket, Key: "versions/copy", CopySource });
      const got = await c.getObject({ Bucket, Key: "versions/copy" });
      return { CopySourceVersionId, text: await got.Body?.transformToString() };
    },
    { CopySourceVersionId: "v1", text: "one" },
  );
  await step("delete many versions", async () => {
    const Objects = [{ Key, VersionId: one!.VersionId! }, { Key: "versions/copy" }];
    const { Deleted } = await c.deleteObjects({ Bucket, Delete: { Objects } });
    return Deleted?.sort((a, b) => (a.Key! < b.Key! ? 1 : -1)).map((one) => ({
      Key: one.Key,
      VersionId: one.VersionId,
      DeleteMarker: one.DeleteMarker,
    }));
  }, [
    { Key, VersionId: "v1" },
    { Key: "versions/copy", DeleteMarker: true },
  ]);
  await step(
    "versioning suspended",
    async () => {
      await c.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Suspended" } });
      await put("null again");
      await put("and again");
      return list({ Prefix: Key });
    },
    {
      versions: [
        { VersionId: "null", IsLatest: true, Size: 9 },
        { VersionId: "v2", IsLatest: false, Size: 5 },
      ],
    },
  );
}

async function aboutLocks(c: s3.S3, step: Step, Bucket: string): Promise<void> {
  const Key = "held";
  const made = await step(
    "a bucket with object lock",
    async () => {
      await c.createBucket({ Bucket, ObjectLockEnabledForBucket: true });
      const { ObjectLockConfiguration } = await c.getObjectLockConfiguration({ Bucket });
      return { ...ObjectLockConfiguration, Versioning: (await c.getBucketVersioning({ Bucket })).Status };
    },
    { ObjectLockEnabled: "Enabled", Versioning: "Enabled" },
  );
  if (made?.Versioning !== "Enabled") return;
  await step(
    "no suspension",
    () => c.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    "409 InvalidBucketState",
  );
  await step(
    "a default rule",
    async () => {
      const DefaultRetention = { Mode: "GOVERNANCE", Days: 2 } as const;
      const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled", Rule: { DefaultRetention } } as const;
      await c.putObjectLockConfiguration({ Bucket, ObjectLockConfiguration });
      return (await c.getObjectLockConfiguration({ Bucket })).ObjectLockConfiguration;
    },
    { ObjectLockEnabled: "Enabled", Rule: { DefaultRetention: { Mode: "GOVERNANCE", Days: 2 } } },
  );
  const { VersionId } = await c.putObject({ Bucket, Key, Body: "x" });
  await step(
    "what a new object has",
    async () => {
      const { ObjectLockMode, ObjectLockRetainUntilDate } = await c.headObject({ Bucket, Key });
      return { ObjectLockMode, ObjectLockRetainUntilDate };
    },
    { ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: "date" },
  );
  await step("delete what is held", () => c.deleteObject({ Bucket, Key, VersionId: VersionId! }), "403 AccessDenied");
  const until = new Date(Date.now() + 3 * 86_400_000);
  await step("longer retention", async () => {
    await c.putObjectRetention({ Bucket, Key, Retention: { Mode: "GOVERNANCE", RetainUntilDate: until } });
    const { Retention } = await c.getObjectRetention({ Bucket, Key });
    return [Retention?.Mode, Math.abs(Retention!.RetainUntilDate!.getTime() - until.getTime()) < 1000];
  }, ["GOVERNANCE", true]);
  const shorter = { Mode: "GOVERNANCE", RetainUntilDate: new Date(Date.now() + 3_600_000) } as const;
  await step("shorter retention", () => c.putObjectRetention({ Bucket, Key, Retention: shorter }), "403 AccessDenied");
  await step("a legal hold on and off", async () => {
    const states: unknown[] = [];
    for (const Status of ["ON", "OFF"] as const) {
      await c.putObjectLegalHold({ Bucket, Key, LegalHold: { Status } });
      states.push((await c.getObjectLegalHold({ Bucket, Key })).LegalHold?.Status);
    }
    return states;
  }, ["ON", "OFF"]);
  await step(
    "delete with the right to",
    () => c.deleteObject({ Bucket, Key, VersionId: VersionId!, BypassGovernanceRetention: true }),
    { VersionId: "v5" },
  );
}

/** Whatever is left: versions, markers, uploads, the bucket. */
async function empty(c: s3.S3, Bucket: string): Promise<void> {
  try {
    for (;;) {
      const { Versions = [], DeleteMarkers = [] } = await c.listObjectVersions({ Bucket });
      const all = [...Versions, ...DeleteMarkers];
      for (const { Key, VersionId } of all)
        await c.deleteObject({ Bucket, Key: Key!, VersionId: VersionId!, BypassGovernanceRetention: true });
      if (all.length === 0) break;
    }
    await c.deleteBucket({ Bucket });
  } catch (error) {
    if ((error as Error).name !== "NoSuchBucket") throw error;
  }
}

function digest(text: string, algorithm = "sha256"): string {
  return createHash(algorithm).update(text).digest("base64");
}
