/**
 * The real machine as a table: every state it is in and every answer it is given are numbered, and each pair is asked once.
 * Sleeps and draws are answered at once, since nobody else can see them. Decides nothing the machine does not decide.
 */
import {
  ALL_RULES,
  type Answer,
  giveUp,
  type Line,
  type Request,
  resume,
  type State,
  type Step,
  start,
  step,
} from "../../packages/lock/src/two-object/machine.js";
import type { Ticket } from "../../packages/lock/src/two-object/ticket.js";
import { asked, forget, minds } from "./forgetting.js";
import { idsOf, LEASE_MS, type Scene } from "./scene.js";

/** What a contender is about to do. */
export const DONE = 0;
export const DOOR = 1;
export const PLACE = 2;
export const LIST = 3;
export const LOOK = 4;
export const TAKE_OVER = 5;
export const WITHDRAW = 6;
export const HELD = 7;
export const RELEASE = 8;
export const CRASHED = 9;
export const UNBORN = 10;

export interface Local {
  readonly kind: number;
  /** Own ticket; -1: none. */
  readonly slot: number;
  /** Of a look or a take-over. */
  readonly target: number;
  readonly part: "door" | "place";
  readonly resumed: boolean;
  /** What a listing must track: five bits a ticket, -0 absent, -0 present, -1 absent, -1 at 0, -1 at 1. */
  readonly minds: number;
  readonly state: State | undefined;
  readonly request: Request | undefined;
}

/** Door timestamps: a fresh one is the server's now, a dead one long ago. Places stand in between and are old, too. */
export const NOW_MS = 1_000_000_000;
const LATE_MS = 1_000_000;

