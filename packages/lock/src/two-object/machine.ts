/**
 * The two-object sequential protocol as a pure machine: an answer comes in, the next request or verdict goes out.
 * Decides everything about who may hold; does no I/O, reads no clock, draws no number. The driver, the explorer and the
 * simulation in test/ drive this same code. Rules and reasons: docs/protocol.md.
 */
import { type Pace, paced, pauseMs, watchMs } from "../pace.js";
import {
  deadByServer,
  deadByWatching,
  type LivenessRules,
  newestMs,
  type SignOfLife,
  seenByHead,
  seenInList,
  type Watched,
} from "./liveness.js";
import {
  afterPeek,
  ahead,
  type Before,
  type Looking,
  peekedNext,
  room,
  type Target,
  targetOf,
  turned,
  watchedNext,
} from "./looks.js";
import { compareOrder, conflicts, disagree, type Mode, parseOwnId, type Ticket, type View } from "./ticket.js";

/** What does not change during one acquire. */
export interface Line extends LivenessRules {
  readonly mode: Mode;
  /** Of a semaphore: how many may hold at once. */
  readonly permits?: number | undefined;
  /** Own objects must show in a listing within this, in ms, else the store's listing cannot be trusted. */
  readonly visibilityTimeoutMs: number;
  /** Extra wait before a claim, for peers without a doorway listing and for weak listings, in ms. 0: none. */
  readonly settleMs: number;
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  /** On the caller's monotonic clock; Infinity: no limit. At or before the start: try once. */
  readonly deadlineMs: number;
  readonly rules: Rules;
}

/** Every rule of the protocol that a test removes to see it caught. Users always get ALL_RULES. */
export interface Rules {
  readonly doorwayList: boolean;
  readonly withdrawal: boolean;
  readonly waitForChoosing: boolean;
  readonly idTieBreak: boolean;
  readonly ownOrderFromListing: boolean;
  readonly placeWrittenOnce: boolean;
  readonly ownObjectsAtClaim: boolean;
  readonly validAtClaim: boolean;
  readonly renewingDieByCount: boolean;
  readonly permitsCompared: boolean;
  readonly waitSetSmaller: boolean;
  readonly looksInTurn: boolean;
}
export const ALL_RULES: Rules = {
  doorwayList: true,
  withdrawal: true,
  waitForChoosing: true,
  idTieBreak: true,
  ownOrderFromListing: true,
  placeWrittenOnce: true,
  ownObjectsAtClaim: true,
  validAtClaim: true,
  renewingDieByCount: true,
  permitsCompared: true,
  waitSetSmaller: true,
  looksInTurn: true,
};

/** What the machine wants done next. Exactly one at a time. */
export type Request =
  /** A new id; its ULID above `aboveUlid`. */
  | { readonly do: "draw"; readonly aboveUlid: string | undefined }
  | { readonly do: "putDoor" }
  /** PUT `-1`, at most once. */
  | { readonly do: "putPlace" }
  | { readonly do: "list" }
  /** HEAD `-0` (`-1` when `part` is place) of another's ticket. */
  | { readonly do: "look"; readonly id: string; readonly part: "door" | "place" }
  /** Wait; the driver shortens it by chance, never lengthens it. `peek`: then HEAD that, for nothing but to know how far the line has moved. */
  | { readonly do: "sleep"; readonly ms: number; readonly peek?: Target }
  /** Write marker highest + 1 if `marker` is set, then delete both objects of that ticket. */
  | { readonly do: "takeOver"; readonly id: string; readonly marker: bigint | undefined }
  /** Delete both own objects. */
  | { readonly do: "withdraw"; readonly why: string }
  | { readonly do: "verdict"; readonly verdict: Verdict };

