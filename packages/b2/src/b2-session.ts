/**
 * An authenticated conversation with B2: its verbs, each with typed options and answers. It never retries or judges by itself
 * (b2-exchange, b2-classify), starts nothing before the first call, and leaves nothing running after `close`.
 */

import {
  type CallOptions,
  type Clock,
  type DeleteFailure,
  durationMs,
  InvalidError,
  integer,
  oneOf,
  type Random,
  type Store,
  systemClock,
  systemRandom,
} from "@bucketlock/core";
import {
  CALL_TIMEOUT_MS,
  type ConnectionOptions,
  checkCall,
  connectionSettings,
  deleteEach,
  Origins,
  type Pair,
  proxyFor,
  text,
} from "@bucketlock/core/http";
import { B2Buckets, B2Keys } from "./account.js";
import { endpointAddress } from "./addresses.js";
import { type B2File, type B2Part, text as field, fileOf, partOf } from "./answers.js";
import { Authority, type B2Credentials, checkCredentials } from "./authority.js";
import { B2Api } from "./b2-api.js";
import { type B2Event, B2Exchange, type Outcome } from "./b2-exchange.js";
import { B2Store, type B2StoreOptions } from "./b2-store.js";
import {
  type B2GetAnswer,
  type B2HeadAnswer,
  type B2Range,
  type B2Stream,
  type B2Which,
  Downloads,
  getAnswer,
  headAnswer,
} from "./downloads.js";
import { bucketName, fileName } from "./file-name.js";
import { type LargeFileOptions, LargeFiles } from "./large-file.js";
import { type B2ListOptions, type B2Page, Listings } from "./listings.js";
import type { Limit } from "./patience.js";
import { TokenFile } from "./token-file.js";
import {
  type B2Source,
  bytesPayload,
  type FileOptions,
  streamPayload,
  transferMs,
  Uploads,
  withLastModified,
} from "./uploads.js";

export interface B2SessionOptions extends ConnectionOptions {
  readonly credentials: B2Credentials;
  /** Default: the one bucket that the key is restricted to, where it is restricted to one. */
  readonly bucket?: string | undefined;
  /** Where to authorise. Default `https://api.backblazeb2.com`. */
  readonly endpoint?: string | undefined;
  /**
   * Keeps the account token in this file (mode 0600) for other processes of this user, so that they need not authorise.
   * Default: kept in memory only.
   */
  readonly tokenFile?: string | undefined;
  /** Limit of a call that brings none, its tries included, in ms. Default 10 000, and 4 ms more for each kB that is moved. */
  readonly timeoutMs?: number | undefined;
  /** Limit for getting a connection, in ms. Default 3000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Limit of one try until the answer begins, in ms. What is sent only once waits for the whole limit. Default 5000. */
  readonly headersTimeoutMs?: number | undefined;
  /** Default 5. */
  readonly maxTries?: number | undefined;
  /** Asks the service to fail on purpose (X-Bz-Test-Mode), for testing a program. Never in production. */
  readonly testMode?: B2TestMode | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Called for every request and retry, synchronously. What it throws is thrown into the call. */
  readonly onEvent?: ((event: B2Event) => void) | undefined;
}

/** https://www.backblaze.com/docs/cloud-storage-integration-checklist ("Testing your integration") */
const TEST_MODES = ["fail_some_uploads", "expire_some_account_authorization_tokens", "force_cap_exceeded"] as const;
export type B2TestMode = (typeof TEST_MODES)[number];

export interface UploadOptions extends FileOptions, CallOptions {
  /** Never sent again once it may have landed: then STORE_UNCLEAR (kind unknown) instead of a second version. */
  readonly once?: boolean | undefined;
}

/** Throws InvalidError naming the option. Nothing is sent and no socket opened before the first call. */
export function openB2Session(options: B2SessionOptions): B2Session {
  return new B2Session(options);
}

export const B2_ENDPOINT = "https://api.backblazeb2.com";

