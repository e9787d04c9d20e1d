/**
 * Whether a slot of a job is to be run, from what stands in the store; and the names and texts of what stands there. Pure.
 * A claim is an object of its own, named by its slot and attempt, and so is the end of its run. No object is ever rewritten: the
 * highest name is the mark, and no write, however late, can lower it, nor open again what has ended. Slots are compared with slots
 * only; no host's clock takes part.
 */
import { BucketlockError, epochMs, formatInstant, InvalidError, parseInstantMs } from "@bucketlock/core";

export type Guarantee = "atMostOnce" | "atLeastOnce";
export type Overlap = "skip" | "queue";

/** One run of a slot: its claim, and once that is written, its end. */
export interface Run {
  readonly slotMs: number;
  /** 1, or more when earlier runners died. */
  readonly attempt: number;
  readonly guarantee: Guarantee;
  readonly ticketId: string;
  readonly token: string;
  /** Who ran it: the label of its locks. */
  readonly label: string;
  /** By the clock of the host that ran it: a claim. */
  readonly startedMs: number;
  /** Undefined: not ended, as far as is known. */
  readonly end?: RunEnd | undefined;
}

export interface RunEnd {
  readonly endedMs: number;
  readonly outcome: "ok" | "failed";
  readonly error?: string | undefined;
}

/** What a listing tells of a slot. */
export interface Slot {
  readonly slotMs: number;
  /** Claims that are there, lowest first. */
  readonly attempts: readonly number[];
  /** Those of them whose end is written. */
  readonly ended: readonly number[];
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
const ENTRY = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)\.([1-9]\d{0,8})(\.end)?$/;
const ERROR_MAX = 500;

/** The lock that runners of a job hold. */
export const onceLock = (name: string): string => `${name}.once`;
export const slotPrefix = (name: string): string => `${onceLock(name)}.slot.`;
/** What all objects of a slot begin with, and no other's. */
export const slotKey = (name: string, slotMs: number): string => `${slotPrefix(name)}${formatInstant(slotMs)}.`;
export const claimKey = (name: string, slotMs: number, attempt: number): string => `${slotKey(name, slotMs)}${attempt}`;
export const endKey = (name: string, slotMs: number, attempt: number): string =>
  `${claimKey(name, slotMs, attempt)}.end`;

/** The slot as epoch ms. Throws InvalidError. */
export function checkSlot(slot: unknown): number {
  const ms = epochMs(slot);
  if (ms === undefined || ms < 0 || ms > SLOT_MAX_MS)
    throw new InvalidError("slot", "must be a Date or epoch ms, from 1970 to 9999", slot);
  return ms;
}

/** The slots in a listing, oldest first. Other names are not ours to judge. */
export function slotsIn(name: string, objectKeys: readonly string[]): Slot[] {
  const slots = new Map<number, { attempts: number[]; ended: number[] }>();
  for (const key of objectKeys) {
    const match = ENTRY.exec(key.slice(slotPrefix(name).length));
    const slotMs = parseInstantMs(match?.[1]);
    if (match === null || slotMs === undefined) continue;
    const slot = slots.get(slotMs) ?? { attempts: [], ended: [] };
    slots.set(slotMs, slot);
    const attempt = Number(match[2]);
    // An end whose claim does not show is an end all the same.
    if (!slot.attempts.includes(attempt)) slot.attempts.push(attempt);
    if (match[3] !== undefined) slot.ended.push(attempt);
  }
  const rising = (a: number, b: number) => a - b;
  return [...slots]
    .map(([slotMs, { attempts, ended }]) => ({ slotMs, attempts: attempts.sort(rising), ended: ended.sort(rising) }))
    .sort((a, b) => a.slotMs - b.slotMs);
}

export interface Asked {
  readonly slotMs: number;
  readonly guarantee: Guarantee;
  readonly overlap: Overlap;
  /** We hold the job's lock: whoever ran before us is done, or dead. */
  readonly holding: boolean;
  /** Asked for in the belief that no slot was ever claimed: else there may be slots in between that are owed. */
  readonly first?: boolean | undefined;
}

