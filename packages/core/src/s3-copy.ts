/**
 * Copying inside a server: an object or a version to another key or bucket, in one request or, above what one may copy, in
 * parts, and new metadata by a copy onto itself. No byte of an object passes through here. A copy in parts that fails
 * leaves no part behind, as far as the server can be reached.
 */
import { checkMetadata, isMetadataName, isMetadataValue } from "./call-checks.js";
import { formatHttpDate, parseInstantMs } from "./clock.js";
import { InvalidError, StoreError } from "./errors.js";
import { customerKey, extraHeaders, isCustomerKey, putHeaders, sourceKey } from "./object-options.js";
import { integer, object, objectKey, text } from "./options.js";
import type { HttpAnswer } from "./request.js";
import { type Described, type S3CallOptions, type S3Calls, versionQuery } from "./s3-calls.js";
import { readCopy } from "./s3-documents.js";
import type { InBucket } from "./s3-endpoint.js";
import type { S3Multipart, S3Part } from "./s3-multipart.js";
import type { S3PutOptions } from "./s3-objects.js";
import type { Answer, Condition } from "./store.js";
import { encodePath, encodeRfc3986, type Pair } from "./uri.js";

/** What is copied: a key of the session's bucket, or said in full. */
export type S3Source = string | (InBucket & { readonly key: string; readonly versionId?: string | undefined });

/** What goes with an object beside its bytes. */
export interface S3Metadata extends Pick<S3PutOptions, "metadata" | "contentType"> {
  /** Such as `cache-control`, `content-disposition`, `content-encoding`, `content-language`, `expires`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}
export interface CopyOptions extends S3CallOptions {
  /** Instead of what the source has, all of it. Without it everything is kept. */
  readonly replace?: S3Metadata | undefined;
  /**
   * On the source: copied only if it has this ETag still, or not this one, or changed after, or not after (epoch ms). Ceph
   * RGW ignores them unless the session is opened with `bareIfMatch`.
   */
  readonly sourceEtag?: string | undefined;
  readonly sourceNotEtag?: string | undefined;
  readonly sourceChangedAfterMs?: number | undefined;
  readonly sourceUnchangedSinceMs?: number | undefined;
  /** On the target, as of a PUT. AWS S3; many servers ignore it. */
  readonly condition?: Condition | undefined;
  /** More headers of the request, such as `x-amz-acl`, `x-amz-storage-class`, `x-amz-tagging`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * Above this size the copy goes in parts; the size is asked first. Default: one request is tried, and what the server
   * says is too large for it (S3: above 5 GiB) goes in parts.
   */
  readonly partsAboveBytes?: number | undefined;
  /** Size of a part, the last one apart; 5 MiB to 5 GiB on AWS. Default 512 MiB, more where it would be over 10 000 parts. */
  readonly partBytes?: number | undefined;
  /** Parts under way at once. Default 4. */
  readonly parallel?: number | undefined;
}
export type UpdateOptions = Omit<CopyOptions, "replace" | "sourceEtag">;
export type CopyAnswer =
  | (Answer & {
      readonly outcome: "stored";
      readonly etag?: string | undefined;
      readonly lastModifiedMs?: number | undefined;
      readonly versionId?: string | undefined;
    })
  /** The source is not there. */
  | (Answer & { readonly outcome: "absent" })
  /** A condition was not met, or the source changed while it was copied in parts. */
  | (Answer & { readonly outcome: "conflict" })
  /** It may have been copied, or may be later. */
  | (Answer & { readonly outcome: "unknown"; readonly cause: unknown });

interface Place {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string | undefined;
}
interface Range {
  readonly number: number;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** A server copies large objects for minutes. */
const COPY_MS = 120_000;
const PARTS_MAX = 10_000;
const PART_BYTES = 512 * 1024 * 1024;
const ONE_COPY_MAX_BYTES = 5 * 1024 ** 3;
const META = "x-amz-meta-";
/** What one request keeps, and a copy in parts must say again. */
const KEPT = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "expires",
  "x-amz-website-redirect-location",
];

export class S3Copy {
  readonly #calls: S3Calls;
  /** Loaded with the first copy that needs it. */
  readonly #multipart: () => Promise<S3Multipart>;
  readonly #bucket: string | undefined;

  constructor(calls: S3Calls, multipart: () => Promise<S3Multipart>, bucket: string | undefined) {
    this.#calls = calls;
    this.#multipart = multipart;
    this.#bucket = bucket;
  }

