/**
 * The slots of a schedule: when a cron pattern or an interval is due, in a time zone. Pure: no timer, no clock; the
 * arithmetic of patterns, zones and daylight saving is croner's. Every host that asks gets the same slots.
 */
import { dateAt, InvalidError, integer } from "@bucketlock/core";
import { Cron } from "croner";

export interface Schedule {
  /** The first slot after that instant, epoch ms; undefined: there is none any more. */
  next(afterMs: number): number | undefined;
  /** The last slot at or before that instant, epoch ms; undefined: there was none. */
  last(atMs: number): number | undefined;
}

// Croner's own step.
const SECOND_MS = 1000;
/** Slots that are looked at when many came due: far more than anybody catches up. */
export const DUE_MAX = 10_000;

/**
 * A cron pattern of five fields, or six with seconds first. `timezone`: IANA name; default UTC, because hosts may be set up
 * differently. A time that daylight saving skips is due when the clocks have gone forward; one that comes twice is due the first time
 * (patterns of single values), as in Vixie's cron. Throws InvalidError.
 */
export function cronSchedule(pattern: string, options: { readonly timezone?: string | undefined } = {}): Schedule {
  if (typeof pattern !== "string") throw new InvalidError("pattern", "must be a cron pattern", pattern);
  // It would stand for the time at which each host was started.
  if (pattern.includes("?"))
    throw new InvalidError("pattern", "must not contain '?', which no two hosts read alike", pattern);
  const cron = parse(pattern, options.timezone ?? "UTC");
  return {
    next: (afterMs) => cron.nextRun(dateAt(afterMs))?.getTime(),
    last(atMs) {
      // Croner answers what is strictly before, in whole seconds.
      for (const run of cron.previousRuns(2, dateAt(atMs + SECOND_MS))) if (run.getTime() <= atMs) return run.getTime();
      return undefined;
    },
  };
}

function parse(pattern: string, timezone: string): Cron {
  try {
    const cron = new Cron(pattern, { timezone, paused: true, mode: "5-or-6-parts" });
    // A zone that is none shows only now.
    cron.nextRun(dateAt(0));
    return cron;
  } catch (error) {
    const isZone = error instanceof Error && /zone/i.test(error.message);
    throw new InvalidError(
      isZone ? "timezone" : "pattern",
      isZone ? "must be an IANA time zone, such as Europe/Berlin" : "must be a cron pattern of five or six fields",
      isZone ? timezone : pattern,
      { cause: error },
    );
  }
}

/** Every so often since 1970: slot = floor(now / everyMs) * everyMs. `everyMs`: 1 to 86 400 000 000. Throws InvalidError. */
export function everySchedule(everyMs: number): Schedule {
  integer("everyMs", everyMs, { min: 1, max: 86_400_000_000 });
  const last = (atMs: number) => Math.floor(atMs / everyMs) * everyMs;
  return { next: (afterMs) => last(afterMs) + everyMs, last };
}

/** Slots after the one instant up to the other, oldest first; the newest `DUE_MAX` where there are more. */
export function slotsBetween(schedule: Schedule, afterMs: number, untilMs: number): number[] {
  const slots: number[] = [];
  for (let at = schedule.last(untilMs); at !== undefined && at > afterMs; at = schedule.last(at - 1)) {
    slots.push(at);
    if (slots.length >= DUE_MAX) break;
  }
  return slots.reverse();
}
