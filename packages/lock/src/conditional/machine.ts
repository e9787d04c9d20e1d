/**
 * The conditional protocol as a pure machine: an answer comes in, the next request or verdict goes out.
 * One record per lock, changed only by compare-and-swap. Does no I/O, reads no clock, draws no number. Every decision is made
 * from a record just read or just written; a write whose outcome is unknown is never believed, either way, before reading.
 */
import { type Pace, paced, pauseMs } from "../pace.js";
import { conflicts } from "../two-object/ticket.js";
import { deadHolders, type Sighting, watch } from "./liveness.js";
import {
  ask,
  type Content,
  dissenters,
  EMPTY,
  type Entry,
  entryOf,
  join,
  type LockRecord,
  leave,
  newToken,
  raise,
  standing,
  touch,
  waitersBefore,
} from "./record.js";
import type { Line } from "./rules.js";

export { ALL_RULES, type Line, type Rules } from "./rules.js";

/** A record as the store has it. `etag` is what makes the next write conditional. */
export interface Stored {
  readonly record: LockRecord;
  readonly etag: string;
  /** By the store, epoch ms: nobody wrote the record since. */
  readonly lastModifiedMs: number | undefined;
}

export type Request =
  | { readonly do: "draw" }
  /** GET; with `etag`: If-None-Match. */
  | { readonly do: "read"; readonly etag: string | undefined }
  /** PUT under If-Match, or If-None-Match: * without `etag`. Sent once. `blind`: without a condition; only with a rule removed. */
  | { readonly do: "write"; readonly content: Content; readonly etag: string | undefined; readonly blind?: true }
  /** Are there objects of another protocol under the prefix? `isLast`: before anybody holds by the record. */
  | { readonly do: "scan"; readonly isLast: boolean }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "verdict"; readonly verdict: Verdict };

export type Verdict =
  /** Ours since the write that was sent at `sentAtMs`. */
  | { readonly is: "held"; readonly token: bigint; readonly sentAtMs: number; readonly stored: Stored }
  | { readonly is: "contended"; readonly by: readonly string[] }
  /** These count other permits for the key than we do, or use it as a lock where we want a semaphore. */
  | { readonly is: "disagreed"; readonly with: readonly Entry[] }
  /** Two-object tickets stand under the prefix; we are out of the record again. */
  | { readonly is: "mismatch"; readonly object: string }
  /** The ticket to resume is not in the record. */
  | { readonly is: "notFound" }
  /** A renewal: our sign of life is in the record, sent at `sentAtMs`. */
  | { readonly is: "renewed"; readonly sentAtMs: number; readonly stored: Stored }
  /** A renewal: we are no holder any more. */
  | { readonly is: "gone" }
  /** Those of the holders wanted who know now, or will by their next renewal. */
  | { readonly is: "asked"; readonly ids: readonly string[] }
  /** A release: we are out of the record. `stored`: what it is now. */
  | { readonly is: "left"; readonly stored: Stored | undefined };

export type Answer =
  | { readonly of: "draw"; readonly id: string }
  | {
      readonly of: "read";
      readonly found: Stored | "same" | "absent";
      readonly serverTimeMs: number | undefined;
      readonly sentAtMs: number;
    }
  | {
      readonly of: "write";
      readonly outcome: "stored" | "conflict" | "unknown";
      /** The writeId the driver gave this write. */
      readonly writeId: string;
      readonly etag?: string | undefined;
      readonly lastModifiedMs?: number | undefined;
      readonly serverTimeMs?: number | undefined;
      readonly sentAtMs: number;
    }
  /** `marker`: the highest fencing marker that the other protocol left, 0 for none. */
  | { readonly of: "scan"; readonly stranger: string | undefined; readonly marker: bigint }
  | { readonly of: "sleep" };

export interface Facts {
  /** Monotonic, in ms: by it others are watched, and the wait ends. */
  readonly nowMs: number;
  /** The same with the time that the monotonic clock missed: by it our own lease is judged, and the sending of our writes. */
  readonly steadyMs: number;
  /** The store's time as far as it is known, epoch ms. */
  readonly serverNowMs: number | undefined;
}

