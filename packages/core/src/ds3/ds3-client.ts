/**
 * A conversation with a Spectra BlackPearl appliance: services, buckets, objects and bulk jobs, by the vendor's own API and
 * signature version 2. One request for each call; what makes a job of many is ds3-transfer. Tested on an emulator of this
 * project only, never on an appliance.
 */
import { CALL_TIMEOUT_MS } from "../call-checks.js";
import { type Clock, systemClock } from "../clock.js";
import { InvalidError } from "../errors.js";
import { type ConnectionOptions, connectionSettings } from "../http-connection.js";
import { durationMs, integer, objectKey, oneOf, text } from "../options.js";
import { type Random, systemRandom } from "../random.js";
import type { HttpAnswer } from "../request.js";
import type { CallOptions } from "../store.js";
import type { Pair } from "../uri.js";
import { fitsXml } from "../xml.js";
import type { Ds3Bucket, Ds3Job, Ds3Page } from "./ds3-answers.js";
import { DS3_CHECKSUMS, type Ds3Checksum } from "./ds3-checksum.js";
import { type Ds3Ask, Ds3Exchange } from "./ds3-exchange.js";
import type { Ds3GetAllOptions, Ds3PutAllOptions, Ds3Source, Ds3Transferred } from "./ds3-transfer.js";
import { getAll, putAll } from "./ds3-transfer.js";

