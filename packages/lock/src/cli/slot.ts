/**
 * Which slot `bucketlock once` is for: a time as it was typed, or the last one that a cron pattern was due. Pure: `now` is handed in.
 */
import { BucketlockError, InvalidError } from "@bucketlock/core";
import { parseInstantMs } from "@bucketlock/core/http";
import { cronSchedule, type Schedule } from "../schedule.js";

export interface SlotWords {
  readonly slot?: unknown;
  readonly every?: unknown;
  readonly timezone?: unknown;
}

/** Epoch ms. Throws InvalidError. */
export function slotOf({ slot, every, timezone }: SlotWords, nowMs: number): number {
  if ((slot === undefined) === (every === undefined)) {
    const message = `--slot or --every must be given${slot === undefined ? "" : ", not both"}`;
    throw new BucketlockError(message, { code: "USAGE", kind: "invalid" });
  }
  if (slot !== undefined) {
    if (timezone !== undefined)
      throw new InvalidError("--timezone", "goes with --every; a --slot says its own", timezone);
    return instantOf(slot);
  }
  const last = scheduleOf(every as string, timezone as string | undefined).last(nowMs);
  if (last === undefined) throw new InvalidError("--every", "must be a pattern that was due before", every);
  return last;
}

function scheduleOf(every: string, timezone: string | undefined): Schedule {
  try {
    return cronSchedule(every, { timezone });
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    const { option, rule } = error.details as { option: string; rule: string };
    throw option === "timezone"
      ? new InvalidError("--timezone", rule, timezone, { cause: error })
      : new InvalidError("--every", rule, every, { cause: error });
  }
}

const TIME = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

/** Without a zone a time would be another on each host; a date alone is its midnight in UTC. */
function instantOf(value: unknown): number {
  const match = typeof value === "string" ? TIME.exec(value) : null;
  const [, date = "", time = "00:00", seconds = ":00", zone = "Z"] = match ?? [];
  const ms = match === null ? undefined : parseInstantMs(`${date}T${time}${seconds}${zone}`);
  if (ms === undefined)
    throw new InvalidError("--slot", "must be a date, or a time with its zone, such as 2026-11-21T03:00:00Z", value);
  return ms;
}