  async copy(source: S3Source, key: string, given: CopyOptions): Promise<CopyAnswer> {
    objectKey("key", key);
    const options = { ...given, timeoutMs: given.timeoutMs ?? COPY_MS };
    if (options.replace !== undefined) checkReplace(options.replace);
    const from = this.#place(source);
    const conditions = sourceConditions(options, this.#calls.bareIfMatch);
    const limits = partLimits(options);
    if (limits.aboveBytes !== undefined) {
      const facts = await this.#head(from, options);
      if (facts === undefined) return { outcome: "absent" };
      if (sizeOf(facts) > limits.aboveBytes) return this.#inParts(from, key, facts, options);
    }
    try {
      return await this.#inOne(from, key, conditions, options);
    } catch (error) {
      if (limits.aboveBytes !== undefined || !isTooLarge(error)) throw error;
      const facts = await this.#head(from, options);
      if (facts === undefined) return { outcome: "absent" };
      if (sizeOf(facts) <= ONE_COPY_MAX_BYTES) throw error;
      return this.#inParts(from, key, facts, options);
    }
  }

  /**
   * New metadata on what is there now: what another wrote meanwhile is never overwritten. `metadata`, where given, replaces
   * all of it; what `headers` and `contentType` do not name is kept.
   */
  async update(key: string, changes: S3Metadata, options: UpdateOptions): Promise<CopyAnswer> {
    checkReplace(changes);
    const from = this.#place({ key, bucket: options.bucket });
    const facts = await this.#head(from, options);
    if (facts === undefined) return { outcome: "absent" };
    const kept = keptOf(facts);
    const named = Object.entries(changes.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
    const replace = sendable(key, {
      metadata: changes.metadata ?? kept.metadata,
      contentType: changes.contentType ?? kept.contentType,
      headers: { ...kept.headers, ...Object.fromEntries(named) },
    });
    const storageClass = facts.header("x-amz-storage-class");
    const headers = { ...(storageClass && { "x-amz-storage-class": storageClass }), ...options.headers };
    return this.copy(from, key, { ...options, headers, replace, sourceEtag: facts.header("etag") });
  }

  async #inOne(from: Place, key: string, conditions: readonly Pair[], options: CopyOptions): Promise<CopyAnswer> {
    const { replace } = options;
    const headers: Pair[] = [
      ["x-amz-copy-source", sourceHeader(from)],
      ...conditions,
      ...extraHeaders(options.headers),
    ];
    if (replace !== undefined) headers.push(["x-amz-metadata-directive", "REPLACE"], ...putHeaders(replace));
    const ask: Described = {
      request: "copyObject",
      key,
      headers,
      condition: this.#calls.condition(options.condition),
    };
    try {
      const outcome = await this.#calls.outcome(options, ask, ({ body }, xml) =>
        readCopy(xml, body, "CopyObjectResult"),
      );
      const { serverTimeMs } = outcome;
      if (outcome.outcome === "unknown") return outcome;
      if (outcome.outcome !== "done") return { outcome: outcome.outcome, serverTimeMs };
      const versionId = outcome.answer.header("x-amz-version-id");
      return { outcome: "stored", ...outcome.value, versionId, serverTimeMs };
    } catch (error) {
      return asAnswer(error);
    }
  }

