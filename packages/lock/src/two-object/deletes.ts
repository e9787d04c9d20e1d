/**
 * Deleting objects of a lock for good: every version where the store keeps them. Hands only; it decides nothing about what goes.
 */
import { BucketlockError, type CallOptions, type DeleteTarget, type Store } from "@bucketlock/core";

/** Where the versions may not be listed (rights, old stores), the objects themselves: they no longer show, which is what the protocol needs. */
export async function versionsOrObjects(
  store: Store,
  objects: readonly DeleteTarget[],
  options: CallOptions,
): Promise<readonly DeleteTarget[]> {
  try {
    return await allVersions(store, objects, options);
  } catch (error) {
    if (error instanceof BucketlockError && (error.kind === "denied" || error.kind === "unsupported")) return objects;
    throw error;
  }
}

/** Every version of the objects; where the store keeps none, simply the objects. */
async function allVersions(
  store: Store,
  objects: readonly DeleteTarget[],
  options: CallOptions,
): Promise<readonly DeleteTarget[]> {
  if (store.features.versions === "no") return objects;
  const targets: DeleteTarget[] = [];
  for (const target of objects) {
    for await (const page of store.listVersions(target.key, options)) {
      for (const version of page.versions) {
        // The prefix may belong to siblings too: exact keys only.
        if (version.key === target.key) targets.push({ key: version.key, versionId: version.versionId });
      }
    }
  }
  return targets;
}

export async function deleteAll(store: Store, targets: readonly DeleteTarget[], options: CallOptions): Promise<void> {
  if (targets.length === 0) return;
  const { failed } = await store.deleteMany(targets, options);
  if (failed.length > 0) {
    const first = failed[0]!;
    throw new BucketlockError(
      `${failed.length} lock object(s) could not be deleted; the first: ${first.code} ${first.message}: ${first.key}`,
      {
        code: "DELETE_FAILED",
        kind: "unavailable",
        details: { keys: failed.map((failure) => failure.key) },
      },
    );
  }
}
