/**
 * Every request that this project makes of an S3 server, as one table: what it is made of and how its answer is read.
 * Data only; there is no second way to make a request.
 */
import type { Pair } from "./uri.js";

export interface RequestShape {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** `service`: the server itself, no bucket. */
  readonly target: "object" | "bucket" | "service";
  /** Always part of the query. */
  readonly query: readonly Pair[];
  /** A 404 of the object is an answer. */
  readonly mayBeAbsent: boolean;
  /** When it may or may not have been carried out: `outcome` is answered, `error` is thrown. */
  readonly unknownIs: "outcome" | "error";
  /** The server may work for long before it answers: one try may take the whole limit. */
  readonly isSlow: boolean;
  /** Longest answer, in bytes. */
  readonly maxBodyBytes: number;
}

// 1000 entries with keys of 1 KiB, each byte as %XX, and their frame.
const XML_MAX_BYTES = 16 * 1024 * 1024;
const OBJECT_MAX_BYTES = 256 * 1024 * 1024;
const NOTE_MAX_BYTES = 64 * 1024;

const shape = (method: RequestShape["method"], target: RequestShape["target"], rest: Partial<RequestShape> = {}) => ({
  method,
  target,
  query: rest.query ?? [],
  mayBeAbsent: rest.mayBeAbsent ?? false,
  unknownIs: rest.unknownIs ?? "error",
  isSlow: rest.isSlow ?? false,
  maxBodyBytes: rest.maxBodyBytes ?? NOTE_MAX_BYTES,
});

export const S3_REQUESTS = {
  putObject: shape("PUT", "object", { unknownIs: "outcome" }),
  getObject: shape("GET", "object", { mayBeAbsent: true, maxBodyBytes: OBJECT_MAX_BYTES }),
  headObject: shape("HEAD", "object", { mayBeAbsent: true }),
  copyObject: shape("PUT", "object", { unknownIs: "outcome", isSlow: true }),
  deleteObject: shape("DELETE", "object", { mayBeAbsent: true }),
  deleteObjects: shape("POST", "bucket", { query: [["delete", ""]], maxBodyBytes: XML_MAX_BYTES }),
  listObjects: shape("GET", "bucket", { query: listing(["list-type", "2"]), maxBodyBytes: XML_MAX_BYTES }),
  listObjectVersions: shape("GET", "bucket", { query: listing(["versions", ""]), maxBodyBytes: XML_MAX_BYTES }),
  /** The first form, for servers without the second. */
  listObjectsV1: shape("GET", "bucket", { query: [["encoding-type", "url"]], maxBodyBytes: XML_MAX_BYTES }),

  createMultipartUpload: shape("POST", "object", { query: [["uploads", ""]] }),
  uploadPart: shape("PUT", "object"),
  uploadPartCopy: shape("PUT", "object", { isSlow: true }),
  completeMultipartUpload: shape("POST", "object", { unknownIs: "outcome", isSlow: true }),
  abortMultipartUpload: shape("DELETE", "object", { mayBeAbsent: true }),
  listParts: shape("GET", "object", { mayBeAbsent: true, maxBodyBytes: XML_MAX_BYTES }),
  listMultipartUploads: shape("GET", "bucket", { query: listing(["uploads", ""]), maxBodyBytes: XML_MAX_BYTES }),

  getObjectAcl: shape("GET", "object", { query: [["acl", ""]] }),
  putObjectAcl: shape("PUT", "object", { query: [["acl", ""]] }),
  getObjectRetention: shape("GET", "object", { query: [["retention", ""]] }),
  putObjectRetention: shape("PUT", "object", { query: [["retention", ""]] }),
  getObjectLegalHold: shape("GET", "object", { query: [["legal-hold", ""]] }),
  putObjectLegalHold: shape("PUT", "object", { query: [["legal-hold", ""]] }),

  createBucket: shape("PUT", "bucket"),
  headBucket: shape("HEAD", "bucket"),
  deleteBucket: shape("DELETE", "bucket"),
  getBucketLocation: shape("GET", "bucket", { query: [["location", ""]] }),
  getBucketAcl: shape("GET", "bucket", { query: [["acl", ""]] }),
  putBucketAcl: shape("PUT", "bucket", { query: [["acl", ""]] }),
  getBucketLogging: shape("GET", "bucket", { query: [["logging", ""]] }),
  putBucketLogging: shape("PUT", "bucket", { query: [["logging", ""]] }),
  getBucketVersioning: shape("GET", "bucket", { query: [["versioning", ""]] }),
  putBucketVersioning: shape("PUT", "bucket", { query: [["versioning", ""]] }),
  getObjectLockConfiguration: shape("GET", "bucket", { query: [["object-lock", ""]] }),
  putObjectLockConfiguration: shape("PUT", "bucket", { query: [["object-lock", ""]] }),

  listBuckets: shape("GET", "service", { maxBodyBytes: XML_MAX_BYTES }),
} as const satisfies Record<string, RequestShape>;
export type S3RequestName = keyof typeof S3_REQUESTS;

/** Keys may hold what XML cannot: ask for them percent-encoded (some servers do not listen). */
function listing(what: Pair): readonly Pair[] {
  return [what, ["encoding-type", "url"]];
}
