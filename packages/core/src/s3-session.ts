/**
 * An authenticated conversation with an S3 server, one bucket of it by default: the S3 verbs, each with typed options and
 * answers. It never retries or judges by itself (s3-exchange, classify), and keeps no object in memory beyond its call.
 */
import { CALL_TIMEOUT_MS } from "./call-checks.js";
import { type Clock, systemClock } from "./clock.js";
import { CredentialSource, type S3Credentials, type S3CredentialsProvider } from "./credentials.js";
import type { S3DownloadAnswer } from "./download.js";
import { InvalidError, StoreError } from "./errors.js";
import { type ConnectionOptions, connectionSettings } from "./http-connection.js";
import type { S3StreamAnswer, S3StreamOptions } from "./object-stream.js";
import { callback, durationMs, flag, integer } from "./options.js";
import { Origins } from "./origins.js";
import type { ProbeOptions } from "./probe.js";
import type { ProbeReport } from "./probe-report.js";
import { type Random, systemRandom } from "./random.js";
import { S3Addressing } from "./s3-addressing.js";
import { type AclAnswer, type BucketsAnswer, type CreateBucketOptions, type NewAcl, S3Buckets } from "./s3-buckets.js";
import { type S3CallOptions, S3Calls } from "./s3-calls.js";
import {
  type CopyAnswer,
  type CopyOptions,
  S3Copy,
  type S3Metadata,
  type S3Source,
  type UpdateOptions,
} from "./s3-copy.js";
import { S3Delete, type S3DeleteAnswer, type S3DeleteManyOptions, type S3DeleteOptions } from "./s3-delete.js";
import type { BucketLogging, DefaultRetention, ObjectLock, Retention, Versioning } from "./s3-documents.js";
import { S3Endpoint } from "./s3-endpoint.js";
import { type S3Event, S3Exchange } from "./s3-exchange.js";
import { type S3EachOptions, S3List, type S3ListOptions } from "./s3-list.js";
import type { S3ListPage, S3VersionPage } from "./s3-listing.js";
import type {
  S3CompleteOptions,
  S3CreateUploadOptions,
  S3Multipart,
  S3Part,
  S3PartOptions,
  S3PartsAnswer,
  S3UploadsPage,
} from "./s3-multipart.js";
import { type PutRetentionOptions, S3ObjectLock, type VersionOptions } from "./s3-object-lock.js";
import {
  type S3GetAnswer,
  type S3GetOptions,
  type S3HeadAnswer,
  type S3HeadOptions,
  S3Objects,
  type S3PutOptions,
  type S3TextAnswer,
} from "./s3-objects.js";
import { type PresignOptions, plainUrl, presignedUrl, type UrlOptions } from "./s3-presign.js";
import { type S3Doomed, S3Purge, type S3PurgeAnswer, type S3PurgeOptions } from "./s3-purge.js";
import type { S3RequestName } from "./s3-requests.js";
import { type Environment, settle } from "./s3-settings.js";
import { S3Store } from "./s3-store.js";
import type { SigningCredentials } from "./sigv4.js";
import type { Answer, CallOptions, DeleteIfAnswer, DeleteManyAnswer, DeleteTarget, PutAnswer, Store } from "./store.js";
import type { S3UploadSource } from "./upload-source.js";
import type { S3UploadAnswer, S3UploadOptions } from "./uploads.js";
import type { S3ListedObject, S3ListedVersion } from "./xml.js";

