/**
 * Can whoever comes last clean up? Runs the real machine alone on a record that the dead left, to the end of its release.
 */
import {
  ALL_RULES,
  type Line,
  type Stored,
  start,
  startLeave,
  step,
} from "../../packages/lock/src/conditional/machine.js";
import { EMPTY, type LockRecord } from "../../packages/lock/src/conditional/record.js";
import { type Mode, ticketId } from "../../packages/lock/src/two-object/ticket.js";
import { LEASE_MS } from "./conditional-scene.js";

const STEPS_MAX = 50;
const LINE: Omit<Line, "mode" | "permits"> = {
  label: "last",
  leaseMs: LEASE_MS,
  marginMs: 3_000,
  clockSkewMs: 10_000,
  pollMinMs: 20,
  pollMaxMs: 1_000,
  deadlineMs: Number.POSITIVE_INFINITY,
  rules: ALL_RULES,
};

/** Undefined: it can. Every look is a lease later than the one before, so that all the others are dead. */
export function sweeps(left: LockRecord): string | undefined {
  // One of their own kind: who counts otherwise would be told of them, not wait.
  const permits = [...left.holders, ...left.queue][0]?.permits;
  const mode: Mode = permits === undefined ? "exclusive" : "permit";
  const line: Line = { ...LINE, mode, permits };
  const id = ticketId("01ARZ3NDEKTSV4RRFFQ69G5FZZ", mode, LEASE_MS, permits);
  let record = left;
  let version = 0;
  let nowMs = 0;
  let { state, request } = start(nowMs, undefined);
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    const facts = { nowMs, steadyMs: nowMs, serverNowMs: undefined };
    const stored: Stored = { record, etag: `e${version}`, lastModifiedMs: undefined };
    switch (request.do) {
      case "draw":
        ({ state, request } = step(line, state, { of: "draw", id }, facts));
        break;
      case "sleep":
        nowMs += 2 * LEASE_MS;
        ({ state, request } = step(line, state, { of: "sleep" }, { ...facts, nowMs }));
        break;
      case "scan":
        ({ state, request } = step(line, state, { of: "scan", stranger: undefined, marker: 0n }, facts));
        break;
      case "read": {
        const found = request.etag === stored.etag ? "same" : stored;
        ({ state, request } = step(
          line,
          state,
          { of: "read", found, serverTimeMs: undefined, sentAtMs: nowMs },
          facts,
        ));
        break;
      }
      case "write": {
        const writeId = `s${++version}`;
        record = { ...EMPTY, ...request.content, writeId };
        const answer = { of: "write", outcome: "stored", writeId, etag: `e${version}`, sentAtMs: nowMs } as const;
        ({ state, request } = step(line, state, answer, facts));
        break;
      }
      case "verdict":
        if (request.verdict.is === "held") ({ state, request } = startLeave(line, id, state.stored, true));
        else if (request.verdict.is !== "left") return `whoever comes last ends with '${request.verdict.is}'`;
        // Beside the dead of a semaphore there may be room: they go when somebody needs their permit.
        else if (permits === undefined && record.holders.length + record.queue.length > 0)
          return "whoever comes last leaves something behind";
        else return undefined;
    }
  }
  return "whoever comes last never gets the lock";
}