export class B2Session {
  readonly buckets: B2Buckets;
  readonly keys: B2Keys;
  readonly #bucketGiven: string | undefined;
  readonly #origins: Origins;
  readonly #api: B2Api;
  readonly #exchange: B2Exchange;
  readonly #uploads: Uploads;
  readonly #large: LargeFiles;
  readonly #listings: Listings;
  readonly #timeoutMs: number | undefined;
  readonly #maxTries: number;

  constructor(options: B2SessionOptions) {
    if (typeof options !== "object" || options === null)
      throw new InvalidError("options", "must be an object", options);
    const { clock = systemClock, random = systemRandom, testMode, onEvent } = options;
    const credentials = checkCredentials(options.credentials);
    const realm = endpointAddress("endpoint", options.endpoint ?? B2_ENDPOINT);
    this.#bucketGiven = options.bucket === undefined ? undefined : bucketName(options.bucket);
    this.#timeoutMs =
      options.timeoutMs === undefined ? undefined : durationMs("timeoutMs", options.timeoutMs, { min: 1 });
    this.#maxTries = integer("maxTries", options.maxTries ?? 5, { min: 1, max: 100 });
    const connectMs = durationMs("connectTimeoutMs", options.connectTimeoutMs ?? 3_000, { min: 1 });
    this.#origins = new Origins({ clock, ...connectionSettings(options), connectMs });
    const headersMs = durationMs("headersTimeoutMs", options.headersTimeoutMs ?? 5_000, { min: 1 });
    const headers: Pair[] = testMode === undefined ? [] : [["x-bz-test-mode", oneOf("testMode", testMode, TEST_MODES)]];
    const origins = this.#origins;
    this.#exchange = new B2Exchange({ origins, clock, random, headersMs, maxTries: this.#maxTries, headers, onEvent });
    const owner = [realm.origin, realm.path, credentials.applicationKeyId, credentials.applicationKey];
    const file =
      options.tokenFile === undefined ? undefined : new TokenFile(text("tokenFile", options.tokenFile), owner, random);
    this.#api = new B2Api(this.#exchange, new Authority(this.#exchange, realm, credentials, file));
    this.#uploads = new Uploads(this.#api, realm.origin);
    this.#large = new LargeFiles(this.#api, this.#uploads, this.#maxTries);
    this.#listings = new Listings(this.#api);
    this.buckets = new B2Buckets(this.#api, (call) => this.#limit(call));
    this.keys = new B2Keys(this.#api, (call) => this.#limit(call));
  }

  /**
   * From B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY and, where they are set, B2_BUCKET and the proxy variables (HTTPS_PROXY,
   * NO_PROXY; in lower case too). What `options` names wins over the environment. Throws InvalidError naming the variable that is missing.
   */
  static fromEnv(
    options: Partial<B2SessionOptions> = {},
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): B2Session {
    const need = (name: string): string => {
      // An empty variable counts as absent.
      if (!env[name]) throw new InvalidError(name, "must be set in the environment", undefined);
      return env[name];
    };
    const credentials = options.credentials ?? {
      applicationKeyId: need("B2_APPLICATION_KEY_ID"),
      applicationKey: need("B2_APPLICATION_KEY"),
    };
    const bucket = options.bucket ?? (env.B2_BUCKET || undefined);
    return new B2Session({
      ...options,
      ...proxyFor(options, options.endpoint ?? B2_ENDPOINT, env),
      credentials,
      bucket,
    });
  }

  /** What the key may do, authorising if that was not done yet. The token is not part of it. */
  async allowed(options: CallOptions = {}): Promise<{
    readonly accountId: string;
    readonly capabilities: readonly string[];
    readonly buckets: readonly { readonly id: string; readonly name: string | undefined }[] | undefined;
    readonly namePrefix: string | undefined;
    readonly downloadUrl: string;
  }> {
    const grant = await this.#api.authority.current(this.#limit(options));
    const { accountId, capabilities, buckets, namePrefix, downloadUrl } = grant;
    return { accountId, capabilities, buckets, namePrefix, downloadUrl };
  }

  // -- Writing --------------------------------------------------------------------------------------------------------

  /** A new version of the file. Throws StoreError of kind unknown or unavailable when it may or may not have landed. */
  async upload(name: string, body: Uint8Array | string, options: UploadOptions = {}): Promise<B2File> {
    return done(await this.uploadOutcome(name, body, options));
  }

  /** As `upload`, but "unknown" is an answer: for stores. */
  async uploadOutcome(name: string, body: Uint8Array | string, options: UploadOptions = {}): Promise<Outcome<B2File>> {
    if (typeof body !== "string" && !(body instanceof Uint8Array))
      throw new InvalidError("body", "must be a Uint8Array or a string", body);
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const limit = this.#limit(options, bytes.length);
    return this.#uploads.file(await this.#bucket(limit), name, bytesPayload(bytes, this.#maxTries), options, limit);
  }

  /**
   * A new version from a stream of known length, read once: its SHA-1 follows its bytes. A failed try is repeated only when
   * `source` is a function, which is asked for the stream anew. A broken source fails with its own error.
   */
  async uploadStream(name: string, source: B2Source, length: number, options: UploadOptions = {}): Promise<B2File> {
    integer("length", length, { min: 0, max: 5_000_000_000 });
    const limit = this.#limit(options, length);
    const payload = streamPayload(source, length, this.#maxTries);
    try {
      return done(await this.#uploads.file(await this.#bucket(limit), name, payload, options, limit));
    } catch (error) {
      throw (payload.broken() ?? { error }).error;
    }
  }

  /** A file of any length in parts, sent in parallel. `timeoutMs` is for each part. */
  async uploadLarge(
    name: string,
    source: AsyncIterable<Uint8Array>,
    options: LargeFileOptions & CallOptions = {},
  ): Promise<B2File> {
    const limit = (bytes = 0) => this.#limit(options, bytes);
    return this.#large.upload(await this.#bucket(limit()), name, source, options, limit);
  }

  /** A large file to be put together from parts of other files (`copyPart`). It shows in `listUnfinished` until it is finished. */
  async startLarge(name: string, options: FileOptions & CallOptions = {}): Promise<B2File> {
    const limit = this.#limit(options);
    return this.#large.start(await this.#bucket(limit), name, options, limit);
  }

  /** Makes one file of parts 1 to n; their SHA-1s in that order. Where the answer is lost, the file itself is asked. */
  async finishLarge(fileId: string, sha1s: readonly string[], options: CallOptions = {}): Promise<B2File> {
    return this.#large.finish(text("fileId", fileId), sha1s, this.#limit(options));
  }

  /** The parts of an unfinished file, by number. */
  async listParts(fileId: string, options: CallOptions = {}): Promise<B2Part[]> {
    return this.#large.partsOf(text("fileId", fileId), () => this.#limit(options));
  }

  /** Forgets a large file that was started, with its parts. STORE_REFUSED when there is none. */
  async cancelLarge(fileId: string, options: CallOptions = {}): Promise<void> {
    return this.#large.cancel(text("fileId", fileId), this.#limit(options));
  }

  /** A new file out of one that is there, or of a range of it; on the server. Up to 5 GB. */
  async copy(
    source: { readonly id: string; readonly range?: B2Range | undefined },
    name: string,
    options: FileOptions & CallOptions & { readonly toBucketId?: string | undefined } = {},
  ): Promise<B2File> {
    const { contentType, info, lastModifiedMs, toBucketId } = options;
    const replaces = contentType !== undefined || info !== undefined || lastModifiedMs !== undefined;
    const { json } = await this.#api.call(
      "b2_copy_file",
      this.#limit(options),
      () => ({
        sourceFileId: source.id,
        fileName: fileName("name", name),
        metadataDirective: replaces ? "REPLACE" : "COPY",
        ...(replaces && {
          contentType: contentType ?? "b2/x-auto",
          fileInfo: withLastModified(info, lastModifiedMs),
        }),
        ...(source.range && { range: rangeText(source.range) }),
        ...(toBucketId !== undefined && { destinationBucketId: toBucketId }),
      }),
      { name },
    );
    return fileOf(json);
  }

  /** A part of an unfinished large file out of a file that is there, or of a range of it; on the server. */
  async copyPart(
    source: { readonly id: string; readonly range?: B2Range | undefined },
    largeFileId: string,
    partNumber: number,
    options: CallOptions = {},
  ): Promise<B2Part> {
    integer("partNumber", partNumber, { min: 1, max: 10_000 });
    const { json } = await this.#api.call("b2_copy_part", this.#limit(options), () => ({
      sourceFileId: source.id,
      largeFileId,
      partNumber,
      ...(source.range && { range: rangeText(source.range) }),
    }));
    return partOf(json);
  }