export interface S3SessionOptions extends ConnectionOptions {
  /** Such as `https://host:port`. Default: AWS in `region`. Never with credentials in it. */
  readonly endpoint?: string | undefined;
  /** Such as `eu-central-1`. Many servers other than AWS take any; `us-east-1` is the usual one. */
  readonly region: string;
  /** The bucket of every call that names none. Absent: each call names one. */
  readonly bucket?: string | undefined;
  readonly credentials: S3Credentials | S3CredentialsProvider;
  /** `host/bucket/key` instead of `bucket.host/key`. Default: true for every endpoint but AWS. */
  readonly forcePathStyle?: boolean | undefined;
  /** Send the ETag of If-Match without its quotes: Ceph RGW matches it only so. Default false. */
  readonly bareIfMatch?: boolean | undefined;
  /** Limit of a call that brings none, its tries included, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Limit for getting a connection, in ms. Default 3000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Limit of one try until the answer begins, in ms. What is sent only once waits for the whole limit. Default 5000. */
  readonly headersTimeoutMs?: number | undefined;
  /** Default 5. */
  readonly maxTries?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Called for every request and retry, synchronously. What it throws is thrown into the call. */
  readonly onEvent?: ((event: S3Event) => void) | undefined;
}

/** A session. Nothing is sent and no socket opened before the first call. Throws InvalidError naming the option. */
export function openS3Session(options: S3SessionOptions): S3Session {
  return new S3Session(options);
}

export class S3Session {
  /** The bucket of every call that names none. */
  readonly bucket: string | undefined;
  readonly region: string;
  /** Scheme, host and port. */
  readonly origin: string;
  /** The quotes of an ETag are left out of If-Match. */
  readonly bareIfMatch: boolean;
  readonly #endpoint: S3Endpoint;
  readonly #origins: Origins;
  readonly #exchange: S3Exchange;
  readonly #calls: S3Calls;
  readonly #objects: S3Objects;
  readonly #random: Random;
  readonly #addressing: S3Addressing;
  readonly #credentials: CredentialSource;
  readonly #list: S3List;
  readonly #delete: S3Delete;
  readonly #purge: S3Purge;
  readonly #copy: S3Copy;
  readonly #buckets: S3Buckets;
  readonly #objectLock: S3ObjectLock;

