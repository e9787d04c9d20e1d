/**
 * The store port over a B2 session, under a prefix of its own. B2 keeps every version and has no conditional writes: a put
 * answers its version's id, a delete without one sweeps every version (or, on request, lays a hide marker). It decides
 * nothing about locks.
 *
 * No `planDelete`: B2 has no URL that carries the right to delete one file, and the account token may do all that the key
 * may, for up to a day. A child process would get far more than two deletes; so a program that dies leaves its lease to run
 * out.
 */
import {
  type CallOptions,
  type DeleteAnswer,
  type DeleteManyAnswer,
  type DeleteTarget,
  type GetAnswer,
  type HeadAnswer,
  InvalidError,
  type ListOptions,
  type ListPage,
  type ObjectFacts,
  oneOf,
  type PutAnswer,
  type PutOptions,
  type Store,
  StoreError,
  type StoreFeatures,
  type VersionPage,
} from "@bucketlock/core";
import { checkCall, checkList, checkPut, checkTargets, deleteEach } from "@bucketlock/core/http";
import type { B2File } from "./answers.js";
import type { B2Session } from "./b2-session.js";
import { fileName } from "./file-name.js";

export interface B2StoreOptions {
  /** Put before every key. Default: none. */
  readonly prefix?: string | undefined;
  /**
   * What a delete without a version id does: `sweep` removes every version, for good (lists first); `hide` lays a hide
   * marker, as a versioned S3 bucket does. Default `sweep`: nothing of a lock stays behind.
   */
  readonly deletes?: "sweep" | "hide" | undefined;
}

export class B2Store implements Store {
  readonly name: string;
  readonly features: StoreFeatures;
  readonly #session: B2Session;
  readonly #prefix: string;
  readonly #sweeps: boolean;

  constructor(session: B2Session, bucket: string, options: B2StoreOptions) {
    const { prefix = "" } = options;
    if (typeof prefix !== "string") throw new InvalidError("prefix", "must be a string", prefix);
    if (prefix !== "") fileName("prefix", prefix.replace(/\/$/, ""));
    this.#session = session;
    this.#prefix = prefix;
    this.#sweeps = oneOf("deletes", options.deletes ?? "sweep", ["sweep", "hide"]) === "sweep";
    this.name = `b2://${bucket}/${prefix}`;
    this.features = Object.freeze({
      conditionalWrites: "no",
      // B2 keeps versions, but under `sweep` a plain delete lays no marker: not what the port calls "yes".
      versions: this.#sweeps ? "unknown" : "yes",
      timestampStepMs: 1,
      deleteMany: false,
    });
  }

  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<PutAnswer> {
    const name = this.#full(key);
    checkPut(key, body, options);
    if (options.condition !== undefined)
      throw new StoreError(`B2 has no conditional writes; key ${key}`, {
        code: "STORE_UNSUPPORTED",
        kind: "unsupported",
      });
    const outcome = await this.#session.uploadOutcome(name, body, {
      info: options.metadata,
      contentType: options.contentType ?? "application/octet-stream",
      once: options.once,
      signal: options.signal,
      timeoutMs: options.timeoutMs,
    });
    const { serverTimeMs } = outcome;
    if (outcome.outcome === "unknown") return { outcome: "unknown", cause: outcome.cause, serverTimeMs };
    if (outcome.outcome !== "done") throw outcome.error;
    const { id, uploadedMs } = outcome.value;
    return { outcome: "stored", etag: etagOf(id), versionId: id, lastModifiedMs: uploadedMs, serverTimeMs };
  }

  async get(key: string, options: CallOptions = {}): Promise<GetAnswer> {
    const name = this.#full(key);
    const answer = await this.#session.get({ name }, options);
    if (!answer.found) return answer;
    const { file, body, serverTimeMs } = answer;
    return { found: true, ...factsOf(file), body: Uint8Array.from(body), serverTimeMs };
  }

  async head(key: string, options: CallOptions = {}): Promise<HeadAnswer> {
    const name = this.#full(key);
    const answer = await this.#session.head({ name }, options);
    if (!answer.found) return answer;
    return { found: true, ...factsOf(answer.file), serverTimeMs: answer.serverTimeMs };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage, void, void> {
    const pageSize = checkList(prefix, options);
    for await (const page of this.#session.listFiles({ ...options, prefix: this.#prefix + prefix, pageSize })) {
      const objects = page.files.map(({ id, name, size, uploadedMs }) => {
        return { key: this.#own(name), etag: etagOf(id), lastModifiedMs: uploadedMs, size };
      });
      yield { objects, serverTimeMs: page.serverTimeMs };
    }
  }

  async *listVersions(prefix: string, options: ListOptions = {}): AsyncGenerator<VersionPage, void, void> {
    const pageSize = checkList(prefix, options);
    let before: string | undefined;
    for await (const page of this.#session.listVersions({ ...options, prefix: this.#prefix + prefix, pageSize })) {
      const versions = [];
      for (const { id, name, action, uploadedMs } of page.files) {
        // An unfinished large file is no version of anything yet.
        if (action === "start") continue;
        const key = this.#own(name);
        const isLatest = key !== before;
        before = key;
        versions.push({ key, versionId: id, isLatest, isDeleteMarker: action === "hide", lastModifiedMs: uploadedMs });
      }
      yield { versions, serverTimeMs: page.serverTimeMs };
    }
  }

  async delete(target: DeleteTarget, options: CallOptions = {}): Promise<DeleteAnswer> {
    const name = this.#full(target.key);
    checkTargets([target]);
    if (target.versionId !== undefined) return this.#session.deleteVersion({ name, id: target.versionId }, options);
    if (this.#sweeps) await this.#session.deleteAllVersions(name, options);
    else await this.#session.hide(name, options);
    return {};
  }

  async deleteMany(targets: readonly DeleteTarget[], options: CallOptions = {}): Promise<DeleteManyAnswer> {
    checkCall(options);
    // All of them are checked before the first is touched.
    for (const { key } of targets) this.#full(key);
    checkTargets(targets);
    return deleteEach(targets, (target) => this.delete(target, options));
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #full(key: string): string {
    // The key is checked before it is joined, so that an empty one does not pass as the bare prefix.
    fileName("key", key);
    return fileName("key", this.#prefix + key);
  }

  #own(name: string): string {
    return name.slice(this.#prefix.length);
  }
}

/** The version's id, not the SHA-1: two writes of the same bytes are two states. */
function etagOf(id: string): string {
  return `"${id}"`;
}

function factsOf({ id, size, uploadedMs, info }: B2File): ObjectFacts {
  return { etag: etagOf(id), versionId: id, size, lastModifiedMs: uploadedMs, metadata: info };
}
