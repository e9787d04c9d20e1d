/**
 * An upload of any size: in one request where it fits into a part, else in parts, a few at a time. What fails is removed from
 * the store again, and it is looked that it is gone; or it is kept, where that was asked for, and continued later. Memory: of
 * a stream as many parts as are under way, of a file next to none. Nothing is sent twice that cannot be read twice.
 */

import { sendingMs } from "./backoff.js";
import { nodeCrypto } from "./builtin.js";
import { checkPut } from "./call-checks.js";
import { InvalidError } from "./errors.js";
import { md5Hex } from "./etag.js";
import { customerKey, putHeaders } from "./object-options.js";
import { callback, integer } from "./options.js";
import type { S3CallOptions, S3Calls } from "./s3-calls.js";
import type { S3Body } from "./s3-exchange.js";
import { PARTS_MAX, type S3ListedPart, type S3Multipart, type S3Part } from "./s3-multipart.js";
import type { S3Objects, S3PutOptions } from "./s3-objects.js";
import type { PutAnswer } from "./store.js";
import { openSource, type S3UploadSource, type UploadPiece, type UploadPieces } from "./upload-source.js";

export interface S3UploadProgress {
  /** Bytes that are in the store, those of an earlier attempt included. */
  readonly sentBytes: number;
  /** Absent: not known before the end. */
  readonly totalBytes?: number | undefined;
  /** Absent where one request suffices. To continue with, should this attempt fail. */
  readonly uploadId?: string | undefined;
}

/** `timeoutMs` is the limit of each request (default: the session's, and a second more for each 128 KiB). */
export interface S3UploadOptions extends Omit<S3PutOptions, "once" | "validForMs"> {
  /** Larger bodies go in parts of this size; 5 MiB to 5 GiB. Raised where 10 000 parts would not do. Default 16 MiB. */
  readonly partBytes?: number | undefined;
  /** Parts under way at once, 1 to 32; of a stream so many are in memory. Default 4; of a stream 1, and half of the next one. */
  readonly parallel?: number | undefined;
  /**
   * Continue this unfinished upload: what is there and the same is not sent again. Needs a source that can be read again. Type,
   * metadata and headers are those it was begun with.
   */
  readonly uploadId?: string | undefined;
  /** Leave what was sent when this attempt fails, to continue it. Default: only with `uploadId`. */
  readonly keepParts?: boolean | undefined;
  /** Called when an upload of parts begins and after each part, synchronously. What it throws ends the upload. */
  readonly onProgress?: ((progress: S3UploadProgress) => void) | undefined;
}

export type S3UploadAnswer = PutAnswer & {
  readonly size: number;
  /** 1: one request, no parts. */
  readonly parts: number;
  /** Of the upload of parts; with `unknown`, to look again. */
  readonly uploadId?: string | undefined;
};

const MIB = 1024 * 1024;
const PART_BYTES = 16 * MIB;
const PART_MIN_BYTES = 5 * MIB;
const PART_MAX_BYTES = 5 * 1024 * MIB;
const PARALLEL = 4;
/** What can be read once only has to be in memory until it is sent: while a part is, half of the next one is read. */
const PARALLEL_OF_STREAM = 2;
const HELD_OF_STREAM = 1.5;

export interface UploadHands {
  readonly calls: S3Calls;
  readonly objects: S3Objects;
  readonly multipart: S3Multipart;
}

export async function upload(
  hands: UploadHands,
  key: string,
  source: S3UploadSource,
  options: S3UploadOptions,
): Promise<S3UploadAnswer> {
  checkPut(key, "", options);
  putHeaders(options);
  integer("partBytes", options.partBytes ?? PART_BYTES, { min: PART_MIN_BYTES, max: PART_MAX_BYTES });
  integer("parallel", options.parallel ?? PARALLEL, { min: 1, max: 32 });
  callback("onProgress", options.onProgress);
  hands.calls.limitMs(options);
  const pieces = await openSource(source);
  try {
    if (options.uploadId !== undefined && !pieces.isRewindable)
      throw new InvalidError(
        "source",
        "must be bytes or a file to continue an upload (a stream cannot be read again)",
        source,
      );
    return await new Upload(hands, key, options, pieces).run();
  } finally {
    await pieces.close(options.signal?.reason);
  }
}

