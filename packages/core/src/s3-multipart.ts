/**
 * Multipart uploads, request by request: create, part, complete, abort, and what there is of them. An unclear completion is
 * resolved by looking, never guessed. What makes an upload of many parts is uploads'.
 *
 * Rules: "Uploading and copying objects using multipart upload", Amazon S3 user guide.
 */
import { nodeCrypto } from "./builtin.js";
import { type BucketlockError, InvalidError, StoreError } from "./errors.js";
import { extraHeaders, putHeaders } from "./object-options.js";
import { integer, object, objectKey, text } from "./options.js";
import type { Described, S3CallOptions, S3Calls } from "./s3-calls.js";
import { readComplete } from "./s3-documents.js";
import type { S3Body } from "./s3-exchange.js";
import type { S3PutOptions } from "./s3-objects.js";
import type { Answer, Condition, PutAnswer } from "./store.js";
import type { Pair } from "./uri.js";
import { need } from "./xml.js";
import { partsPage, uploadsPage } from "./xml-uploads.js";

export interface S3Part {
  readonly number: number;
  readonly etag: string;
}
export interface S3ListedPart extends S3Part {
  readonly size: number;
  readonly lastModifiedMs: number | undefined;
}
export type S3PartsAnswer =
  | (Answer & { readonly found: true; readonly parts: readonly S3ListedPart[] })
  | (Answer & { readonly found: false });
export interface S3ListedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number | undefined;
}
export interface S3UploadsPage extends Answer {
  readonly uploads: readonly S3ListedUpload[];
}

/** What goes with create; a condition goes with complete. */
export type S3CreateUploadOptions = Omit<S3PutOptions, "condition" | "once" | "validForMs">;
export interface S3PartOptions extends S3CallOptions {
  /** Hex SHA-256 of the bytes, where it is known already; of an S3Body it must be. */
  readonly sha256?: string | undefined;
  /** Encryption with a key of the caller's: the same headers with every part. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}
export interface S3CompleteOptions extends S3CallOptions {
  readonly condition?: Condition | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export const PARTS_MAX = 10_000;
/** A server puts large objects together for minutes ("CompleteMultipartUpload", Amazon S3 API reference). */
const COMPLETE_MS = 120_000;
/** Parts that were under way may still arrive: it is looked, and aborted again. */
const ABORTS_MAX = 5;
const LOOKS_AFTER_CUT = 4;
const LOOK_AGAIN_MS = 200;

export class S3Multipart {
  readonly #calls: S3Calls;

  constructor(calls: S3Calls) {
    this.#calls = calls;
  }

