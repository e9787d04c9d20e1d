/**
 * Reading files by name and by id: whole, a range, as a stream, or only their facts. Whole reads are checked against their
 * SHA-1. A stream is made of ranged reads of one version, so that each can be repeated, and a file that is replaced meanwhile
 * cannot mix. It never follows a redirect.
 */
import { createHash } from "node:crypto";
import { InvalidError, integer } from "@bucketlock/core";
import { type HttpAnswer, type Pair, text } from "@bucketlock/core/http";
import type { Address } from "./addresses.js";
import { type B2File, sha1Of } from "./answers.js";
import type { B2CallName } from "./b2-calls.js";
import { corrupt } from "./b2-errors.js";
import type { B2Exchange, Outcome } from "./b2-exchange.js";
import { decodeName, encodeName, fileName, infoOf, LARGE_FILE_SHA1 } from "./file-name.js";
import type { Limit } from "./patience.js";

/** Which file: by name (the newest visible version) or exactly one version by its id. */
export type B2Which = { readonly name: string } | { readonly id: string };

/** Bytes from `start`, up to and with `end`; without `end` to the end. */
export interface B2Range {
  readonly start: number;
  readonly end?: number | undefined;
}

/** Who may read: the account's token, a download authorization, or nobody's (public buckets). */
export interface Reader {
  readonly download: Address;
  readonly token: string | undefined;
  /** The token was called old. */
  refused(): void;
}

export interface B2Body {
  readonly file: B2File;
  readonly body: Uint8Array;
  /** The whole file's, where the body is a range. */
  readonly totalSize: number;
}

/** An absent file is an answer, not an error. */
export type B2HeadAnswer =
  | { readonly found: true; readonly file: B2File; readonly serverTimeMs: number | undefined }
  | { readonly found: false; readonly serverTimeMs: number | undefined };
export type B2GetAnswer =
  | (B2Body & { readonly found: true; readonly serverTimeMs: number | undefined })
  | { readonly found: false; readonly serverTimeMs: number | undefined };
export interface B2Stream {
  readonly file: B2File;
  readonly body: AsyncIterable<Uint8Array>;
}

/** One ranged read of a stream. */
const PIECE_BYTES = 8 * 1024 * 1024;

export class Downloads {
  readonly #exchange: B2Exchange;
  readonly #reader: (limit: Limit) => Promise<Reader>;
  readonly #bucket: string | undefined;

  constructor(exchange: B2Exchange, bucket: string | undefined, reader: (limit: Limit) => Promise<Reader>) {
    this.#exchange = exchange;
    this.#bucket = bucket;
    this.#reader = reader;
  }

  head(which: B2Which, limit: Limit): Promise<Outcome<B2File>> {
    return this.#ask("HEAD", which, [], limit, (answer) => fileFrom(answer, sizeOf(answer)));
  }