class Upload {
  readonly #hands: UploadHands;
  readonly #key: string;
  readonly #options: S3UploadOptions;
  readonly #pieces: UploadPieces;
  /** Ends the waiting for the source when a part fails. Parts that are under way may end: what is cut may still be written. */
  readonly #stop = new AbortController();
  readonly #stopped: AbortSignal;
  readonly #parts: S3Part[] = [];
  #failure: { readonly reason: unknown } | undefined;
  #uploadId: string | undefined;
  #sentBytes = 0;

  constructor(hands: UploadHands, key: string, options: S3UploadOptions, pieces: UploadPieces) {
    this.#hands = hands;
    this.#key = key;
    this.#options = options;
    this.#pieces = pieces;
    const { signal } = options;
    this.#stopped = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
  }

  async run(): Promise<S3UploadAnswer> {
    const { uploadId } = this.#options;
    const there = uploadId === undefined ? undefined : await this.#listed(uploadId);
    this.#uploadId = uploadId;
    const partBytes = this.#partBytes(there);
    const cut = this.#pieces.cut(partBytes, this.#heldParts() * partBytes);
    const first = await this.#next(cut);
    if (first === undefined) throw new Error("a source without a piece");
    if (first.isLast && uploadId === undefined) return this.#inOne(first);
    let creating: Promise<string> | undefined;
    try {
      if (uploadId === undefined) {
        // Without the caller's signal: an upload whose id is not known could not be removed.
        creating = this.#create();
        this.#uploadId = await this.#orAbort(creating);
      }
      this.#tell();
      const size = await this.#sendAll(first, cut, there);
      return await this.#complete(size);
    } catch (reason) {
      this.#uploadId ??= await creating?.catch(() => undefined);
      const keeps = this.#options.keepParts ?? uploadId !== undefined;
      if (!keeps && this.#uploadId !== undefined) await this.#remove(this.#uploadId, reason);
      throw reason;
    }
  }

  async #inOne({ body, length, sha256 }: UploadPiece): Promise<S3UploadAnswer> {
    const call = { ...this.#options, ...this.#call(length), bodySha256: sha256 };
    const answer = await this.#hands.objects.send(this.#key, body, call);
    if (answer.outcome === "stored") {
      this.#sentBytes = length;
      this.#tell();
    }
    return { ...answer, size: length, parts: 1 };
  }

  async #create(): Promise<string> {
    const { contentType, metadata, headers } = this.#options;
    const { uploadId } = await this.#hands.multipart.create(this.#key, {
      contentType,
      metadata,
      headers,
      ...this.#call(0),
      signal: undefined,
    });
    return uploadId;
  }

  /** Answers the number of bytes. Throws the first failure, after everything under way has ended. */
  async #sendAll(
    first: UploadPiece,
    cut: AsyncGenerator<UploadPiece, void, void>,
    there: ReadonlyMap<number, S3ListedPart> | undefined,
  ): Promise<number> {
    const parallel = this.#options.parallel ?? (this.#pieces.isRewindable ? PARALLEL : PARALLEL_OF_STREAM);
    const underWay = new Set<Promise<void>>();
    let size = 0;
    try {
      for (let piece: UploadPiece | undefined = first; piece !== undefined; piece = await this.#next(cut)) {
        if (piece.number > PARTS_MAX)
          throw new InvalidError(
            "partBytes",
            `must be so large that ${PARTS_MAX} parts suffice`,
            this.#options.partBytes,
          );
        size += piece.length;
        const sending = this.#send(piece, there?.get(piece.number));
        const work = sending
          .catch((reason: unknown) => this.#fail(reason))
          .finally(() => {
            underWay.delete(work);
          });
        underWay.add(work);
        // Before the next one is read.
        if (underWay.size >= parallel) await Promise.race(underWay);
        if (this.#failure) break;
      }
    } catch (reason) {
      this.#fail(reason);
    }
    await Promise.all(underWay);
    this.#options.signal?.throwIfAborted();
    if (this.#failure) throw this.#failure.reason;
    return size;
  }

  async #send(piece: UploadPiece, had: S3ListedPart | undefined): Promise<void> {
    const { number, body, length, sha256 } = piece;
    const isThere = had?.size === length && had.etag.replaceAll('"', "") === (await md5Of(body));
    const part = isThere
      ? had
      : await this.#hands.multipart.part(this.#key, this.#uploadId!, number, body, {
          ...this.#call(length),
          sha256,
          headers: customerKey(this.#options.headers),
        });
    piece.release();
    this.#parts[number - 1] = { number, etag: part.etag };
    this.#sentBytes += length;
    this.#tell();
  }

  async #complete(size: number): Promise<S3UploadAnswer> {
    const uploadId = this.#uploadId!;
    const { condition, timeoutMs } = this.#options;
    const call = { ...this.#call(0), timeoutMs, condition, headers: customerKey(this.#options.headers) };
    const answer = await this.#hands.multipart.complete(this.#key, uploadId, this.#parts, call);
    // Refused for good: its parts are of no use to anybody.
    if (answer.outcome === "conflict") await this.#remove(uploadId, undefined);
    return { ...answer, size, parts: this.#parts.length, uploadId };
  }

  #remove(uploadId: string, reason: unknown): Promise<void> {
    return this.#hands.multipart.removeFailed(this.#key, uploadId, "upload", this.#options, reason);
  }

  async #listed(uploadId: string): Promise<ReadonlyMap<number, S3ListedPart>> {
    const answer = await this.#hands.multipart.list(this.#key, uploadId, this.#call(0));
    if (!answer.found) throw new InvalidError("uploadId", "must be of an unfinished upload of this key", uploadId);
    return new Map(answer.parts.map((part) => [part.number, part]));
  }

  #partBytes(there: ReadonlyMap<number, S3ListedPart> | undefined): number {
    const { size } = this.#pieces;
    // Parts of another size would all be sent again. All but the last are of one size.
    const before = this.#options.partBytes ?? (there && (there.get(1)?.size ?? Math.max(0, ...sizes(there))));
    const wanted = Math.max(before || PART_BYTES, PART_MIN_BYTES);
    if (size === undefined || size <= wanted * PARTS_MAX) return wanted;
    return Math.ceil(size / PARTS_MAX / MIB) * MIB;
  }

  /** Of what can be read once only. */
  #heldParts(): number {
    return this.#options.parallel ?? HELD_OF_STREAM;
  }

  async #next(cut: AsyncGenerator<UploadPiece, void, void>): Promise<UploadPiece | undefined> {
    // A source may be silent for ever.
    const { done, value } = await this.#orAbort(cut.next());
    return done ? undefined : value;
  }

  async #orAbort<T>(work: Promise<T>): Promise<T> {
    const signal = this.#stopped;
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return await Promise.race([work, aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#stop.abort(reason);
  }

  #tell(): void {
    const { onProgress } = this.#options;
    onProgress?.({ sentBytes: this.#sentBytes, totalBytes: this.#pieces.size, uploadId: this.#uploadId });
  }

  #call(bytes: number): S3CallOptions {
    const { bucket, signal, timeoutMs } = this.#options;
    const limitMs = timeoutMs ?? this.#hands.calls.limitMs({}) + sendingMs(bytes);
    return { bucket, signal, timeoutMs: limitMs };
  }
}

async function md5Of(body: Uint8Array | S3Body): Promise<string> {
  if (body instanceof Uint8Array) return md5Hex(body);
  const hash = nodeCrypto().createHash("md5");
  for await (const chunk of body.open()) hash.update(chunk);
  return hash.digest("hex");
}

function sizes(parts: ReadonlyMap<number, S3ListedPart>): number[] {
  return [...parts.values()].map(({ size }) => size);
}
