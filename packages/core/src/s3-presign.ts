/**
 * URLs: presigned ones, which carry the right to make one request until they expire, and plain ones, which carry none. Pure:
 * clock and keys are handed in. It never sends anything, and never puts a secret anywhere but into the signature.
 */
import { InvalidError } from "./errors.js";
import { durationMs, namesAndValues, objectKey, text } from "./options.js";
import type { InBucket, S3Endpoint } from "./s3-endpoint.js";
import { S3_REQUESTS, type S3RequestName } from "./s3-requests.js";
import { type Signer, type SigningCredentials, UNSIGNED_PAYLOAD } from "./sigv4.js";
import { canonicalQuery, type Pair } from "./uri.js";

export interface PresignOptions extends InBucket {
  readonly key?: string | undefined;
  readonly versionId?: string | undefined;
  /**
   * From now on, in ms; whole seconds, 1000 to 604 800 000 (a week). Default 60 000. A URL that was signed with temporary
   * credentials ends with them, if that is earlier.
   */
  readonly expiresMs?: number | undefined;
  /** Bound to the URL: whoever uses it must send exactly these. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** More of the query, bound too, such as `{ prefix: "a/", delimiter: "/" }` of a listing. */
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Headers that the server gives with the object instead of its own (getObject, headObject). */
  readonly response?: ResponseHeaders | undefined;
}
export interface ResponseHeaders {
  readonly contentType?: string | undefined;
  readonly contentDisposition?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly contentLanguage?: string | undefined;
  readonly cacheControl?: string | undefined;
  /** As an HTTP date. */
  readonly expires?: string | undefined;
}
export interface UrlOptions extends InBucket {
  readonly versionId?: string | undefined;
}

const RESPONSE: Readonly<Record<keyof ResponseHeaders, string>> = {
  contentType: "response-content-type",
  contentDisposition: "response-content-disposition",
  contentEncoding: "response-content-encoding",
  contentLanguage: "response-content-language",
  cacheControl: "response-cache-control",
  expires: "response-expires",
};

/** Throws InvalidError. */
export function presignedUrl(
  request: S3RequestName,
  options: PresignOptions,
  at: {
    /** Where the request is made, and what signs for that region. */
    readonly placeOf: (ask: InBucket & { readonly request: S3RequestName }) => S3Endpoint;
    readonly signerFor: (place: S3Endpoint) => Signer;
    readonly credentials: SigningCredentials;
    readonly nowMs: number;
  },
): string {
  const { method, target, query } = shapeOf(request);
  const expiresMs = durationMs("expiresMs", options.expiresMs ?? 60_000, { min: 1000, max: 604_800_000 });
  const endpoint = at.placeOf({ request, bucket: options.bucket });
  const path = endpoint.path(target === "object" ? objectKey("key", options.key) : undefined);
  const headers: Pair[] = [["host", endpoint.host], ...headersOf(options)];
  const all = [...query, ...versionOf(options), ...queryOf(options), ...responseOf(request, options.response)];
  const signed = at
    .signerFor(endpoint)
    .signQuery(
      { method, path, query: all, headers, payloadHash: UNSIGNED_PAYLOAD },
      at.credentials,
      at.nowMs,
      Math.ceil(expiresMs / 1000),
    );
  return `${endpoint.origin}${path}?${signed}`;
}

/** Where an object, or without a key the bucket, is found by who needs no rights to it. Throws InvalidError. */
export function plainUrl(endpoint: S3Endpoint, key: string | undefined, options: UrlOptions): string {
  const place = endpoint.of(options.bucket);
  const path = place.path(key === undefined ? undefined : objectKey("key", key));
  const query = canonicalQuery(versionOf(options));
  return `${place.origin}${path}${query === "" ? "" : `?${query}`}`;
}

function shapeOf(request: S3RequestName): (typeof S3_REQUESTS)[S3RequestName] {
  if (Object.hasOwn(S3_REQUESTS, request)) return S3_REQUESTS[request];
  throw new InvalidError("request", "must be the name of a request, such as getObject", request);
}

function versionOf({ versionId }: UrlOptions): Pair[] {
  return versionId === undefined ? [] : [["versionId", text("versionId", versionId)]];
}

function headersOf({ headers }: PresignOptions): Pair[] {
  return namesAndValues("headers", headers).map(([name, value]) => {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || name.toLowerCase() === "host")
      throw new InvalidError("headers", "names must be header names other than host", name);
    if (typeof value !== "string" || !/^[\x20-\x7e]*$/.test(value))
      throw new InvalidError(`headers.${name}`, "must be a string of printable ASCII", value);
    return [name, value];
  });
}

function queryOf({ query }: PresignOptions): Pair[] {
  return namesAndValues("query", query).map(([name, value]) => {
    if (/^x-amz-/i.test(name) || name === "")
      throw new InvalidError("query", "must not have what the signature adds (X-Amz-...)", name);
    if (typeof value !== "string") throw new InvalidError(`query.${name}`, "must be a string", value);
    return [name, value];
  });
}

function responseOf(request: S3RequestName, response: ResponseHeaders | undefined): Pair[] {
  if (response === undefined) return [];
  if (request !== "getObject" && request !== "headObject")
    throw new InvalidError("response", "must be given for getObject and headObject only", request);
  return namesAndValues("response", response as Readonly<Record<string, unknown>>)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      if (!Object.hasOwn(RESPONSE, name))
        throw new InvalidError("response", `must have no names but ${Object.keys(RESPONSE).join(", ")}`, name);
      return [RESPONSE[name as keyof ResponseHeaders], text(`response.${name}`, value)];
    });
}
