/**
 * The documents of buckets, objects and uploads, read as they are, cut off anywhere, and damaged, for a fixed number of seeds
 * (BUCKETLOCK_FUZZ, BUCKETLOCK_SEED): a cut one is a fault, a damaged one a fault or an answer of the documented shape.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  readAccessControl,
  readBuckets,
  readComplete,
  readCopy,
  readLegalHold,
  readLocation,
  readLogging,
  readObjectLock,
  readRetention,
  readVersioning,
} from "../../packages/core/src/s3-documents.js";
import { loadXmlReader } from "../../packages/core/src/s3-exchange.js";
import type { XmlReader } from "../../packages/core/src/xml.js";
import { partsPage, uploadsPage } from "../../packages/core/src/xml-uploads.js";
import { damage, damaged, tried } from "./damage.js";

const RUNS = Number(process.env.BUCKETLOCK_FUZZ ?? 1_000);
const options = { numRuns: RUNS, seed: Number(process.env.BUCKETLOCK_SEED ?? 20_261_121) };
const reader = await loadXmlReader();

const MS = Date.parse("2026-01-02T03:04:05.678Z");
const TIME = "2026-01-02T03:04:05.678Z";
const text = (value: unknown) => typeof value === "string";
const whole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const instant = (value: unknown) => value === undefined || Number.isSafeInteger(value);
const shape = (value: unknown) => value as Readonly<Record<string, unknown>>;
const each = (values: unknown, holds: (value: Record<string, unknown>) => boolean) =>
  Array.isArray(values) && values.every((value) => holds(value));

const PERMISSIONS = ["FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"];
const isGrant = ({ grantee, permission }: Record<string, unknown>) => {
  const { type, id, uri, email } = shape(grantee);
  return (
    PERMISSIONS.includes(permission as string) && (type === "user" ? text(id) : text(type === "group" ? uri : email))
  );
};
const GRANTS = `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>me</ID><DisplayName>m&amp;e</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>`;
const UPLOAD = `<Upload><Key>a%20b</Key><UploadId>u1</UploadId><Initiated>${TIME}</Initiated></Upload><Upload><Key>c</Key><UploadId>u2</UploadId><Initiated>${TIME}</Initiated></Upload>`;
const PART = (number: number) =>
  `<Part><PartNumber>${number}</PartNumber><LastModified>${TIME}</LastModified><ETag>&quot;e${number}&quot;</ETag><Size>5242880</Size></Part>`;

interface Document {
  readonly body: string;
  read(xml: XmlReader, body: Uint8Array): unknown;
  /** Whole. */
  readonly means: unknown;
  /** Damaged, and read all the same. */
  fits(value: unknown): boolean;
}
const DOCUMENTS: Readonly<Record<string, Document>> = {
  "access control": {
    body: `<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>${GRANTS}</AccessControlList></AccessControlPolicy>`,
    read: readAccessControl,
    means: {
      owner: { id: "me" },
      grants: [{ permission: "FULL_CONTROL", grantee: { id: "me", displayName: "m&e" } }, { permission: "READ" }],
    },
    fits: (value) => typeof shape(value).owner === "object" && each(shape(value).grants, isGrant),
  },
  buckets: {
    body: `<ListAllMyBucketsResult><Owner><ID>me</ID></Owner><Buckets><Bucket><Name>a</Name><CreationDate>${TIME}</CreationDate></Bucket><Bucket><Name>b</Name><CreationDate>${TIME}</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>`,
    read: readBuckets,
    means: { buckets: [{ name: "a", createdMs: MS }, { name: "b" }], owner: { id: "me" } },
    fits: (value) => each(shape(value).buckets, ({ name, createdMs }) => text(name) && Number.isSafeInteger(createdMs)),
  },
  logging: {
    body: `<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>p/</TargetPrefix><TargetGrants>${GRANTS}</TargetGrants></LoggingEnabled></BucketLoggingStatus>`,
    read: readLogging,
    means: { bucket: "logs", prefix: "p/" },
    fits: (value) => value === undefined || (text(shape(value).bucket) && text(shape(value).prefix)),
  },
  versioning: {
    body: "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    read: (xml, body) => ({ state: readVersioning(xml, body) }),
    means: { state: "enabled" },
    fits: (value) => ["enabled", "suspended", "never"].includes(shape(value).state as string),
  },
  location: {
    body: "<LocationConstraint>eu-central-1</LocationConstraint>",
    read: (xml, body) => ({ at: readLocation(xml, body) }),
    means: { at: "eu-central-1" },
    fits: (value) => text(shape(value).at) && shape(value).at !== "",
  },
  "object lock": {
    body: "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    read: readObjectLock,
    means: { enabled: true, defaultRetention: { mode: "governance", days: 30 } },
    fits(value) {
      const { enabled, defaultRetention: kept } = shape(value);
      if (typeof enabled !== "boolean") return false;
      return kept === undefined || (isMode(shape(kept).mode) && [shape(kept).days, shape(kept).years].some(whole));
    },
  },
  retention: {
    body: `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>${TIME}</RetainUntilDate></Retention>`,
    read: readRetention,
    means: { mode: "compliance", untilMs: MS },
    fits: (value) => value === undefined || (isMode(shape(value).mode) && Number.isSafeInteger(shape(value).untilMs)),
  },
  "legal hold": {
    body: "<LegalHold><Status>ON</Status></LegalHold>",
    read: (xml, body) => ({ on: readLegalHold(xml, body) }),
    means: { on: true },
    fits: (value) => typeof shape(value).on === "boolean",
  },
  copy: {
    body: `<CopyObjectResult><LastModified>${TIME}</LastModified><ETag>"e"</ETag></CopyObjectResult>`,
    read: (xml, body) => readCopy(xml, body, "CopyObjectResult"),
    means: { etag: '"e"', lastModifiedMs: MS },
    fits: (value) => text(shape(value).etag) && instant(shape(value).lastModifiedMs),
  },
  completion: {
    body: `<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>"e-2"</ETag></CompleteMultipartUploadResult>`,
    read: (xml, body) => ({ etag: readComplete(xml, body) }),
    means: { etag: '"e-2"' },
    fits: (value) => shape(value).etag === undefined || text(shape(value).etag),
  },
  parts: {
    body: `<ListPartsResult><NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>true</IsTruncated>${PART(1)}${PART(2)}</ListPartsResult>`,
    read: (xml, body) => partsPage(xml.root(body, "ListPartsResult"), "0"),
    means: { parts: [{ number: 1, etag: '"e1"', size: 5_242_880, lastModifiedMs: MS }, { number: 2 }], next: "2" },
    fits({ parts, next } = {} as never) {
      const isPart = (part: Record<string, unknown>) =>
        whole(part.number) && whole(part.size) && text(part.etag) && instant(part.lastModifiedMs);
      return each(parts, isPart) && (next === undefined || Number(next) > 0);
    },
  },
  uploads: {
    body: `<ListMultipartUploadsResult><EncodingType>url</EncodingType><NextKeyMarker>c</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker><IsTruncated>true</IsTruncated>${UPLOAD}</ListMultipartUploadsResult>`,
    read: (xml, body) => uploadsPage(xml.root(body, "ListMultipartUploadsResult"), "[]"),
    means: {
      uploads: [{ key: "a b", uploadId: "u1", initiatedMs: MS }, { key: "c" }],
      next: [
        ["key-marker", "c"],
        ["upload-id-marker", "u2"],
      ],
    },
    fits({ uploads, next } = {} as never) {
      const isUpload = (one: Record<string, unknown>) =>
        text(one.key) && text(one.uploadId) && instant(one.initiatedMs);
      return each(uploads, isUpload) && (next === undefined || (Array.isArray(next) && next.length === 2));
    },
  },
};
function isMode(mode: unknown): boolean {
  return mode === "governance" || mode === "compliance";
}

