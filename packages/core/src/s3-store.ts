/**
 * The store port over an S3 session, under a prefix of its own. It decides nothing: the session does the work, here keys
 * get and lose the prefix.
 */
import { InvalidError } from "./errors.js";
import { objectKey } from "./options.js";
import type { S3Session } from "./s3-session.js";
import type {
  CallOptions,
  DeleteAnswer,
  DeleteIfAnswer,
  DeleteManyAnswer,
  DeletePlan,
  DeleteTarget,
  GetAnswer,
  GetOptions,
  HeadAnswer,
  ListOptions,
  ListPage,
  PutAnswer,
  PutOptions,
  PutPlan,
  Store,
  StoreFeatures,
  VersionPage,
} from "./store.js";

// Long enough for a child process on a loaded machine, short enough to be worthless when it leaks.
const PLAN_VALID_MS = 60_000;

export class S3Store implements Store {
  readonly name: string;
  readonly endpoint: string;
  readonly features: StoreFeatures;
  readonly #session: S3Session;
  readonly #prefix: string;

  constructor(session: S3Session, prefix: string) {
    if (typeof prefix !== "string") throw new InvalidError("prefix", "must be a string", prefix);
    if (prefix !== "") objectKey("prefix", prefix);
    this.#session = session;
    this.#prefix = prefix;
    if (session.bucket === undefined) throw new InvalidError("bucket", "must be given for a store", undefined);
    this.name = `s3://${session.bucket}/${prefix}`;
    this.endpoint = session.origin;
    this.features = {
      // Some servers answer 200 and ignore the condition: only a probe can tell.
      conditionalWrites: "unknown",
      versions: "unknown",
      // AWS, versitygw and others list whole seconds; milliseconds elsewhere are a bonus.
      timestampStepMs: 1_000,
      // Until the server turns out not to have the request.
      get deleteMany() {
        return session.hasMultiDelete;
      },
      bareIfMatch: session.bareIfMatch,
    };
  }

  async put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<PutAnswer> {
    return this.#session.putObject(this.#full(key), body, options);
  }

  async get(key: string, options?: GetOptions): Promise<GetAnswer> {
    return this.#session.getObject(this.#full(key), options);
  }

  async head(key: string, options?: CallOptions): Promise<HeadAnswer> {
    return this.#session.headObject(this.#full(key), options);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ListPage> {
    const pages = this.#session.listObjects(this.#prefix + prefix, options);
    return this.#prefix === "" ? pages : this.#ownPages(pages);
  }

  async *#ownPages(pages: AsyncIterable<ListPage>): AsyncGenerator<ListPage, void, void> {
    for await (const page of pages) {
      yield { ...page, objects: page.objects.map((object) => ({ ...object, key: this.#own(object.key) })) };
    }
  }

  async *listVersions(prefix: string, options?: ListOptions): AsyncGenerator<VersionPage, void, void> {
    for await (const page of this.#session.listObjectVersions(this.#prefix + prefix, options)) {
      yield { ...page, versions: page.versions.map((version) => ({ ...version, key: this.#own(version.key) })) };
    }
  }

  async delete(target: DeleteTarget, options?: CallOptions): Promise<DeleteAnswer> {
    return this.#session.deleteObject({ ...target, key: this.#full(target.key) }, options);
  }

  async deleteMany(targets: readonly DeleteTarget[], options?: CallOptions): Promise<DeleteManyAnswer> {
    const full = targets.map((target) => ({ ...target, key: this.#full(target.key) }));
    const answer = await this.#session.deleteObjects(full, options);
    return { ...answer, failed: answer.failed.map((failure) => ({ ...failure, key: this.#own(failure.key) })) };
  }

  async deleteIf(key: string, etag: string, options?: CallOptions): Promise<DeleteIfAnswer> {
    return this.#session.deleteObjectIf(this.#full(key), etag, options);
  }

  planDelete(targets: readonly DeleteTarget[]): DeletePlan | undefined {
    if (!this.#session.canPresign) return undefined;
    const urls = targets.map(({ key, versionId }) =>
      this.#session.presign("deleteObject", { key: this.#full(key), versionId, expiresMs: PLAN_VALID_MS }),
    );
    return { kind: "http", urls };
  }

  planPut(key: string, body: string, etag: string): PutPlan | undefined {
    if (!this.#session.canPresign) return undefined;
    const match = this.#session.bareIfMatch ? etag.replace(/^"(.*)"$/, "$1") : etag;
    const headers = { "content-type": "application/json", "if-match": match };
    const url = this.#session.presign("putObject", { key: this.#full(key), headers, expiresMs: PLAN_VALID_MS });
    return { kind: "http-put", url, headers, body };
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #full(key: string): string {
    // The key is checked before it is joined, so that an empty one does not pass as the bare prefix.
    return this.#prefix + objectKey("key", key);
  }

  #own(key: string): string {
    return key.slice(this.#prefix.length);
  }
}