interface Unclear {
  readonly writeId: string;
  readonly sentAtMs: number;
  /** It can land only while the record has this ETag; "": it cannot land any more, yet it may have landed. */
  readonly etag: string | undefined;
}

export interface State {
  readonly purpose: "acquire" | "resume" | "renew" | "draw" | "leave" | "ask";
  readonly phase: "draw" | "read" | "scan" | "write" | "rescan" | "sleep" | "over";
  readonly id: string;
  readonly startedMs: number;
  /** Undefined: not waiting. */
  readonly pace: Pace | undefined;
  /** The last record known, by a read or a write of ours. */
  readonly stored: Stored | undefined;
  /** When the request was sent that showed `stored`, monotonic; undefined: a write of ours did. */
  readonly readSentMs: number | undefined;
  /** Known for certain not to exist. */
  readonly absent: boolean;
  /** A LIST of this acquire showed no stranger while the record was there. */
  readonly scanned: boolean;
  /** Highest token of the other protocol that a LIST showed; ours are above it. */
  readonly marker: bigint;
  /** The write under way. */
  readonly writing: { readonly content: Content; readonly etag: string | undefined } | undefined;
  readonly unclear: readonly Unclear[];
  /** Some write of ours was clearly in the record once: not being in it any more means that we were taken out. */
  readonly joined: boolean;
  readonly watched: Readonly<Record<string, Sighting>>;
  /** Set: on the way out, with this at the end. */
  readonly ending: Verdict | undefined;
  /** How often we gave way to somebody who was granted the lock, before we came in. */
  readonly yields: number;
  /** What is asked of whom. */
  readonly asking: Asking | undefined;
}

export interface Asking {
  readonly request: NonNullable<Entry["request"]>;
  /** Undefined: all who hold. */
  readonly ticketIds: readonly string[] | undefined;
}

export interface Step {
  readonly state: State;
  readonly request: Request;
}

// A claim is two requests away; who does not claim then may be dead.
const YIELDS_MAX = 3;
const YIELD_SHARE = 1 / 4;

/** A new acquire. `cached`: the record as this process last knew it; at worst it costs a conflict. */
export function start(nowMs: number, cached: Stored | undefined): Step {
  return { state: fresh("acquire", "", nowMs, cached), request: { do: "draw" } };
}

/** A ticket found again by its id: held only by a new write of our own. */
export function resume(id: string, nowMs: number): Step {
  return read({ ...fresh("resume", id, nowMs, undefined), joined: true }, undefined);
}

/**
 * One renewal of a held ticket. `cached`: as above; a memory from before the ticket held is none. `draw`: it brings a token above every
 * one given so far too, for another lease by the same ticket.
 */
export function startRenewal(
  line: Line,
  id: string,
  facts: Facts,
  cached: Stored | undefined,
  purpose: "renew" | "draw" = "renew",
): Step {
  const state: State = { ...fresh(purpose, id, facts.nowMs, cached), joined: true };
  const known = cached !== undefined && standing(cached.record, id) === "holder";
  return known ? renew(line, state, facts) : read(state, undefined);
}

/**
 * Out of the record: the release of a held ticket, or a ticket that a person breaks (`held` false). `isContended`: others come and go, so
 * the memory is old by now; to ask whether it is costs less than a write that is refused.
 */
export function startLeave(
  line: Line,
  id: string,
  cached: Stored | undefined,
  held: boolean,
  isContended = false,
): Step {
  const state: State = {
    ...fresh("leave", id, 0, cached),
    joined: true,
    scanned: held,
    ending: { is: "left", stored: cached },
  };
  // A memory that does not show the ticket may be older than the ticket: only the record itself says that it is gone.
  const known = cached !== undefined && standing(cached.record, id) !== undefined;
  if (!known) return read(state, undefined);
  return isContended ? read(state, cached.etag) : leaveLine(line, state);
}

