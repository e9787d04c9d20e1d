/**
 * The versions of records that writes of ours replaced, on a bucket that keeps versions: they are deleted by their ids, a few at a time,
 * so that no version stays behind for each write. Never deletes what may be the record itself; failing is no harm.
 */
import { BucketlockError, type CallOptions, type Store } from "@bucketlock/core";
import { deleteAll } from "../two-object/deletes.js";

const KEYS_MAX = 1_000;
/** What could not be deleted is tried again, but not for ever. */
const OLD_MAX = 200;

interface Version {
  readonly etag: string;
  readonly versionId: string | undefined;
}

export class RecordVersions {
  readonly #newest = new Map<string, Version>();
  readonly #old = new Map<string, string[]>();
  /** The rights are missing: versions stay behind, and nobody asks again and again. */
  #isDenied = false;

  /** The record, as an answer of the store showed it. */
  saw(objectKey: string, etag: string, versionId: string | undefined): void {
    this.#newest.delete(objectKey);
    if (versionId === undefined) return;
    this.#newest.set(objectKey, { etag, versionId });
    if (this.#newest.size > KEYS_MAX) this.#newest.delete(this.#newest.keys().next().value!);
  }

  /** The version that had that ETag, if the bucket keeps versions and nothing newer was seen. */
  idOf(objectKey: string, etag: string): string | undefined {
    const newest = this.#newest.get(objectKey);
    return newest?.etag === etag ? newest.versionId : undefined;
  }

  /** A write of ours under If-Match with that ETag is in the store, with an ETag and a version of its own. */
  replaced(objectKey: string, etag: string | undefined, by: Version): void {
    const before = this.#newest.get(objectKey);
    // A bucket that stopped keeping versions calls each one 'null', and replaces it.
    if (before?.versionId !== undefined && before.etag === etag && before.versionId !== by.versionId) {
      const old = [...(this.#old.get(objectKey) ?? []), before.versionId];
      this.#old.set(objectKey, old.slice(-OLD_MAX));
    }
    this.saw(objectKey, by.etag, by.versionId);
  }

  /** Deletes what was replaced so far. Costs nothing where no version is kept. Never throws. */
  async sweep(store: Store, objectKey: string, options: CallOptions): Promise<void> {
    const old = this.#old.get(objectKey);
    this.#old.delete(objectKey);
    if (old === undefined || this.#isDenied) return;
    const targets = old.map((versionId) => ({ key: objectKey, versionId }));
    await deleteAll(store, targets, options).catch((error: unknown) => {
      this.#isDenied = error instanceof BucketlockError && (error.kind === "denied" || error.kind === "unsupported");
      this.#old.set(objectKey, [...old, ...(this.#old.get(objectKey) ?? [])].slice(-OLD_MAX));
    });
  }
}
