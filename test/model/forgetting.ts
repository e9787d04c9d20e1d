/**
 * What may be forgotten of a machine's state, and of a listing, because no later request depends on it while time stands
 * still: so that states which only differ in their past are one. Proves nothing by itself: the walks run every step of the
 * machine with and without it, and compare what it asks for next.
 */
import type { Line, Request, State } from "../../packages/lock/src/two-object/machine.js";
import { conflicts, parseOwnId } from "../../packages/lock/src/two-object/ticket.js";

export function forget(line: Line, state: State): State {
  const { phase } = state;
  const waits = phase === "wait" || phase === "takeOver";
  const before = waits ? state.before : [];
  return {
    ...state,
    // Time stands still, and ids are drawn in every order whatever was seen.
    startedMs: 0,
    sinceMs: 0,
    pace: undefined,
    passed: 0,
    lookedMs: 0,
    watched: {},
    highestUlid: undefined,
    marker: undefined,
    pauseMs: 0,
    doorway: phase === "door" || phase === "place" || phase === "decide" || phase === "doorway" ? state.doorway : [],
    before: before.map((one) => ({
      ...one,
      // Whom to look at first matters only among several; its last known timestamp only where the ticket may be dead by it.
      order: before.length === 1 && one.order !== undefined ? { placeMs: 0, id: one.id } : one.order,
      placeMs: one.order === undefined ? undefined : 0,
    })),
    ending: phase === "withdraw" ? state.ending : undefined,
    ownPutMs:
      phase === "place" || (!line.rules.ownOrderFromListing && phase !== "withdraw" && phase !== "over")
        ? state.ownPutMs
        : undefined,
  };
}

/** The tickets a listing must show right for this state; any other may as well be absent. */
export function minds(line: Line, state: State, id: string): boolean {
  if (id === state.id) return true;
  if (!conflicts(parseOwnId(id)!.mode, line.mode)) return false;
  return state.phase !== "wait" || state.before.some((one) => one.id === id);
}

/** A request as far as it does something to the store. */
export function asked(request: Request): string {
  switch (request.do) {
    case "look":
      return `look ${request.id} ${request.part}`;
    case "takeOver":
      return `takeOver ${request.id}`;
    case "verdict":
      return `verdict ${request.verdict.is}`;
    default:
      return request.do;
  }
}
