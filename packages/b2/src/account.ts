/**
 * What belongs to the account: buckets and application keys. Thin: each method is one call (listing keys: one a page). The
 * secret of a new key is handed out once and kept nowhere.
 */
import { type CallOptions, integer, StoreError } from "@bucketlock/core";
import { type B2Bucket, type B2Key, bucketOf, keyOf, list, maybeText, text } from "./answers.js";
import type { B2Api } from "./b2-api.js";
import { corrupt } from "./b2-errors.js";
import { bucketName } from "./file-name.js";
import type { Limit } from "./patience.js";

export type B2BucketType = "allPrivate" | "allPublic";

export interface BucketSettings {
  readonly type?: B2BucketType | undefined;
  readonly info?: Readonly<Record<string, string>> | undefined;
  /** As https://www.backblaze.com/docs/cloud-storage-lifecycle-rules has them. */
  readonly lifecycleRules?: readonly object[] | undefined;
}

type Limits = (options: CallOptions) => Limit;

export class B2Buckets {
  readonly #api: B2Api;
  readonly #limit: Limits;

  constructor(api: B2Api, limit: Limits) {
    this.#api = api;
    this.#limit = limit;
  }

  /** Default: private. Throws StoreError STORE_BUCKET_EXISTS: names are shared by all accounts. */
  async create(name: string, settings: BucketSettings = {}, options: CallOptions = {}): Promise<B2Bucket> {
    bucketName(name);
    const { type = "allPrivate", info, lifecycleRules } = settings;
    const { json } = await this.#api.call(
      "b2_create_bucket",
      this.#limit(options),
      ({ accountId }) => ({
        accountId,
        bucketName: name,
        bucketType: type,
        ...(info && { bucketInfo: info }),
        ...(lifecycleRules && { lifecycleRules }),
      }),
      { bucket: name },
    );
    return bucketOf(json);
  }

  /** All the key may see. A key restricted to buckets may only ask for those: with `name`, or for each of them here. */
  async list(filter: { readonly name?: string | undefined } = {}, options: CallOptions = {}): Promise<B2Bucket[]> {
    const limit = this.#limit(options);
    const grant = await this.#api.authority.current(limit);
    const names =
      filter.name === undefined && grant.buckets !== undefined
        ? grant.buckets.flatMap(({ name }) => (name === undefined ? [] : [name]))
        : [filter.name];
    const answers = await Promise.all(
      names.map((name) =>
        this.#api.call(
          "b2_list_buckets",
          limit,
          ({ accountId }) => ({ accountId, ...(name && { bucketName: name }) }),
          {
            bucket: name,
          },
        ),
      ),
    );
    return answers.flatMap(({ json }) => list(json, "buckets").map(bucketOf));
  }

  /**
   * Changes what is named. With `ifRevisionIs`, only when the bucket still has that revision; `undefined`: it has not, and
   * nothing was changed.
   */
  async update(
    bucketId: string,
    settings: BucketSettings & { readonly ifRevisionIs?: number | undefined },
    options: CallOptions = {},
  ): Promise<B2Bucket | undefined> {
    const { type, info, lifecycleRules, ifRevisionIs } = settings;
    const outcome = await this.#api.run("b2_update_bucket", this.#limit(options), ({ accountId }) => ({
      accountId,
      bucketId,
      ...(type && { bucketType: type }),
      ...(info && { bucketInfo: info }),
      ...(lifecycleRules && { lifecycleRules }),
      ...(ifRevisionIs !== undefined && { ifRevisionIs }),
    }));
    if (outcome.outcome === "conflict" && ifRevisionIs !== undefined) return undefined;
    if (outcome.outcome === "unknown") throw outcome.cause;
    if (outcome.outcome !== "done") throw outcome.error;
    return bucketOf(outcome.value);
  }

  /** It must be empty, versions and unfinished files included. One that is gone already is no error. */
  async delete(bucket: { readonly id: string; readonly name: string }, options: CallOptions = {}): Promise<void> {
    try {
      await this.#api.call("b2_delete_bucket", this.#limit(options), ({ accountId }) => ({
        accountId,
        bucketId: bucket.id,
      }));
    } catch (error) {
      // Also where an earlier try, whose answer was lost, has deleted it.
      const last = error instanceof StoreError && error.code === "STORE_UNCLEAR" ? error.cause : error;
      if (!(last instanceof StoreError) || last.code !== "STORE_NO_BUCKET") throw error;
    }
    this.#api.forgetBucket(bucket.name);
  }
}

export interface NewKey {
  readonly name: string;
  /** Such as `listFiles`, `readFiles`, `writeFiles`, `deleteFiles`. */
  readonly capabilities: readonly string[];
  /** Default: all buckets. */
  readonly bucketIds?: readonly string[] | undefined;
  /** Needs `bucketIds`. */
  readonly namePrefix?: string | undefined;
  /** Whole seconds, 1000 ms to 1000 days. Default: for ever. */
  readonly validForMs?: number | undefined;
}

export class B2Keys {
  readonly #api: B2Api;
  readonly #limit: Limits;

  constructor(api: B2Api, limit: Limits) {
    this.#api = api;
    this.#limit = limit;
  }

  /** The secret is told here and never again. */
  async create(
    key: NewKey,
    options: CallOptions = {},
  ): Promise<{ readonly key: B2Key; readonly applicationKey: string }> {
    const { name, capabilities, bucketIds, namePrefix, validForMs } = key;
    const seconds =
      validForMs === undefined
        ? undefined
        : Math.ceil(integer("validForMs", validForMs, { min: 1000, max: 864e8 }) / 1000);
    const { json } = await this.#api.call("b2_create_key", this.#limit(options), ({ accountId }) => ({
      accountId,
      keyName: name,
      capabilities,
      ...(bucketIds && { bucketIds }),
      ...(namePrefix !== undefined && { namePrefix }),
      ...(seconds !== undefined && { validDurationInSeconds: seconds }),
    }));
    return { key: keyOf(json), applicationKey: text(json, "applicationKey") };
  }

  async *list(
    options: CallOptions & { readonly pageSize?: number | undefined } = {},
  ): AsyncGenerator<B2Key, void, void> {
    const maxKeyCount = integer("pageSize", options.pageSize ?? 1000, { min: 1, max: 10_000 });
    let start: string | undefined;
    do {
      const startKey = start;
      const { json } = await this.#api.call("b2_list_keys", this.#limit(options), ({ accountId }) => ({
        accountId,
        maxKeyCount,
        ...(startKey !== undefined && { startApplicationKeyId: startKey }),
      }));
      for (const entry of list(json, "keys")) yield keyOf(entry);
      start = maybeText(json, "nextApplicationKeyId");
      if (start !== undefined && start === startKey) throw corrupt("the list of keys goes round in circles");
    } while (start !== undefined);
  }

  /** B2 refuses (STORE_REFUSED) one that is not there. */
  async delete(keyId: string, options: CallOptions = {}): Promise<void> {
    await this.#api.call("b2_delete_key", this.#limit(options), () => ({ applicationKeyId: keyId }));
  }
}
