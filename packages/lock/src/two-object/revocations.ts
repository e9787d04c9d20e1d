/**
 * Requests to release, beside the objects of a two-object lock: written for each holder by its ticket, read by that holder only.
 * They stand outside the lock's prefix, where no client takes them for tickets, and weigh nothing: who holds never depends on one.
 */
import { BucketlockError, type CallOptions, type DeleteTarget, type Store } from "@bucketlock/core";
import type { ReleaseRequest } from "../revocation.js";
import { deleteAll, versionsOrObjects } from "./deletes.js";
import { parseOwnId, revokeKey, revokePrefix } from "./ticket.js";

export const requestTarget = (key: string, id: string): DeleteTarget => ({ key: revokeKey(key, id) });

/** Tickets that were asked; they may be gone. */
export async function requestedOf(store: Store, key: string, options: CallOptions): Promise<string[]> {
  const ids: string[] = [];
  for await (const page of store.list(revokePrefix(key), options)) {
    for (const object of page.objects) {
      const id = object.key.slice(revokePrefix(key).length);
      // A lock whose key begins like that may have objects there.
      if (parseOwnId(id) !== undefined) ids.push(id);
    }
  }
  return ids;
}

/** Throws WRITE_UNKNOWN when it may not have been written. */
export async function writeRequest(
  store: Store,
  key: string,
  id: string,
  { reason, by }: ReleaseRequest,
  options: CallOptions,
): Promise<void> {
  const objectKey = revokeKey(key, id);
  const body = JSON.stringify({ format: 1, reason, by });
  const put = await store.put(objectKey, body, { ...options, contentType: "application/json" });
  if (put.outcome === "stored") return;
  throw new BucketlockError(`the request to release may not have been written: ${objectKey}`, {
    code: "WRITE_UNKNOWN",
    kind: "unknown",
    cause: put.outcome === "unknown" ? put.cause : undefined,
    details: { object: objectKey },
  });
}

export async function readRequest(
  store: Store,
  key: string,
  id: string,
  options: CallOptions,
): Promise<ReleaseRequest | undefined> {
  const answer = await store.get(revokeKey(key, id), options);
  return answer.found ? decodeRequest(new TextDecoder().decode(answer.body)) : undefined;
}

export async function removeRequest(store: Store, key: string, id: string, options: CallOptions): Promise<void> {
  await deleteAll(store, await versionsOrObjects(store, [requestTarget(key, id)], options), options);
}

/** Whatever stands there, the ticket was asked: a text that cannot be read is no reason to keep it from the holder. */
function decodeRequest(text: string): ReleaseRequest {
  try {
    const { reason, by } = JSON.parse(text) as Partial<Record<string, unknown>>;
    if (typeof reason === "string" && typeof by === "string") return { reason, by };
  } catch {
    // As below.
  }
  return { reason: "unknown: the request cannot be read", by: "unknown" };
}
