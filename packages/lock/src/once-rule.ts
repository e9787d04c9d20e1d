/**
 * Whether a slot of a job is to be run, from what stands in the store; and the names and texts of what stands there. Pure.
 * Each claimed slot is an object of its own, named by the slot: the highest name is the mark, and no write, however late,
 * can lower it. Slots are compared with slots only; no host's clock takes part.
 */
import { BucketlockError, epochMs, formatInstant, InvalidError, parseInstantMs } from "@bucketlock/core";

export type Guarantee = "atMostOnce" | "atLeastOnce";
export type Overlap = "skip" | "queue";

/** One run of a slot. */
export interface Run {
  readonly ticketId: string;
  readonly token: string;
  /** Who ran it: the label of its locks. */
  readonly label: string;
  /** By the clock of the host that ran it: a claim. */
  readonly startedMs: number;
  readonly endedMs?: number | undefined;
  /** `running` until its end is written: that may be never. */
  readonly outcome: "running" | "ok" | "failed";
  readonly error?: string | undefined;
}

/** What a slot's object says. */
export interface SlotRecord {
  readonly slotMs: number;
  readonly guarantee: Guarantee;
  /** Runs so far, those left out of `runs` too. */
  readonly attempts: number;
  /** The last ones, newest last; never empty. */
  readonly runs: readonly Run[];
}

/** Rules that a test takes away to see that they are needed. */
export interface OnceRules {
  /** The claim is written before the run; else after it. */
  readonly claimFirst: boolean;
  /** The mark is the slot's own time; else what the claiming host's clock says. */
  readonly markBySlot: boolean;
  /** The claim is fenced, and the lease looked at after it. */
  readonly fenceClaim: boolean;
  /** The claim stays when the job fails. */
  readonly keepOnFailure: boolean;
}

export const ALL_ONCE_RULES: OnceRules = { claimFirst: true, markBySlot: true, fenceClaim: true, keepOnFailure: true };

// A day of the year 9999: what a name can hold.
const SLOT_MAX_MS = 253_402_300_799_999;
const SLOT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
/** Runs of one slot that are told apart; more are only counted. */
const RUNS_MAX = 5;
const ERROR_MAX = 500;

/** The lock that runners of a job hold. */
export const onceLock = (name: string): string => `${name}.once`;
export const slotPrefix = (name: string): string => `${onceLock(name)}.slot.`;
export const slotKey = (name: string, slotMs: number): string => `${slotPrefix(name)}${formatInstant(slotMs)}`;

/** The slot as epoch ms. Throws InvalidError. */
export function checkSlot(slot: unknown): number {
  const ms = epochMs(slot);
  if (ms === undefined || ms < 0 || ms > SLOT_MAX_MS)
    throw new InvalidError("slot", "must be a Date or epoch ms, from 1970 to 9999", slot);
  return ms;
}

/** The slots in a listing, oldest first. Other names are not ours to judge. */
export function slotsIn(name: string, objectKeys: readonly string[]): number[] {
  const prefix = slotPrefix(name);
  return objectKeys
    .map((key) => key.slice(prefix.length))
    .filter((rest) => SLOT.test(rest))
    .map((rest) => parseInstantMs(rest) ?? 0)
    .sort((a, b) => a - b);
}

export interface Asked {
  readonly slotMs: number;
  readonly guarantee: Guarantee;
  readonly overlap: Overlap;
  /** We hold the job's lock: whoever ran before us is done, or dead. */
  readonly holding: boolean;
}

export interface Seen {
  /** The highest slot that was ever claimed; undefined: none. */
  readonly markMs: number | undefined;
  /** Of the slot asked for. */
  readonly record: SlotRecord | undefined;
  /** A run of an earlier slot whose runner still stands. */
  readonly earlier: Run | undefined;
}

export type Why =
  /** The slot has run to its end, well or not. */
  | "done"
  /** Another has claimed it; whether it ran to its end is not known (yet), and at most once means that it is not run again. */
  | "claimed"
  /** A later slot was claimed before. */
  | "behind"
  /** An earlier slot still runs (`overlap: "skip"`). */
  | "overlap"
  /** Others held the job's lock until `waitMs` was over. */
  | "busy";

export type OnceDecision =
  | { readonly do: "run"; readonly attempt: number }
  /** Only who holds the lock may run it. */
  | { readonly do: "line" }
  | { readonly do: "leave"; readonly why: Why; readonly by: Run | undefined };

