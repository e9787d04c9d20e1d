/**
 * Uploads of bytes and streams: each try on an upload URL of its own, at most five, with the SHA-1 that the server checks.
 * It never tells "not stored" when it does not know, and reads a stream that cannot be opened again only once.
 */
import { createHash } from "node:crypto";
import { InvalidError } from "@bucketlock/core";
import { CALL_TIMEOUT_MS, type HttpAnswer, type Pair } from "@bucketlock/core/http";
import { type B2File, fileOf } from "./answers.js";
import type { B2Api } from "./b2-api.js";
import type { B2CallName } from "./b2-calls.js";
import { corrupt } from "./b2-errors.js";
import { jsonOf, type Outcome } from "./b2-exchange.js";
import { encodeName, fileName, infoHeaders, LAST_MODIFIED } from "./file-name.js";
import type { Limit } from "./patience.js";
import { UploadUrls } from "./upload-urls.js";

/** Chunks of bytes: a Node or web stream, an async generator. A function is asked anew for each try, so that a try can be repeated. */
export type B2Source = AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

export interface FileOptions {
  /** Default: `b2/x-auto`, by the name's ending. */
  readonly contentType?: string | undefined;
  /** Kept with the file as X-Bz-Info-*: names of letters, digits, `-`, `_`; 7000 bytes in all. */
  readonly info?: Readonly<Record<string, string>> | undefined;
  /** The source's last change, epoch ms: `src_last_modified_millis` in the info, as other clients write it. */
  readonly lastModifiedMs?: number | undefined;
}

/** What is sent: with its length, and its SHA-1 either known or at the end. */
export interface Payload {
  readonly length: number;
  readonly sha1: string;
  readonly body: () => Uint8Array | AsyncIterable<Uint8Array>;
  /** The SHA-1 as far as it is known by now. */
  readonly sha1Seen: () => string | undefined;
  readonly maxTries: number;
  /** What the source itself threw: on its way through the HTTP client it becomes a broken connection. */
  readonly broken: () => { readonly error: unknown } | undefined;
}

/** Different URLs for one upload, as Backblaze's checklist says. */
export const URLS_MAX = 5;
const AT_END = "hex_digits_at_end";
const SMALL_BYTES = 64 * 1024;
/** The slowest line we wait for by default: 250 kB/s. */
const BYTES_PER_MS = 250;

/** Limit of a transfer whose caller gave none, in ms. */
export const transferMs = (bytes: number): number => CALL_TIMEOUT_MS + bytes / BYTES_PER_MS;

export function bytesPayload(bytes: Uint8Array, tries: number): Payload {
  const sha1 = createHash("sha1").update(bytes).digest("hex");
  const maxTries = Math.min(tries, URLS_MAX);
  return { length: bytes.length, sha1, body: () => bytes, sha1Seen: () => sha1, maxTries, broken: () => undefined };
}

/** The digits follow the bytes, so that nothing is read twice. A stream of another length than it said is an error. */
export function streamPayload(source: B2Source, length: number, tries: number): Payload {
  let seen: string | undefined;
  let broken: { readonly error: unknown } | undefined;
  async function* read(): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha1");
    let bytes = 0;
    try {
      for await (const chunk of typeof source === "function" ? source() : source) {
        bytes += chunk.length;
        if (bytes > length) throw wrongLength(length, `at least ${bytes}`);
        hash.update(chunk);
        yield chunk;
      }
      if (bytes !== length) throw wrongLength(length, String(bytes));
    } catch (error) {
      broken = { error };
      throw error;
    }
    seen = hash.digest("hex");
    yield Buffer.from(seen);
  }
  const body = () => {
    // A source that failed once is not asked again.
    if (broken !== undefined) throw broken.error;
    return read();
  };
  const maxTries = typeof source === "function" ? Math.min(tries, URLS_MAX) : 1;
  return { length: length + 40, sha1: AT_END, body, sha1Seen: () => seen, maxTries, broken: () => broken };
}

function wrongLength(length: number, got: string): InvalidError {
  return new InvalidError("source", `must give exactly the ${length} bytes that were announced`, got);
}

