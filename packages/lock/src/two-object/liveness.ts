/**
 * When is another's ticket dead? The two dead rules (docs/protocol.md, "Dead"), over what was seen and when.
 * Pure: `now` is the watcher's own monotonic clock, handed in. Never asks two hosts' clocks to agree, and never believes a
 * ticket dead for want of an answer: only answers count.
 */
import type { Ticket } from "./ticket.js";

export interface LivenessRules {
  /** Allowance for the clocks of the store's own nodes, in ms, for the rule that compares the server's times. */
  readonly clockSkewMs: number;
  /** The coarsest step of a timestamp in a LIST, in ms: two renewals within one step look like none. */
  readonly stepMs: number;
  /** Foreign tickets (no lease of their own) count as having this lease. Undefined: they never die. */
  readonly breakAfterMs: number | undefined;
}

/** One way of watching: the mark last seen, and when the first answer with it arrived. */
interface Sighting {
  readonly mark: string;
  readonly sinceMs: number;
}

/** What one watcher has seen of one ticket. LIST and HEAD show different marks, so each is watched by itself. */
export interface Watched {
  readonly list?: Sighting;
  readonly head?: Sighting;
}

/** A HEAD of `-0` (or of `-1` when the ticket has no `-0`). */
export interface SignOfLife {
  readonly lastModifiedMs: number | undefined;
  /** `renewal` of the metadata; undefined: the ticket does not count its renewals. */
  readonly renewal: string | undefined;
}

export const newestMs = (ticket: Ticket): number => Math.max(ticket.doorMs ?? 0, ticket.placeMs ?? 0);

export function seenInList(watched: Watched | undefined, ticket: Ticket, answeredAtMs: number): Watched {
  return { ...watched, list: sight(watched?.list, `${ticket.doorMs ?? "-"} ${ticket.placeMs ?? "-"}`, answeredAtMs) };
}

export function seenByHead(watched: Watched | undefined, sign: SignOfLife, answeredAtMs: number): Watched {
  return {
    ...watched,
    head: sight(watched?.head, `${sign.lastModifiedMs ?? "-"} ${sign.renewal ?? "-"}`, answeredAtMs),
  };
}

function sight(before: Sighting | undefined, mark: string, answeredAtMs: number): Sighting {
  // The first answer's arrival is the latest moment at which that mark can have been written, so the wait counts from there.
  return before?.mark === mark ? before : { mark, sinceMs: answeredAtMs };
}

/** Rule 1: unchanged for a lease on my own clock. `sentAtMs`: when the request of the last answer with that mark was sent. */
export function deadByWatching(
  watched: Watched | undefined,
  how: "list" | "head",
  leaseMs: number | undefined,
  counted: boolean,
  sentAtMs: number,
  rules: LivenessRules,
): boolean {
  const lease = leaseMs ?? rules.breakAfterMs;
  const sighting = watched?.[how];
  if (lease === undefined || sighting === undefined) return false;
  const step = how === "head" && counted ? 0 : rules.stepMs;
  return sentAtMs - sighting.sinceMs >= lease + step;
}

/** Rule 2: the store's own clock says so. For who looks only once. */
export function deadByServer(
  newestTimestampMs: number,
  leaseMs: number | undefined,
  serverTimeMs: number | undefined,
  rules: LivenessRules,
): boolean {
  const lease = leaseMs ?? rules.breakAfterMs;
  if (lease === undefined || serverTimeMs === undefined) return false;
  return serverTimeMs - newestTimestampMs > lease + rules.clockSkewMs;
}