export type Verdict =
  /** The lease is ours. `marker`: the highest fencing marker of the deciding listing. */
  | { readonly is: "held"; readonly marker: bigint | undefined }
  /** Others stand before us and the time is up. */
  | { readonly is: "contended"; readonly by: readonly string[] }
  /** These stand before us with another number of permits, or for a lock where we are for a semaphore. */
  | { readonly is: "disagreed"; readonly by: readonly string[] }
  /** The store does not do what the protocol needs, or a resumed ticket is gone. */
  | {
      readonly is: "failed";
      readonly code: "LISTING_NOT_VISIBLE" | "TICKET_NOT_WRITTEN" | "TICKET_NOT_FOUND";
      readonly cause?: unknown;
    };

/** An answer to the last request, with what was true when it came. */
export type Answer =
  | { readonly of: "draw"; readonly id: string }
  | { readonly of: "putDoor"; readonly outcome: "stored" | "unknown" | "absent" | "stale"; readonly cause?: unknown }
  | {
      readonly of: "putPlace";
      readonly outcome: "stored" | "unknown";
      readonly lastModifiedMs?: number | undefined;
      readonly cause?: unknown;
    }
  | { readonly of: "list"; readonly view: View; readonly sentAtMs: number }
  | {
      readonly of: "look";
      readonly sign: SignOfLife | undefined;
      readonly serverTimeMs: number | undefined;
      readonly sentAtMs: number;
    }
  | { readonly of: "sleep"; readonly peeked?: "there" | "gone" }
  | { readonly of: "takeOver" }
  | { readonly of: "withdraw" };

export interface Facts {
  /** The caller's monotonic clock, in ms. */
  readonly nowMs: number;
  /** Own sign of life is provably fresh: `isValid` of validity.ts, just before this step. */
  readonly valid: boolean;
}

export interface State extends Looking {
  readonly phase:
    | "draw"
    | "door"
    | "doorway"
    | "place"
    | "decide"
    | "wait"
    | "settle"
    | "confirm"
    | "takeOver"
    | "withdraw"
    | "over";
  readonly id: string;
  /** When this acquire began, monotonic. */
  readonly startedMs: number;
  /** When this attempt (or this gate) began, monotonic: bounds the visibility gate and unclear doors. */
  readonly sinceMs: number;
  /** Undefined: not waiting. */
  readonly pace: Pace | undefined;
  /** Conflicting tickets that were complete in the doorway listing. `"all"`: a resumed ticket, which never saw one. */
  readonly doorway: readonly string[] | "all";
  readonly watched: Readonly<Record<string, Watched>>;
  /** Highest ULID seen, so that a new ticket sorts after. */
  readonly highestUlid: string | undefined;
  readonly marker: bigint | undefined;
  /** After a withdrawal: sleep first, so that the server's clock passes whom we must sort after, in ms. */
  readonly pauseMs: number;
  /** After the deletes of a withdrawal: this, or start again when undefined. */
  readonly ending: Verdict | undefined;
  /** Only with the rule ownOrderFromListing removed. */
  readonly ownPutMs: number | undefined;
}

export interface Step {
  readonly state: State;
  readonly request: Request;
}

const TRY_CHOOSING_MS = 1000;

/** A new acquire. */
export function start(nowMs: number): Step {
  return { state: fresh(nowMs), request: { do: "draw", aboveUlid: undefined } };
}

/** A ticket found again by its id: it runs the line again and is never believed to be held. */
export function resume(id: string, nowMs: number): Step {
  // Which tickets were complete at its doorway is not known any more: every one in the first listing may have been.
  return { state: { ...fresh(nowMs), phase: "door", id, doorway: "all" }, request: { do: "putDoor" } };
}

function fresh(nowMs: number): State {
  return {
    phase: "draw",
    id: "",
    startedMs: nowMs,
    sinceMs: nowMs,
    pace: undefined,
    doorway: [],
    before: [],
    watched: {},
    turn: 0,
    passed: 0,
    lookedMs: nowMs,
    highestUlid: undefined,
    marker: undefined,
    pauseMs: 0,
    ending: undefined,
    ownPutMs: undefined,
  };
}

