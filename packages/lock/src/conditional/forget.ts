/**
 * Forgetting a record that nobody uses, with all its versions. Where the store can say so (a version's id, or a DELETE under the ETag that
 * holds), the record goes only if nobody came in since it was read; elsewhere who comes in between loses its lease, and tokens rise all the same.
 */
import { BucketlockError, type CallOptions, type DeleteTarget, type ListedVersion, type Store } from "@bucketlock/core";
import { deleteAll, versionsOrObjects } from "../two-object/deletes.js";
import { highestToken, markersOf, writeMarker } from "../two-object/markers.js";
import type { Stored } from "./machine.js";
import { EMPTY, recordKey } from "./record.js";
import { type Hands, readRecord } from "./record-hands.js";

export interface Forgetting {
  /** The highest token stays as a fencing marker, from which either protocol goes on; else tokens begin anew. */
  readonly keepToken: boolean;
  /** The store honours a DELETE under an ETag: by its nature, or its probe found it. */
  readonly deletesIf: boolean;
}

/** Whoever comes in again and again uses the lock. */
const TRIES = 10;
/** More than anybody can be granted between a read and the delete behind it. */
const UNSEEN_TOKENS = 1_000n;

/** Throws LOCK_IN_USE, WRITE_UNKNOWN, store errors. Answers false when there was nothing. */
export async function forgetRecord(hands: Hands, how: Forgetting, options: CallOptions): Promise<boolean> {
  let wasThere = false;
  for (let tries = 0; tries < TRIES; tries++) {
    options.signal?.throwIfAborted();
    const stored = await readRecord(hands, options);
    const { holders, queue } = stored?.record ?? EMPTY;
    if (holders.length + queue.length > 0) throw inUse(hands.key, `${holders.length} hold it, ${queue.length} wait`);
    if (stored === undefined && how.keepToken) return wasThere;
    const outcome = await forgetOnce(hands, stored, how, options);
    if (outcome !== "changed") return wasThere || outcome === "forgotten";
    wasThere = true;
  }
  throw inUse(hands.key, "others keep changing its record");
}

async function forgetOnce(
  hands: Hands,
  stored: Stored | undefined,
  how: Forgetting,
  options: CallOptions,
): Promise<"forgotten" | "nothing" | "changed"> {
  const { store, key, memory } = hands;
  const versionId = stored && versionOf(hands, stored);
  const isGuarded = versionId !== undefined || (how.deletesIf && store.deleteIf !== undefined);
  const markers = await markersOf(store, key, options);
  const highest = highestToken(markers, stored?.record.token ?? 0n);
  if (stored === undefined && markers.length === 0) return "nothing";
  const kept = isGuarded ? highest : highest + UNSEEN_TOKENS;
  // Before the record goes: whoever comes next finds the one or the other.
  if (how.keepToken && highest > 0n && !markers.some(({ token }) => token === kept))
    await writeMarker(store, key, kept, "the fencing marker may not have been written, so the record stays", options);
  const gone: DeleteTarget[] = markers
    .filter(({ token }) => !how.keepToken || token !== kept)
    .map((marker) => ({ key: marker.key }));
  if (stored !== undefined) {
    if (versionId !== undefined) {
      if (!(await deleteVersion(store, key, versionId, options))) return "changed";
    } else if (isGuarded) {
      const { outcome } = await store.deleteIf!(recordKey(key), stored.etag, options);
      if (outcome !== "deleted") return "changed";
    } else gone.unshift({ key: recordKey(key) });
  }
  const targets = await versionsOrObjects(store, gone, options);
  // As late as can be: who comes in after this look loses its lease.
  if (stored !== undefined && !isGuarded && (await readRecord(hands, options))?.etag !== stored.etag) return "changed";
  await deleteAll(store, targets, options);
  memory.set(key, undefined);
  return "forgotten";
}

/** A bucket that stopped keeping versions calls each one 'null', and replaces it. */
function versionOf({ memory, key }: Hands, { etag }: Stored): string | undefined {
  const id = memory.versions.idOf(recordKey(key), etag);
  return id === "null" ? undefined : id;
}

/** The record as that version, and all before it. False: another is the newest, so somebody came in. */
async function deleteVersion(store: Store, key: string, versionId: string, options: CallOptions): Promise<boolean> {
  const before: ListedVersion[] = [];
  let isNewest = false;
  for await (const page of store.listVersions(recordKey(key), options)) {
    for (const version of page.versions) {
      if (version.key !== recordKey(key)) continue;
      if (version.versionId === versionId) isNewest = version.isLatest;
      else before.push(version);
    }
  }
  if (!isNewest) return false;
  await deleteAll(
    store,
    before.map(({ key, versionId }) => ({ key, versionId })),
    options,
  );
  // Last: until then it hides what was before. A version that somebody writes meanwhile stays, whatever is deleted below it.
  await deleteAll(store, [{ key: recordKey(key), versionId }], options);
  return !(await store.head(recordKey(key), options)).found;
}

function inUse(key: string, why: string): BucketlockError {
  return new BucketlockError(`the lock is in use (${why}); break or release it first: ${key}`, {
    code: "LOCK_IN_USE",
    kind: "contended",
    details: { key },
  });
}