/** Asks the holders to release. Written under If-Match like everything else, and read back until the record shows it. */
export function startAsk(asking: Asking): Step {
  return read({ ...fresh("ask", "", 0, undefined), asking }, undefined);
}

function fresh(purpose: State["purpose"], id: string, nowMs: number, cached: Stored | undefined): State {
  return {
    purpose,
    phase: "draw",
    id,
    startedMs: nowMs,
    pace: undefined,
    stored: cached,
    readSentMs: undefined,
    absent: false,
    scanned: false,
    marker: 0n,
    writing: undefined,
    unclear: [],
    joined: false,
    watched: {},
    ending: undefined,
    yields: 0,
    asking: undefined,
  };
}

/** One transition. An answer that does not fit the phase is a bug of the driver and throws. */
export function step(line: Line, state: State, answer: Answer, facts: Facts): Step {
  switch (state.phase) {
    case "draw":
      if (answer.of === "draw") return begin(line, { ...state, id: answer.id }, facts);
      break;
    case "read":
      if (answer.of === "read") return afterRead(line, state, answer, facts);
      break;
    case "scan":
      if (answer.of === "scan") return afterScan(line, state, answer, facts);
      break;
    case "write":
      if (answer.of === "write") return afterWrite(line, state, answer, facts);
      break;
    case "rescan":
      if (answer.of === "scan") return afterRescan(line, state, answer, facts);
      break;
    case "sleep":
      if (answer.of === "sleep") return read(state, state.stored?.etag);
      break;
    case "over":
      break;
  }
  throw new Error(`bug: answer '${answer.of}' does not fit phase '${state.phase}'`);
}

/** Ends the acquire from outside: out of the record, whatever was under way. */
export function giveUp(state: State, ending: Verdict): Step {
  const writing = state.phase === "write" && state.writing !== undefined;
  // A write that was cut off may have landed, or may land later; which one it was does not matter on the way out.
  const unclear = writing ? [...state.unclear, { writeId: "", sentAtMs: 0, etag: state.writing?.etag }] : state.unclear;
  const next: State = { ...state, ending, unclear, writing: undefined };
  // After a verdict too: who won at the very moment of giving up must not stay in the record.
  if (!state.joined && unclear.length === 0) return over(next, ending);
  return read(next, undefined);
}

/** With a cached record that is free, write at once: a warm acquire is one request. */
function begin(line: Line, state: State, facts: Facts): Step {
  const { stored } = state;
  const free =
    stored?.record.confirmed === true &&
    dissenters(stored.record, line).length === 0 &&
    standing(join(stored.record, entry(line, state, facts)), state.id) === "holder";
  return free ? decide(line, state, facts) : read(state, undefined);
}

function read(state: State, etag: string | undefined): Step {
  return { state: { ...state, phase: "read" }, request: { do: "read", etag } };
}

function write(state: State, content: Content): Step {
  const etag = state.stored?.etag;
  return { state: { ...state, phase: "write", writing: { content, etag } }, request: { do: "write", content, etag } };
}

function afterRead(line: Line, state: State, answer: Extract<Answer, { of: "read" }>, facts: Facts): Step {
  const found = answer.found === "same" ? state.stored! : answer.found;
  if (found === "absent") {
    // Writes that were to replace a record cannot land any more; one that was to create it can.
    const unclear = state.unclear.filter((one) => one.etag === undefined);
    const next: State = { ...state, stored: undefined, absent: true, scanned: false, unclear };
    if (state.ending !== undefined) return leaveLine(line, next);
    if (isRenewal(state)) return over(next, { is: "gone" });
    if (state.purpose === "ask") return over(next, { is: "asked", ids: [] });
    if (state.joined) return again(next);
    return { state: { ...next, phase: "scan" }, request: { do: "scan", isLast: false } };
  }
  const mine = state.unclear.find((one) => one.writeId === found.record.writeId);
  const seen: State = {
    ...state,
    stored: found,
    readSentMs: answer.sentAtMs,
    absent: false,
    joined: state.joined || standing(found.record, state.id) !== undefined,
    // Only what waits for this very ETag can still land.
    unclear: state.unclear.filter((one) => one.etag === found.etag),
    watched: watch(state.watched, found.record, facts.nowMs),
  };
  if (mine === undefined || state.purpose === "ask") return decide(line, seen, facts);
  const next: State = { ...seen, joined: true };
  // It made the record: as after a clear answer.
  const unconfirmed = !found.record.confirmed && !state.scanned && line.rules.confirmByList;
  if (unconfirmed && state.ending === undefined) return rescan(next, mine.sentAtMs);
  return afterStored(line, next, mine.sentAtMs, facts);
}