/** One transition. An answer that does not fit the phase is a bug of the driver and throws. */
export function step(line: Line, state: State, answer: Answer, facts: Facts): Step {
  switch (state.phase) {
    case "draw":
      // A pause before drawing comes back as a sleep.
      if (answer.of === "sleep") return { state, request: { do: "draw", aboveUlid: state.highestUlid } };
      if (answer.of === "draw")
        return { state: { ...state, phase: "door", id: answer.id, sinceMs: facts.nowMs }, request: { do: "putDoor" } };
      break;
    case "door":
      if (answer.of === "sleep") return { state, request: { do: "putDoor" } };
      if (answer.of === "putDoor") return afterDoor(line, state, answer, facts);
      break;
    case "doorway":
      if (answer.of === "sleep") return { state, request: { do: "list" } };
      if (answer.of === "list") return afterDoorway(line, state, answer.view, facts);
      break;
    case "place":
      if (answer.of === "putPlace") return afterPlace(line, state, answer, facts);
      break;
    case "decide":
      if (answer.of === "sleep") return { state, request: { do: "list" } };
      if (answer.of === "list") return decide(line, state, answer, facts);
      break;
    case "wait":
      if (answer.of === "sleep") return afterSleep(line, state, answer, facts);
      if (answer.of === "look") return afterLook(line, state, answer, facts);
      if (answer.of === "list") return lookAgain(line, state, answer, facts);
      break;
    case "takeOver":
      if (answer.of === "takeOver") return { state: { ...state, phase: "wait" }, request: { do: "list" } };
      break;
    case "settle":
      if (answer.of === "sleep") return { state: { ...state, phase: "confirm" }, request: { do: "list" } };
      break;
    case "confirm":
      if (answer.of === "list") return confirm(line, state, answer, facts);
      break;
    case "withdraw":
      if (answer.of === "withdraw") return afterWithdraw(line, state, facts);
      break;
    case "over":
      break;
  }
  throw new Error(`bug: answer '${answer.of}' does not fit phase '${state.phase}'`);
}

function afterDoor(line: Line, state: State, answer: Extract<Answer, { of: "putDoor" }>, facts: Facts): Step {
  if (answer.outcome === "stored") {
    const resumed = state.doorway === "all";
    if (!line.rules.doorwayList && !resumed)
      return { state: { ...state, phase: "place" }, request: { do: "putPlace" } };
    return {
      state: { ...state, phase: resumed ? "decide" : "doorway", sinceMs: facts.nowMs },
      request: { do: "list" },
    };
  }
  if (answer.outcome === "absent")
    return withdraw(state, "the ticket to resume is not there", { is: "failed", code: "TICKET_NOT_FOUND" });
  // Somebody may be taking it over just now, and its listing could show what is no more.
  if (answer.outcome === "stale") return withdraw(state, "the ticket to resume may be taken for dead already");
  // A door may be written twice: its timestamp is no place in line.
  if (facts.nowMs - state.sinceMs < line.visibilityTimeoutMs && facts.nowMs < graceEnd(line, state)) {
    return { state, request: { do: "sleep", ms: line.pollMinMs } };
  }
  return withdraw(state, "the store did not take the ticket", {
    is: "failed",
    code: "TICKET_NOT_WRITTEN",
    cause: answer.cause,
  });
}

/** A try (no wait wanted) still gets one gate's time for unclear answers. */
function graceEnd(line: Line, state: State): number {
  return Math.max(line.deadlineMs, state.startedMs + line.visibilityTimeoutMs);
}

