/**
 * AWS signature version 2, which Spectra's appliances want: what is signed, and the Authorization header. Pure. It decides
 * nothing else, and no secret is ever part of what it answers. Source: "Signing and authenticating REST requests (AWS
 * signature version 2)", Amazon S3 developer guide; for the checksum, the SDKs of Spectra Logic.
 */
import { nodeCrypto } from "../builtin.js";
import type { Pair } from "../uri.js";

export interface SigningRequestV2 {
  readonly method: string;
  /** As it is sent, encoded; the bucket before it where that is in the host's name. Without the query. */
  readonly resource: string;
  /** Not encoded. Only what names a part of the resource is signed. */
  readonly query: readonly Pair[];
  /** Names in any case; may repeat. `date` or `x-amz-date` must be among them. */
  readonly headers: readonly Pair[];
}

/** Parameters that name another resource than the path alone ("Constructing the CanonicalizedResource element"). */
const SUBRESOURCES = new Set([
  "acl",
  "cors",
  "delete",
  "lifecycle",
  "location",
  "logging",
  "notification",
  "partNumber",
  "policy",
  "requestPayment",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "tagging",
  "torrent",
  "uploadId",
  "uploads",
  "versionId",
  "versioning",
  "versions",
  "website",
]);

/** Spectra: whichever checksum is sent stands where S3 has the MD5. */
const CHECKSUMS = ["content-md5", "content-crc32", "content-crc32c", "content-sha256", "content-sha512"];

export function stringToSignV2({ method, resource, query, headers }: SigningRequestV2): string {
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    values.set(lower, [...(values.get(lower) ?? []), value.trim().replace(/\s*\r?\n\s*/g, " ")]);
  }
  const first = (...names: readonly string[]) =>
    names.map((name) => values.get(name)?.[0]).find((value) => value) ?? "";
  const amz = [...values]
    .filter(([name]) => name.startsWith("x-amz-"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, all]) => `${name}:${all.join(",")}\n`);
  const parts = query
    .filter(([name]) => SUBRESOURCES.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === "" ? name : `${name}=${value}`));
  // The date is signed once: as a header of its own where it is one.
  const date = values.has("x-amz-date") ? "" : first("date");
  return [
    method,
    first(...CHECKSUMS),
    first("content-type"),
    date,
    `${amz.join("")}${resource}${parts.length === 0 ? "" : `?${parts.join("&")}`}`,
  ].join("\n");
}

/** The header `authorization`. */
export function authorizationV2(
  request: SigningRequestV2,
  keys: { readonly accessKey: string; readonly secretKey: string },
): string {
  const signature = nodeCrypto().createHmac("sha1", keys.secretKey).update(stringToSignV2(request)).digest("base64");
  return `AWS ${keys.accessKey}:${signature}`;
}