/** From the record as last known: what to do now. */
function decide(line: Line, state: State, facts: Facts): Step {
  if (state.ending !== undefined) return leaveLine(line, state);
  if (isRenewal(state)) return renew(line, state, facts);
  if (state.purpose === "ask") return askHolders(state);
  const { record } = state.stored!;
  if (!record.confirmed && !state.scanned && line.rules.confirmByList)
    return { state: { ...state, phase: "scan" }, request: { do: "scan", isLast: true } };

  const dead = deadOnes(line, state, facts);
  const content: Content = { ...leave(raise(record, state.marker), dead), confirmed: true };
  const place = standing(content, state.id);
  // Granted by another, or by a write of ours whose sending we do not know: a write of our own starts the lease.
  if (place === "holder") {
    const { token } = entryOf(content, state.id)!;
    if (!line.rules.claimGranted && dead.length === 0)
      return over(state, { is: "held", token: token!, sentAtMs: facts.steadyMs, stored: state.stored! });
    // Found again: whoever held by it before may have been told its token.
    const claimed = state.purpose === "resume" && line.rules.drawnInRecord ? newToken(content, state.id) : content;
    return write(state, touch(claimed, state.id, facts.serverNowMs));
  }
  if (place === "waiter") return dead.length > 0 ? write(state, content) : wait(line, state, facts);
  if (state.joined) return again(state);

  const others = line.rules.permitsCompared ? dissenters(content, line) : [];
  if (others.length > 0)
    return dead.length > 0 ? write(state, content) : out(line, { ...state, ending: { is: "disagreed", with: others } });
  const joined = join(content, entry(line, state, facts), line.rules.permitsCounted ? 0 : 1);
  if (standing(joined, state.id) === "waiter" && facts.nowMs >= line.deadlineMs) {
    return dead.length > 0
      ? write(state, content)
      : out(line, { ...state, ending: contended(line, content, state.id) });
  }
  if (givesWay(state, joined) && dead.length === 0) {
    const ms = line.pollMinMs * YIELD_SHARE;
    return { state: { ...state, phase: "sleep", yields: state.yields + 1 }, request: { do: "sleep", ms } };
  }
  return write(state, joined);
}

/** Who was granted the lock writes its claim just now, and our coming into the line would spoil it: that can wait a moment. */
function givesWay({ id, yields }: State, joined: Content): boolean {
  return yields < YIELDS_MAX && standing(joined, id) === "waiter" && joined.holders.some((one) => one.granted);
}

/** Until the record shows it: a write whose outcome is unknown either landed, or cannot land any more, or may land and does no harm. */
function askHolders(state: State): Step {
  const { record } = state.stored!;
  const { ticketIds, request } = state.asking!;
  const wanted = record.holders.filter((one) => ticketIds === undefined || ticketIds.includes(one.id));
  if (wanted.every((one) => one.request !== undefined))
    return over(state, { is: "asked", ids: wanted.map((one) => one.id) });
  return write(state, ask(record, ticketIds, request));
}