function afterDoorway(line: Line, state: State, view: View, facts: Facts): Step {
  const own = view.tickets.find((ticket) => ticket.id === state.id);
  // Whoever stood still here was taken for dead: its door is missing for that, and the listing may be trusted.
  if (line.rules.validAtClaim && !facts.valid) return withdraw(state, "the ticket was not kept alive");
  if (own?.doorMs === undefined) return gate(line, state, facts);
  const conflicting = others(line, state, view).filter((ticket) => ticket.placeMs !== undefined);
  const next = { ...state, highestUlid: highestUlid(state, view), doorway: conflicting.map((ticket) => ticket.id) };
  const alive = conflicting.filter((ticket) => !isDeadByServer(line, ticket, view));
  const odd = alive.filter((ticket) => disagrees(line, ticket));
  if (odd.length > 0) return disagreed(next, odd);
  // Whoever is complete now stands before us: a try that may not wait can go home without drawing a place.
  if (facts.nowMs >= line.deadlineMs && alive.length >= room(line)) {
    return withdraw(next, "others hold it and no wait was asked for", { is: "contended", by: next.doorway });
  }
  return { state: { ...next, phase: "place" }, request: { do: "putPlace" } };
}

function afterPlace(line: Line, state: State, answer: Extract<Answer, { of: "putPlace" }>, facts: Facts): Step {
  if (answer.outcome === "stored" || (!line.rules.placeWrittenOnce && state.ownPutMs !== undefined)) {
    const next: State = { ...state, phase: "decide", sinceMs: facts.nowMs, ownPutMs: answer.lastModifiedMs };
    return { state: next, request: { do: "list" } };
  }
  if (!line.rules.placeWrittenOnce) return { state: { ...state, ownPutMs: -1 }, request: { do: "putPlace" } };
  // It may have landed or may land later, with any timestamp: this ticket is spent.
  if (facts.nowMs >= graceEnd(line, state)) {
    return withdraw(state, "the store did not take the ticket", {
      is: "failed",
      code: "TICKET_NOT_WRITTEN",
      cause: answer.cause,
    });
  }
  return withdraw(state, "the outcome of writing the place is unknown", undefined, line.pollMinMs);
}

/** Own object not in the listing: look again for a while, then give up on this store's listing. */
function gate(line: Line, state: State, facts: Facts): Step {
  if (facts.nowMs - state.sinceMs < line.visibilityTimeoutMs)
    return { state, request: { do: "sleep", ms: line.pollMinMs } };
  return withdraw(state, "own objects do not show in the listing", { is: "failed", code: "LISTING_NOT_VISIBLE" });
}

function decide(line: Line, state: State, answer: Extract<Answer, { of: "list" }>, facts: Facts): Step {
  const { view } = answer;
  const own = view.tickets.find((ticket) => ticket.id === state.id);
  if (line.rules.validAtClaim && !facts.valid) return withdraw(state, "the ticket was not kept alive");
  // The door was seen once, so it was taken away: someone took us for dead.
  if (own?.doorMs === undefined) return withdraw(state, "the ticket was taken over");
  if (own.placeMs === undefined) {
    // A resumed ticket without a place never had one.
    if (state.doorway === "all") return withdraw(state, "the ticket to resume was never complete");
    return gate(line, state, facts);
  }
  const mine = ownOrder(line, state, own.placeMs);
  const conflicting = others(line, state, view);
  const next: State = { ...state, highestUlid: highestUlid(state, view), marker: view.marker };

  const complete = conflicting.filter(isComplete);
  const passed = complete.filter(
    (ticket) => (state.doorway === "all" || state.doorway.includes(ticket.id)) && compare(line, ticket, mine) > 0,
  );
  if (line.rules.withdrawal && passed.length > 0) {
    // They were complete before this place was drawn, so they do not wait for it.
    return withdraw(
      next,
      "the place sorts before one that was complete earlier",
      undefined,
      pauseBehind(line, passed, view),
    );
  }
  const before = conflicting.filter((ticket) =>
    isComplete(ticket) ? compare(line, ticket, mine) < 0 : line.rules.waitForChoosing,
  );
  return settleOrWait(line, { ...next, before: before.map((ticket) => standing(line, ticket)) }, answer, facts);
}

