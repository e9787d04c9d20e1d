/** One request as the verbs see it: taken apart, its signature checked, its body plain. */
import type { Checksums } from "./checksums.js";
import type { Bucket, World } from "./world.js";

export interface Call {
  readonly world: World;
  readonly method: string;
  readonly query: URLSearchParams;
  /** Names in lower case; trailers are among them. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** Of the body, as said and checked. */
  readonly checksums: Checksums;
  /** How many times its key had been deleted when its headers arrived. */
  readonly deletionsBefore: number;
}
export interface BucketCall extends Call {
  readonly bucket: Bucket;
}
export interface ObjectCall extends BucketCall {
  readonly key: string;
}

/** A whole number of the query, or what stands in its place; throws nothing: S3 treats a bad one as the default. */
export function count(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name);
  return text !== null && /^\d+$/.test(text) ? Math.min(Number(text), otherwise) : otherwise;
}
