/** The verbs of one object: put, get, head, delete; and which version a request means. */
import { aclOfHeaders } from "./acls.js";
import { empty, type Made, Refusal } from "./answers.js";
import type { BucketCall, Call, ObjectCall } from "./call.js";
import { type Checksums, sumHeaders } from "./checksums.js";
import { deleteCondition, noSuchKey, readCondition, writeCondition } from "./conditions.js";
import { lockHeaders, lockOf, refuseLocked } from "./locks.js";
import { FULL_CONTROL, md5, type Stored } from "./world.js";

const KEY_MAX_BYTES = 1024;
const METADATA_MAX_BYTES = 2048;
const CONTENT_HEADERS = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "expires",
  "x-amz-website-redirect-location",
];
const OVERRIDES = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "expires",
];

export function putObject(call: ObjectCall): Made {
  const { world, bucket, key, headers, body } = call;
  refuseLongKey(key);
  refuseUnsummed(call);
  conditions(call);
  const stored = world.add(bucket, key, {
    body,
    etag: `"${md5(body)}"`,
    isDeleteMarker: false,
    headers: keptHeaders(headers),
    checksums: call.checksums,
    acl: aclOfHeaders(headers) ?? FULL_CONTROL,
    ...lockOf(call),
  });
  return empty(200, { etag: stored.etag, ...sumHeaders(stored.checksums, false), ...versionHeader(call, stored) });
}

export function getObject(call: ObjectCall): Made {
  const { headers, query, method } = call;
  const stored = versionOf(call);
  const isKnown = readCondition(headers, stored) === "not modified";
  const about: Record<string, string> = {
    etag: stored.etag,
    "last-modified": new Date(stored.lastModifiedMs).toUTCString(),
    ...versionHeader(call, stored),
  };
  if (isKnown) return empty(304, about);
  const all: Record<string, string> = {
    "content-type": "binary/octet-stream",
    "accept-ranges": "bytes",
    ...stored.headers,
    ...about,
    ...lockHeaders(stored),
  };
  for (const name of OVERRIDES) {
    const value = query.get(`response-${name}`);
    if (value !== null) all[name] = value;
  }
  const span = spanOf(headers.range, query.get("partNumber"), stored);
  if (span === "whole" && headers["x-amz-checksum-mode"] === "ENABLED")
    Object.assign(all, sumHeaders(stored.checksums, stored.parts !== undefined));
  if (query.has("partNumber") && stored.parts) all["x-amz-mp-parts-count"] = String(stored.parts.length);
  if (span === "whole") return { status: 200, body: stored.body, headers: all };
  const size = stored.body.length;
  if (span === "none")
    throw new Refusal(
      416,
      "InvalidRange",
      "The requested range is not satisfiable",
      { RangeRequested: headers.range ?? "", ActualObjectSize: String(size) },
      method === "HEAD" ? {} : { "content-range": `bytes */${size}` },
    );
  all["content-range"] = `bytes ${span.from}-${span.to - 1}/${size}`;
  return { status: 206, body: stored.body.subarray(span.from, span.to), headers: all };
}

export function deleteObject(call: ObjectCall): Made {
  const { bucket, key, query, headers } = call;
  const deleted = remove(call, key, query.get("versionId") ?? undefined, headers["if-match"]);
  return empty(204, {
    ...(deleted.isDeleteMarker && { "x-amz-delete-marker": "true" }),
    ...(deleted.versionId !== undefined && bucket.versioning && { "x-amz-version-id": deleted.versionId }),
  });
}

export interface Deleted {
  /** Of what was deleted, or of the marker that now stands for it. */
  readonly versionId?: string | undefined;
  readonly isDeleteMarker: boolean;
  readonly made?: boolean;
}

export function remove(call: BucketCall, key: string, versionId: string | undefined, match?: string): Deleted {
  const { world, bucket } = call;
  const { conditions, conditionalDelete } = world.options;
  if (conditions !== "ignore" && conditionalDelete !== "ignore") deleteCondition(match, world.latest(bucket, key));
  if (versionId !== undefined) {
    const there = bucket.objects.get(key)?.find((stored) => stored.versionId === versionId);
    refuseLocked(there, call);
    world.remove(bucket, key, versionId);
    return { versionId, isDeleteMarker: there?.isDeleteMarker ?? false };
  }
  bucket.deletions.set(key, (bucket.deletions.get(key) ?? 0) + 1);
  if (bucket.versioning === undefined) {
    world.remove(bucket, key, "null");
    return { isDeleteMarker: false };
  }
  const marker = world.add(bucket, key, {
    body: Buffer.alloc(0),
    etag: "",
    isDeleteMarker: true,
    headers: {},
    checksums: {},
    acl: FULL_CONTROL,
  });
  return { versionId: marker.versionId, isDeleteMarker: true, made: true };
}