/** The next place must sort after these: until the server's clock has passed them, drawing again would end the same way. */
function pauseBehind(line: Line, passed: readonly (Ticket & { readonly placeMs: number })[], view: View): number {
  const latestMs = Math.max(...passed.map((ticket) => ticket.placeMs));
  const aheadMs = view.serverTimeMs === undefined ? 0 : latestMs - view.serverTimeMs;
  // Within one timestamp step the id decides: a new ULID sorts after every ULID seen, but not after any foreign id.
  const tieMs = passed.some((ticket) => parseOwnId(ticket.id) === undefined) ? line.stepMs : 0;
  return Math.min(Math.max(aheadMs + tieMs, 0), line.pollMaxMs);
}

/** A later listing: who of the wait set is still there. */
function lookAgain(line: Line, state: State, answer: Extract<Answer, { of: "list" }>, facts: Facts): Step {
  const { view } = answer;
  const own = view.tickets.find((ticket) => ticket.id === state.id);
  if (line.rules.validAtClaim && !facts.valid) return withdraw(state, "the ticket was not kept alive");
  if (own?.doorMs === undefined || own.placeMs === undefined) {
    if (line.rules.ownObjectsAtClaim) return withdraw(state, "the ticket was taken over");
  }
  const mine = ownOrder(line, state, own?.placeMs ?? 0);
  const before: Before[] = [];
  for (const one of state.before) {
    const ticket = view.tickets.find((other) => other.id === one.id);
    if (ticket === undefined) continue;
    // Who stood before me stays until both objects are gone. Who was choosing stays unless it chose a place behind mine.
    if (one.order === undefined && isComplete(ticket) && compare(line, ticket, mine) > 0) continue;
    const now = standing(line, ticket);
    before.push({ ...now, order: one.order ?? now.order });
  }
  const highest = highestUlid(state, view);
  const next: State = { ...turned(line, state), before, passed: 0, marker: view.marker, highestUlid: highest };
  return settleOrWait(line, next, answer, facts);
}

/** After settleMs: hold only if nobody in conflict, newcomers included, sorts before me. */
function confirm(line: Line, state: State, answer: Extract<Answer, { of: "list" }>, facts: Facts): Step {
  const { view } = answer;
  const own = view.tickets.find((ticket) => ticket.id === state.id);
  if (!facts.valid) return withdraw(state, "the ticket was not kept alive");
  if (own?.doorMs === undefined || own.placeMs === undefined) return withdraw(state, "the ticket was taken over");
  const mine = { placeMs: own.placeMs, id: own.id };
  const before = others(line, state, view).filter((ticket) => isComplete(ticket) && compareOrder(ticket, mine) < 0);
  const next: State = { ...state, before: before.map((ticket) => standing(line, ticket)), marker: view.marker };
  return isFree(line, next) ? held(next) : wait(line, next, answer, facts);
}

function settleOrWait(line: Line, state: State, answer: Extract<Answer, { of: "list" }>, facts: Facts): Step {
  if (!isFree(line, state)) return wait(line, state, answer, facts);
  if (line.settleMs > 0) return { state: { ...state, phase: "settle" }, request: { do: "sleep", ms: line.settleMs } };
  return held(state);
}

/** Fewer before us than may hold, and all of our kind: who is of another kind counts otherwise than we do. */
function isFree(line: Line, { before }: State): boolean {
  const fits = line.rules.waitSetSmaller ? before.length < room(line) : before.length <= room(line);
  return fits && !before.some((one) => one.disagrees);
}

function held(state: State): Step {
  return over(state, { is: "held", marker: state.marker });
}

/** Somebody of the wait set stands there: take over the dead, else wait as long as allowed. */
function wait(line: Line, state: State, answer: Extract<Answer, { of: "list" }>, facts: Facts): Step {
  const { view, sentAtMs } = answer;
  const watched: Record<string, Watched> = {};
  for (const one of state.before) {
    const ticket = view.tickets.find((other) => other.id === one.id)!;
    watched[one.id] = seenInList(state.watched[one.id], ticket, facts.nowMs);
  }
  const next: State = { ...state, phase: "wait", watched };
  for (const one of state.before) {
    const ticket = view.tickets.find((other) => other.id === one.id)!;
    if (
      isDeadByServer(line, ticket, view) ||
      (diesByList(line, ticket) && deadByWatching(watched[one.id], "list", ticket.leaseMs, false, sentAtMs, line))
    ) {
      return takeOver(next, one.id);
    }
  }
  const odd = state.before.filter((one) => one.disagrees && one.order !== undefined);
  return odd.length > 0 ? disagreed(next, odd) : sleepOrGiveUp(line, next, facts);
}

