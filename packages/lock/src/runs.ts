/**
 * The runs of a job that stand in the store: which slots were claimed, by whom, and how they ended. Only reads; decides nothing about
 * what is to be run.
 */
import { integer, knownOptions } from "@bucketlock/core";
import { Lock, type LockContext } from "./lock.js";
import { claimKey, decodeRun, endKey, onceLock, type Run, type Slot, slotPrefix, slotsIn } from "./once-rule.js";
import { callOf, listAll, readText, type Side } from "./side-objects.js";
import { isStanding } from "./standing.js";

export interface HistoryOptions {
  /** How many slots, the newest first. 1 to 1000, default 30. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One run of a job, as it was recorded. */
export interface RunInfo {
  readonly slotMs: number;
  readonly attempt: number;
  readonly label: string;
  /**
   * `ok`, `failed` (it threw `error`), `running`, or `died`: its end was never written, and its lease is over. It may have done part
   * of its work, or all of it.
   */
  readonly outcome: "ok" | "failed" | "running" | "died";
  /** By the clock of the host that ran it: a claim, not to be compared with other hosts'. */
  readonly startedMs: number;
  readonly endedMs: number | undefined;
  readonly error: string | undefined;
  readonly token: bigint;
}

const LIMIT = 30;
const LIMIT_MAX = 1000;
/** Requests at a time when the history is read. */
const AT_A_TIME = 8;

/** The last runs of a job, newest slot first: one LIST, one GET a run, one request more for a run without an end. Throws store errors. */
export async function history(context: LockContext, name: string, options: HistoryOptions = {}): Promise<RunInfo[]> {
  knownOptions(options, ["limit", "signal"]);
  const limit = integer("limit", options.limit ?? LIMIT, { min: 1, max: LIMIT_MAX });
  const lock = new Lock(onceLock(name), context);
  const { gate, settings } = context;
  const { signal, done } = context.begin(options.signal);
  try {
    const side = { store: gate.ready ?? (await gate.open(signal)), settings, signal };
    const slots = (await slotsOf(side, name)).slice(-limit).reverse();
    const runs = slots.flatMap((slot) => [...slot.attempts].reverse().map((attempt) => ({ slot, attempt })));
    const infos: RunInfo[] = [];
    for (let at = 0; at < runs.length; at += AT_A_TIME) {
      const some = runs.slice(at, at + AT_A_TIME);
      const read = await Promise.all(
        some.map(({ slot, attempt }) => infoOf(context, side, lock.key, name, slot, attempt)),
      );
      infos.push(...read.filter((info) => info !== undefined));
    }
    return infos;
  } finally {
    done();
  }
}

async function infoOf(
  context: LockContext,
  side: Side,
  key: string,
  name: string,
  slot: Slot,
  attempt: number,
): Promise<RunInfo | undefined> {
  const run = await runOf(side, name, slot, attempt);
  // Forgotten between the listing and the reading.
  if (run === undefined) return undefined;
  const { end, label, startedMs } = run;
  const isLast = attempt === slot.attempts.at(-1);
  const runs = end === undefined && isLast && (await isStanding(context, side.store, key, run.ticketId, callOf(side)));
  return {
    slotMs: slot.slotMs,
    attempt,
    label,
    outcome: end?.outcome ?? (runs ? "running" : "died"),
    startedMs,
    endedMs: end?.endedMs,
    error: end?.error,
    token: BigInt(run.token),
  };
}

/** Slots that stand in the store, oldest first. */
export async function slotsOf(side: Side, name: string, prefix = slotPrefix(name)): Promise<Slot[]> {
  const { objects } = await listAll(side, prefix);
  return slotsIn(
    name,
    objects.map(({ key }) => key),
  );
}

/** One run: as it ended, where that is known, else as it was claimed. */
export async function runOf(side: Side, name: string, slot: Slot, attempt: number): Promise<Run | undefined> {
  const keyOf = slot.ended.includes(attempt) ? endKey : claimKey;
  const key = keyOf(name, slot.slotMs, attempt);
  const text = await readText(side, key);
  return text === undefined ? undefined : decodeRun(key, text);
}