function renew(line: Line, state: State, facts: Facts): Step {
  const { record } = state.stored!;
  if (standing(record, state.id) !== "holder") return over(state, { is: "gone" });
  // Who holds has looked for the other protocol since the record was made.
  const content = state.purpose === "draw" && line.rules.drawnInRecord ? newToken(record, state.id) : record;
  const step = write(state, { ...touch(content, state.id, facts.serverNowMs), confirmed: true });
  if (line.rules.renewUnderIfMatch || step.request.do !== "write") return step;
  return { ...step, request: { ...step.request, blind: true } };
}

const isRenewal = ({ purpose }: State): boolean => purpose === "renew" || purpose === "draw";

/** Taken out of the record by somebody who took us for dead: a new ticket. */
function again(state: State): Step {
  if (state.purpose === "resume") return over(state, { is: "notFound" });
  return {
    state: { ...state, phase: "draw", joined: false, unclear: [] },
    request: { do: "draw" },
  };
}

function afterWrite(line: Line, state: State, answer: Extract<Answer, { of: "write" }>, facts: Facts): Step {
  const { content, etag } = state.writing!;
  const outcome =
    answer.outcome === "unknown" && line.rules.unknown !== "read back" ? line.rules.unknown : answer.outcome;
  const next: State = { ...state, writing: undefined };
  if (outcome === "unknown" || (outcome === "stored" && answer.etag === undefined && answer.outcome === "stored")) {
    const one: Unclear = { writeId: answer.writeId, sentAtMs: answer.sentAtMs, etag };
    return read({ ...next, unclear: [...state.unclear, one] }, undefined);
  }
  // A conflict may be this very write (a proxy's second try) or an earlier one of our own that landed: what is there now tells.
  if (outcome === "conflict") {
    const landed: Unclear = { writeId: answer.writeId, sentAtMs: answer.sentAtMs, etag: "" };
    return read(answer.outcome === "conflict" ? { ...next, unclear: [...state.unclear, landed] } : next, undefined);
  }
  const stored: Stored = {
    record: { ...content, writeId: answer.writeId },
    etag: answer.etag ?? answer.writeId,
    lastModifiedMs: answer.lastModifiedMs,
  };
  const created = etag === undefined;
  const after: State = {
    ...next,
    stored,
    readSentMs: undefined,
    absent: false,
    unclear: [],
    joined: state.joined || entryOf(content, state.id) !== undefined,
    watched: watch(state.watched, stored.record, facts.nowMs),
  };
  // A record of our own making: somebody with the other protocol may have come between our look and our write.
  if (created && line.rules.confirmByList && state.ending === undefined) return rescan(after, answer.sentAtMs);
  return afterStored(line, after, answer.sentAtMs, facts);
}

function rescan(state: State, sentAtMs: number): Step {
  return {
    state: { ...state, phase: "rescan", unclear: [{ writeId: state.stored!.record.writeId, sentAtMs, etag: "" }] },
    request: { do: "scan", isLast: true },
  };
}

function afterRescan(line: Line, state: State, answer: Extract<Answer, { of: "scan" }>, facts: Facts): Step {
  const { stranger, marker } = answer;
  const sentAtMs = state.unclear[0]!.sentAtMs;
  const next: State = { ...state, unclear: [] };
  // The record stays unconfirmed: whoever comes next must look for the stranger too.
  if (stranger !== undefined) return out(line, { ...next, ending: { is: "mismatch", object: stranger } });
  return afterStored(line, { ...next, scanned: true, marker }, sentAtMs, facts);
}

function afterScan(line: Line, state: State, answer: Extract<Answer, { of: "scan" }>, facts: Facts): Step {
  if (answer.stranger !== undefined)
    return out(line, { ...state, ending: { is: "mismatch", object: answer.stranger } });
  // Nothing was written yet: a prefix that another protocol uses stays as it was.
  if (state.absent) {
    return write({ ...state, stored: undefined }, join({ ...EMPTY, token: answer.marker }, entry(line, state, facts)));
  }
  return decide(line, { ...state, scanned: true, marker: answer.marker }, facts);
}