export function fileHeaders(options: FileOptions): { contentType: string; info: Pair[] } {
  const { contentType = "b2/x-auto", lastModifiedMs } = options;
  if (typeof contentType !== "string" || !/^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(contentType))
    throw new InvalidError("contentType", "must be 1 to 255 printable ASCII characters", contentType);
  return { contentType, info: infoHeaders(withLastModified(options.info, lastModifiedMs)) };
}

export function withLastModified(
  info: Readonly<Record<string, string>> = {},
  lastModifiedMs: number | undefined,
): Readonly<Record<string, string>> {
  if (lastModifiedMs === undefined) return info;
  if (!Number.isInteger(lastModifiedMs) || lastModifiedMs < 0)
    throw new InvalidError("lastModifiedMs", "must be a whole number of milliseconds since 1970", lastModifiedMs);
  return { ...info, [LAST_MODIFIED]: String(lastModifiedMs) };
}

export class Uploads {
  readonly #api: B2Api;
  readonly #realm: string;
  readonly #byBucket = new Map<string, UploadUrls>();

  constructor(api: B2Api, realm: string) {
    this.#api = api;
    this.#realm = realm;
  }

  /** One file. `once`: never sent again once it may have landed. */
  async file(
    bucket: string,
    name: string,
    payload: Payload,
    options: FileOptions & { readonly once?: boolean | undefined },
    limit: Limit,
  ): Promise<Outcome<B2File>> {
    fileName("name", name);
    const { contentType, info } = fileHeaders(options);
    const bucketId = await this.#api.bucketId(bucket, limit);
    const headers: Pair[] = [["x-bz-file-name", encodeName(name)], ["content-type", contentType], ...info];
    const about = { name, bucket, once: options.once };
    return this.send("b2_upload_file", this.#urls(bucketId), payload, headers, about, limit, (answer) => {
      const file = fileOf(jsonOf(answer));
      const seen = payload.sha1Seen();
      if (file.name !== name) throw corrupt("the upload was answered for another name");
      if (file.sha1 !== undefined && seen !== undefined && file.sha1 !== seen)
        throw corrupt("the upload was answered with another SHA-1");
      return file;
    });
  }

  /** The loop over URLs, shared with the parts of large files. */
  async send<T>(
    call: B2CallName,
    urls: UploadUrls,
    payload: Payload,
    headers: readonly Pair[],
    about: { name?: string | undefined; bucket?: string | undefined; once?: boolean | undefined },
    limit: Limit,
    read: (answer: HttpAnswer) => T,
  ): Promise<Outcome<T>> {
    let tries = 0;
    return this.#api.exchange.run(
      { call, kind: "upload", maxTries: payload.maxTries, ...about, ...limit },
      async (left) => {
        const url = await urls.checkOut(left, tries++ > 0);
        return {
          origin: url.origin,
          method: "POST",
          path: url.path,
          headers: [
            ["authorization", url.token],
            ["content-length", String(payload.length)],
            ["x-bz-content-sha1", payload.sha1],
            ...headers,
          ],
          body: payload.body(),
          // The answer comes after the whole body: only a small one can be told to be late.
          headersMs: payload.length > SMALL_BYTES ? left.timeoutMs : undefined,
          read,
          ended: (verdict) => {
            const isThrottled = verdict?.verdict === "again" && verdict.code === "STORE_THROTTLED";
            if (verdict?.verdict === "done" || isThrottled) urls.giveBack(url);
          },
        };
      },
    );
  }

  /** For the parts of one large file. */
  partUrls(fileId: string): UploadUrls {
    return new UploadUrls(
      this.#api.exchange.clock,
      this.#realm,
      (limit) => this.#api.call("b2_get_upload_part_url", limit, () => ({ fileId })),
      { ahead: false },
    );
  }

  #urls(bucketId: string): UploadUrls {
    let urls = this.#byBucket.get(bucketId);
    if (urls === undefined) {
      const fetch = (limit: Limit) => this.#api.call("b2_get_upload_url", limit, () => ({ bucketId }));
      urls = new UploadUrls(this.#api.exchange.clock, this.#realm, fetch, { ahead: true });
      this.#byBucket.set(bucketId, urls);
    }
    return urls;
  }
}
