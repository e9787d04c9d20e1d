/**
 * How long to wait before the next try. Pure: chance is handed in as a number. It never decides whether a try is allowed.
 */

export interface BackoffSettings {
  /** Upper bound of the first wait, in ms; doubles with each try. */
  readonly baseMs: number;
  /** Upper bound of every wait, in ms. */
  readonly capMs: number;
}

export const DEFAULT_BACKOFF: BackoffSettings = { baseMs: 50, capMs: 2_000 };

/**
 * Full jitter: anywhere between nothing and the bound, so that clients that failed together do not come back together.
 * `tries` counts those already made (from 1); `chance` is in [0, 1).
 */
export function backoffMs(tries: number, chance: number, settings: BackoffSettings = DEFAULT_BACKOFF): number {
  const bound = Math.min(settings.capMs, settings.baseMs * 2 ** Math.min(tries - 1, 30));
  return bound * chance;
}

/** A server that asks for more is asked again after this; it can say so once more. */
const RETRY_AFTER_MAX_MS = 20_000;
/** The slowest line that is waited for: 128 KiB in a second. */
const SLOW_BYTES_PER_MS = 131_072 / 1000;

/** Time to allow for the sending of a body, in ms. */
export function sendingMs(bytes: number): number {
  return bytes / SLOW_BYTES_PER_MS;
}

/**
 * The wait before the next try, in ms, or undefined when there is no time left for one within `remainingMs`. A server's
 * Retry-After is a lower bound (RFC 9110 10.2.3), up to 20 s, and gets jitter on top.
 */
export function nextWaitMs(facts: {
  readonly tries: number;
  readonly chance: number;
  readonly remainingMs: number;
  readonly retryAfterMs?: number | undefined;
  readonly settings?: BackoffSettings | undefined;
}): number | undefined {
  const askedMs = Math.min(facts.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
  const waitMs = askedMs + backoffMs(facts.tries, facts.chance, facts.settings);
  return waitMs < facts.remainingMs ? waitMs : undefined;
}

/** Retry-After as ms from now: whole seconds or an HTTP date; undefined when it is neither or passed. */
export function retryAfterMs(
  value: string | undefined,
  serverTimeMs: number | undefined,
  parse: (text: string) => number | undefined,
): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,6}\s*$/.test(value)) return Number(value) * 1000;
  const at = parse(value);
  if (at === undefined || serverTimeMs === undefined) return undefined;
  return at > serverTimeMs ? at - serverTimeMs : undefined;
}
