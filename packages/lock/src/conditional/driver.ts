/**
 * One acquire by the conditional protocol: runs the machine and makes a held ticket of its verdict.
 * Decides nothing about who holds.
 */
import type { EventFacts } from "../events.js";
import type { Remains } from "../held-ticket.js";
import { Keeper } from "../keeper.js";
import { permitsMismatch } from "../permits.js";
import type { Settings } from "../settings.js";
import { SteadyClock } from "../steady.js";
import { type Attempt, drawUlid, type Lost, type Won } from "../two-object/driver.js";
import { type Mode, mismatch, ticketId } from "../two-object/ticket.js";
import { ALL_RULES, type Line, type Rules, resume, start } from "./machine.js";
import { partingOf } from "./parting.js";
import { entryOf, recordKey, standing } from "./record.js";
import { drive, type Hands, type RecordMemory } from "./record-hands.js";
import { RecordTicket } from "./record-ticket.js";

export interface RecordAttempt extends Omit<Attempt, "rules"> {
  readonly memory: RecordMemory;
  /** Only for tests that remove a rule. */
  readonly recordRules?: Partial<Rules>;
}

/** The facts of one acquire, as the machine wants them. */
export function recordLine(
  settings: Settings,
  mode: Mode,
  deadlineMs: number,
  rules?: Partial<Rules>,
  permits?: number,
): Line {
  const { label, leaseMs, marginMs, clockSkewMs, pollMinMs, pollMaxMs } = settings;
  return {
    mode,
    permits,
    label,
    leaseMs,
    marginMs,
    clockSkewMs,
    pollMinMs,
    pollMaxMs,
    deadlineMs,
    rules: { ...ALL_RULES, ...rules },
  };
}

/** Runs the line. Answers the won ticket or the verdict; throws store errors, PROTOCOL_MISMATCH, PERMITS_MISMATCH, and the signal's reason unchanged. */
export async function runRecordLine(attempt: RecordAttempt): Promise<Won | Lost> {
  const { store, settings, key, mode, memory } = attempt;
  const { clock, leaseMs } = settings;
  const hands: Hands = { store, settings, key, memory };
  const startedMs = clock.monotonicMs();
  const steady = new SteadyClock(clock, settings.marginMs / 2);
  const line: Line = {
    ...recordLine(settings, mode, startedMs, attempt.recordRules, attempt.permits),
    get deadlineMs() {
      return attempt.deadlineMs();
    },
  };
  let id = attempt.ticketId ?? "";
  let requests = 0;
  let told = "";
  let cameIn = "";
  const withdrew = (why: string) => {
    if (cameIn === id && id !== "") attempt.emit(id, { type: "withdrew", why });
  };
  const sweep = () => memory.versions.sweep(store, recordKey(key), { timeoutMs: settings.requestTimeoutMs });
  const waiting: Remains = {
    targets: () => [],
    parting: () => partingOf(key, id, false, memory.get(key), () => settings.random.hex(8)),
  };
  attempt.onTicket?.open(waiting);
  const verdict = await drive(hands, {
    line,
    first: attempt.ticketId === undefined ? start(startedMs, memory.get(key)) : resume(attempt.ticketId, startedMs),
    signal: attempt.signal,
    get patienceUntilMs() {
      return attempt.deadlineMs();
    },
    trouble: attempt.trouble,
    steadyMs: () => steady.nowMs(),
    timeoutMs: settings.requestTimeoutMs,
    draw: () => {
      id = ticketId(drawUlid(undefined, clock.wallMs(), settings.random), mode, leaseMs, attempt.permits);
      return id;
    },
    onRequest: () => {
      requests++;
    },
    onStored: (before, content) => {
      if (standing(content, id) !== undefined) cameIn = id;
      // Nobody but the dead is ever taken out by an acquire.
      const victims = before?.holders.filter((one) => one.id !== id && entryOf(content, one.id) === undefined) ?? [];
      for (const victim of victims) attempt.emit(id, { type: "tookOver", victim: victim.id });
    },
    onWait: (state) => {
      // Who gives way has no place yet.
      if (told === state.id || !state.joined) return;
      told = state.id;
      attempt.emit(id, { type: "waiting", for: state.stored?.record.holders.map((one) => one.id) ?? [] });
    },
  }).catch(async (error: unknown) => {
    attempt.onTicket?.closed(waiting);
    await sweep();
    withdrew("the caller gave up, or the store failed");
    throw error;
  });
  if (verdict.is !== "held") attempt.onTicket?.closed(waiting);
  switch (verdict.is) {
    case "held": {
      const ticket = new RecordTicket(hands, line, id, verdict.token, told !== "");
      const emit = (facts: EventFacts) => attempt.emit(id, facts);
      const keeper = new Keeper(ticket, settings, steady, verdict.sentAtMs, 0, emit, attempt.validityRules);
      keeper.start();
      return { ticket, waiting, keeper, waitedMs: clock.monotonicMs() - startedMs, requests };
    }
    case "contended":
      await sweep();
      withdrew("the wait is over");
      return verdict;
    case "disagreed": {
      await sweep();
      const others = verdict.with.map(({ id: ticketId, permits, label }) => ({ ticketId, permits, label }));
      throw permitsMismatch(key, attempt.permits, others);
    }
    case "notFound":
      return { is: "failed", code: "TICKET_NOT_FOUND" };
    case "mismatch":
      throw mismatch(verdict.object, "it is of the two-object protocol");
    default:
      throw new Error(`bug: an acquire ended with '${verdict.is}'`);
  }
}
