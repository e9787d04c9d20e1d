/**
 * Checks of what callers hand in. Each answers the value or throws InvalidError naming the option, the rule and what came.
 * Never changes the caller's object, never fills in a default by truthiness.
 */
import { InvalidError } from "./errors.js";

// A day of 400 years would be a mistake too, but this one a timer can hold.
const DURATION_MAX_MS = 2_147_483_647;

export function durationMs(option: string, value: unknown, range: { min?: number; max?: number } = {}): number {
  const min = range.min ?? 0;
  const max = range.max ?? DURATION_MAX_MS;
  if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max) {
    throw new InvalidError(option, `must be a number of milliseconds from ${min} to ${max}`, value);
  }
  return value;
}

export function integer(option: string, value: unknown, range: { min: number; max: number }): number {
  if (!Number.isInteger(value) || (value as number) < range.min || (value as number) > range.max) {
    throw new InvalidError(option, `must be a whole number from ${range.min} to ${range.max}`, value);
  }
  return value as number;
}

/** A misspelt option would silently mean its default. */
export function knownOptions(options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw new InvalidError("options", "must be an object", options);
  for (const name of Object.keys(options))
    if (!known.includes(name)) throw new InvalidError(name, `is no option; known: ${known.join(", ")}`, name);
}

export function text(option: string, value: unknown): string {
  if (typeof value !== "string" || value === "")
    throw new InvalidError(option, "must be a string that is not empty", value);
  return value;
}

export function oneOf<const T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) throw new InvalidError(option, `must be one of ${allowed.join(", ")}`, value);
  return value as T;
}

export function flag(option: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new InvalidError(option, "must be true or false", value);
  return value;
}

export function callback(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw new InvalidError(option, "must be a function", value);
}

export function object(option: string, value: unknown): object {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new InvalidError(option, "must be an object", value);
  return value;
}

/**
 * Names and values of an object; none where there is none. A Map, or the Headers of fetch, would pass for an empty one, and a
 * string for its characters. What came is not shown: it may be a secret.
 */
export function namesAndValues<T>(option: string, value: Readonly<Record<string, T>> | undefined): [string, T][] {
  if (value === undefined) return [];
  if (typeof value !== "object" || value === null || Symbol.iterator in value)
    throw new InvalidError(
      option,
      "must be an object such as { name: value } (of a Map or Headers: Object.fromEntries)",
      typeof value === "object" ? value : typeof value,
    );
  return Object.entries(value);
}

const KEY_MAX_BYTES = 1024;
const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/;

/** A key that every store takes: 1 to 1024 bytes of well-formed UTF-8, no `.` or `..` segment (URL parsers eat those before signing). */
export function objectKey(option: string, value: unknown): string {
  const key = text(option, value);
  // A unit of the text is three bytes at most.
  if (key.length * 3 > KEY_MAX_BYTES && Buffer.byteLength(key) > KEY_MAX_BYTES)
    throw new InvalidError(option, `must be at most ${KEY_MAX_BYTES} bytes of UTF-8`, key);
  if (!key.isWellFormed())
    throw new InvalidError(option, "must be well-formed Unicode (a lone surrogate has no UTF-8)", key);
  if (DOT_SEGMENT.test(key)) {
    throw new InvalidError(option, "must have no '.' or '..' between slashes (URL parsers remove them)", key);
  }
  return key;
}
