/**
 * Deleting what must be found first: everything under a prefix, and every version of given keys. It deletes exactly the keys
 * that were named, never a sibling that begins with the same text, and reports every one that stayed.
 */
import { compareKeys } from "./byte-order.js";
import { targetsOf } from "./call-checks.js";
import { InvalidError, StoreError } from "./errors.js";
import type { S3Delete, S3DeleteManyOptions } from "./s3-delete.js";
import type { S3List } from "./s3-list.js";
import { NotDeletedError, withoutRepeats } from "./s3-multi-delete.js";
import type { DeleteFailure, DeleteTarget } from "./store.js";

/** Keys, keys with versions, or everything whose key begins with `prefix` (`""`: the whole bucket). */
export type S3Doomed = readonly (string | DeleteTarget)[] | { readonly prefix: string };
export interface S3PurgeAnswer {
  /** How many objects, or versions and delete markers, are gone. */
  readonly deleted: number;
}

export interface S3PurgeOptions extends S3DeleteManyOptions {
  /** Entries in a page of the listings that are needed, 1 to 1000. Default 1000. */
  readonly pageSize?: number | undefined;
}

const BATCH = 1000;
/** Single listings run side by side in this number, so one listing may take a page for so many keys before it is slower. */
const SIDE_BY_SIDE = 8;
/** Versions of one key in a page: more are rare, and what comes behind them belongs to siblings. */
const ONE_KEY_PAGE = 100;

export class S3Purge {
  readonly #list: S3List;
  readonly #delete: S3Delete;

  constructor(list: S3List, deletes: S3Delete) {
    this.#list = list;
    this.#delete = deletes;
  }

