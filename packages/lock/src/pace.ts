/**
 * How often who waits looks: rarely while many stand before it, often for a while once it is next, ever less often the longer nothing
 * happens. Pure: `now` is the waiter's own monotonic clock, handed in. Decides nothing about who holds: a wrong guess costs time or requests.
 */

export interface Pace {
  /** When waiting began, and how many had to go then before we would be next. */
  readonly sinceMs: number;
  readonly aheadThen: number;
  /** How many have to go now, as far as it was seen. 0: we are next. */
  readonly ahead: number;
  /** When that was seen first. */
  readonly movedMs: number;
}

export interface PaceLimits {
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
}

// Who is next begins with a quarter of the first pause: about ten looks before the tenth of the time is more than that.
const NEXT_SHARE = 1 / 4;

/** After a look that showed how many stand between us and those who hold. */
export function paced(before: Pace | undefined, ahead: number, nowMs: number): Pace {
  if (before === undefined) return { sinceMs: nowMs, aheadThen: ahead, ahead, movedMs: nowMs };
  if (ahead === before.ahead) return before;
  if (ahead < before.ahead) return { ...before, ahead, movedMs: nowMs };
  // Back in line with a new ticket: the turns seen so far count for nothing, the time does.
  return { sinceMs: before.sinceMs, aheadThen: ahead, ahead, movedMs: before.sinceMs };
}

/**
 * The pause until the next look, in ms. A wait is prolonged by a tenth at most: of the time waited, or of the time since the line moved last.
 * Where it was seen how long a turn takes, half of what is left until we should be next, a fifth at most. So the looks of a crowd grow with
 * the logarithm of its size, and those of one waiter with that of the time. `isDear`: the look is no cheap one, and nobody hurries.
 */
export function pauseMs(pace: Pace, nowMs: number, { pollMinMs, pollMaxMs }: PaceLimits, isDear = false): number {
  const { sinceMs, aheadThen, ahead, movedMs } = pace;
  const within = (ms: number, leastMs: number) => Math.min(Math.max(ms, leastMs), pollMaxMs);
  const stillMs = nowMs - movedMs;
  if (ahead === 0) return within(stillMs / 10, isDear ? pollMinMs : pollMinMs * NEXT_SHARE);
  const waitedMs = nowMs - sinceMs;
  const turns = aheadThen - ahead;
  if (turns <= 0) return within(waitedMs / 10, pollMinMs);
  const leftMs = ((movedMs - sinceMs) / turns) * ahead - stillMs;
  return within(Math.min(Math.max(leftMs / 2, stillMs / 10), waitedMs / 5), pollMinMs);
}

/** The same for whom we must see alive: no longer than this without a look at it, whatever else is looked at meanwhile. */
export const watchMs = ({ sinceMs }: Pace, nowMs: number, { pollMinMs }: PaceLimits): number =>
  Math.max((nowMs - sinceMs) / 5, 3 * pollMinMs);
