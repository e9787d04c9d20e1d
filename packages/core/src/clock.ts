/**
 * Time. This file and random.ts are the only ones that name Date, performance, timers or randomness; everything else is
 * handed a `Clock`, so that tests can drive it. It decides nothing about leases.
 */
import { uptime } from "node:os";

export interface SleepOptions {
  readonly signal?: AbortSignal | undefined;
  /** The timer alone does not keep the process alive. Default false. */
  readonly unref?: boolean | undefined;
}

export interface Clock {
  /** Never goes back, says nothing about the date, in ms. Stops while the machine is suspended (CLOCK_MONOTONIC). */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch, as this host believes. May jump both ways. */
  wallMs(): number;
  /** Time since the machine booted, suspends included where the system tells (Linux: /proc/uptime, steps of 10 ms), in ms. */
  uptimeMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when that aborts first. */
  sleep(ms: number, options?: SleepOptions): Promise<void>;
  /** Calls `fn` once after `ms`; the answer cancels. Never keeps the process alive. */
  after(ms: number, fn: () => void): () => void;
}

// Node turns a longer delay into 1 ms (with a warning).
const TIMER_MAX_MS = 2_147_483_647;

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  uptimeMs: () => uptime() * 1000,
  sleep(ms, options = {}) {
    const { signal, unref = false } = options;
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal!.reason);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        Math.min(Math.max(ms, 0), TIMER_MAX_MS),
      );
      if (unref) timer.unref();
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), TIMER_MAX_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Like `monotonicMs`, but the same in all processes of this host: CLOCK_MONOTONIC, mach_absolute_time. For a time that one tells another. */
export function hostMonotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Resolves in the next turn of the event loop: after everything that is already due, without any delay of its own. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

// What JavaScript itself reads is more than is safe: "soon 2099" and a time without a zone are dates to it.
const INSTANTS = [
  // RFC 3339; the fraction is optional.
  /^\d{4}-\d\d-(\d\d)T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/,
  // RFC 9110 5.6.7: as it should be, and the two old forms. UTC and +0000 are seen for GMT.
  /^(?:[A-Z][a-z]{2}, )?(\d\d?) [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|UTC|\+0000)$/,
  /^[A-Z][a-z]{5,8}, (\d\d)-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} ([ \d]\d) \d\d:\d\d:\d\d \d{4}$/,
];

/** HTTP and ISO dates to epoch ms; undefined when it is no date. RFC 9110 5.6.7, S3 `LastModified` (fraction optional). */
export function parseInstantMs(text: string | null | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  const shape = INSTANTS.findIndex((one) => one.test(trimmed));
  if (shape < 0) return undefined;
  const ms = Date.parse(shape === 3 ? `${trimmed} GMT` : trimmed);
  if (Number.isNaN(ms)) return undefined;
  const day = Number(INSTANTS[shape]!.exec(trimmed)![1]);
  if (day <= 28) return ms;
  // The 31st of February would be a day of March. Within a day of it: the zone may move it over midnight.
  const isOfMonth = [-1, 0, 1].some((days) => new Date(ms + days * 86_400_000).getUTCDate() === day);
  return isOfMonth ? ms : undefined;
}

/** Epoch ms as HTTP writes a date (RFC 9110 5.6.7), the fraction cut off. */
export function formatHttpDate(epochMs: number): string {
  return new Date(epochMs).toUTCString();
}

/** Epoch ms as ISO 8601 in UTC with ms. */
export function formatInstant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** A point in time as callers give it: a `Date`, or milliseconds since the Unix epoch. */
export type Instant = Date | number;

/** An `Instant` as epoch ms, cut to whole ones; undefined when it is none. */
export function epochMs(value: unknown): number | undefined {
  const ms = value instanceof Date ? value.getTime() : value;
  return typeof ms === "number" && Number.isFinite(ms) ? Math.floor(ms) : undefined;
}

/** For libraries that take nothing else. */
export function dateAt(ms: number): Date {
  return new Date(ms);
}