/** The version that the request names, or the latest; throws as GET does where there is none to read. */
export function versionOf({ world, bucket, key, query }: ObjectCall): Stored {
  return findVersion(world.latest(bucket, key), bucket.objects.get(key), query.get("versionId") ?? undefined);
}

export function findVersion(
  latest: Stored | undefined,
  all: readonly Stored[] | undefined,
  versionId: string | undefined,
): Stored {
  if (versionId === undefined) {
    if (latest === undefined) throw noSuchKey();
    if (!latest.isDeleteMarker) return latest;
    throw noSuchKey({ "x-amz-delete-marker": "true", "x-amz-version-id": latest.versionId });
  }
  const stored = all?.find((one) => one.versionId === versionId);
  if (stored === undefined)
    throw new Refusal(404, "NoSuchVersion", "The specified version does not exist.", { VersionId: versionId });
  if (stored.isDeleteMarker)
    throw new Refusal(
      405,
      "MethodNotAllowed",
      "The specified method is not allowed against this resource.",
      { ResourceType: "DeleteMarker" },
      {
        allow: "DELETE",
        "x-amz-delete-marker": "true",
        "x-amz-version-id": versionId,
        "last-modified": new Date(stored.lastModifiedMs).toUTCString(),
      },
    );
  return stored;
}

export function versionHeader({ bucket }: BucketCall, stored: Stored): Record<string, string> {
  return bucket.versioning ? { "x-amz-version-id": stored.versionId } : {};
}

export function conditions(call: ObjectCall): void {
  const { world, bucket, key, headers } = call;
  if (world.options.conditions === "ignore") return;
  const wasDeleted = (bucket.deletions.get(key) ?? 0) !== call.deletionsBefore;
  writeCondition(headers, world.current(bucket, key), wasDeleted);
}

/** Content headers and metadata of a request that comes back with the object; throws where there is too much. */
export function keptHeaders(headers: Call["headers"]): Record<string, string> {
  const kept: Record<string, string> = {};
  let metadata = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (CONTENT_HEADERS.includes(name)) kept[name] = value;
    if (!name.startsWith("x-amz-meta-")) continue;
    kept[name] = value;
    metadata += Buffer.byteLength(name) - "x-amz-meta-".length + Buffer.byteLength(value, "latin1");
  }
  if (metadata > METADATA_MAX_BYTES)
    throw new Refusal(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", {
      Size: String(metadata),
      MaxSizeAllowed: String(METADATA_MAX_BYTES),
    });
  // Of the way it was sent, not of the object.
  const encoding = kept["content-encoding"]
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "aws-chunked")
    .join(",");
  if (encoding !== undefined) {
    if (encoding === "") delete kept["content-encoding"];
    else kept["content-encoding"] = encoding;
  }
  return kept;
}

export function refuseLongKey(key: string): void {
  if (Buffer.byteLength(key) > KEY_MAX_BYTES)
    throw new Refusal(400, "KeyTooLongError", "Your key is too long", { MaxSizeAllowed: String(KEY_MAX_BYTES) });
}

/** What is to be locked must come with a sum of it. */
function refuseUnsummed({ headers, checksums }: { headers: Call["headers"]; checksums: Checksums }): void {
  const isLocked = ["mode", "retain-until-date", "legal-hold"].some((name) => headers[`x-amz-object-lock-${name}`]);
  if (isLocked && headers["content-md5"] === undefined && Object.keys(checksums).length === 0)
    throw new Refusal(
      400,
      "InvalidRequest",
      "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    );
}

/** `none`: nothing of the object is in it (416). A range that is not understood is ignored (RFC 9110 14.2). */
function spanOf(
  range: string | undefined,
  part: string | null,
  { body, parts }: Stored,
): { readonly from: number; readonly to: number } | "whole" | "none" {
  const size = body.length;
  if (part !== null) {
    const lengths = parts ?? [size];
    const number = Number(part);
    if (!(number >= 1 && number <= lengths.length))
      throw new Refusal(416, "InvalidPartNumber", "The requested partnumber is not satisfiable");
    const from = lengths.slice(0, number - 1).reduce((sum, length) => sum + length, 0);
    return size === 0 ? "whole" : { from, to: from + lengths[number - 1]! };
  }
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined || (first === "" && last === "")) return "whole";
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "none" : { from: size - length, to: size };
  }
  const from = Number(first);
  if (last !== "" && Number(last) < from) return "whole";
  if (from >= size) return "none";
  return { from, to: last === "" ? size : Math.min(Number(last) + 1, size) };
}
