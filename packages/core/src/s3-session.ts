/**
 * An authenticated conversation with an S3 server, one bucket of it by default: the S3 verbs, each with typed options and
 * answers. It never retries or judges by itself (s3-exchange, classify), and keeps no object in memory beyond its call.
 */
import { nodeCrypto } from "./builtin.js";
import { CALL_TIMEOUT_MS, checkList, checkPut, checkTargets } from "./call-checks.js";
import { type Clock, parseInstantMs, systemClock } from "./clock.js";
import { CredentialSource, type S3Credentials, type S3CredentialsProvider } from "./credentials.js";
import { InvalidError, StoreError } from "./errors.js";
import { type ConnectionOptions, connectionSettings } from "./http-connection.js";
import { durationMs, integer, objectKey, text } from "./options.js";
import { Origins } from "./origins.js";
import type { ProbeOptions } from "./probe.js";
import type { ProbeReport } from "./probe-report.js";
import { type Random, systemRandom } from "./random.js";
import type { HttpAnswer } from "./request.js";
import { type InBucket, type S3CallOptions, S3Calls, versionQuery } from "./s3-calls.js";
import { S3Endpoint } from "./s3-endpoint.js";
import { type S3Event, S3Exchange } from "./s3-exchange.js";
import { asOnlyVersion, objectPages, versionPages } from "./s3-listing.js";
import { deleteEach, deleteInOne, withoutRepeats } from "./s3-multi-delete.js";
import { S3_REQUESTS, type S3RequestName } from "./s3-requests.js";
import { type Environment, settle } from "./s3-settings.js";
import { S3Store } from "./s3-store.js";
import { Signer, UNSIGNED_PAYLOAD } from "./sigv4.js";
import type {
  DeleteAnswer,
  DeleteIfAnswer,
  DeleteManyAnswer,
  DeleteTarget,
  GetAnswer,
  GetOptions,
  HeadAnswer,
  ListOptions,
  ListPage,
  ObjectFacts,
  PutAnswer,
  PutOptions,
  Store,
  VersionPage,
} from "./store.js";
import type { Pair } from "./uri.js";

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