describe.each(Object.entries(DOCUMENTS))("%s", (_name, { body, read, means, fits }) => {
  const document = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`);

  it("is read as it is", () => {
    expect(read(reader, document)).toMatchObject(means as object);
    expect(fits(read(reader, document))).toBe(true);
  });

  it("cut off anywhere is a fault", () => {
    for (let length = 0; length < document.length; length++)
      expect([length, tried(() => read(reader, document.subarray(0, length)))]).toEqual([length, "fault"]);
  });

  it("damaged in any other way is a fault, or an answer of the same shape", () => {
    let faults = 0;
    fc.assert(
      fc.property(damage, (what) => {
        const given = damaged(document, what);
        const answer = tried(() => read(reader, given));
        if (answer === "fault") faults++;
        else expect(fits(answer), `${given}\n${JSON.stringify(answer)}`).toBe(true);
      }),
      options,
    );
    expect(faults).toBeGreaterThan(RUNS / 4);
  });
});

it("a word that is neither on nor off is no answer", () => {
  const odd = (body: string, by: (xml: XmlReader, body: Uint8Array) => unknown) =>
    tried(() => by(reader, Buffer.from(body)));
  expect(odd("<LegalHold><Status>0N</Status></LegalHold>", readLegalHold)).toBe("fault");
  expect(
    odd(
      "<ObjectLockConfiguration><ObjectLockEnabled>enabled</ObjectLockEnabled></ObjectLockConfiguration>",
      readObjectLock,
    ),
  ).toBe("fault");
  expect(
    odd(`<Retention><Xode>GOVERNANCE</Xode><RetainUntilDate>${TIME}</RetainUntilDate></Retention>`, readRetention),
  ).toBe("fault");
  expect(odd("<AccessControlPolicy><Owner><ID>me</ID></Owner></AccessControlPolicy>", readAccessControl)).toBe("fault");
  expect(odd("<LegalHold/>", readLegalHold)).toBe(false);
  expect(odd("<Retention/>", readRetention)).toBe(undefined);
  expect(
    odd("<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList/></AccessControlPolicy>", readAccessControl),
  ).toEqual({
    owner: { id: "me" },
    grants: [],
  });
});