  /** Lays a marker over the file: listings of names and reads by name no longer show it. Undefined: nothing there to hide. */
  async hide(name: string, options: CallOptions = {}): Promise<B2File | undefined> {
    fileName("name", name);
    const limit = this.#limit(options);
    const bucket = await this.#bucket(limit);
    const bucketId = await this.#api.bucketId(bucket, limit);
    const parameters = () => ({ bucketId, fileName: name });
    const outcome = await this.#api.run("b2_hide_file", limit, parameters, { name, bucket });
    if (outcome.outcome === "absent") return undefined;
    return fileOf(done(outcome));
  }

  // -- Reading --------------------------------------------------------------------------------------------------------

  async head(which: B2Which, options: CallOptions = {}): Promise<B2HeadAnswer> {
    const limit = this.#limit(options);
    return headAnswer(await (await this.#downloads(limit)).head(which, limit));
  }

  /** The whole file, up to 256 MiB, its SHA-1 checked; or a range. */
  async get(
    which: B2Which,
    options: CallOptions & { readonly range?: B2Range | undefined } = {},
  ): Promise<B2GetAnswer> {
    const limit = this.#limit(options);
    return getAnswer(await (await this.#downloads(limit)).get(which, options.range, limit));
  }

  /** For files of any length: in pieces of 8 MiB, each a request. `timeoutMs` is for each piece. Undefined: not there. */
  async stream(
    which: B2Which,
    options: CallOptions & { readonly range?: B2Range | undefined } = {},
  ): Promise<B2Stream | undefined> {
    const limit = () => this.#limit(options, 8 * 1024 * 1024);
    return (await this.#downloads(limit())).stream(which, options.range, limit);
  }

  /** Facts of any version, hide markers and unfinished files included. Undefined: not there. */
  async fileInfo(fileId: string, options: CallOptions = {}): Promise<B2File | undefined> {
    text("fileId", fileId);
    const outcome = await this.#api.run("b2_get_file_info", this.#limit(options), () => ({ fileId }));
    return outcome.outcome === "absent" ? undefined : fileOf(done(outcome));
  }

  // -- Listing --------------------------------------------------------------------------------------------------------

  /** The newest visible version of each name, page by page, in byte order. The limit counts for each page. */
  async *listFiles(options: B2ListOptions & CallOptions = {}): AsyncGenerator<B2Page, void, void> {
    const bucket = await this.#bucket(this.#limit(options));
    yield* this.#listings.names(bucket, options, () => this.#limit(options));
  }

  /** Every version, hide marker and unfinished file. */
  async *listVersions(options: B2ListOptions & CallOptions = {}): AsyncGenerator<B2Page, void, void> {
    const bucket = await this.#bucket(this.#limit(options));
    yield* this.#listings.versions(bucket, options, () => this.#limit(options));
  }

  async *listUnfinished(prefix = "", options: CallOptions = {}): AsyncGenerator<B2Page, void, void> {
    const bucket = await this.#bucket(this.#limit(options));
    yield* this.#listings.unfinished(bucket, prefix, () => this.#limit(options));
  }

  // -- Deleting -------------------------------------------------------------------------------------------------------

  /** One version, for good: an older one comes back. Deleting what is not there succeeds. */
  async deleteVersion(
    version: { readonly name: string; readonly id: string },
    options: CallOptions = {},
  ): Promise<{ readonly serverTimeMs: number | undefined }> {
    const { name, id } = version;
    fileName("name", name);
    text("id", id);
    const parameters = () => ({ fileName: name, fileId: id });
    const outcome = await this.#api.run("b2_delete_file_version", this.#limit(options), parameters, { name });
    if (outcome.outcome === "unknown") throw outcome.cause;
    if (outcome.outcome === "conflict") throw outcome.error;
    return { serverTimeMs: outcome.serverTimeMs };
  }

  /** Every version and hide marker of exactly this name. Lists first (class C). Answers how many there were. */
  async deleteAllVersions(name: string, options: CallOptions = {}): Promise<number> {
    fileName("name", name);
    const bucket = await this.#bucket(this.#limit(options));
    const versions = await this.#listings.versionsOf(bucket, name, () => this.#limit(options));
    // The newest last: while the older ones go, the file stays the one it was.
    const { failed } = await this.deleteMany(versions.reverse(), options);
    if (failed.length > 0) throw failed[0]!.cause;
    return versions.length;
  }

  /** Each on its own, a few at a time: B2 has no request for many. Every failure is reported; missing ones are none. */
  async deleteMany(
    versions: readonly { readonly name: string; readonly id: string }[],
    options: CallOptions = {},
  ): Promise<{ readonly failed: readonly (DeleteFailure & { readonly cause: unknown })[] }> {
    const causes = new Map<string, unknown>();
    const targets = versions.map(({ name, id }) => ({ key: name, versionId: id }));
    const answer = await deleteEach(targets, async ({ key, versionId }) => {
      try {
        return await this.deleteVersion({ name: key, id: versionId! }, options);
      } catch (error) {
        causes.set(versionId!, error);
        throw error;
      }
    });
    return { failed: answer.failed.map((failure) => ({ ...failure, cause: causes.get(failure.versionId!) })) };
  }

  // -- Sharing --------------------------------------------------------------------------------------------------------

  /** A token that may read every file whose name begins with `prefix`, for 1000 ms to 7 days; hand it to `openB2Reader`. */
  async downloadAuthorization(prefix: string, validForMs: number, options: CallOptions = {}): Promise<string> {
    const validMs = durationMs("validForMs", validForMs, { min: 1000, max: 604_800_000 });
    const limit = this.#limit(options);
    const bucket = await this.#bucket(limit);
    const bucketId = await this.#api.bucketId(bucket, limit);
    const { json } = await this.#api.call(
      "b2_get_download_authorization",
      limit,
      () => ({ bucketId, fileNamePrefix: prefix, validDurationInSeconds: Math.ceil(validMs / 1000) }),
      { bucket },
    );
    return field(json, "authorizationToken");
  }

  // -- Store and end --------------------------------------------------------------------------------------------------

  /** The store port under a prefix of its own (default: none). Closing the store closes the session. */
  store(options: B2StoreOptions = {}): Store {
    return new B2Store(this, this.#bucketGiven ?? "(the key's bucket)", options);
  }

  /** Ends every connection; what is under way fails with STORE_CLOSED. Idempotent. */
  close(): Promise<void> {
    return this.#origins.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #limit(options: CallOptions, bytes = 0): Limit {
    checkCall(options);
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs ?? (bytes === 0 ? CALL_TIMEOUT_MS : transferMs(bytes));
    return { signal: options.signal, timeoutMs };
  }

  async #bucket(limit: Limit): Promise<string> {
    if (this.#bucketGiven !== undefined) return this.#bucketGiven;
    const { buckets } = await this.#api.authority.current(limit);
    const only = buckets?.length === 1 ? buckets[0]!.name : undefined;
    if (only !== undefined) return only;
    throw new InvalidError("bucket", "must be given: the key is not restricted to a single bucket", undefined);
  }

  async #downloads(limit: Limit): Promise<Downloads> {
    const { authority } = this.#api;
    return new Downloads(this.#exchange, await this.#bucket(limit), async (left) => {
      const grant = await authority.current(left);
      return { download: grant.download, token: grant.token, refused: () => authority.forget(grant) };
    });
  }
}

function done<T>(outcome: Outcome<T>): T {
  if (outcome.outcome === "done") return outcome.value;
  throw outcome.outcome === "unknown" ? outcome.cause : outcome.error;
}

function rangeText({ start, end }: B2Range): string {
  return `bytes=${start}-${end ?? ""}`;
}