export interface PresignOptions extends InBucket {
  readonly key?: string | undefined;
  readonly versionId?: string | undefined;
  /** From now on, in ms; whole seconds, 1000 to 604 800 000. Default 60 000. */
  readonly expiresMs?: number | undefined;
  /** Bound to the URL: whoever uses it must send exactly these. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
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
  readonly #signer: Signer;
  readonly #credentials: CredentialSource;
  // What this server turned out not to have.
  #hasVersions = true;
  #hasMultiDelete = true;

  constructor(options: S3SessionOptions) {
    if (typeof options !== "object" || options === null)
      throw new InvalidError("options", "must be an object", options);
    this.#endpoint = new S3Endpoint(options);
    this.bucket = this.#endpoint.bucket;
    this.region = this.#endpoint.region;
    this.origin = this.#endpoint.origin;
    const clock = options.clock ?? systemClock;
    this.bareIfMatch = options.bareIfMatch ?? false;
    this.#credentials = new CredentialSource(options.credentials);
    this.#signer = new Signer({ region: this.region, service: "s3" });
    this.#origins = new Origins({
      clock,
      ...connectionSettings(options),
      connectMs: durationMs("connectTimeoutMs", options.connectTimeoutMs ?? 3_000, { min: 1 }),
    });
    this.#exchange = new S3Exchange({
      origins: this.#origins,
      endpoint: this.#endpoint,
      signer: this.#signer,
      credentials: this.#credentials,
      clock,
      random: options.random ?? systemRandom,
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
  async putObject(key: string, body: Uint8Array | string, options: PutOptions & InBucket = {}): Promise<PutAnswer> {
    checkPut(key, body, options);
    const headers: Pair[] = [["content-type", options.contentType ?? "application/octet-stream"]];
    for (const [name, value] of Object.entries(options.metadata ?? {})) headers.push([`x-amz-meta-${name}`, value]);
    const outcome = await this.#calls.call(options, {
      request: "putObject",
      key,
      headers,
      body: typeof body === "string" ? Buffer.from(body) : body,
      condition: this.#calls.condition(options.condition),
      once: options.once,
      validForMs:
        options.validForMs === undefined ? undefined : durationMs("validForMs", options.validForMs, { min: 1 }),
    });
    const { serverTimeMs } = outcome;
    switch (outcome.outcome) {
      case "conflict":
        return { outcome: "conflict", serverTimeMs };
      case "done": {
        const { etag, versionId } = factsOf(outcome.answer);
        return { outcome: "stored", etag, versionId, serverTimeMs };
      }
      case "unknown":
        return { outcome: "unknown", cause: outcome.cause, serverTimeMs };
      default:
        throw new Error(`a PUT cannot be ${outcome.outcome}`);
    }
  }

  /** Reads a whole object, up to 256 MiB. */
  async getObject(
    key: string,
    options: GetOptions & InBucket & { readonly versionId?: string | undefined } = {},
  ): Promise<GetAnswer> {
    const { unlessEtag } = options;
    const outcome = await this.#calls.call(options, {
      request: "getObject",
      key: objectKey("key", key),
      query: versionQuery(options),
      headers: unlessEtag === undefined ? [] : [["if-none-match", unlessEtag]],
    });
    const { serverTimeMs } = outcome;
    if (outcome.outcome !== "done") return { found: false, serverTimeMs };
    if (outcome.answer.status === 304) {
      return { found: true, unchanged: true, ...factsOf(outcome.answer), body: new Uint8Array(), serverTimeMs };
    }
    return { found: true, ...factsOf(outcome.answer), body: outcome.answer.body, serverTimeMs };
  }

  async headObject(
    key: string,
    options: S3CallOptions & { readonly versionId?: string | undefined } = {},
  ): Promise<HeadAnswer> {
    const outcome = await this.#calls.call(options, {
      request: "headObject",
      key: objectKey("key", key),
      query: versionQuery(options),
    });
    const { serverTimeMs } = outcome;
    if (outcome.outcome !== "done") return { found: false, serverTimeMs };
    return { found: true, ...factsOf(outcome.answer), serverTimeMs };
  }

  /**
   * Pages in byte order of the keys (ListObjectsV2). The time limit counts for each page. Throws StoreError
   * STORE_CORRUPT_ANSWER rather than end early or never.
   */
  async *listObjects(prefix: string, options: ListOptions & InBucket = {}): AsyncGenerator<ListPage, void, void> {
    const pageSize = checkList(prefix, options);
    yield* objectPages(prefix, pageSize, (query) =>
      this.#calls.read(options, { request: "listObjects", query }, (answer, xml) => xml.objects(answer.body)),
    );
  }

  /**
   * Every version and delete marker, by key, newest first. Where the server has no such request (501), the objects, as
   * LIST shows them.
   */
  async *listObjectVersions(
    prefix: string,
    options: ListOptions & InBucket = {},
  ): AsyncGenerator<VersionPage, void, void> {
    const pageSize = checkList(prefix, options);
    if (this.#hasVersions) {
      let pagesRead = 0;
      const pages = versionPages(prefix, pageSize, (query) =>
        this.#calls.read(options, { request: "listObjectVersions", query }, (answer, xml) => xml.versions(answer.body)),
      );
      try {
        for await (const page of pages) {
          pagesRead++;
          yield page;
        }
        return;
      } catch (error) {
        if (pagesRead > 0 || !(error instanceof StoreError && error.code === "STORE_UNSUPPORTED")) throw error;
        this.#hasVersions = false;
      }
    }
    for await (const { objects, serverTimeMs } of this.listObjects(prefix, options)) {
      yield { versions: objects.map(asOnlyVersion), serverTimeMs };
    }
  }

  /** The object, or exactly one version. Deleting what is not there succeeds. */
  async deleteObject(target: DeleteTarget, options: S3CallOptions = {}): Promise<DeleteAnswer> {
    checkTargets([target]);
    const { serverTimeMs } = await this.#calls.call(options, {
      request: "deleteObject",
      key: target.key,
      query: versionQuery(target),
    });
    return { serverTimeMs };
  }

  /**
   * Deletes only what still has this ETag (If-Match, AWS S3 since September 2025). Never sent twice. Most servers ignore the
   * condition and delete: `deleted` proves nothing unless this bucket was probed. What is not there counts as deleted.
   */
  async deleteObjectIf(key: string, etag: string, options: S3CallOptions = {}): Promise<DeleteIfAnswer> {
    const condition = this.#calls.condition({ etag: text("etag", etag) });
    try {
      const outcome = await this.#calls.call(options, {
        request: "deleteObject",
        key: objectKey("key", key),
        condition,
      });
      const { serverTimeMs } = outcome;
      return { outcome: outcome.outcome === "conflict" ? "conflict" : "deleted", serverTimeMs };
    } catch (error) {
      // Whether it was carried out is not worth telling apart here: what is unclear is read again.
      if (error instanceof StoreError && (error.kind === "unknown" || error.kind === "unavailable"))
        return { outcome: "unknown" };
      throw error;
    }
  }

  /**
   * In requests of up to 1000 keys. Where the server has no such request or does not answer it within half the limit, one
   * by one. Keys that XML cannot carry always go one by one.
   */
  async deleteObjects(given: readonly DeleteTarget[], options: S3CallOptions = {}): Promise<DeleteManyAnswer> {
    checkTargets(given);
    const targets = withoutRepeats(given);
    const left = this.#calls.sharing(options);
    const one = (target: DeleteTarget) => this.deleteObject(target, left());
    const inOne = async (document: string) => {
      const body = Buffer.from(document);
      // Content-MD5: Swift and older stores refuse the request without it.
      const md5 = nodeCrypto().createHash("md5").update(body).digest("base64");
      const headers: Pair[] = [
        ["content-md5", md5],
        ["content-type", "application/xml"],
      ];
      const half = { ...options, timeoutMs: Math.max(left().timeoutMs / 2, 1) };
      return this.#calls.read(half, { request: "deleteObjects", headers, body }, (answer, xml) =>
        xml.deleted(answer.body),
      );
    };
    if (!this.#hasMultiDelete || targets.length < 2) return deleteEach(targets, one);
    return deleteInOne(targets, inOne, one, () => {
      this.#hasMultiDelete = false;
    });
  }

  /** Throws StoreError STORE_BUCKET_EXISTS when it is there already (some stores answer as if it had been created). */
  async createBucket(options: S3CallOptions = {}): Promise<void> {
    const isDefault = this.region === "us-east-1" || !/amazonaws\.com/.test(this.origin);
    const xmlns = "http://s3.amazonaws.com/doc/2006-03-01/";
    const body = isDefault
      ? undefined
      : Buffer.from(
          `<CreateBucketConfiguration xmlns="${xmlns}"><LocationConstraint>${this.region}</LocationConstraint></CreateBucketConfiguration>`,
        );
    await this.#calls.call(options, { request: "createBucket", body });
  }

  /** False: it is not there. Throws StoreError when these keys may not know. */
  async headBucket(options: S3CallOptions = {}): Promise<boolean> {
    try {
      await this.#calls.call(options, { request: "headBucket" });
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === "STORE_NO_BUCKET") return false;
      throw error;
    }
  }

  /** It must be empty. */
  async deleteBucket(options: S3CallOptions = {}): Promise<void> {
    await this.#calls.call(options, { request: "deleteBucket" });
  }

  /**
   * A URL that carries the right to make one request until it expires. Synchronous; the clock is the server's as far as it
   * is known. Throws StoreError STORE_BAD_CREDENTIALS when no credentials are at hand (a provider not asked yet).
   */
  presign(request: S3RequestName, options: PresignOptions = {}): string {
    const nowMs = this.#exchange.serverNowMs();
    const credentials = this.#credentials.current(nowMs);
    if (credentials === undefined)
      throw new StoreError("no credentials are at hand to sign with", {
        code: "STORE_BAD_CREDENTIALS",
        kind: "denied",
      });
    const { method, target, query } = S3_REQUESTS[request];
    const expiresMs = durationMs("expiresMs", options.expiresMs ?? 60_000, { min: 1000, max: 604_800_000 });
    const endpoint = target === "service" ? this.#endpoint.service() : this.#endpoint.of(options.bucket);
    const path = endpoint.path(target === "object" ? objectKey("key", options.key) : undefined);
    const headers: Pair[] = [["host", endpoint.host], ...Object.entries(options.headers ?? {})];
    const signed = this.#signer.signQuery(
      { method, path, query: [...query, ...(versionQuery(options) ?? [])], headers, payloadHash: UNSIGNED_PAYLOAD },
      credentials,
      nowMs,
      Math.ceil(expiresMs / 1000),
    );
    return `${endpoint.origin}${path}?${signed}`;
  }

  /** Can `presign` sign now? */
  get canPresign(): boolean {
    return this.#credentials.current(this.#exchange.serverNowMs()) !== undefined;
  }

  /** False once this server turned out to have no DeleteObjects. */
  get hasMultiDelete(): boolean {
    return this.#hasMultiDelete;
  }

  /** Finds out what this bucket can do and leaves no trace: `probe` on this session's store. */
  async probe(options: ProbeOptions = {}): Promise<ProbeReport> {
    const { probe } = await import("./probe.js");
    return probe(this.store(), options);
  }

  /** Ends every connection; what is under way fails with STORE_CLOSED. Idempotent. */
  close(): Promise<void> {
    return this.#origins.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const META = "x-amz-meta-";

function factsOf(answer: HttpAnswer): ObjectFacts {
  const metadata: Record<string, string> = {};
  for (const name of answer.headerNames) {
    if (name.startsWith(META)) metadata[name.slice(META.length)] = answer.header(name) ?? "";
  }
  const length = answer.header("content-length");
  return {
    etag: answer.header("etag"),
    lastModifiedMs: parseInstantMs(answer.header("last-modified")),
    versionId: answer.header("x-amz-version-id"),
    size: length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined,
    metadata,
  };
}