  async #inParts(from: Place, key: string, facts: HttpAnswer, options: CopyOptions): Promise<CopyAnswer> {
    // Asked here: not every server looks at conditions of parts, and those have one of their own.
    if (!meets(facts, options)) return { outcome: "conflict" };
    const { bucket } = options;
    const etag = facts.header("etag");
    const call = { bucket, signal: options.signal, timeoutMs: options.timeoutMs };
    const what = options.replace ?? sendable(from.key, keptOf(facts));
    const headers = { ...what.headers, ...sourceKey(options.headers).rest };
    const multipart = await this.#multipart();
    // Without the caller's signal, but no longer than a call: an upload whose id is not known could not be removed.
    const { uploadId } = await multipart.create(key, { bucket, ...what, headers });
    let answer: CopyAnswer;
    try {
      options.signal?.throwIfAborted();
      const parts = await this.#copyParts(from, key, facts, uploadId, options);
      // RGW ignores that every part must be of the same object, so it is looked at again.
      const now = await this.#head(from, options);
      if (now === undefined || now.header("etag") !== etag) answer = { outcome: "conflict" };
      else {
        const own = { condition: options.condition, headers: customerKey(options.headers) };
        answer = await multipart.complete(key, uploadId, parts, { ...call, ...own });
      }
    } catch (error) {
      await multipart.removeFailed(key, uploadId, "copy", { bucket, signal: options.signal }, error);
      return asAnswer(error);
    }
    // Unknown is not aborted: it may be complete.
    if (answer.outcome === "conflict") await multipart.abort(key, uploadId, { bucket });
    return answer;
  }

  /** A few side by side; the first that fails ends the others' queue. */
  async #copyParts(
    from: Place,
    key: string,
    facts: HttpAnswer,
    uploadId: string,
    options: CopyOptions,
  ): Promise<S3Part[]> {
    const etag = facts.header("etag");
    // Every part must be of the same object: the version, and the ETag in case there are none.
    const pinned: Place = { ...from, versionId: from.versionId ?? facts.header("x-amz-version-id") };
    const same = etag === undefined ? [] : sourceConditions({ sourceEtag: etag }, this.#calls.bareIfMatch);
    const keys = extraHeaders(options.headers).filter(([name]) => isCustomerKey(name));
    const common: readonly Pair[] = [["x-amz-copy-source", sourceHeader(pinned)], ...same, ...keys];
    const { partBytes, parallel } = partLimits(options);
    const size = sizeOf(facts);
    const parts = rangesOf(size, partBytes);
    const done: S3Part[] = [];
    const queue = parts.values();
    let isBroken = false;
    const work = async () => {
      for (const { number, from: first, to } of queue) {
        if (isBroken) return;
        const query: Pair[] = [
          ["partNumber", String(number)],
          ["uploadId", uploadId],
        ];
        const headers: Pair[] = [...common, ["x-amz-copy-source-range", `bytes=${first}-${to}`]];
        try {
          const part = await this.#calls.read(
            options,
            { request: "uploadPartCopy", key, query, headers },
            ({ body }, xml) => readCopy(xml, body, "CopyPartResult"),
          );
          done[number - 1] = { number, etag: part.etag };
        } catch (error) {
          isBroken = true;
          throw error;
        }
      }
    };
    const results = await Promise.allSettled(Array.from({ length: Math.min(parallel, parts.length) }, work));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return done;
  }

  /** Undefined: not there. */
  async #head(from: Place, options: CopyOptions): Promise<HttpAnswer | undefined> {
    const { bucket, key } = from;
    const headers = extraHeaders(sourceKey(options.headers).source);
    const outcome = await this.#calls.call(
      { ...options, bucket },
      { request: "headObject", key, query: versionQuery(from), headers },
    );
    return outcome.outcome === "done" ? outcome.answer : undefined;
  }

  #place(source: S3Source): Place {
    const given = typeof source === "string" ? { key: source } : source;
    if (typeof given !== "object" || given === null)
      throw new InvalidError("source", "must be a key or { key, bucket, versionId }", given);
    const { bucket = this.#bucket, key, versionId } = given as Exclude<S3Source, string>;
    if (versionId !== undefined) text("source.versionId", versionId);
    if (bucket === undefined)
      throw new InvalidError("source.bucket", "must be given, in the call or for the session", undefined);
    return { bucket: text("source.bucket", bucket), key: objectKey("source", key), versionId };
  }
}

/**
 * What was read of an object and is to be sent again. Some servers show what others wrote as bytes that no header of a request
 * may have. Throws StoreError STORE_UNSUPPORTED rather than lose it.
 */
function sendable<T extends S3Metadata>(key: string, kept: T): T {
  const isText = (value: string | undefined) => /^[\x20-\x7e]*$/.test(value ?? "");
  const odd =
    Object.entries(kept.metadata ?? {}).find(([name, value]) => !isMetadataName(name) || !isMetadataValue(value)) ??
    Object.entries({ ...kept.headers, "content-type": kept.contentType }).find(([, value]) => !isText(value));
  if (odd === undefined) return kept;
  throw new StoreError(
    `what the object has in ${JSON.stringify(odd[0])} cannot be sent again: name it in the call; key ${JSON.stringify(key)}`,
    { code: "STORE_UNSUPPORTED", kind: "unsupported", details: { key, name: odd[0] } },
  );
}

/** What is not there, or not as it should be, is an answer. Throws anything else. */
function asAnswer(error: unknown): CopyAnswer {
  if (isRefusal(error, "NoSuchKey", "NoSuchVersion")) return { outcome: "absent" };
  // The source's conditions; the target's is known to the exchange. RGW says 304 where a GET would.
  if (isRefusal(error, "PreconditionFailed")) return { outcome: "conflict" };
  if (error instanceof StoreError && error.details.status === 304) return { outcome: "conflict" };
  throw error;
}

/** As a server judges the conditions on a source (RFC 9110 13.2.2: a date counts only where no ETag is given). */
function meets(facts: HttpAnswer, options: CopyOptions): boolean {
  const { sourceEtag, sourceNotEtag, sourceChangedAfterMs, sourceUnchangedSinceMs } = options;
  const etag = facts.header("etag") ?? "";
  const changedMs = parseInstantMs(facts.header("last-modified")) ?? 0;
  const seconds = (ms: number) => Math.floor(ms / 1000);
  if (sourceEtag !== undefined) {
    if (!isSameEtag(etag, sourceEtag)) return false;
  } else if (sourceUnchangedSinceMs !== undefined && seconds(changedMs) > seconds(sourceUnchangedSinceMs)) return false;
  if (sourceNotEtag !== undefined) return !isSameEtag(etag, sourceNotEtag);
  return sourceChangedAfterMs === undefined || seconds(changedMs) > seconds(sourceChangedAfterMs);
}

