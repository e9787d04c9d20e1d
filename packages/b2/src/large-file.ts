/**
 * Large files: parts sent in parallel over URLs of their own, then made one file. Continues an unfinished one where its parts
 * fit. A failure cancels what was started here, unless it is kept to be continued. Memory: `parallel` parts at most.
 *
 * Rules: https://www.backblaze.com/docs/cloud-storage-large-files.
 */
import { createHash } from "node:crypto";
import { InvalidError, integer, StoreError } from "@bucketlock/core";
import { type B2File, type B2Part, fileOf, type Grant, list, partOf } from "./answers.js";
import type { B2Api } from "./b2-api.js";
import { corrupt } from "./b2-errors.js";
import { jsonOf } from "./b2-exchange.js";
import { fileName, LARGE_FILE_SHA1 } from "./file-name.js";
import type { Limit } from "./patience.js";
import type { UploadUrls } from "./upload-urls.js";
import { bytesPayload, type FileOptions, fileHeaders, type Uploads, withLastModified } from "./uploads.js";

export interface LargeFileOptions extends FileOptions {
  /** Bytes of a part but the last. Default: what B2 recommends (100 MB). */
  readonly partSize?: number | undefined;
  /** Parts under way at once, 1 to 16. Default 4. */
  readonly parallel?: number | undefined;
  /**
   * Continue an unfinished file of this name whose parts fit, and keep what was sent when this attempt fails. Default false.
   */
  readonly resume?: boolean | undefined;
  /** SHA-1 of the whole, kept in the info for readers: B2 computes none for large files. */
  readonly sha1?: string | undefined;
}

const PARTS_MAX = 10_000;
const PARALLEL = 4;

interface Unfinished {
  readonly id: string;
  readonly parts: ReadonlyMap<number, B2Part>;
}

export class LargeFiles {
  readonly #api: B2Api;
  readonly #uploads: Uploads;
  readonly #maxTries: number;

  constructor(api: B2Api, uploads: Uploads, maxTries: number) {
    this.#api = api;
    this.#uploads = uploads;
    this.#maxTries = maxTries;
  }

  /** `limit` is asked for each request. Throws what the failing part threw; the others are awaited first. */
  async upload(
    bucket: string,
    name: string,
    source: AsyncIterable<Uint8Array>,
    options: LargeFileOptions,
    limit: (bytes?: number) => Limit,
  ): Promise<B2File> {
    fileName("name", name);
    fileHeaders(options);
    const parallel = integer("parallel", options.parallel ?? PARALLEL, { min: 1, max: 16 });
    const grant = await this.#api.authority.current(limit());
    const partSize = checkPartSize(options.partSize, grant);
    const old = options.resume ? await this.#unfinished(bucket, name, limit) : undefined;
    const fileId = old?.id ?? (await this.start(bucket, name, options, limit())).id;
    const about = { name, bucket };
    try {
      const sha1s = await this.#parts(fileId, source, { partSize, parallel, old, about, limit });
      return await this.finish(fileId, sha1s, limit(), about);
    } catch (error) {
      if (!options.resume) await this.cancel(fileId, { timeoutMs: limit().timeoutMs }).catch(() => {});
      throw error;
    }
  }

  /** B2 refuses (STORE_REFUSED) a file that is not unfinished. */
  async cancel(fileId: string, limit: Limit): Promise<void> {
    const outcome = await this.#api.run("b2_cancel_large_file", limit, () => ({ fileId }));
    if (outcome.outcome === "unknown") throw outcome.cause;
  }

  async start(bucket: string, name: string, options: LargeFileOptions, limit: Limit): Promise<B2File> {
    fileName("name", name);
    const bucketId = await this.#api.bucketId(bucket, limit);
    const { contentType = "b2/x-auto", info, lastModifiedMs, sha1 } = options;
    const fileInfo = {
      ...withLastModified(info, lastModifiedMs),
      ...(sha1 === undefined ? {} : { [LARGE_FILE_SHA1]: sha1 }),
    };
    const parameters = () => ({ bucketId, fileName: name, contentType, fileInfo });
    const { json } = await this.#api.call("b2_start_large_file", limit, parameters, { name, bucket });
    return fileOf({ action: "start", ...json });
  }

