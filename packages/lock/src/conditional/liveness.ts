/**
 * When a holder in a record is dead, over what was seen and when. Pure: `now` is the watcher's own monotonic clock, handed in.
 * Never compares two hosts' clocks.
 */
import type { LockRecord } from "./record.js";

/** What a watcher saw of a holder, and when the first answer with it arrived. */
export interface Sighting {
  readonly mark: string;
  readonly sinceMs: number;
}

export interface Watch {
  readonly record: LockRecord;
  readonly watched: Readonly<Record<string, Sighting>>;
  /** When the request was sent that showed the record, monotonic. */
  readonly sentAtMs: number;
  /** By the store, epoch ms: when the record was last written, and now. */
  readonly lastModifiedMs: number | undefined;
  readonly serverNowMs: number | undefined;
  readonly clockSkewMs: number;
}

/** A granted waiter must claim within this, or its lease if that is shorter, in ms. */
const CLAIM_MS = 10_000;

/** Marks of all holders: they stay until one changes. */
export function watch(
  before: Readonly<Record<string, Sighting>>,
  record: LockRecord,
  nowMs: number,
): Record<string, Sighting> {
  const watched: Record<string, Sighting> = {};
  for (const one of record.holders) {
    // With the token: a ticket that was taken out and came in again must not look as old as it was then.
    const mark = `${one.token} ${one.renewals} ${one.granted}`;
    const earlier = before[one.id];
    watched[one.id] = earlier?.mark === mark ? earlier : { mark, sinceMs: nowMs };
  }
  return watched;
}

/** Holders that are dead: unchanged for a lease while we watched, or by the store's own clock. */
export function deadHolders({ record, watched, sentAtMs, lastModifiedMs, serverNowMs, clockSkewMs }: Watch): string[] {
  // Nobody at all wrote since then, so no holder did: for who looks only once.
  const untouchedMs = serverNowMs === undefined || lastModifiedMs === undefined ? 0 : serverNowMs - lastModifiedMs;
  return record.holders
    .filter((one) => {
      const patienceMs = one.granted ? Math.min(one.leaseMs, CLAIM_MS) : one.leaseMs;
      const sighting = watched[one.id];
      const isStill = sighting !== undefined && sentAtMs - sighting.sinceMs >= patienceMs;
      return isStill || untouchedMs > patienceMs + clockSkewMs;
    })
    .map((one) => one.id);
}
