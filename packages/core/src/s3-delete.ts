/**
 * The deleting verbs of a session on what is named: one object or version, one under a condition, and many. It remembers
 * that a server has no request for many; finding out what versions there are is s3-purge's.
 */
import { targetsOf } from "./call-checks.js";
import { StoreError } from "./errors.js";
import { objectKey, text } from "./options.js";
import { type S3CallOptions, type S3Calls, versionQuery } from "./s3-calls.js";
import { deleteEach, deleteInOne, withoutRepeats } from "./s3-multi-delete.js";
import type { DeleteAnswer, DeleteIfAnswer, DeleteManyAnswer, DeleteTarget } from "./store.js";
import type { Pair } from "./uri.js";
import { deleteTree } from "./xml.js";

export interface S3DeleteOptions extends S3CallOptions {
  /** Deletes a version that is retained in governance mode, where these keys may (x-amz-bypass-governance-retention). */
  readonly bypassGovernance?: boolean | undefined;
}
export interface S3DeleteManyOptions extends S3DeleteOptions {
  /**
   * The server answers what failed only: smaller answers, but what it forgot counts as deleted. Default false: what is not
   * confirmed counts as failed.
   */
  readonly quiet?: boolean | undefined;
}
export interface S3DeleteAnswer extends DeleteAnswer {
  /** Of the version that is gone or, without a version id in the call, of the delete marker that was laid. */
  readonly versionId?: string | undefined;
  /** A delete marker was laid, or the version that is gone was one. */
  readonly isDeleteMarker?: boolean | undefined;
}

export class S3Delete {
  readonly #calls: S3Calls;
  #hasMany = true;

  constructor(calls: S3Calls) {
    this.#calls = calls;
  }

  /** False once this server turned out to have no DeleteObjects. */
  get hasMany(): boolean {
    return this.#hasMany;
  }

  async one(given: string | DeleteTarget, options: S3DeleteOptions): Promise<S3DeleteAnswer> {
    const [target] = targetsOf([given]) as [DeleteTarget];
    const outcome = await this.#calls.call(options, {
      request: "deleteObject",
      key: target.key,
      query: versionQuery(target),
      headers: bypassing(options),
    });
    const { serverTimeMs } = outcome;
    if (outcome.outcome !== "done") return { serverTimeMs };
    const versionId = outcome.answer.header("x-amz-version-id");
    return { versionId, isDeleteMarker: outcome.answer.header("x-amz-delete-marker") === "true", serverTimeMs };
  }

  async onlyIf(key: string, etag: string, options: S3DeleteOptions): Promise<DeleteIfAnswer> {
    const condition = this.#calls.condition({ etag: text("etag", etag) });
    try {
      const outcome = await this.#calls.call(options, {
        request: "deleteObject",
        key: objectKey("key", key),
        headers: bypassing(options),
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

  async many(given: readonly (string | DeleteTarget)[], options: S3DeleteManyOptions): Promise<DeleteManyAnswer> {
    const targets = withoutRepeats(targetsOf(given));
    const quiet = options.quiet ?? false;
    const left = this.#calls.sharing(options);
    const one = (target: DeleteTarget) => this.one(target, left());
    const inOne = async (batch: readonly DeleteTarget[]) => {
      const { body, headers } = await this.#calls.document("Delete", deleteTree(batch, quiet));
      const half = { ...options, timeoutMs: Math.max(left().timeoutMs / 2, 1) };
      return this.#calls.read(
        half,
        { request: "deleteObjects", headers: [...headers, ...bypassing(options)], body },
        (answer, xml) => xml.deleted(answer.body),
      );
    };
    if (!this.#hasMany || targets.length < 2) return deleteEach(targets, one);
    const missing = () => {
      this.#hasMany = false;
    };
    return deleteInOne(targets, inOne, one, missing, quiet);
  }
}

function bypassing({ bypassGovernance }: S3DeleteOptions): Pair[] {
  return bypassGovernance ? [["x-amz-bypass-governance-retention", "true"]] : [];
}