export class MachineTable {
  readonly locals: Local[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #memo = new Map<number, number>();
  readonly #lines: Line[];
  readonly ids: readonly string[];
  readonly #slots: Map<string, number>;
  /** Slots in the order a listing shows them. */
  readonly #listed: readonly number[];
  /** How often the real machine was asked. */
  asked = 0;

  constructor(readonly scene: Scene) {
    this.ids = idsOf(scene);
    this.#slots = new Map(this.ids.map((id, slot) => [id, slot]));
    this.#listed = [...this.ids.keys()].sort((a, b) => (this.ids[a]! < this.ids[b]! ? -1 : 1));
    this.#lines = scene.modes.map((mode, contender) => lineOf(scene, mode, contender));
  }

  start(contender: number): number {
    return this.#settle(contender, -1, start(0));
  }

  resume(contender: number, slot: number): number {
    return this.#settle(contender, slot, resume(this.ids[slot]!, 0));
  }

  plain(kind: number, slot: number): number {
    return this.#number(`${kind} ${slot}`, () => ({
      kind,
      slot,
      target: -1,
      part: "door",
      resumed: false,
      minds: 0,
      state: undefined,
      request: undefined,
    }));
  }

  /**
   * A listing's end. `view`: four bits a ticket, -0 (absent, fresh, dead) + 3 * -1 (absent, at 0, at 1); then `timeless`:
   * the answer names no server time, so nobody is dead by it; `late`: the patience for a store's listing is over.
   */
  list(contender: number, local: number, view: number, timeless: boolean, late: boolean, valid: boolean): number {
    const code = view | (timeless ? 1 << 24 : 0) | (late ? 1 << 25 : 0) | (valid ? 1 << 26 : 0);
    return this.#ask(contender, local, code, valid, late, () => ({
      of: "list",
      sentAtMs: 0,
      view: { tickets: this.#tickets(view), marker: undefined, serverTimeMs: timeless ? undefined : NOW_MS },
    }));
  }

  /** A HEAD: gone, fresh or dead. */
  look(contender: number, local: number, sees: "gone" | "fresh" | "dead", valid: boolean): number {
    const code = (1 << 27) | (sees === "gone" ? 0 : sees === "fresh" ? 1 : 2) | (valid ? 4 : 0);
    const sign = { lastModifiedMs: sees === "fresh" ? NOW_MS : 0, renewal: "0" };
    return this.#ask(contender, local, code, valid, false, () => ({
      of: "look",
      sign: sees === "gone" ? undefined : sign,
      serverTimeMs: NOW_MS,
      sentAtMs: 0,
    }));
  }

  door(contender: number, local: number, outcome: "stored" | "absent"): number {
    const code = (1 << 27) | (outcome === "stored" ? 8 : 9);
    return this.#ask(contender, local, code, true, false, () => ({ of: "putDoor", outcome }));
  }

  place(contender: number, local: number, outcome: "stored" | "unknown", at: number | undefined): number {
    const code = (1 << 27) | (outcome === "stored" ? 10 : 11) | ((at === undefined ? 0 : at + 1) << 4);
    return this.#ask(contender, local, code, true, false, () => ({ of: "putPlace", outcome, lastModifiedMs: at }));
  }

  deleted(contender: number, local: number): number {
    const of = this.locals[local]!.kind === TAKE_OVER ? "takeOver" : "withdraw";
    return this.#ask(contender, local, (1 << 27) | 14, true, false, () => ({ of }));
  }

  giveUp(contender: number, local: number): number {
    const { slot, state } = this.locals[local]!;
    return this.#settle(contender, slot, giveUp(state!, "given up", { is: "contended", by: [] }));
  }

  #tickets(view: number): Ticket[] {
    const tickets: Ticket[] = [];
    for (const slot of this.#listed) {
      const code = (view >> (4 * slot)) & 15;
      if (code === 0) continue;
      const door = code % 3;
      const place = Math.floor(code / 3);
      tickets.push({
        id: this.ids[slot]!,
        mode: this.scene.modes[Math.floor(slot / this.scene.tickets)]!,
        permits: this.scene.permits?.[Math.floor(slot / this.scene.tickets)],
        leaseMs: LEASE_MS,
        doorMs: door === 0 ? undefined : door === 1 ? NOW_MS : 0,
        placeMs: place === 0 ? undefined : place - 1,
      });
    }
    return tickets;
  }

  #ask(contender: number, local: number, code: number, valid: boolean, late: boolean, answer: () => Answer): number {
    const key = (local * this.scene.modes.length + contender) * 2 ** 28 + code;
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    const { state, slot } = this.locals[local]!;
    this.asked++;
    const facts = { nowMs: late ? LATE_MS : 0, valid };
    const next = this.#settle(contender, slot, step(this.#lines[contender]!, state!, answer(), facts));
    this.#memo.set(key, next);
    return next;
  }

  /** Answers what nobody else can see, until the machine wants something of the store. */
  #settle(contender: number, slot: number, { state, request }: Step): number {
    const line = this.#lines[contender]!;
    const facts = { nowMs: 0, valid: true };
    while (request.do === "sleep" || request.do === "draw") {
      const known = forget(line, state);
      if (request.do === "sleep") {
        ({ state, request } = step(line, known, { of: "sleep" }, facts));
        continue;
      }
      slot = this.#nextSlot(contender, slot);
      if (slot < 0) return this.plain(DONE, -1);
      ({ state, request } = step(line, known, { of: "draw", id: this.ids[slot]! }, facts));
    }
    if (request.do === "verdict")
      return this.plain(request.verdict.is === "held" ? HELD : DONE, request.verdict.is === "held" ? slot : -1);
    const known = forget(line, state);
    const wanted = request;
    return this.#number(`${contender} ${slot} ${asked(wanted)} ${JSON.stringify(known)}`, () => ({
      kind: KINDS[wanted.do],
      slot,
      target: wanted.do === "look" || wanted.do === "takeOver" ? this.#slots.get(wanted.id)! : -1,
      part: wanted.do === "look" ? wanted.part : "door",
      resumed: known.doorway === "all",
      minds: wanted.do === "list" ? this.#minds(line, known) : 0,
      state: known,
      request: wanted,
    }));
  }

  #minds(line: Line, state: State): number {
    let bits = 0;
    for (const [slot, id] of this.ids.entries()) if (minds(line, state, id)) bits |= 31 << (5 * slot);
    return bits;
  }

  /** A contender that resumed another's ticket draws its own from the first on. */
  #nextSlot(contender: number, slot: number): number {
    const first = contender * this.scene.tickets;
    if (slot < first) return first;
    return slot + 1 < first + this.scene.tickets ? slot + 1 : -1;
  }

  #number(key: string, make: () => Local): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.locals.push(make()) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

const KINDS = {
  putDoor: DOOR,
  putPlace: PLACE,
  list: LIST,
  look: LOOK,
  takeOver: TAKE_OVER,
  withdraw: WITHDRAW,
} as const;

export function lineOf(scene: Scene, mode: Line["mode"], contender: number): Line {
  return {
    mode,
    permits: scene.permits?.[contender],
    visibilityTimeoutMs: 1000,
    settleMs: scene.settleMs ?? 0,
    pollMinMs: 20,
    pollMaxMs: 1000,
    deadlineMs: scene.tries?.includes(contender) === true ? 0 : Number.POSITIVE_INFINITY,
    clockSkewMs: 10_000,
    stepMs: 1000,
    breakAfterMs: undefined,
    rules: { ...ALL_RULES, ...scene.rules },
  };
}
