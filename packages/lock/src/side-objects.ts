/**
 * The small objects that stand beside a lock: leaders, slots, arrivals, members. Lists, writes and removes them, and waits
 * passing faults of the store out. Only for objects that may be written twice without harm: what must not be is a ticket's
 * or a fence's business. Decides nothing about who holds.
 */
import {
  BucketlockError,
  type CallOptions,
  type GetAnswer,
  type ListedObject,
  type PutOptions,
  type Store,
} from "@bucketlock/core";
import type { Settings } from "./settings.js";
import { deleteAll, versionsOrObjects } from "./two-object/deletes.js";

/** What a request needs to know of those who make it. */
export interface Side {
  readonly store: Store;
  readonly settings: Settings;
  readonly signal?: AbortSignal | undefined;
}

export interface Listing {
  readonly objects: readonly ListedObject[];
  readonly serverTimeMs: number | undefined;
}

export const callOf = ({ settings, signal }: Side): CallOptions => ({
  signal,
  timeoutMs: settings.requestTimeoutMs,
});

/** All pages. The time is the first page's: no object of this listing was written later than it was shown. */
export async function listAll(side: Side, prefix: string): Promise<Listing> {
  const objects: ListedObject[] = [];
  let serverTimeMs: number | undefined;
  for await (const page of side.store.list(prefix, callOf(side))) {
    objects.push(...page.objects);
    serverTimeMs ??= page.serverTimeMs;
  }
  return { objects, serverTimeMs };
}

/** The body as text; undefined when the object is not there. */
export async function readText(side: Side, key: string): Promise<string | undefined> {
  const answer: GetAnswer = await side.store.get(key, callOf(side));
  return answer.found ? new TextDecoder().decode(answer.body) : undefined;
}

/**
 * Writes until the store says that it is written, at most `requestTimeoutMs`. Throws WRITE_UNKNOWN when it never said: the object
 * may be there, or come later.
 */
export async function putSurely(side: Side, key: string, body: string, options: PutOptions = {}): Promise<void> {
  const put = () => side.store.put(key, body, { ...callOf(side), contentType: "application/json", ...options });
  await patiently(side, async () => {
    const answer = await put();
    if (answer.outcome === "stored") return;
    throw new BucketlockError(`an object may not have been written: ${key}`, {
      code: "WRITE_UNKNOWN",
      kind: "unknown",
      cause: answer.outcome === "unknown" ? answer.cause : undefined,
      details: { object: key },
    });
  });
}

/** Removes objects with all their versions. Missing ones are no failure. */
export async function removeAll(side: Side, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const call = callOf(side);
  const targets = await versionsOrObjects(
    side.store,
    keys.map((key) => ({ key })),
    call,
  );
  await deleteAll(side.store, targets, call);
}

/** Again and again while the store only has passing trouble, for about `requestTimeoutMs`; then the last error. */
export async function patiently<T>(side: Side, work: () => Promise<T>): Promise<T> {
  const { clock, requestTimeoutMs } = side.settings;
  const endMs = clock.monotonicMs() + requestTimeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      side.signal?.throwIfAborted();
      if (!isPassing(error) || clock.monotonicMs() >= endMs) throw error;
      await breathe(side);
    }
  }
}

/** A fault of the store that may be over at the next try. */
export function isPassing(error: unknown): boolean {
  return error instanceof BucketlockError && (error.kind === "unavailable" || error.kind === "unknown");
}

/** About `pollMaxMs`, shortened by chance so that hosts which failed together do not come back together. */
export function breathe({ settings, signal }: Side): Promise<void> {
  const { clock, random, pollMaxMs } = settings;
  return clock.sleep(pollMaxMs * (0.5 + random.float() / 2), { signal });
}

/** The pause before the next look of somebody who has waited since then: a tenth of the wait, as everywhere in line. */
export function lookPauseMs({ settings }: Side, sinceMs: number): number {
  const { clock, random, pollMinMs, pollMaxMs } = settings;
  const ms = Math.min(Math.max((clock.monotonicMs() - sinceMs) / 10, pollMinMs), pollMaxMs);
  return ms * (0.5 + random.float() / 2);
}