/**
 * A complete ticket of ours rewrites its door: nodes whose clocks differ may stamp two renewals alike, and a LIST shows no count. Such a
 * ticket dies by HEAD, which shows it, or by the store's own time. What never renews (choosing, without a door, foreign) dies by LIST too.
 */
function diesByList(line: Line, ticket: Ticket): boolean {
  if (!line.rules.renewingDieByCount) return true;
  return ticket.leaseMs === undefined || ticket.doorMs === undefined || ticket.placeMs === undefined;
}

function takeOver(state: State, id: string): Step {
  // A shared holder's token is below the next exclusive one anyway; markers exist only where tokens are in use.
  const exclusive = (parseOwnId(id)?.mode ?? "exclusive") === "exclusive";
  const marker = exclusive && state.marker !== undefined ? state.marker + 1n : undefined;
  return { state: { ...state, phase: "takeOver" }, request: { do: "takeOver", id, marker } };
}

function sleepOrGiveUp(line: Line, state: State, facts: Facts): Step {
  // A choosing ticket may not even be before us: a try waits that little, or two tries at once would both go home.
  const byChoosing = state.before.filter((one) => one.order !== undefined).length < room(line);
  const deadlineMs = byChoosing ? Math.max(line.deadlineMs, state.startedMs + TRY_CHOOSING_MS) : line.deadlineMs;
  const leftMs = deadlineMs - facts.nowMs;
  if (leftMs <= 0) {
    return withdraw(state, "the wait is over", { is: "contended", by: state.before.map((one) => one.id) });
  }
  const pace = paced(state.pace, ahead(line, state), facts.nowMs);
  // The one just before us may be dead, which only looks at it show.
  const isOwed = facts.nowMs - state.lookedMs >= watchMs(pace, facts.nowMs, line);
  const peek = isOwed ? undefined : peekedNext(line, state);
  // A LIST costs more than a HEAD.
  const isDear = peek === undefined && watchedNext(line, state) === undefined;
  // The line has moved just now: perhaps further.
  const isMoving = peek !== undefined && state.pace !== undefined && pace !== state.pace;
  const ms = isMoving ? 0 : Math.min(pauseMs(pace, facts.nowMs, line, isDear), leftMs);
  const then = peek === undefined ? {} : { peek: targetOf(peek) };
  return { state: { ...state, pace }, request: { do: "sleep", ms, ...then } };
}

function afterSleep(line: Line, state: State, answer: Extract<Answer, { of: "sleep" }>, facts: Facts): Step {
  if (answer.peeked === undefined) return look(line, { ...state, lookedMs: facts.nowMs });
  if (line.rules.validAtClaim && !facts.valid) return withdraw(state, "the ticket was not kept alive");
  return sleepOrGiveUp(line, afterPeek(state, answer.peeked), facts);
}

/** One request a look: the last one before me, by HEAD; a LIST while somebody is choosing, for only that shows its place. */
function look(line: Line, state: State): Step {
  const one = watchedNext(line, state);
  if (one === undefined) return { state, request: { do: "list" } };
  return { state, request: { do: "look", ...targetOf(one) } };
}

