/**
 * The fencing markers of a lock: empty objects whose names hold tokens that were told. Lists and writes them; which token is drawn, and
 * which marker goes, others decide.
 */
import { BucketlockError, type CallOptions, type Store } from "@bucketlock/core";
import { markerKey, markerOf, prefixOf } from "./ticket.js";

export interface Marker {
  readonly key: string;
  readonly token: bigint;
}

/** What every marker of the lock begins with. */
export const markerPrefix = (key: string): string => `${prefixOf(key)}token.`;

export async function markersOf(store: Store, key: string, options: CallOptions): Promise<Marker[]> {
  const markers: Marker[] = [];
  for await (const page of store.list(markerPrefix(key), options)) {
    for (const object of page.objects) {
      const token = markerOf(key, object.key);
      if (token !== undefined) markers.push({ key: object.key, token });
    }
  }
  return markers;
}

/** The highest token of all, `least` where all are below. */
export function highestToken(markers: readonly Marker[], least: bigint): bigint {
  let highest = least;
  for (const { token } of markers) if (token > highest) highest = token;
  return highest;
}

/** Throws WRITE_UNKNOWN, with the complaint, when the store does not say that it is written. */
export async function writeMarker(
  store: Store,
  key: string,
  token: bigint,
  complaint: string,
  options: CallOptions,
): Promise<void> {
  const objectKey = markerKey(key, token);
  const put = await store.put(objectKey, "1", options);
  if (put.outcome === "stored") return;
  throw new BucketlockError(`${complaint}: ${objectKey}`, {
    code: "WRITE_UNKNOWN",
    kind: "unknown",
    cause: put.outcome === "unknown" ? put.cause : undefined,
    details: { object: objectKey },
  });
}