  async get(which: B2Which, range: B2Range | undefined, limit: Limit): Promise<Outcome<B2Body>> {
    const headers: Pair[] = range === undefined ? [] : [["range", rangeHeader(range)]];
    return this.#ask("GET", which, headers, limit, (answer) => {
      const { body } = answer;
      if (range === undefined) {
        const file = fileFrom(answer, body.length);
        const sha1 = createHash("sha1").update(body).digest("hex");
        // A large file has none of B2's own, but often its uploader's.
        const expected = file.sha1 ?? sha1Of(file.info[LARGE_FILE_SHA1]);
        if (expected !== undefined && expected !== sha1) throw corrupt("the body does not have the file's SHA-1");
        return { file, body, totalSize: body.length };
      }
      const total = answer.status === 206 ? /\/(\d+)$/.exec(answer.header("content-range") ?? "")?.[1] : undefined;
      if (total === undefined) throw corrupt("a range was asked for, and the answer is none");
      const last = Math.min(range.end ?? Number.POSITIVE_INFINITY, Number(total) - 1);
      if (body.length !== last - range.start + 1) throw corrupt("the range has another length than was asked for");
      return { file: fileFrom(answer, Number(total)), body, totalSize: Number(total) };
    });
  }

  /**
   * The bytes in pieces of 8 MiB, each a request of its own (class B). The SHA-1 is checked at the end, when the whole file
   * was read. `limit` is for each piece. Undefined: not there.
   */
  async stream(which: B2Which, range: B2Range | undefined, limit: () => Limit): Promise<B2Stream | undefined> {
    if (range !== undefined) rangeHeader(range);
    // The facts first: a range of an empty file is an error (416).
    const found = await this.head(which, limit());
    if (found.outcome === "unknown") throw found.cause;
    if (found.outcome !== "done") return undefined;
    const file = found.value;
    const start = range?.start ?? 0;
    const end = Math.min(range?.end ?? Number.POSITIVE_INFINITY, file.size - 1);
    return { file, body: this.#pieces(file, start, end, limit) };
  }

  async *#pieces(file: B2File, start: number, end: number, limit: () => Limit): AsyncGenerator<Uint8Array, void, void> {
    const whole = start === 0 && end === file.size - 1;
    const expected = whole ? (file.sha1 ?? sha1Of(file.info[LARGE_FILE_SHA1])) : undefined;
    const hash = createHash("sha1");
    for (let from = start; from <= end; from += PIECE_BYTES) {
      const piece = { start: from, end: Math.min(from + PIECE_BYTES - 1, end) };
      const outcome = await this.get({ id: file.id }, piece, limit());
      if (outcome.outcome === "unknown") throw outcome.cause;
      if (outcome.outcome !== "done") throw outcome.error;
      hash.update(outcome.value.body);
      yield outcome.value.body;
    }
    if (expected !== undefined && file.size > 0 && hash.digest("hex") !== expected)
      throw corrupt("the stream does not have the file's SHA-1");
  }

  #ask<T>(
    method: "GET" | "HEAD",
    which: B2Which,
    headers: readonly Pair[],
    limit: Limit,
    read: (answer: HttpAnswer) => T,
  ): Promise<Outcome<T>> {
    const isNamed = "name" in which;
    const call: B2CallName = isNamed ? "b2_download_file_by_name" : "b2_download_file_by_id";
    const path = isNamed ? this.#path(which.name) : idPath(which.id);
    const about = isNamed ? { name: which.name, bucket: this.#bucket } : {};
    return this.#exchange.run(
      { call, kind: "download", isHead: method === "HEAD", ...about, ...limit },
      async (left) => {
        const reader = await this.#reader(left);
        return {
          origin: reader.download.origin,
          method,
          path: `${reader.download.path}${path}`,
          headers: reader.token === undefined ? headers : [["authorization", reader.token], ...headers],
          read,
          ended: (verdict) => {
            if (verdict?.verdict === "again" && verdict.remedy === "token") reader.refused();
          },
        };
      },
    );
  }

  #path(name: string): string {
    if (this.#bucket === undefined) throw new InvalidError("bucket", "must be given to read by name", undefined);
    return `/file/${this.#bucket}/${encodeName(fileName("name", name))}`;
  }
}

export function headAnswer(outcome: Outcome<B2File>): B2HeadAnswer {
  const { serverTimeMs } = outcome;
  if (outcome.outcome === "done") return { found: true, file: outcome.value, serverTimeMs };
  if (outcome.outcome === "absent") return { found: false, serverTimeMs };
  throw outcome.outcome === "unknown" ? outcome.cause : outcome.error;
}

export function getAnswer(outcome: Outcome<B2Body>): B2GetAnswer {
  const { serverTimeMs } = outcome;
  if (outcome.outcome === "done") return { found: true, ...outcome.value, serverTimeMs };
  if (outcome.outcome === "absent") return { found: false, serverTimeMs };
  throw outcome.outcome === "unknown" ? outcome.cause : outcome.error;
}

function idPath(id: string): string {
  return `/b2api/v4/b2_download_file_by_id?fileId=${encodeURIComponent(text("id", id))}`;
}

function rangeHeader({ start, end }: B2Range): string {
  integer("range.start", start, { min: 0, max: Number.MAX_SAFE_INTEGER });
  if (end !== undefined) integer("range.end", end, { min: start, max: Number.MAX_SAFE_INTEGER });
  return `bytes=${start}-${end ?? ""}`;
}

function sizeOf(answer: HttpAnswer): number {
  const length = answer.header("content-length");
  if (length === undefined || !/^\d+$/.test(length)) throw corrupt("an answer without a Content-Length");
  return Number(length);
}

/** The facts in the headers. https://www.backblaze.com/apidocs/b2-download-file-by-name */
function fileFrom(answer: HttpAnswer, size: number): B2File {
  const id = answer.header("x-bz-file-id");
  const name = decodeName(answer.header("x-bz-file-name") ?? "");
  const uploaded = answer.header("x-bz-upload-timestamp");
  if (!id || !name || uploaded === undefined || !/^\d+$/.test(uploaded))
    throw corrupt("the answer lacks the X-Bz-* headers of a file");
  return {
    id,
    name,
    action: "upload",
    size,
    sha1: sha1Of(answer.header("x-bz-content-sha1")),
    contentType: answer.header("content-type"),
    info: infoOf(answer.headerNames, (header) => answer.header(header)),
    uploadedMs: Number(uploaded),
  };
}
