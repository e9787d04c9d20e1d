/**
 * What the headers of an answer say about an object. Pure: reads, never judges. Names of headers are in lower case.
 */
import { parseInstantMs } from "./clock.js";
import type { ObjectFacts } from "./store.js";

/** The headers of an answer; of one given twice, the first value. */
export interface HeaderView {
  readonly headerNames: readonly string[];
  header(name: string): string | undefined;
}

export interface S3ObjectFacts extends ObjectFacts {
  readonly contentType?: string | undefined;
  /** Every header of the answer, names in lower case: `cache-control`, `x-amz-storage-class`, `x-amz-checksum-crc32`, ... */
  readonly headers: Readonly<Record<string, string>>;
}

const META = "x-amz-meta-";

export function factsOf(answer: HeaderView): S3ObjectFacts {
  const metadata: Record<string, string> = {};
  const headers: Record<string, string> = {};
  for (const name of answer.headerNames) {
    const value = answer.header(name) ?? "";
    headers[name] = value;
    if (name.startsWith(META)) metadata[name.slice(META.length)] = value;
  }
  return {
    etag: headers.etag,
    lastModifiedMs: parseInstantMs(headers["last-modified"]),
    versionId: headers["x-amz-version-id"],
    size: contentRange(headers["content-range"])?.total ?? count(headers["content-length"]),
    contentType: headers["content-type"],
    metadata,
    headers,
  };
}

/** Bytes `start` to `end` of `total`. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
  /** Undefined: not told (`*`). */
  readonly total: number | undefined;
}

/** RFC 9110 14.4; undefined when it is absent or not readable. */
export function contentRange(value: string | undefined): ContentRange | undefined {
  const parts = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/.exec(value ?? "");
  if (!parts) return undefined;
  const [start, end] = [Number(parts[1]), Number(parts[2])];
  const total = parts[3] === undefined ? undefined : Number(parts[3]);
  return end < start || (total !== undefined && end >= total) ? undefined : { start, end, total };
}

/** A header that counts bytes. */
export function count(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