export interface Ds3ClientOptions extends ConnectionOptions {
  /** Such as `https://blackpearl.example.net`; without a scheme it is http, as in the vendor's SDKs. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Limit of a call that brings none, its tries included, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Limit for getting a connection, in ms. Default 3000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Default 5. */
  readonly maxTries?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

export type Ds3Priority = "urgent" | "high" | "normal" | "low";
export interface Ds3JobOptions extends CallOptions {
  /** Shown by the appliance. */
  readonly name?: string | undefined;
  readonly priority?: Ds3Priority | undefined;
}
export interface Ds3PutJobOptions extends Ds3JobOptions {
  /** Pieces of at most so many bytes. Default: the appliance's (100 GB). */
  readonly maxUploadBytes?: number | undefined;
}
/** Of which job an object's piece is, and where it begins. */
export interface Ds3BlobOptions extends CallOptions {
  readonly job?: string | undefined;
  readonly offset?: number | undefined;
}
export interface Ds3PutObjectOptions extends Ds3BlobOptions {
  /** Base64 of the piece. The appliance refuses what does not match, or a kind that the bucket's policy does not use. */
  readonly checksum?: { readonly kind: Ds3Checksum; readonly value: string } | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** Bytes, or what opens them anew for each try. */
export type Ds3Body = Uint8Array | string | { readonly length: number; readonly open: () => AsyncIterable<Uint8Array> };

/** Nothing is sent before the first call. Throws InvalidError naming the option. */
export function openDs3Client(options: Ds3ClientOptions): Ds3Client {
  return new Ds3Client(options);
}

export class Ds3Client {
  readonly origin: string;
  readonly #exchange: Ds3Exchange;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: Ds3ClientOptions) {
    const endpoint = endpointUrl(options.endpoint);
    this.origin = endpoint.origin;
    this.#timeoutMs = durationMs("timeoutMs", options.timeoutMs ?? CALL_TIMEOUT_MS, { min: 1 });
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#exchange = new Ds3Exchange({
      endpoint,
      keys: { accessKey: keyText("accessKey", options.accessKey), secretKey: keyText("secretKey", options.secretKey) },
      clock: this.#clock,
      random: this.#random,
      connectMs: durationMs("connectTimeoutMs", options.connectTimeoutMs ?? 3_000, { min: 1 }),
      maxTries: integer("maxTries", options.maxTries ?? 5, { min: 1, max: 100 }),
      ...connectionSettings(options),
    });
  }

  /**
   * From DS3_ENDPOINT, DS3_ACCESS_KEY, DS3_SECRET_KEY and, where set, http_proxy; what `options` names wins. Throws
   * InvalidError naming the variable that is missing.
   */
  static fromEnv(
    options: Partial<Ds3ClientOptions> = {},
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): Ds3Client {
    const need = (name: string, said: string | undefined): string => {
      const value = said ?? env[name];
      if (!value) throw new InvalidError(name, "must be set in the environment", undefined);
      return value;
    };
    return new Ds3Client({
      ...options,
      endpoint: need("DS3_ENDPOINT", options.endpoint),
      accessKey: need("DS3_ACCESS_KEY", options.accessKey),
      secretKey: need("DS3_SECRET_KEY", options.secretKey),
      proxy: options.proxy ?? (env.http_proxy || undefined),
    });
  }

  // -- Service and buckets ---------------------------------------------------------------------------------------------

  /** Every bucket that these keys may see. */
  async service(options: CallOptions = {}): Promise<readonly Ds3Bucket[]> {
    return this.#exchange.read(this.#ask("GET", "service", "/", options), (xml, { body }) => xml.buckets(body));
  }

  /** Throws StoreError STORE_BUCKET_EXISTS when it is there already. */
  async createBucket(bucket: string, options: CallOptions = {}): Promise<void> {
    await this.#exchange.call(this.#ask("PUT", "bucket", bucketPath(bucket), options));
  }

  async bucketExists(bucket: string, options: CallOptions = {}): Promise<boolean> {
    const answer = await this.#exchange.call(this.#ask("HEAD", "folder", bucketPath(bucket), options));
    return answer !== undefined;
  }

  /** It must be empty; with `force` everything in it goes too. */
  async deleteBucket(
    bucket: string,
    options: CallOptions & { readonly force?: boolean | undefined } = {},
  ): Promise<void> {
    const path = options.force ? `/_rest_/bucket/${name("bucket", bucket)}` : bucketPath(bucket);
    const query: Pair[] = options.force ? [["force", ""]] : [];
    await this.#exchange.call({ ...this.#ask("DELETE", "bucket", path, options), query });
  }

  /** Pages in the appliance's order, each of up to 1000. The limit counts for each page. */
  async *listObjects(
    bucket: string,
    options: CallOptions & {
      readonly prefix?: string | undefined;
      readonly delimiter?: string | undefined;
      readonly pageSize?: number | undefined;
    } = {},
  ): AsyncGenerator<Ds3Page, void, void> {
    const pageSize = integer("pageSize", options.pageSize ?? 1000, { min: 1, max: 1000 });
    let marker: string | undefined;
    do {
      const query: Pair[] = [["max-keys", String(pageSize)]];
      if (options.prefix) query.push(["prefix", options.prefix]);
      if (options.delimiter) query.push(["delimiter", options.delimiter]);
      if (marker !== undefined) query.push(["marker", marker]);
      const ask = { ...this.#ask("GET", "bucket", bucketPath(bucket), options), query };
      const page: Ds3Page = await this.#exchange.read(ask, (xml, { body }) => xml.page(body));
      yield page;
      marker = page.nextMarker;
    } while (marker !== undefined);
  }

  // -- Objects ---------------------------------------------------------------------------------------------------------

  async headObject(
    bucket: string,
    object: string,
    options: CallOptions = {},
  ): Promise<
    | { readonly found: false }
    | { readonly found: true; readonly size: number | undefined; readonly metadata: Readonly<Record<string, string>> }
  > {
    const answer = await this.#exchange.call(this.#ask("HEAD", "object", objectPath(bucket, object), options));
    if (answer === undefined) return { found: false };
    const length = answer.header("content-length");
    return { found: true, size: length === undefined ? undefined : Number(length), metadata: metadataOf(answer) };
  }

  /** Writes an object, or a piece of one that is part of a job. */
  async putObject(bucket: string, object: string, body: Ds3Body, options: Ds3PutObjectOptions = {}): Promise<void> {
    const { checksum } = options;
    const headers: Pair[] = Object.entries(options.metadata ?? {}).map(([key, value]) => [`x-amz-meta-${key}`, value]);
    if (checksum !== undefined)
      headers.push([
        `content-${oneOf("checksum.kind", checksum.kind, DS3_CHECKSUMS)}`,
        text("checksum.value", checksum.value),
      ]);
    const ask = this.#ask("PUT", "object", objectPath(bucket, object), options);
    await this.#exchange.call({
      ...ask,
      headers,
      query: blobQuery(options),
      body: typeof body === "string" ? Buffer.from(body) : body,
      // A piece that arrived twice is refused: the job tells what arrived.
      repeatable: false,
    });
  }

  /** The answer with its body flowing; undefined: it is not there. `stallMs`: limit for silence, in ms, default 30 000. */
  async openObject(
    bucket: string,
    object: string,
    options: Ds3BlobOptions & { readonly stallMs?: number | undefined } = {},
  ): Promise<HttpAnswer | undefined> {
    const stallMs = durationMs("stallMs", options.stallMs ?? 30_000, { min: 1 });
    const ask = this.#ask("GET", "object", objectPath(bucket, object), options);
    return this.#exchange.call({ ...ask, query: blobQuery(options), stallMs });
  }

  /** Deleting what is not there succeeds. */
  async deleteObject(bucket: string, object: string, options: CallOptions = {}): Promise<void> {
    await this.#exchange.call(this.#ask("DELETE", "object", objectPath(bucket, object), options));
  }

  /** Answers those that were not deleted, with why. */
  async deleteObjects(
    bucket: string,
    objects: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly { readonly name: string; readonly code: string; readonly message: string }[]> {
    if (objects.length === 0) return [];
    const xml = await this.#exchange.reader();
    const body = Buffer.from(xml.deleteList(objects.map((object) => xmlName(object))));
    const ask = { ...this.#ask("POST", "bucket", bucketPath(bucket), options), body, query: [["delete", ""]] as const };
    return this.#exchange.read({ ...ask, repeatable: true }, (reader, answer) => reader.notDeleted(answer.body));
  }

  /** The folder and everything below it. What is not there counts as deleted. */
  async deleteFolder(bucket: string, folder: string, options: CallOptions = {}): Promise<void> {
    const path = `/_rest_/folder/${text("folder", folder).replace(/\/+$/, "")}`;
    const query: Pair[] = [
      ["bucket_id", name("bucket", bucket)],
      ["recursive", ""],
    ];
    await this.#exchange.call({ ...this.#ask("DELETE", "folder", path, options), query });
  }

  // -- Jobs ------------------------------------------------------------------------------------------------------------

  /** Plans a put: the answer has the chunks. Throws StoreError STORE_UNCLEAR when a job may or may not have been made. */
  async startPut(
    bucket: string,
    objects: readonly { readonly name: string; readonly size: number }[],
    options: Ds3PutJobOptions = {},
  ): Promise<Ds3Job> {
    const query = jobQuery("start_bulk_put", options);
    if (options.maxUploadBytes !== undefined)
      query.push([
        "max_upload_size",
        String(integer("maxUploadBytes", options.maxUploadBytes, { min: 1, max: 2 ** 50 })),
      ]);
    for (const { size } of objects) integer("size", size, { min: 0, max: Number.MAX_SAFE_INTEGER });
    return this.#start(bucket, objects, query, options);
  }

  /** Plans a get: the appliance begins to load what is asked for into its cache. */
  async startGet(bucket: string, names: readonly string[], options: Ds3JobOptions = {}): Promise<Ds3Job> {
    const objects = names.map((object) => ({ name: object }));
    return this.#start(bucket, objects, jobQuery("start_bulk_get", options), options);
  }

  /** The chunks that can be worked on now; `retryAfterMs`: none yet, ask again then. */
  async readyChunks(
    jobId: string,
    options: CallOptions & { readonly chunks?: number | undefined } = {},
  ): Promise<{ readonly job: Ds3Job; readonly retryAfterMs?: number | undefined }> {
    const query: Pair[] = [["job", name("job", jobId)]];
    if (options.chunks !== undefined)
      query.push([
        "preferred_number_of_chunks",
        String(integer("chunks", options.chunks, { min: 1, max: 2 ** 31 - 1 })),
      ]);
    const ask = { ...this.#ask("GET", "job", "/_rest_/job_chunk", options), query };
    return this.#exchange.read(ask, (xml, answer) => {
      const seconds = answer.header("retry-after");
      const retryAfterMs = seconds !== undefined && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
      return { job: xml.job(answer.body), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    });
  }

  /** Throws StoreError DS3_NO_JOB. */
  async job(jobId: string, options: CallOptions = {}): Promise<Ds3Job> {
    const ask = this.#ask("GET", "job", `/_rest_/job/${name("job", jobId)}`, options);
    return this.#exchange.read(ask, (xml, { body }) => xml.job(body));
  }

  async jobs(options: CallOptions = {}): Promise<readonly Ds3Job[]> {
    const ask = this.#ask("GET", "service", "/_rest_/job", options);
    return this.#exchange.read(ask, (xml, { body }) => xml.jobs(body));
  }

  /** What arrived whole stays, unless `force`. Throws StoreError DS3_NO_JOB. */
  async cancelJob(jobId: string, options: CallOptions & { readonly force?: boolean | undefined } = {}): Promise<void> {
    const ask = this.#ask("DELETE", "job", `/_rest_/job/${name("job", jobId)}`, options);
    await this.#exchange.call({ ...ask, query: options.force ? [["force", ""]] : [] });
  }

  /** A folder, or a list of local files and the names they get, as one or more put jobs. See Ds3PutAllOptions. */
  putAll(
    bucket: string,
    sources: string | readonly Ds3Source[],
    options: Ds3PutAllOptions = {},
  ): Promise<Ds3Transferred> {
    return putAll(this, { clock: this.#clock, random: this.#random }, bucket, sources, options);
  }

  /** Objects into a local folder, as one or more get jobs. See Ds3GetAllOptions. */
  getAll(bucket: string, folder: string, options: Ds3GetAllOptions = {}): Promise<Ds3Transferred> {
    return getAll(this, { clock: this.#clock, random: this.#random }, bucket, folder, options);
  }

  /** Ends every connection; what is under way fails with STORE_CLOSED. Idempotent. */
  close(): Promise<void> {
    return this.#exchange.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(
    bucket: string,
    objects: readonly { readonly name: string; readonly size?: number }[],
    query: readonly Pair[],
    options: CallOptions,
  ): Promise<Ds3Job> {
    if (objects.length === 0) throw new InvalidError("objects", "must not be empty", objects);
    for (const object of objects) xmlName(object.name);
    const body = Buffer.from((await this.#exchange.reader()).objectList(objects));
    const ask = this.#ask("PUT", "bucket", `/_rest_/bucket/${name("bucket", bucket)}`, options);
    // Two jobs would be planned.
    return this.#exchange.read({ ...ask, query, body, repeatable: false }, (xml, answer) => xml.job(answer.body));
  }

  #ask(method: Ds3Ask["method"], target: Ds3Ask["target"], path: string, options: CallOptions): Ds3Ask {
    const timeoutMs =
      options.timeoutMs === undefined ? this.#timeoutMs : durationMs("timeoutMs", options.timeoutMs, { min: 1 });
    return { method, target, path, signal: options.signal, timeoutMs, repeatable: method !== "POST" };
  }
}

function jobQuery(operation: string, options: Ds3JobOptions): Pair[] {
  const query: Pair[] = [["operation", operation]];
  if (options.name !== undefined) query.push(["name", text("name", options.name)]);
  if (options.priority !== undefined)
    query.push(["priority", oneOf("priority", options.priority, ["urgent", "high", "normal", "low"]).toUpperCase()]);
  return query;
}

function blobQuery({ job, offset }: Ds3BlobOptions): Pair[] {
  const query: Pair[] = [];
  if (job !== undefined) query.push(["job", name("job", job)]);
  if (offset !== undefined)
    query.push(["offset", String(integer("offset", offset, { min: 0, max: Number.MAX_SAFE_INTEGER }))]);
  return query;
}

function endpointUrl(value: unknown): URL {
  const given = text("endpoint", value);
  const whole = /^https?:\/\//i.test(given) ? given : `http://${given}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  // The value is not shown: it may hold a password.
  if (url === undefined || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw new InvalidError(
      "endpoint",
      "must be a host, or a URL such as https://host, without credentials or query",
      "something else",
    );
  return url;
}

function keyText(option: string, value: unknown): string {
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value.trim())) return value.trim();
  throw new InvalidError(option, "must be a string of printable ASCII without spaces, not empty", typeof value);
}

/** One segment of a path. */
function name(option: string, value: unknown): string {
  const given = text(option, value);
  if (/^\.{1,2}$|\//.test(given)) throw new InvalidError(option, "must have no slash and be no '.' or '..'", given);
  return given;
}

function bucketPath(bucket: unknown): string {
  return `/${name("bucket", bucket)}`;
}

function objectPath(bucket: unknown, object: unknown): string {
  return `${bucketPath(bucket)}/${objectKey("object", object)}`;
}

function xmlName(object: string): string {
  if (!fitsXml(objectKey("name", object)))
    throw new InvalidError(
      "name",
      "must have no control characters (XML, in which jobs are described, has none)",
      object,
    );
  return object;
}

const META = "x-amz-meta-";

function metadataOf(answer: HttpAnswer): Record<string, string> {
  const names = answer.headerNames.filter((header) => header.startsWith(META));
  return Object.fromEntries(names.map((header) => [header.slice(META.length), answer.header(header) ?? ""]));
}
