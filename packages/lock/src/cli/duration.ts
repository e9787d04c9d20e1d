/**
 * Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `1d`. Strict: a number without a unit could be seconds or
 * milliseconds, and a lock that is held a thousand times too long is no typing mistake to guess at. Pure.
 */
import { InvalidError } from "@bucketlock/core";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
// What a timer can hold: 24.8 days.
const MAX_MS = 2_147_483_647;

export interface DurationLimits {
  readonly min?: number;
  readonly max?: number;
}

/** Milliseconds. Throws InvalidError naming `option`, the rule and what came. */
export function parseDuration(option: string, value: unknown, limits: DurationLimits = {}): number {
  const match = typeof value === "string" ? /^(\d{1,10}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(value) : null;
  if (match === null)
    throw new InvalidError(option, "must be a number with a unit (ms, s, m, h, d), such as 500ms, 30s or 5m", value);
  const ms = Number(match[1]) * UNIT_MS[match[2]!]!;
  const { min = 0, max = MAX_MS } = limits;
  if (ms < min || ms > max)
    throw new InvalidError(
      option,
      min === 0 ? `must be at most ${shown(max)}` : `must be from ${shown(min)} to ${shown(max)}`,
      value,
    );
  return ms;
}

// A whole number of days: nobody thinks of the rest.
const shown = (ms: number): string => (ms === MAX_MS ? "24d" : spellDuration(ms));

/** As it would be typed, nothing lost: `90s`, `5m`, `1500ms`. */
export function spellDuration(ms: number): string {
  const [unit, size] = Object.entries(UNIT_MS)
    .reverse()
    .find(([, one]) => ms % one === 0 && ms >= one) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

/** For people: two units at most, `950ms`, `42s`, `3m 05s`, `2h 10m`, `4d 3h`. */
export function showDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)}ms` : showSeconds(ms);
}

/** The same in whole seconds, for what is shown again and again: `0s`, `42s`. */
export function showSeconds(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (big: number, bigUnit: string, small: number, unit: string) =>
    `${big}${bigUnit} ${String(small).padStart(2, "0")}${unit}`;
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return two(Math.floor(seconds / 60), "m", seconds % 60, "s");
  if (seconds < 86_400) return two(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "m");
  return two(Math.floor(seconds / 86_400), "d", Math.floor((seconds % 86_400) / 3600), "h");
}