  /** As DELETE does it: on a bucket that keeps versions, a delete marker is laid. */
  async remove(what: S3Doomed, options: S3PurgeOptions): Promise<S3PurgeAnswer> {
    const doomed = checked(what);
    const work = new Work(this.#delete, options);
    return work.run(async () => {
      if ("keys" in doomed) return work.all(doomed.keys);
      for await (const { objects } of this.#list.objects(doomed.prefix, options))
        await work.batch(objects.map(({ key }) => ({ key })));
    });
  }

  /** For good: every version and marker. */
  async purge(what: S3Doomed, options: S3PurgeOptions): Promise<S3PurgeAnswer> {
    const doomed = checked(what);
    const work = new Work(this.#delete, options);
    return work.run(async () => {
      if ("keys" in doomed) {
        const named = doomed.keys.filter(({ versionId }) => versionId !== undefined);
        const open = doomed.keys.filter(({ versionId }) => versionId === undefined).map(({ key }) => key);
        return work.all([...named, ...(await this.#versionsOf(open, options))]);
      }
      for await (const { versions } of this.#list.versions(doomed.prefix, options))
        await work.batch(versions.map(({ key, versionId }) => ({ key, versionId })));
    });
  }

  /** Of exactly these keys. A key that has none is not there, and not deleted either: that would lay a marker for nothing. */
  async #versionsOf(keys: readonly string[], options: S3PurgeOptions): Promise<DeleteTarget[]> {
    const wanted = [...new Set(keys)].sort(compareKeys);
    const found: DeleteTarget[] = [];
    const unsettled = await this.#inOneListing(wanted, options, found);
    const queue = unsettled.values();
    let isBroken = false;
    const work = async () => {
      // The workers share one iterator: each key is taken once.
      for (const key of queue) {
        if (isBroken) return;
        try {
          await this.#ofOneKey(key, options, found);
        } catch (error) {
          isBroken = true;
          throw error;
        }
      }
    };
    const settled = await Promise.allSettled(Array.from({ length: Math.min(SIDE_BY_SIDE, unsettled.length) }, work));
    for (const result of settled) if (result.status === "rejected") throw result.reason;
    return found;
  }

  /** One listing of all that the keys have in common, as long as that is cheaper. Answers the keys that it did not reach. */
  async #inOneListing(
    wanted: readonly string[],
    options: S3PurgeOptions,
    found: DeleteTarget[],
  ): Promise<readonly string[]> {
    const prefix = commonPrefix(wanted);
    // Nothing in common: it would be a listing of the whole bucket.
    if (wanted.length < 2 || prefix === "") return wanted;
    const keys = new Set(wanted);
    const pagesMax = Math.ceil(wanted.length / SIDE_BY_SIDE);
    const seen: DeleteTarget[] = [];
    let pages = 0;
    for await (const { versions, isLast } of this.#list.versions(prefix, options)) {
      for (const { key, versionId } of versions) if (keys.has(key)) seen.push({ key, versionId });
      const reached = versions.at(-1)?.key;
      pages++;
      if (isLast || (reached !== undefined && compareKeys(reached, wanted.at(-1)!) > 0)) {
        for (const target of seen) found.push(target);
        return [];
      }
      if (pages < pagesMax) continue;
      // The versions of the key at the end may go on: it is asked again.
      const isSettled = (key: string) => reached !== undefined && compareKeys(key, reached) < 0;
      for (const target of seen) if (isSettled(target.key)) found.push(target);
      return wanted.filter((key) => !isSettled(key));
    }
    return wanted;
  }

  async #ofOneKey(key: string, options: S3PurgeOptions, found: DeleteTarget[]): Promise<void> {
    for await (const { versions } of this.#list.versions(key, {
      ...options,
      pageSize: options.pageSize ?? ONE_KEY_PAGE,
    })) {
      const own = versions.filter((version) => version.key === key);
      found.push(...own.map(({ versionId }) => ({ key, versionId })));
      // In byte order a key comes before all that go on behind it.
      if (own.length < versions.length) return;
    }
  }
}

/** What became of it so far. A batch that fails as a whole does not end the rest. */
class Work {
  readonly #delete: S3Delete;
  readonly #options: S3DeleteManyOptions;
  readonly #failed: DeleteFailure[] = [];
  #deleted = 0;

  constructor(deletes: S3Delete, options: S3DeleteManyOptions) {
    this.#delete = deletes;
    this.#options = options;
  }

  async run(work: () => Promise<void>): Promise<S3PurgeAnswer> {
    try {
      await work();
    } catch (error) {
      if (this.#failed.length > 0 && error instanceof StoreError)
        throw new NotDeletedError(this.#failed, this.#deleted, error);
      throw error;
    }
    if (this.#failed.length > 0) throw new NotDeletedError(this.#failed, this.#deleted);
    return { deleted: this.#deleted };
  }

  async all(given: readonly DeleteTarget[]): Promise<void> {
    const targets = withoutRepeats(given);
    for (let at = 0; at < targets.length; at += BATCH) await this.batch(targets.slice(at, at + BATCH));
  }

  async batch(targets: readonly DeleteTarget[]): Promise<void> {
    if (targets.length === 0) return;
    try {
      const { failed } = await this.#delete.many(targets, this.#options);
      this.#failed.push(...failed);
      this.#deleted += targets.length - failed.length;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.kind !== "unavailable" && error.kind !== "unknown")) throw error;
      this.#failed.push(...targets.map((target) => ({ ...target, code: error.code, message: error.message })));
    }
  }
}

function checked(what: S3Doomed): { readonly keys: readonly DeleteTarget[] } | { readonly prefix: string } {
  if (Array.isArray(what)) return { keys: targetsOf(what) };
  const { prefix } = (what ?? {}) as { readonly prefix?: unknown };
  if (typeof prefix !== "string")
    throw new InvalidError("what", "must be an array of keys or { prefix: a string }", what);
  return { prefix };
}

/** By characters; the keys are sorted, so the first and the last tell. */
export function commonPrefix(sorted: readonly string[]): string {
  const first = sorted[0] ?? "";
  const last = sorted.at(-1) ?? "";
  let length = 0;
  while (length < first.length && first[length] === last[length]) length++;
  // Never half of a surrogate pair, which has no UTF-8.
  const common = first.slice(0, length);
  return common.isWellFormed() ? common : common.slice(0, -1);
}