/** What to do about a slot. */
export function decideOnce({ slotMs, guarantee, overlap, holding }: Asked, seen: Seen): OnceDecision {
  const { record, markMs, earlier } = seen;
  if (record !== undefined) {
    const by = record.runs.at(-1);
    if (by?.outcome !== "running") return { do: "leave", why: "done", by };
    // Both must have asked for it: a slot that was claimed to be run once at most stays that.
    const mayRepeat = guarantee === "atLeastOnce" && record.guarantee === "atLeastOnce";
    if (!mayRepeat) return { do: "leave", why: "claimed", by };
    return holding ? { do: "run", attempt: record.attempts + 1 } : { do: "line" };
  }
  if (markMs !== undefined && markMs > slotMs) return { do: "leave", why: "behind", by: undefined };
  if (holding) return { do: "run", attempt: 1 };
  if (overlap === "skip" && earlier !== undefined) return { do: "leave", why: "overlap", by: earlier };
  return { do: "line" };
}

/** The record with a run that begins. */
export function begun(before: SlotRecord | undefined, slotMs: number, guarantee: Guarantee, run: Run): SlotRecord {
  const runs = [...(before?.runs ?? []), run].slice(-RUNS_MAX);
  return { slotMs, guarantee: before?.guarantee ?? guarantee, attempts: (before?.attempts ?? 0) + 1, runs };
}

/** The record with its last run ended. `error`: what was thrown; undefined: it ended well. */
export function ended(
  record: SlotRecord,
  endedMs: number,
  failure: { readonly error: unknown } | undefined,
): SlotRecord {
  const last = record.runs.at(-1)!;
  const end: Run =
    failure === undefined
      ? { ...last, endedMs, outcome: "ok" }
      : { ...last, endedMs, outcome: "failed", error: describe(failure.error) };
  return { ...record, runs: [...record.runs.slice(0, -1), end] };
}

/** For people, in one line that says enough; no stack, which would tell paths. */
function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.length > ERROR_MAX ? `${text.slice(0, ERROR_MAX - 3)}...` : text;
}

export function encodeSlot({ slotMs, guarantee, attempts, runs }: SlotRecord): string {
  return `${JSON.stringify({ format: 1, slot: formatInstant(slotMs), guarantee, attempts, runs })}\n`;
}

/** Throws SLOT_CORRUPT: a person must look. */
export function decodeSlot(objectKey: string, text: string): SlotRecord {
  try {
    const { format, slot, guarantee, attempts, runs } = JSON.parse(text) as Record<string, unknown>;
    const slotMs = typeof slot === "string" ? parseInstantMs(slot) : undefined;
    const isSound = format === 1 && (guarantee === "atMostOnce" || guarantee === "atLeastOnce");
    if (isSound && slotMs !== undefined && Number.isSafeInteger(attempts) && isRuns(runs))
      return { slotMs, guarantee, attempts: attempts as number, runs };
  } catch {
    // No JSON: said below.
  }
  throw new BucketlockError(`the object is not what a run of a job leaves: ${objectKey}`, {
    code: "SLOT_CORRUPT",
    kind: "corrupt",
    details: { object: objectKey },
  });
}

function isRuns(value: unknown): value is readonly Run[] {
  return Array.isArray(value) && value.length > 0 && value.every(isRun);
}

function isRun(value: unknown): value is Run {
  if (typeof value !== "object" || value === null) return false;
  const { ticketId, token, label, startedMs, endedMs, outcome, error } = value as Record<string, unknown>;
  return (
    typeof ticketId === "string" &&
    typeof token === "string" &&
    /^\d{1,19}$/.test(token) &&
    typeof label === "string" &&
    typeof startedMs === "number" &&
    (endedMs === undefined || typeof endedMs === "number") &&
    (outcome === "running" || outcome === "ok" || outcome === "failed") &&
    (error === undefined || typeof error === "string")
  );
}

/** Slots to forget: the oldest, so that `keep` stay. The highest always stays: it is the mark. */
export function tooOld(slots: readonly number[], keep: number): number[] {
  const sorted = [...new Set(slots)].sort((a, b) => a - b);
  return sorted.slice(0, Math.max(0, sorted.length - Math.max(keep, 1)));
}

/** Of the slots that came due, oldest first: the newest, and at most `catchUp` before it. */
export function dueNow(due: readonly number[], catchUp: number): { readonly run: number[]; readonly missed: number[] } {
  const from = Math.max(0, due.length - 1 - catchUp);
  return { run: due.slice(from), missed: due.slice(0, from) };
}