function afterLook(line: Line, state: State, answer: Extract<Answer, { of: "look" }>, facts: Facts): Step {
  const one = watchedNext(line, state)!;
  if (line.rules.validAtClaim && !facts.valid) return withdraw(state, "the ticket was not kept alive");
  if (answer.sign === undefined) return { state, request: { do: "list" } };
  const watched = seenByHead(state.watched[one.id], answer.sign, facts.nowMs);
  const next: State = { ...turned(line, state), watched: { ...state.watched, [one.id]: watched } };
  const counted = answer.sign.renewal !== undefined;
  const newest = Math.max(answer.sign.lastModifiedMs ?? 0, one.placeMs ?? 0);
  if (
    deadByWatching(watched, "head", one.leaseMs, counted, answer.sentAtMs, line) ||
    (answer.sign.lastModifiedMs !== undefined && deadByServer(newest, one.leaseMs, answer.serverTimeMs, line))
  ) {
    return takeOver(next, one.id);
  }
  return sleepOrGiveUp(line, next, facts);
}

/** Ends an attempt from outside: the caller gave up or the program ends. Whatever was sent may still land. */
export function giveUp(state: State, why: string, ending: Verdict): Step {
  return withdraw(state, why, ending);
}

function disagreed(state: State, by: readonly { readonly id: string }[]): Step {
  const ending: Verdict = { is: "disagreed", by: by.map((one) => one.id) };
  return withdraw(state, "others count other permits for this key", ending);
}

function withdraw(state: State, why: string, ending?: Verdict, pauseMs = 0): Step {
  return { state: { ...state, phase: "withdraw", ending, pauseMs }, request: { do: "withdraw", why } };
}

function afterWithdraw(line: Line, state: State, facts: Facts): Step {
  if (state.ending !== undefined) return over(state, state.ending);
  if (facts.nowMs >= graceEnd(line, state)) return over(state, { is: "contended", by: [] });
  const next: State = {
    ...fresh(state.startedMs),
    sinceMs: facts.nowMs,
    highestUlid: state.highestUlid,
    // What was learned of others stays true: an old sighting is what shows a frozen ticket dead.
    watched: state.watched,
    pace: state.pace,
  };
  if (state.pauseMs > 0) return { state: next, request: { do: "sleep", ms: state.pauseMs } };
  return { state: next, request: { do: "draw", aboveUlid: state.highestUlid } };
}

function over(state: State, verdict: Verdict): Step {
  return { state: { ...state, phase: "over" }, request: { do: "verdict", verdict } };
}

const others = (line: Line, state: State, view: View): Ticket[] =>
  view.tickets.filter((ticket) => ticket.id !== state.id && conflicts(ticket.mode, line.mode));

function isComplete(ticket: Ticket): ticket is Ticket & { readonly placeMs: number } {
  return ticket.placeMs !== undefined;
}

const disagrees = (line: Line, ticket: Ticket): boolean => line.rules.permitsCompared && disagree(line, ticket);

function standing(line: Line, ticket: Ticket): Before {
  return {
    id: ticket.id,
    order: ticket.placeMs === undefined ? undefined : { placeMs: ticket.placeMs, id: ticket.id },
    leaseMs: ticket.leaseMs,
    placeMs: ticket.placeMs,
    hasDoor: ticket.doorMs !== undefined,
    disagrees: disagrees(line, ticket),
  };
}

function isDeadByServer(line: Line, ticket: Ticket, view: View): boolean {
  return deadByServer(newestMs(ticket), ticket.leaseMs, view.serverTimeMs, line);
}

function highestUlid(state: State, view: View): string | undefined {
  let highest = state.highestUlid;
  for (const ticket of view.tickets) {
    const ulid = parseOwnId(ticket.id)?.ulid;
    if (ulid !== undefined && (highest === undefined || ulid > highest)) highest = ulid;
  }
  return highest;
}

interface Order {
  readonly placeMs: number;
  readonly id: string;
}

function ownOrder(line: Line, state: State, listedMs: number): Order {
  return { placeMs: line.rules.ownOrderFromListing ? listedMs : (state.ownPutMs ?? listedMs), id: state.id };
}

function compare(line: Line, ticket: Ticket & { readonly placeMs: number }, mine: Order): number {
  if (!line.rules.idTieBreak && ticket.placeMs === mine.placeMs) return 1;
  return compareOrder(ticket, mine);
}
