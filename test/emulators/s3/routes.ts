/** Which verb a request is: by method, what it is about, and the sub-resource in its query. Undefined: none that is known. */
import { getAcl, putAcl } from "./acls.js";
import type { Made } from "./answers.js";
import {
  createBucket,
  deleteBucket,
  getLocation,
  getLogging,
  getVersioning,
  headBucket,
  listBuckets,
  putLogging,
  putVersioning,
} from "./buckets.js";
import type { BucketCall, Call, ObjectCall } from "./call.js";
import { copyObject, copyPart } from "./copies.js";
import { deleteObjects } from "./deletes.js";
import { listObjects, listVersions } from "./listings.js";
import { getLegalHold, getObjectLock, getRetention, putLegalHold, putObjectLock, putRetention } from "./locks.js";
import { deleteObject, getObject, putObject, versionOf } from "./objects.js";
import { abortUpload, completeUpload, createUpload, listParts, listUploads, putPart } from "./uploads.js";

/** Every name in a query that makes another call of it (API reference); those without a verb here are not known. */
const SUBRESOURCES = [
  "accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold lifecycle location",
  "logging metrics notification object-lock ownershipControls partNumber policy policyStatus publicAccessBlock replication",
  "requestPayment restore retention select tagging torrent uploadId uploads versioning versions website",
].flatMap((line) => line.split(" "));

const ON_BUCKET: Readonly<Record<string, (call: BucketCall) => Made>> = {
  "GET ": listObjects,
  "HEAD ": headBucket,
  "DELETE ": deleteBucket,
  "GET versions": listVersions,
  "GET uploads": listUploads,
  "POST delete": deleteObjects,
  "GET location": getLocation,
  "GET versioning": getVersioning,
  "PUT versioning": putVersioning,
  "GET logging": getLogging,
  "PUT logging": putLogging,
  "GET acl": ({ bucket }) => getAcl(bucket.acl),
  "PUT acl": (call) => putAcl(call, call.bucket),
  "GET object-lock": getObjectLock,
  "PUT object-lock": putObjectLock,
};

const ON_OBJECT: Readonly<Record<string, (call: ObjectCall) => Made>> = {
  "PUT ": (call) => (isCopy(call) ? copyObject(call) : putObject(call)),
  "GET ": getObject,
  "HEAD ": getObject,
  "GET partNumber": getObject,
  "HEAD partNumber": getObject,
  "DELETE ": deleteObject,
  "POST uploads": createUpload,
  "PUT partNumber uploadId": (call) => (isCopy(call) ? copyPart(call) : putPart(call)),
  "GET uploadId": listParts,
  "POST uploadId": completeUpload,
  "DELETE uploadId": abortUpload,
  "GET acl": (call) => getAcl(versionOf(call).acl),
  "PUT acl": (call) => putAcl(call, versionOf(call)),
  "GET retention": getRetention,
  "PUT retention": putRetention,
  "GET legal-hold": getLegalHold,
  "PUT legal-hold": putLegalHold,
};

export function verbOf(
  method: string,
  query: URLSearchParams,
  bucket: string | undefined,
  key: string | undefined,
): ((call: Call) => Made) | undefined {
  const what = `${method} ${SUBRESOURCES.filter((name) => query.has(name)).join(" ")}`;
  if (bucket === undefined) return what === "GET " ? listBuckets : undefined;
  if (key === undefined) {
    if (what === "PUT ") return (call) => createBucket(call, bucket);
    const verb = Object.hasOwn(ON_BUCKET, what) ? ON_BUCKET[what] : undefined;
    return verb && ((call) => verb({ ...call, bucket: call.world.bucket(bucket) }));
  }
  const verb = Object.hasOwn(ON_OBJECT, what) ? ON_OBJECT[what] : undefined;
  return verb && ((call) => verb({ ...call, bucket: call.world.bucket(bucket), key }));
}

function isCopy(call: Call): boolean {
  return call.headers["x-amz-copy-source"] !== undefined;
}