  /**
   * An unclear answer is asked for again: an upload that holds no bytes may then be left behind. It is not looked for: nothing
   * tells it from one that another process began for the same key. Throws StoreError.
   */
  async create(key: string, options: S3CreateUploadOptions): Promise<Answer & { readonly uploadId: string }> {
    const ask: Described = {
      request: "createMultipartUpload",
      key: objectKey("key", key),
      headers: putHeaders(options),
    };
    return this.#calls.read(options, ask, ({ body }, xml) => ({
      uploadId: need(xml.root(body, "InitiateMultipartUploadResult"), "UploadId"),
    }));
  }

  /** Sending a part again replaces it. Throws StoreError. */
  async part(
    key: string,
    uploadId: string,
    number: number,
    body: Uint8Array | S3Body,
    options: S3PartOptions,
  ): Promise<Answer & S3Part> {
    integer("partNumber", number, { min: 1, max: PARTS_MAX });
    const ask: Described = {
      request: "uploadPart",
      key: objectKey("key", key),
      query: [["partNumber", String(number)], uploadQuery(uploadId)],
      headers: extraHeaders(options.headers),
      body,
      bodySha256: options.sha256,
    };
    const outcome = await this.#calls.call(options, ask);
    if (outcome.outcome !== "done") throw new Error(`a part cannot be ${outcome.outcome}`);
    const etag = outcome.answer.header("etag");
    if (etag === undefined)
      throw new StoreError("the store gave a part no ETag", { code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
    return { number, etag, serverTimeMs: outcome.serverTimeMs };
  }

  /**
   * `unknown` only if looking did not tell either. Throws StoreError for what certainly was not completed. What takes long is
   * waited for: 2 minutes unless `timeoutMs` says otherwise.
   */
  async complete(
    key: string,
    uploadId: string,
    parts: readonly S3Part[],
    options: S3CompleteOptions,
  ): Promise<PutAnswer> {
    const limited = { ...options, timeoutMs: options.timeoutMs ?? COMPLETE_MS };
    if (!Array.isArray(parts)) throw new InvalidError("parts", "must be an array", parts);
    const Part = parts.map((part: S3Part) => {
      const { number, etag } = object("parts", part) as S3Part;
      return {
        PartNumber: integer("parts.number", number, { min: 1, max: PARTS_MAX }),
        ETag: text("parts.etag", etag),
      };
    });
    const { body, headers } = await this.#calls.document("CompleteMultipartUpload", { Part });
    const ask: Described = {
      request: "completeMultipartUpload",
      key: objectKey("key", key),
      query: [uploadQuery(uploadId)],
      headers: [...headers, ...extraHeaders(options.headers)],
      body,
      condition: this.#calls.condition(options.condition),
    };
    let cause: unknown;
    try {
      const outcome = await this.#calls.outcome(limited, ask, (answer, xml) => readComplete(xml, answer.body));
      const { serverTimeMs } = outcome;
      if (outcome.outcome === "conflict") return { outcome: "conflict", serverTimeMs };
      if (outcome.outcome === "done") {
        const versionId = outcome.answer.header("x-amz-version-id");
        return { outcome: "stored", etag: outcome.value, versionId, serverTimeMs };
      }
      cause = outcome.outcome === "unknown" ? outcome.cause : undefined;
    } catch (error) {
      // An earlier try may have completed it, and then there is no such upload any more.
      const isGone = error instanceof StoreError && error.details.storeCode === "NoSuchUpload";
      if (!isGone || error.details.tries === 1) throw error;
      cause = error;
    }
    return this.#look(key, uploadId, parts, options, cause);
  }

  async #look(
    key: string,
    uploadId: string,
    parts: readonly S3Part[],
    options: S3CompleteOptions,
    cause: unknown,
  ): Promise<PutAnswer> {
    const call = { bucket: options.bucket, signal: options.signal, timeoutMs: options.timeoutMs };
    try {
      const expected = multipartEtag(parts);
      const there = await this.list(key, uploadId, call);
      if (!there.found && expected !== undefined) {
        const head = await this.#calls.call(call, {
          request: "headObject",
          key,
          headers: extraHeaders(options.headers),
        });
        const etag = head.outcome === "done" ? head.answer.header("etag") : undefined;
        if (head.outcome === "done" && etag?.replaceAll('"', "") === expected) {
          const versionId = head.answer.header("x-amz-version-id");
          return { outcome: "stored", etag, versionId, serverTimeMs: head.serverTimeMs };
        }
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
    return { outcome: "unknown", cause };
  }

  /**
   * Removes the upload and every part of it, and looks that nothing stayed. An upload that is not there is none. Throws
   * StoreError UPLOAD_LEFT_BEHIND when parts stay.
   */
  async abort(key: string, uploadId: string, options: S3CallOptions, wereCut = false): Promise<void> {
    const ask: Described = {
      request: "abortMultipartUpload",
      key: objectKey("key", key),
      query: [uploadQuery(uploadId)],
    };
    // A part whose request was cut may still be written, after the upload is gone, and then bring it back (versitygw; AWS says
    // that several aborts may be needed): it is looked again a little later.
    let looksLeft = wereCut ? LOOKS_AFTER_CUT : 1;
    for (let aborts = 1; aborts <= ABORTS_MAX; aborts++) {
      await this.#calls.call(options, ask);
      for (let pause = 1; looksLeft > 0; pause++) {
        const there = await this.list(key, uploadId, options);
        // Some servers know an aborted upload for a while: without parts it holds nothing.
        if (there.found && there.parts.length > 0) break;
        if (--looksLeft === 0) return;
        await this.#calls.clock.sleep(LOOK_AGAIN_MS * pause, { signal: options.signal });
      }
    }
    throw new StoreError(`parts of an aborted upload stay in the store; key ${JSON.stringify(key)}`, {
      code: "UPLOAD_LEFT_BEHIND",
      kind: "unavailable",
      details: { key, uploadId },
    });
  }

  /**
   * After a failure, whose `reason` is told. Without the caller's signal, which may be what ended it: a part that stays costs money.
   * Throws StoreError UPLOAD_LEFT_BEHIND when it cannot be removed, unless the caller ended it: then its own reason is what is thrown.
   */
  async removeFailed(
    key: string,
    uploadId: string,
    what: "upload" | "copy",
    { bucket, timeoutMs, signal }: S3CallOptions,
    reason: unknown,
  ): Promise<void> {
    try {
      await this.abort(key, uploadId, { bucket, timeoutMs }, signal?.aborted);
    } catch (error) {
      if (signal?.aborted && reason === signal.reason) return;
      throw new StoreError(`parts of a failed ${what} stay in the store; key ${JSON.stringify(key)}`, {
        code: "UPLOAD_LEFT_BEHIND",
        kind: "unavailable",
        cause: reason ?? error,
        details: { key, uploadId, abort: (error as BucketlockError).code },
      });
    }
  }

  /** Every part that is there, by number. */
  async list(key: string, uploadId: string, options: S3CallOptions): Promise<S3PartsAnswer> {
    objectKey("key", key);
    const parts: S3ListedPart[] = [];
    let marker = "0";
    for (;;) {
      const query: Pair[] = [uploadQuery(uploadId), ["max-parts", "1000"]];
      if (marker !== "0") query.push(["part-number-marker", marker]);
      const outcome = await this.#calls.outcome(options, { request: "listParts", key, query }, ({ body }, xml) =>
        partsPage(xml.root(body, "ListPartsResult"), marker),
      );
      const { serverTimeMs } = outcome;
      if (outcome.outcome !== "done") return { found: false, serverTimeMs };
      parts.push(...outcome.value.parts);
      if (outcome.value.next === undefined) return { found: true, parts, serverTimeMs };
      marker = outcome.value.next;
    }
  }

  /** Unfinished uploads of keys with this prefix, page by page. */
  async *uploads(prefix: string, options: S3CallOptions): AsyncGenerator<S3UploadsPage, void, void> {
    if (typeof prefix !== "string") throw new InvalidError("prefix", "must be a string", prefix);
    let from: Pair[] = [];
    for (;;) {
      const query: Pair[] = [["prefix", prefix], ...from];
      const before = JSON.stringify(from);
      const page = await this.#calls.read(options, { request: "listMultipartUploads", query }, ({ body }, xml) =>
        uploadsPage(xml.root(body, "ListMultipartUploadsResult"), before),
      );
      yield { uploads: page.uploads, serverTimeMs: page.serverTimeMs };
      if (page.next === undefined) return;
      from = page.next;
    }
  }
}

function uploadQuery(uploadId: string): Pair {
  return ["uploadId", text("uploadId", uploadId)];
}

/**
 * The ETag of the whole, where the parts' are MD5s: the MD5 of all of them and their number, as AWS, MinIO and RGW make it.
 * Undefined: it cannot be told.
 */
export function multipartEtag(parts: readonly S3Part[]): string | undefined {
  const md5s = parts.map(({ etag }) => /^"?([0-9a-f]{32})"?$/.exec(etag)?.[1]);
  if (md5s.some((md5) => md5 === undefined)) return undefined;
  return `${nodeCrypto()
    .createHash("md5")
    .update(Buffer.from(md5s.join(""), "hex"))
    .digest("hex")}-${parts.length}`;
}