  async #parts(
    fileId: string,
    source: AsyncIterable<Uint8Array>,
    how: {
      readonly partSize: number;
      readonly parallel: number;
      readonly old: Unfinished | undefined;
      readonly about: { readonly name: string; readonly bucket: string };
      readonly limit: (bytes?: number) => Limit;
    },
  ): Promise<string[]> {
    const urls = this.#uploads.partUrls(fileId);
    const sha1s: string[] = [];
    const underWay = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    let number = 0;
    for await (const bytes of cut(source, how.partSize)) {
      const part = ++number;
      if (part > PARTS_MAX)
        throw new InvalidError("partSize", `must be so large that ${PARTS_MAX} parts suffice`, how.partSize);
      const sha1 = createHash("sha1").update(bytes).digest("hex");
      sha1s.push(sha1);
      const had = how.old?.parts.get(part);
      if (had?.sha1 === sha1 && had.size === bytes.length) continue;
      const work = this.#part(urls, part, bytes, how.about, how.limit(bytes.length)).catch((error: unknown) => {
        failure ??= { error };
      });
      underWay.add(work);
      void work.then(() => underWay.delete(work));
      if (underWay.size >= how.parallel) await Promise.race(underWay);
      if (failure !== undefined) break;
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw failure.error;
    return sha1s;
  }

  async #part(
    urls: UploadUrls,
    number: number,
    bytes: Uint8Array,
    about: { readonly name: string; readonly bucket: string },
    limit: Limit,
  ): Promise<void> {
    const payload = bytesPayload(bytes, this.#maxTries);
    const headers = [["x-bz-part-number", String(number)]] as const;
    const outcome = await this.#uploads.send("b2_upload_part", urls, payload, headers, about, limit, (answer) => {
      const part = partOf(jsonOf(answer));
      if (part.number !== number || part.sha1.toLowerCase() !== payload.sha1)
        throw corrupt("another part was answered");
    });
    if (outcome.outcome === "unknown") throw outcome.cause;
    if (outcome.outcome !== "done") throw outcome.error;
  }

  /** Never sent twice: where the answer was lost, the file itself tells. */
  async finish(
    fileId: string,
    partSha1Array: readonly string[],
    limit: Limit,
    about: { readonly name?: string; readonly bucket?: string } = {},
  ): Promise<B2File> {
    const outcome = await this.#api.run("b2_finish_large_file", limit, () => ({ fileId, partSha1Array }), about);
    if (outcome.outcome === "done") return fileOf(outcome.value);
    if (outcome.outcome !== "unknown") throw outcome.error;
    try {
      const { json } = await this.#api.call("b2_get_file_info", limit, () => ({ fileId }), about);
      const file = fileOf(json);
      if (file.action === "upload") return file;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
    throw outcome.cause;
  }

  /** What was sent of an unfinished file, by number. */
  async partsOf(fileId: string, limit: () => Limit): Promise<B2Part[]> {
    const parts: B2Part[] = [];
    let startPartNumber: unknown = 1;
    do {
      const page = { fileId, startPartNumber, maxPartCount: 1000 };
      const { json } = await this.#api.call("b2_list_parts", limit(), () => page);
      parts.push(...list(json, "parts").map(partOf));
      if (json.nextPartNumber === startPartNumber) throw corrupt("the list of parts goes round in circles");
      startPartNumber = json.nextPartNumber;
    } while (typeof startPartNumber === "number");
    return parts;
  }

  async #unfinished(bucket: string, name: string, limit: () => Limit): Promise<Unfinished | undefined> {
    const bucketId = await this.#api.bucketId(bucket, limit());
    const parameters = () => ({ bucketId, namePrefix: name, maxFileCount: 100 });
    const { json } = await this.#api.call("b2_list_unfinished_large_files", limit(), parameters, { bucket });
    const file = list(json, "files")
      .map((entry) => fileOf({ action: "start", ...(entry as object) }))
      .find((candidate) => candidate.name === name);
    if (file === undefined) return undefined;
    const parts = await this.partsOf(file.id, limit);
    return { id: file.id, parts: new Map(parts.map((part) => [part.number, part])) };
  }
}

function checkPartSize(given: number | undefined, grant: Grant): number {
  const max = 5_000_000_000;
  if (given === undefined) return grant.recommendedPartSize;
  return integer("partSize", given, { min: grant.minimumPartSize, max });
}

/** The chunks of a source in pieces of exactly `size`, the last one shorter. An empty source gives one empty piece. */
export async function* cut(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  let pieces = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const take = chunk.subarray(at, at + size - bytes);
      held.push(take);
      bytes += take.length;
      at += take.length;
      if (bytes < size) continue;
      pieces++;
      yield Buffer.concat(held, bytes);
      held = [];
      bytes = 0;
    }
  }
  if (bytes > 0 || pieces === 0) yield Buffer.concat(held, bytes);
}