/** A write of ours is in the record: where does it leave us? */
function afterStored(line: Line, state: State, sentAtMs: number, facts: Facts): Step {
  if (state.ending !== undefined) return leaveLine(line, state);
  const stored = state.stored!;
  const one = entryOf(stored.record, state.id);
  if (isRenewal(state)) return over(state, one === undefined ? { is: "gone" } : { is: "renewed", sentAtMs, stored });
  if (one === undefined) return decide(line, state, facts);
  if (one.token === undefined) return wait(line, state, facts);
  const late = line.rules.validAtClaim && facts.steadyMs - sentAtMs >= line.leaseMs - line.marginMs;
  // Somebody with the other protocol came, drew a token and went between our look and our write.
  const low = one.token <= state.marker;
  if (late || low) return write(state, touch(raise(stored.record, state.marker), state.id, facts.serverNowMs));
  return over(state, { is: "held", token: one.token, sentAtMs, stored });
}

function wait(line: Line, state: State, facts: Facts): Step {
  const leftMs = line.deadlineMs - facts.nowMs;
  if (leftMs <= 0) return out(line, { ...state, ending: contended(line, state.stored!.record, state.id) });
  const pace = paced(state.pace, waitersBefore(state.stored!.record, state.id), facts.nowMs);
  const ms = Math.min(pauseMs(pace, facts.nowMs, line), leftMs);
  return { state: { ...state, phase: "sleep", pace }, request: { do: "sleep", ms } };
}

function contended(line: Line, record: Content, id: string): Verdict {
  const all = [...record.holders, ...record.queue];
  const own = all.findIndex((one) => one.id === id);
  const before = (own < 0 ? all : all.slice(0, own)).filter((one) => conflicts(one.mode, line.mode));
  return { is: "contended", by: before.map((one) => one.id) };
}

/** On the way out, from a record known or unknown. */
function out(line: Line, state: State): Step {
  if (!state.joined && state.unclear.length === 0) return over(state, state.ending!);
  return state.stored === undefined ? read(state, undefined) : leaveLine(line, state);
}

/** Out of the record, and only when nothing of ours can come into it any more. */
function leaveLine(line: Line, state: State): Step {
  const ending = state.ending!;
  if (state.stored === undefined) {
    // A creation of ours may still land: an empty record in its place makes it fail.
    const mayLand = line.rules.burnUnclear && state.unclear.length > 0;
    return mayLand ? write(state, EMPTY) : over(state, ending);
  }
  const { record } = state.stored;
  if (standing(record, state.id) !== undefined) {
    // Who holds has looked for the other protocol since the record was made.
    const content = {
      ...leave(raise(record, state.marker), [state.id]),
      confirmed: record.confirmed || state.scanned,
    };
    return write(state, line.rules.keepToken || content.holders.length + content.queue.length > 0 ? content : EMPTY);
  }
  // The same content under a new writeId: whatever waited for the old ETag fails.
  if (line.rules.burnUnclear && state.unclear.length > 0) return write(state, record);
  return over(state, ending.is === "left" ? { is: "left", stored: state.stored } : ending);
}

function over(state: State, verdict: Verdict): Step {
  return { state: { ...state, phase: "over" }, request: { do: "verdict", verdict } };
}

function entry(line: Line, state: State, facts: Facts): Omit<Entry, "token" | "renewals" | "granted"> {
  const { mode, permits, label, leaseMs } = line;
  return { id: state.id, mode, ...(permits === undefined ? {} : { permits }), label, leaseMs, atMs: facts.serverNowMs };
}

/** Holders other than ourselves that are dead, by the record as it was read last. */
function deadOnes(line: Line, state: State, facts: Facts): string[] {
  const { record, lastModifiedMs } = state.stored!;
  // What a write of ours or a memory showed says nothing about how others live.
  if (state.readSentMs === undefined) return [];
  const { watched, readSentMs: sentAtMs } = state;
  const { serverNowMs } = facts;
  const dead = deadHolders({ record, watched, sentAtMs, lastModifiedMs, serverNowMs, clockSkewMs: line.clockSkewMs });
  return dead.filter((id) => id !== state.id);
}