export interface Seen {
  /** The highest slot that was ever claimed; undefined: none. */
  readonly markMs: number | undefined;
  /** The slot asked for, if it was claimed. */
  readonly slot: Slot | undefined;
  /** Its run that ended, or else the last one; undefined also when it could not be read. */
  readonly run: Run | undefined;
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
  | { readonly do: "leave"; readonly why: Why | "outdated"; readonly by: Run | undefined };

/** What to do about a slot. */
export function decideOnce({ slotMs, guarantee, overlap, holding, first }: Asked, seen: Seen): OnceDecision {
  const { slot, run, markMs, earlier } = seen;
  if (slot !== undefined) {
    if (slot.ended.length > 0) return { do: "leave", why: "done", by: run };
    // Both must have asked for it: a slot that was claimed to be run once at most stays that.
    const mayRepeat = guarantee === "atLeastOnce" && run?.guarantee === "atLeastOnce";
    if (!mayRepeat) return { do: "leave", why: "claimed", by: run };
    return holding ? { do: "run", attempt: slot.attempts.at(-1)! + 1 } : { do: "line" };
  }
  if (markMs !== undefined && markMs > slotMs) return { do: "leave", why: "behind", by: undefined };
  // A slot before ours was claimed since.
  if (first && markMs !== undefined) return { do: "leave", why: "outdated", by: undefined };
  if (holding) return { do: "run", attempt: 1 };
  if (overlap === "skip" && earlier !== undefined) return { do: "leave", why: "overlap", by: earlier };
  return { do: "line" };
}

/** The run with its end. `failure`: what was thrown; undefined: it ended well. */
export function ended(run: Run, endedMs: number, failure: { readonly error: unknown } | undefined): Run {
  if (failure === undefined) return { ...run, end: { endedMs, outcome: "ok" } };
  return { ...run, end: { endedMs, outcome: "failed", error: describe(failure.error) } };
}

/** For people, in one line that says enough; no stack, which would tell paths. */
function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.length > ERROR_MAX ? `${text.slice(0, ERROR_MAX - 3)}...` : text;
}

/** The text of a claim, or of an end where there is one. */
export function encodeRun({ slotMs, ...run }: Run): string {
  return `${JSON.stringify({ format: 1, slot: formatInstant(slotMs), ...run })}\n`;
}

/** Throws SLOT_CORRUPT: a person must look. */
export function decodeRun(objectKey: string, text: string): Run {
  try {
    const { format, slot, ...rest } = JSON.parse(text) as Record<string, unknown>;
    const run = { ...rest, slotMs: typeof slot === "string" ? parseInstantMs(slot) : undefined };
    if (format === 1 && isRun(run)) return run;
  } catch {
    // No JSON: said below.
  }
  throw new BucketlockError(`the object is not what a run of a job leaves: ${objectKey}`, {
    code: "SLOT_CORRUPT",
    kind: "corrupt",
    details: { object: objectKey },
  });
}

function isRun(value: object): value is Run {
  const { slotMs, attempt, guarantee, ticketId, token, label, startedMs, end } = value as Record<string, unknown>;
  return (
    typeof slotMs === "number" &&
    Number.isSafeInteger(attempt) &&
    (guarantee === "atMostOnce" || guarantee === "atLeastOnce") &&
    typeof ticketId === "string" &&
    typeof token === "string" &&
    /^\d{1,19}$/.test(token) &&
    typeof label === "string" &&
    typeof startedMs === "number" &&
    (end === undefined || isEnd(end))
  );
}

function isEnd(value: unknown): value is RunEnd {
  if (typeof value !== "object" || value === null) return false;
  const { endedMs, outcome, error } = value as Record<string, unknown>;
  const isOutcome = outcome === "ok" || outcome === "failed";
  return typeof endedMs === "number" && isOutcome && (error === undefined || typeof error === "string");
}

/** Slots to forget: the oldest, so that `keep` stay. The highest always stays: it is the mark. */
export function tooOld(slots: readonly Slot[], keep: number): readonly Slot[] {
  return slots.slice(0, Math.max(0, slots.length - Math.max(keep, 1)));
}

/** Of the slots that came due, oldest first: the newest, and at most `catchUp` before it. */
export function dueNow(due: readonly number[], catchUp: number): { readonly run: number[]; readonly missed: number[] } {
  const from = Math.max(0, due.length - 1 - catchUp);
  return { run: due.slice(from), missed: due.slice(0, from) };
}