function isSameEtag(one: string, other: string): boolean {
  const bare = (etag: string) => etag.replace(/^"(.*)"$/, "$1");
  return bare(one) === bare(other);
}

function isRefusal(error: unknown, ...codes: readonly string[]): boolean {
  return (
    error instanceof StoreError && error.code === "STORE_REFUSED" && codes.includes(String(error.details.storeCode))
  );
}

/** AWS and others: 400 InvalidRequest "The specified copy source is larger than the maximum allowable size". */
function isTooLarge(error: unknown): boolean {
  return isRefusal(error, "InvalidRequest", "EntityTooLarge", "InvalidArgument");
}

function sizeOf(facts: HttpAnswer): number {
  const length = facts.header("content-length") ?? "";
  if (/^\d{1,15}$/.test(length)) return Number(length);
  throw new StoreError("the store does not say how long the source is", {
    code: "STORE_CORRUPT_ANSWER",
    kind: "corrupt",
  });
}

function sourceHeader({ bucket, key, versionId }: Place): string {
  const version = versionId === undefined ? "" : `?versionId=${encodeRfc3986(versionId)}`;
  return `${bucket}/${encodePath(key)}${version}`;
}

/** Ceph RGW has its own names for these headers and ignores the ones that all others know. */
function sourceConditions(options: CopyOptions, isCeph: boolean): Pair[] {
  const { sourceEtag, sourceNotEtag, sourceChangedAfterMs, sourceUnchangedSinceMs } = options;
  const headers: Pair[] = [];
  if (sourceEtag !== undefined) headers.push(["x-amz-copy-source-if-match", text("sourceEtag", sourceEtag)]);
  if (sourceNotEtag !== undefined)
    headers.push(["x-amz-copy-source-if-none-match", text("sourceNotEtag", sourceNotEtag)]);
  if (sourceChangedAfterMs !== undefined)
    headers.push(["x-amz-copy-source-if-modified-since", httpDate("sourceChangedAfterMs", sourceChangedAfterMs)]);
  if (sourceUnchangedSinceMs !== undefined)
    headers.push(["x-amz-copy-source-if-unmodified-since", httpDate("sourceUnchangedSinceMs", sourceUnchangedSinceMs)]);
  const own = headers.map(([name, value]): Pair => [name.replace("-copy-source-", "-copy-"), value]);
  return isCeph ? [...headers, ...own] : headers;
}

/** RFC 9110 5.6.7. */
function httpDate(option: string, ms: unknown): string {
  if (typeof ms !== "number" || !Number.isFinite(ms) || Math.abs(ms) > 8.64e15)
    throw new InvalidError(option, "must be an instant in ms since 1970", ms);
  return formatHttpDate(ms);
}

/** Before anything is sent. */
function checkReplace(given: S3Metadata): void {
  object("replace", given);
  checkMetadata(given.metadata);
  putHeaders(given);
}

function keptOf(facts: HttpAnswer): S3Metadata & { readonly headers: Record<string, string> } {
  const named = (wanted: (name: string) => boolean) =>
    facts.headerNames.filter(wanted).map((name) => [name, facts.header(name) ?? ""] as const);
  const metadata = named((name) => name.startsWith(META)).map(([name, value]) => [name.slice(META.length), value]);
  return {
    metadata: Object.fromEntries(metadata),
    contentType: facts.header("content-type"),
    headers: Object.fromEntries(named((name) => KEPT.includes(name))),
  };
}

function partLimits({ partsAboveBytes, partBytes, parallel }: CopyOptions): {
  readonly aboveBytes: number | undefined;
  readonly partBytes: number;
  readonly parallel: number;
} {
  const max = ONE_COPY_MAX_BYTES;
  return {
    aboveBytes:
      partsAboveBytes === undefined ? undefined : integer("partsAboveBytes", partsAboveBytes, { min: 0, max }),
    partBytes: integer("partBytes", partBytes ?? PART_BYTES, { min: 1, max }),
    parallel: integer("parallel", parallel ?? 4, { min: 1, max: 64 }),
  };
}

/** The parts of an object, from 1. More bytes a part where it would be more than 10 000. */
export function rangesOf(size: number, partBytes: number): Range[] {
  const length = Math.max(partBytes, Math.ceil(size / PARTS_MAX));
  return Array.from({ length: Math.max(Math.ceil(size / length), 1) }, (_, index) => ({
    number: index + 1,
    from: index * length,
    to: Math.min((index + 1) * length, size) - 1,
  }));
}
