/**
 * What a series of timestamps tells: their step and their order. Pure arithmetic on what was seen; more samples can only
 * show a finer step or a larger disorder, never prove the opposite.
 */
import type { StampSeen } from "./probe-observations.js";

const STEPS_MS = [1, 10, 100, 1_000, 2_000, 5_000, 10_000, 60_000] as const;
/** Beyond it a step is believed only from several different values: one alone may be round by chance. */
const USUAL_STEP_MS = 1_000;
/** Below this many values nothing is said. */
const SAMPLES_MIN = 8;

type Which = "listMs" | "headMs";

/**
 * The largest usual step that all values are multiples of, or a longer one where objects written further apart share a
 * timestamp. Undefined: too few values.
 */
export function stepOf(stamps: readonly StampSeen[], which: Which): number | undefined {
  const values = stamps.flatMap((stamp) => stamp[which] ?? []);
  if (values.length < SAMPLES_MIN) return undefined;
  const distinct = new Set(values).size;
  const divides = STEPS_MS.filter(
    (step) => (step <= USUAL_STEP_MS || distinct >= 3) && values.every((value) => value % step === 0),
  );
  return Math.max(divides.at(-1) ?? 1, longestTieMs(stamps, which));
}

/** Two writes that certainly were so far apart in time and have one timestamp: the step is at least the next usual one. */
function longestTieMs(stamps: readonly StampSeen[], which: Which): number {
  const first = new Map<number, StampSeen>();
  let longestMs = 0;
  for (const stamp of stamps) {
    const value = stamp[which];
    if (value === undefined) continue;
    const before = first.get(value);
    if (before === undefined) first.set(value, stamp);
    else longestMs = Math.max(longestMs, stamp.sentMs - before.answeredMs);
  }
  return longestMs < 1 ? 0 : (STEPS_MS.find((step) => step >= longestMs) ?? Math.ceil(longestMs));
}

/** How far at most an object is dated before one whose write had ended when its own began, in ms. */
export function backwardMs(stamps: readonly StampSeen[]): number {
  let newestMs = Number.NEGATIVE_INFINITY;
  let worstMs = 0;
  // One after the other: each write began after all before it had ended.
  for (const { listMs } of stamps) {
    if (listMs === undefined) continue;
    worstMs = Math.max(worstMs, newestMs - listMs);
    newestMs = Math.max(newestMs, listMs);
  }
  return worstMs;
}