  constructor(options: S3SessionOptions) {
    if (typeof options !== "object" || options === null)
      throw new InvalidError("options", "must be an object", options);
    this.#endpoint = new S3Endpoint(options);
    this.bucket = this.#endpoint.bucket;
    this.region = this.#endpoint.region;
    this.origin = this.#endpoint.origin;
    const clock = options.clock ?? systemClock;
    const random = options.random ?? systemRandom;
    this.bareIfMatch = flag("bareIfMatch", options.bareIfMatch ?? false);
    callback("onEvent", options.onEvent);
    this.#credentials = new CredentialSource(options.credentials);
    this.#addressing = new S3Addressing({ endpoint: this.#endpoint, credentials: this.#credentials, clock });
    this.#origins = new Origins({
      clock,
      ...connectionSettings(options),
      connectMs: durationMs("connectTimeoutMs", options.connectTimeoutMs ?? 3_000, { min: 1 }),
    });
    this.#exchange = new S3Exchange({
      origins: this.#origins,
      addressing: this.#addressing,
      clock,
      random,
      headersMs: durationMs("headersTimeoutMs", options.headersTimeoutMs ?? 5_000, { min: 1 }),
      maxTries: integer("maxTries", options.maxTries ?? 5, { min: 1, max: 100 }),
      onEvent: options.onEvent,
    });
    this.#calls = new S3Calls({
      exchange: this.#exchange,
      clock,
      timeoutMs: durationMs("timeoutMs", options.timeoutMs ?? CALL_TIMEOUT_MS, { min: 1 }),
      bareIfMatch: this.bareIfMatch,
    });
    this.#random = random;
    this.#objects = new S3Objects(this.#calls, this.bucket);
    this.#list = new S3List(this.#calls);
    this.#delete = new S3Delete(this.#calls);
    this.#purge = new S3Purge(this.#list, this.#delete);
    this.#copy = new S3Copy(this.#calls, () => this.#multipart(), this.bucket);
    this.#buckets = new S3Buckets(this.#calls, this.#endpoint);
    this.#objectLock = new S3ObjectLock(this.#calls);
  }

  /**
   * From the environment alone: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or
   * AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_CA_BUNDLE, the proxy variables, BUCKETLOCK_BUCKET.
   * What `options` names wins. `openS3SessionFromConfig` looks into the shared files as well. Throws InvalidError naming
   * the variable that is missing.
   */
  static fromEnv(options: Partial<S3SessionOptions> = {}, env: Environment = process.env): S3Session {
    const { credentials: plan, region, bucket, ...settled } = settle(options, env);
    const missing = (name: string) => new InvalidError(name, "must be set in the environment", undefined);
    if (region === undefined) throw missing("AWS_REGION");
    if (bucket === undefined) throw missing("BUCKETLOCK_BUCKET");
    if (!("credentials" in plan)) throw missing("AWS_ACCESS_KEY_ID");
    return new S3Session({ ...options, ...settled, region, bucket, credentials: plan.credentials });
  }

  /** The store port over this session and its own bucket. Closing the store closes the session. */
  store(options: { readonly prefix?: string | undefined } = {}): Store {
    return new S3Store(this, options.prefix ?? "");
  }

  /** Writes an object. Throws StoreError only for what certainly was not stored. */
  putObject(key: string, body: Uint8Array | string, options: S3PutOptions = {}): Promise<PutAnswer> {
    return this.#objects.put(key, body, options);
  }

  /** Reads an object, up to 256 MiB: whole, a range, a version, or only if a condition is met. */
  getObject(key: string, options: S3GetOptions = {}): Promise<S3GetAnswer> {
    return this.#objects.get(key, options);
  }

  /** As getObject, the body as UTF-8 text (what is none becomes U+FFFD). */
  getText(key: string, options: S3GetOptions = {}): Promise<S3TextAnswer> {
    return this.#objects.text(key, options);
  }

  headObject(key: string, options: S3HeadOptions = {}): Promise<S3HeadAnswer> {
    return this.#objects.head(key, options);
  }

  /**
   * An object of any size as it comes. `body` keeps to the pace of its reader; it ends only when everything came and was what
   * its checksum says, and fails otherwise. What breaks is asked for again from there, while the object is the same (else
   * STORE_CHANGED). The signal ends it at any time; `stallMs` limits the server's silence, nothing limits the whole.
   */
  async streamObject(key: string, options: S3StreamOptions = {}): Promise<S3StreamAnswer> {
    const { streamObject } = await import("./object-stream.js");
    return streamObject(this.#calls, this.bucket, key, options);
  }

  /**
   * An object into a local file, as streamObject. The file appears under its name only when it is complete and on disk; what
   * was there is replaced. Its folder must exist. Where nothing is found, nothing is touched.
   */
  async download(key: string, path: string, options: S3StreamOptions = {}): Promise<S3DownloadAnswer> {
    const { downloadTo } = await import("./download.js");
    return downloadTo(path, this.#random, () => this.streamObject(key, options));
  }

  /**
   * Writes an object of any size: bytes, a string, a file, a stream. Larger ones than `partBytes` go in parts, a few at a time;
   * if one fails or the signal aborts, what was sent is removed again (UPLOAD_LEFT_BEHIND when even that fails). A stream's own
   * error is thrown as it is.
   */
  async upload(key: string, source: S3UploadSource, options: S3UploadOptions = {}): Promise<S3UploadAnswer> {
    const [{ upload }, multipart] = await Promise.all([import("./uploads.js"), this.#multipart()]);
    return upload({ calls: this.#calls, objects: this.#objects, multipart }, key, source, options);
  }

  /** Begins an upload of parts. It, and its parts, stay until it is completed or aborted. */
  async createUpload(
    key: string,
    options: S3CreateUploadOptions = {},
  ): Promise<Answer & { readonly uploadId: string }> {
    return (await this.#multipart()).create(key, options);
  }

  /** Part `number` (1 to 10 000) of an upload; all but the last have at least 5 MiB. Sending it again replaces it. */
  async uploadPart(
    key: string,
    uploadId: string,
    number: number,
    body: Uint8Array,
    options: S3PartOptions = {},
  ): Promise<Answer & S3Part> {
    if (!(body instanceof Uint8Array)) throw new InvalidError("body", "must be a Uint8Array", body);
    return (await this.#multipart()).part(key, uploadId, number, body, options);
  }

  /** Makes the object of the parts, which must be named in order. What is unclear is resolved by looking, where that tells. */
  async completeUpload(
    key: string,
    uploadId: string,
    parts: readonly S3Part[],
    options: S3CompleteOptions = {},
  ): Promise<PutAnswer> {
    return (await this.#multipart()).complete(key, uploadId, parts, options);
  }

  /** Removes an unfinished upload with all its parts, and looks that they are gone. What is not there is none. */
  async abortUpload(key: string, uploadId: string, options: S3CallOptions = {}): Promise<void> {
    return (await this.#multipart()).abort(key, uploadId, options);
  }

  /** The parts of an unfinished upload, by number. */
  async listParts(key: string, uploadId: string, options: S3CallOptions = {}): Promise<S3PartsAnswer> {
    return (await this.#multipart()).list(key, uploadId, options);
  }

  /** Unfinished uploads of keys with this prefix, in pages. The time limit counts for each page. */
  async *listUploads(prefix: string, options: S3CallOptions = {}): AsyncGenerator<S3UploadsPage, void, void> {
    yield* (await this.#multipart()).uploads(prefix, options);
  }

  /**
   * Pages in byte order of the keys: ListObjectsV2 or, where the server has none, ListObjects. The time limit counts for
   * each page. Throws StoreError STORE_CORRUPT_ANSWER rather than end early or never.
   */
  listObjects(prefix: string, options: S3ListOptions = {}): AsyncGenerator<S3ListPage, void, void> {
    return this.#list.objects(prefix, options);
  }

  /** The same, object by object. */
  objects(prefix: string, options: S3EachOptions = {}): AsyncGenerator<S3ListedObject, void, void> {
    return this.#list.eachObject(prefix, options);
  }

  /**
   * Every version and delete marker, by key, newest first. Where the server has no such request (501), the objects, as
   * LIST shows them.
   */
  listObjectVersions(prefix: string, options: S3ListOptions = {}): AsyncGenerator<S3VersionPage, void, void> {
    return this.#list.versions(prefix, options);
  }

  /** The same, version by version. */
  objectVersions(prefix: string, options: S3EachOptions = {}): AsyncGenerator<S3ListedVersion, void, void> {
    return this.#list.eachVersion(prefix, options);
  }

  /** The object, or exactly one version. Deleting what is not there succeeds. */
  deleteObject(target: string | DeleteTarget, options: S3DeleteOptions = {}): Promise<S3DeleteAnswer> {
    return this.#delete.one(target, options);
  }

  /**
   * Deletes only what still has this ETag (If-Match, AWS S3 since September 2025). Never sent twice. Most servers ignore the
   * condition and delete: `deleted` proves nothing unless this bucket was probed. What is not there counts as deleted.
   */
  deleteObjectIf(key: string, etag: string, options: S3DeleteOptions = {}): Promise<DeleteIfAnswer> {
    return this.#delete.onlyIf(key, etag, options);
  }

  /**
   * In requests of up to 1000 keys. Where the server has no such request or does not answer it within half the limit, one
   * by one. Keys that XML cannot carry always go one by one. Every one that failed is in the answer.
   */
  deleteObjects(
    targets: readonly (string | DeleteTarget)[],
    options: S3DeleteManyOptions = {},
  ): Promise<DeleteManyAnswer> {
    return this.#delete.many(targets, options);
  }

  /**
   * Deletes keys, keys with versions, or everything under a prefix, as DELETE does it: a bucket that keeps versions keeps
   * them. The time limit counts for each request. Throws NotDeletedError, which lists every one that failed.
   */
  remove(what: S3Doomed, options: S3PurgeOptions = {}): Promise<S3PurgeAnswer> {
    return this.#purge.remove(what, options);
  }

  /**
   * As `remove`, but for good: every version and every delete marker of exactly these keys, or of all under a prefix. Where
   * the server keeps no versions, the objects. What is not there is left alone.
   */
  purge(what: S3Doomed, options: S3PurgeOptions = {}): Promise<S3PurgeAnswer> {
    return this.#purge.purge(what, options);
  }

  /**
   * Copies inside the server, from `source` to `key` in `options.bucket`. Above 5 GiB in parts. That a condition was not met,
   * or the source is not there, is an answer. The time limit counts for each request: 2 minutes unless `timeoutMs` says
   * otherwise.
   */
  copyObject(source: S3Source, key: string, options: CopyOptions = {}): Promise<CopyAnswer> {
    return this.#copy.copy(source, key, options);
  }

  /**
   * Gives an object new metadata by a copy onto itself. What `changes` does not name is kept; what another writes meanwhile
   * is not overwritten (`conflict`).
   */
  updateMetadata(key: string, changes: S3Metadata, options: UpdateOptions = {}): Promise<CopyAnswer> {
    return this.#copy.update(key, changes, options);
  }

  /** Is the object there? By HEAD. */
  async exists(key: string, options: VersionOptions & Pick<S3HeadOptions, "headers"> = {}): Promise<boolean> {
    return (await this.headObject(key, options)).found;
  }

  getObjectAcl(key: string, options: VersionOptions = {}): Promise<AclAnswer> {
    return this.#buckets.objectAcl(key, options);
  }

  /** Replaces it. */
  putObjectAcl(key: string, acl: NewAcl, options: VersionOptions = {}): Promise<void> {
    return this.#buckets.setObjectAcl(key, acl, options);
  }

  /** Until when a version is kept; undefined: no retention was set. */
  getObjectRetention(key: string, options: VersionOptions = {}): Promise<Retention | undefined> {
    return this.#objectLock.retention(key, options);
  }

  /** Undefined takes a retention in governance mode off, with `bypassGovernance` and the right to it. */
  putObjectRetention(key: string, retention: Retention | undefined, options: PutRetentionOptions = {}): Promise<void> {
    return this.#objectLock.setRetention(key, retention, options);
  }

  /** True: the version cannot be deleted as long as the hold is on. */
  getObjectLegalHold(key: string, options: VersionOptions = {}): Promise<boolean> {
    return this.#objectLock.legalHold(key, options);
  }

  putObjectLegalHold(key: string, hold: "on" | "off", options: VersionOptions = {}): Promise<void> {
    return this.#objectLock.setLegalHold(key, hold, options);
  }

  /** Every bucket of these keys, and whose they are. */
  listBuckets(options: CallOptions = {}): Promise<BucketsAnswer> {
    return this.#buckets.list(options);
  }

  /** Throws StoreError STORE_BUCKET_EXISTS when it is there already (some stores answer as if it had been created). */
  createBucket(options: CreateBucketOptions = {}): Promise<void> {
    return this.#buckets.create(options);
  }

  /** False: it is not there. Throws StoreError when these keys may not know. */
  headBucket(options: S3CallOptions = {}): Promise<boolean> {
    return this.#buckets.exists(options);
  }

  /** It must be empty. */
  deleteBucket(options: S3CallOptions = {}): Promise<void> {
    return this.#buckets.delete(options);
  }

  /** The region it is in. */
  getBucketLocation(options: S3CallOptions = {}): Promise<string> {
    return this.#buckets.location(options);
  }

  getBucketVersioning(options: S3CallOptions = {}): Promise<Versioning> {
    return this.#buckets.versioning(options);
  }

  /** Versions that are there stay. It cannot be switched back to `never`. */
  putBucketVersioning(state: "enabled" | "suspended", options: S3CallOptions = {}): Promise<void> {
    return this.#buckets.setVersioning(state, options);
  }

  getBucketAcl(options: S3CallOptions = {}): Promise<AclAnswer> {
    return this.#buckets.bucketAcl(options);
  }

  /** Replaces it. */
  putBucketAcl(acl: NewAcl, options: S3CallOptions = {}): Promise<void> {
    return this.#buckets.setBucketAcl(acl, options);
  }

  /** Undefined: access is not logged. */
  getBucketLogging(options: S3CallOptions = {}): Promise<BucketLogging | undefined> {
    return this.#buckets.logging(options);
  }

  /** Undefined switches it off. */
  putBucketLogging(logging: BucketLogging | undefined, options: S3CallOptions = {}): Promise<void> {
    return this.#buckets.setLogging(logging, options);
  }

  /** Can objects of the bucket be locked, and how long are new ones? */
  getObjectLockConfiguration(options: S3CallOptions = {}): Promise<ObjectLock> {
    return this.#objectLock.configuration(options);
  }

  /** Switches object lock on, with this default for new versions or none. It cannot be switched off. */
  putObjectLockConfiguration(
    lock: { readonly defaultRetention?: DefaultRetention | undefined } = {},
    options: S3CallOptions = {},
  ): Promise<void> {
    return this.#objectLock.setConfiguration(lock.defaultRetention, options);
  }

  /**
   * A URL that carries the right to make one request, of any verb here, until it expires. Synchronous; the clock is the
   * server's as far as it is known. Throws StoreError STORE_BAD_CREDENTIALS when no credentials are at hand (a provider
   * not asked yet).
   */
  presign(request: S3RequestName, options: PresignOptions = {}): string {
    const credentials = this.#credentials.current(this.#addressing.serverNowMs());
    if (credentials === undefined)
      throw new StoreError("no credentials are at hand to sign with", {
        code: "STORE_BAD_CREDENTIALS",
        kind: "denied",
      });
    return this.#presigned(request, options, credentials);
  }

  /** As `presign`, but asks for credentials where that is needed. */
  async presigned(request: S3RequestName, options: PresignOptions & CallOptions = {}): Promise<string> {
    const limitMs = this.#calls.limitMs(options);
    const credentials = await this.#addressing.keys(options.signal, limitMs);
    if (credentials === undefined)
      throw new StoreError(`no credentials came within the limit of ${limitMs} ms`, {
        code: "STORE_TIMEOUT",
        kind: "unavailable",
      });
    return this.#presigned(request, options, credentials);
  }

  /** The plain URL of an object or, without a key, of the bucket: it carries no right, and is of use for what is public. */
  urlOf(key?: string, options: UrlOptions = {}): string {
    return plainUrl(this.#endpoint, key, options);
  }

  /** Can `presign` sign now? */
  get canPresign(): boolean {
    return this.#credentials.current(this.#addressing.serverNowMs()) !== undefined;
  }

  /** False once this server turned out to have no DeleteObjects. */
  get hasMultiDelete(): boolean {
    return this.#delete.hasMany;
  }

  /** Finds out what this bucket can do and leaves no trace: `probe` on this session's store. */
  async probe(options: ProbeOptions = {}): Promise<ProbeReport> {
    const { probe } = await import("./probe.js");
    return probe(this.store(), options);
  }

  /** Ends every connection; what is under way fails with STORE_CLOSED. Idempotent. */
  close(): Promise<void> {
    this.#credentials.close();
    return this.#origins.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #presigned(request: S3RequestName, options: PresignOptions, credentials: SigningCredentials): string {
    const nowMs = this.#addressing.serverNowMs();
    const addressing = this.#addressing;
    return presignedUrl(request, options, {
      placeOf: (ask) => addressing.placeOf(ask),
      signerFor: (place) => addressing.signerFor(place),
      credentials,
      nowMs,
    });
  }

  async #multipart(): Promise<S3Multipart> {
    const { S3Multipart } = await import("./s3-multipart.js");
    return new S3Multipart(this.#calls);
  }
}
