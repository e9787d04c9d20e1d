/**
 * Deleting many objects: in requests of up to 1000 keys, or one by one where that is not to be had. Every target that was
 * not confirmed is reported. It never sends a request itself: how to is handed in.
 */
import { BucketlockError, StoreError, show } from "./errors.js";
import type { DeleteAnswer, DeleteFailure, DeleteManyAnswer, DeleteTarget } from "./store.js";
import { type DeleteResult, fitsXml } from "./xml.js";

const KEYS_MAX = 1000;
const PARALLEL = 8;
/** What S3 calls a failure and this project does not: it is gone. */
const GONE = new Set(["NoSuchKey", "NoSuchVersion", "NotFound"]);
/** Of one key: may pass when it is tried again. */
const PASSING = new Set(["InternalError", "ServiceUnavailable", "SlowDown", "SlowDownWrite", "OperationAborted"]);

/** Some of what was to be deleted is still there, or may be. What could be deleted is. */
export class NotDeletedError extends StoreError {
  /** Each of them, with the store's own code and words. */
  readonly failed: readonly DeleteFailure[];
  /** How many objects or versions are gone. */
  readonly deleted: number;

  constructor(failed: readonly DeleteFailure[], deleted: number, cause?: unknown) {
    const shown = failed.slice(0, 5).map(({ key, code }) => `${show(key)} (${code})`);
    const more = failed.length > shown.length ? ` and ${failed.length - shown.length} more` : "";
    super(`not everything could be deleted; ${failed.length} failed, ${deleted} deleted: ${shown.join(", ")}${more}`, {
      code: "STORE_NOT_DELETED",
      kind: "denied",
      cause,
      details: { failed, deleted },
    });
    this.failed = failed;
    this.deleted = deleted;
  }
}

/** Each target once: MinIO answers a repeated one with an entry that names no key. */
export function withoutRepeats(targets: readonly DeleteTarget[]): DeleteTarget[] {
  return [...new Map(targets.map(({ key, versionId }) => [id({ key, versionId }), { key, versionId }])).values()];
}

function id(target: DeleteTarget): string {
  return JSON.stringify([target.key, target.versionId ?? null]);
}

/** One by one, a few at a time. A refusal concerns one key; the caller's own abort ends all. */
export async function deleteEach(
  targets: readonly DeleteTarget[],
  one: (target: DeleteTarget) => Promise<DeleteAnswer>,
): Promise<DeleteManyAnswer> {
  const failed: DeleteFailure[] = [];
  let serverTimeMs: number | undefined;
  const queue = targets.values();
  const work = async () => {
    // The workers share one iterator: each target is taken once.
    for (const target of queue) {
      try {
        serverTimeMs = (await one(target)).serverTimeMs ?? serverTimeMs;
      } catch (error) {
        if (!(error instanceof BucketlockError)) throw error;
        failed.push({ ...target, code: String(error.details.storeCode ?? error.code), message: error.message });
      }
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL, targets.length) }, work));
  for (const result of settled) if (result.status === "rejected") throw result.reason;
  return { failed, serverTimeMs };
}

/**
 * In as few requests as possible. `missing` is called when the server turns out not to have the request. `quiet`: the
 * answer names only what failed. A key whose failure may pass is tried again by itself.
 */
export async function deleteInOne(
  targets: readonly DeleteTarget[],
  inOne: (batch: readonly DeleteTarget[]) => Promise<DeleteResult & { readonly serverTimeMs: number | undefined }>,
  one: (target: DeleteTarget) => Promise<DeleteAnswer>,
  missing: () => void,
  quiet: boolean,
): Promise<DeleteManyAnswer> {
  const failed: DeleteFailure[] = [];
  let serverTimeMs: number | undefined;
  const isFit = (target: DeleteTarget) => fitsXml(target.key) && fitsXml(target.versionId ?? "");
  const fits = targets.filter(isFit);
  const single = targets.filter((target) => !isFit(target));
  for (let at = 0; at < fits.length; at += KEYS_MAX) {
    const batch = fits.slice(at, at + KEYS_MAX);
    try {
      const answer = await inOne(batch);
      serverTimeMs = answer.serverTimeMs ?? serverTimeMs;
      const refused = failures(batch, answer, quiet);
      failed.push(...refused.filter(({ code }) => !PASSING.has(code)));
      single.push(...refused.filter(({ code }) => PASSING.has(code)).map(({ key, versionId }) => ({ key, versionId })));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const unsupported = error.code === "STORE_UNSUPPORTED" || error.code === "STORE_REFUSED";
      // A server that hangs on this request (MEGA does, on a `$`) may well take single ones.
      if (!unsupported && error.code !== "STORE_TIMEOUT") throw error;
      if (unsupported) missing();
      single.push(...fits.slice(at));
      break;
    }
  }
  if (single.length > 0) {
    const rest = await deleteEach(single, one);
    failed.push(...rest.failed);
    serverTimeMs = rest.serverTimeMs ?? serverTimeMs;
  }
  return { failed, serverTimeMs };
}

/** A target that the answer does not mention is not known to be gone. */
function failures(targets: readonly DeleteTarget[], answer: DeleteResult, quiet: boolean): DeleteFailure[] {
  // Some servers leave the version out of an entry.
  const deleted = new Set(answer.deleted.flatMap((entry) => [id(entry), id({ key: entry.key })]));
  const errors = new Map(
    answer.failed.flatMap((entry) => [[id(entry), entry] as const, [id({ key: entry.key }), entry] as const]),
  );
  const failed: DeleteFailure[] = [];
  for (const target of targets) {
    const error = errors.get(id(target)) ?? (deleted.has(id(target)) ? undefined : errors.get(id({ key: target.key })));
    if (error !== undefined) {
      if (!GONE.has(error.code)) failed.push({ ...target, code: error.code, message: error.message });
    } else if (!quiet && !deleted.has(id(target)) && !deleted.has(id({ key: target.key }))) {
      failed.push({ ...target, code: "NotAnswered", message: "the store's answer does not mention this key" });
    }
  }
  return failed;
}
