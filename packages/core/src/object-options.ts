/**
 * What callers may say about one object that is read or written, and how that is said to the server. Pure: refuses with
 * InvalidError naming the option, or answers headers and query. It knows no request and no answer.
 */
import { formatHttpDate } from "./clock.js";
import { InvalidError } from "./errors.js";
import { integer, namesAndValues, text } from "./options.js";
import type { Pair } from "./uri.js";

/** Bytes from `start`, up to and with `end`; without `end` to the last one. Or the last so many. */
export type ByteRange = { readonly start: number; readonly end?: number | undefined } | { readonly lastBytes: number };

/** Conditions of a read (RFC 9110 13.1). Instants are cut to whole seconds, as HTTP dates are. */
export interface ReadConditions {
  /** Only what still has this ETag. */
  readonly ifMatch?: string | undefined;
  /** The body is wanted only if the object no longer has this ETag. Then the answer may be `unchanged`. */
  readonly unlessEtag?: string | undefined;
  /** The body is wanted only if it was written after that. Then the answer may be `unchanged`. */
  readonly ifModifiedSinceMs?: number | undefined;
  /** Only what was not written after that. */
  readonly ifUnmodifiedSinceMs?: number | undefined;
}

/** User-defined metadata: names and values together, in bytes ("Working with object metadata", Amazon S3 user guide). */
const METADATA_MAX_BYTES = 2048;

// What says how the request is framed, signed or conditional is not the caller's to set.
const OURS = new Set([
  "authorization",
  "connection",
  "content-length",
  "content-type",
  "date",
  "expect",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-unmodified-since",
  "keep-alive",
  "proxy-authorization",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-decoded-content-length",
  "x-amz-security-token",
]);
// A copy's source and its conditions have options; given again they would be sent twice. Keys of the source's encryption pass.
const OURS_OF_COPIES = /^x-amz-copy-(source$|source-if-|source-range$|if-)/;

/** The headers of a write. Names and values of `metadata` are checked already (checkPut). */
export function putHeaders(options: {
  readonly contentType?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}): Pair[] {
  const { contentType = "application/octet-stream" } = options;
  if (typeof contentType !== "string" || !isHeaderValue(contentType))
    throw new InvalidError("contentType", "must be a string of printable ASCII", contentType);
  const headers: Pair[] = [["content-type", contentType]];
  let bytes = 0;
  for (const [name, value] of namesAndValues("metadata", options.metadata)) {
    headers.push([`x-amz-meta-${name}`, value]);
    bytes += name.length + value.length;
  }
  if (bytes > METADATA_MAX_BYTES)
    throw new InvalidError(
      "metadata",
      `must have at most ${METADATA_MAX_BYTES} bytes, names and values together`,
      bytes,
    );
  headers.push(...extraHeaders(options.headers));
  return headers;
}

function isHeaderValue(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value);
}

/** Headers as the caller named them, in lower case. */
export function extraHeaders(given: Readonly<Record<string, string>> | undefined): Pair[] {
  return namesAndValues("headers", given).map(([rawName, value]) => {
    const name = rawName.toLowerCase();
    if (!/^[a-z0-9-]+$/.test(name)) throw new InvalidError("headers", "names must be of a-z, 0-9 and -", rawName);
    if (OURS.has(name) || name.startsWith("x-amz-meta-") || OURS_OF_COPIES.test(name))
      throw new InvalidError("headers", "must not hold what has an option of its own or frames the request", rawName);
    // The value is not shown: it may be an encryption key.
    if (typeof value !== "string" || !isHeaderValue(value))
      throw new InvalidError(`headers.${name}`, "must be a string of printable ASCII", typeof value);
    return [name, value];
  });
}

/** The caller's own key of an encryption by the server (SSE-C), which goes with every request about the object. */
const CUSTOMER_KEY = /^x-amz-server-side-encryption-customer-/i;
const COPY_SOURCE_KEY = /^x-amz-copy-source-(?=server-side-encryption-customer-)/i;

/** The object's own, or of a copy's source. `name` is in lower case. */
export function isCustomerKey(name: string): boolean {
  return CUSTOMER_KEY.test(name) || COPY_SOURCE_KEY.test(name);
}

export function customerKey(given: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(given ?? {}).filter(([name]) => CUSTOMER_KEY.test(name)));
}

/** Of a copy: the key of what is read, as a request about the source itself names it, and all that is not about the source. */
export function sourceKey(given: Readonly<Record<string, string>> | undefined): {
  readonly source: Record<string, string>;
  readonly rest: Record<string, string>;
} {
  const isSource = ([name]: readonly [string, string]) => COPY_SOURCE_KEY.test(name);
  const all = Object.entries(given ?? {});
  return {
    source: Object.fromEntries(
      all.filter(isSource).map(([name, value]) => [name.replace(COPY_SOURCE_KEY, "x-amz-"), value]),
    ),
    rest: Object.fromEntries(all.filter((entry) => !isSource(entry))),
  };
}

/** The headers of a read. */
export function readHeaders(
  options: ReadConditions & {
    readonly range?: ByteRange | undefined;
    readonly headers?: Readonly<Record<string, string>> | undefined;
  },
): Pair[] {
  const headers: Pair[] = extraHeaders(options.headers);
  if (options.ifMatch !== undefined) headers.push(["if-match", text("ifMatch", options.ifMatch)]);
  if (options.unlessEtag !== undefined) headers.push(["if-none-match", text("unlessEtag", options.unlessEtag)]);
  for (const [option, name] of [
    ["ifModifiedSinceMs", "if-modified-since"],
    ["ifUnmodifiedSinceMs", "if-unmodified-since"],
  ] as const) {
    const at = options[option];
    if (at === undefined) continue;
    if (typeof at !== "number") throw new InvalidError(option, "must be an instant in ms since 1970", at);
    headers.push([name, formatHttpDate(integer(option, Math.trunc(at), { min: 0, max: 253_402_300_799_999 }))]);
  }
  if (options.range !== undefined) headers.push(["range", rangeHeader(options.range)]);
  return headers;
}

/** May the answer be that a condition was not met? */
export function isConditional(options: ReadConditions): boolean {
  return options.ifMatch !== undefined || options.ifUnmodifiedSinceMs !== undefined;
}

/** RFC 9110 14.1.2. */
export function rangeHeader(range: ByteRange): string {
  if (typeof range !== "object" || range === null)
    throw new InvalidError("range", "must be { start, end? } or { lastBytes }", range);
  if ("lastBytes" in range)
    return `bytes=-${integer("range.lastBytes", range.lastBytes, { min: 1, max: Number.MAX_SAFE_INTEGER })}`;
  const start = integer("range.start", range.start, { min: 0, max: Number.MAX_SAFE_INTEGER });
  if (range.end !== undefined) integer("range.end", range.end, { min: start, max: Number.MAX_SAFE_INTEGER });
  return `bytes=${start}-${range.end ?? ""}`;
}
