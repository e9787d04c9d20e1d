/**
 * Random walks over the real machine: listings read object by object, in key order or any order, with more contenders and
 * more restarts than can be explored whole. Every walk follows from its seed alone. Some walks also run each step on a state
 * that forgot what forgetting.ts forgets, and compare: that is what makes the explorer's shortcut exact.
 */
import {
  type Answer,
  type Facts,
  type Line,
  type Request,
  type Rules,
  type State,
  type Step,
  start,
  step,
} from "../../packages/lock/src/two-object/machine.js";
import { conflicts, disagree, type Mode, type Ticket } from "../../packages/lock/src/two-object/ticket.js";
import { asked, forget, minds } from "./forgetting.js";
import { lineOf, NOW_MS } from "./machine-table.js";
import { idsOf, LEASE_MS, type Scene } from "./scene.js";

export type Ending = "ok" | "both hold" | "left behind" | "stuck" | "forgot too much";

interface Thing {
  readonly slot: number;
  readonly part: 0 | 1;
}

interface Actor {
  readonly line: Line;
  readonly index: number;
  state: State;
  request: Request;
  slot: number;
  valid: boolean;
  /** It claimed when it was no longer valid: it believes to hold. */
  claimedInvalid: boolean;
  done: boolean;
  /** A listing under way: what is still to be read, and what was. */
  reading: { readonly left: Thing[]; readonly seen: Map<number, [number | undefined, number | undefined]> } | undefined;
  /** Deletes still to be done, and of which ticket. */
  deletes: Thing[] | undefined;
}

const STEPS_MAX = 6_000;

export class Walk {
  readonly #chance: () => number;
  readonly #scene: Scene;
  readonly #ids: readonly string[];
  /** Per ticket: -0 (there or not) and -1 (its timestamp). */
  readonly #doors: boolean[];
  readonly #places: (number | undefined)[];
  readonly #actors: Actor[];
  readonly #late: Thing[] = [];
  readonly #ghosts = new Set<number>();
  readonly #keyOrder: boolean;
  readonly #compares: boolean;
  readonly #timestamps: number;

  constructor(seed: number, rules: Partial<Rules>, compares: boolean) {
    this.#chance = chanceOf(seed);
    this.#compares = compares;
    const contenders = 2 + this.#below(3);
    const tickets = 1 + this.#below(4);
    // Every fifth is of a semaphore; now and then one of its clients counts otherwise. No chance is drawn for that.
    const permits = seed % 5 === 0 ? 1 + (seed % 3) : undefined;
    const odd = seed % 4 === 0 ? (seed % 8 === 0 ? undefined : permits! + 1) : permits;
    const modes = Array.from({ length: contenders }, (_, index): Mode => {
      const mode = this.#chance() < 0.7 ? "exclusive" : "shared";
      return permits === undefined || (index === 0 && odd === undefined) ? mode : "permit";
    });
    const wild = this.#chance() < 0.7;
    this.#timestamps = 1 + this.#below(3);
    this.#keyOrder = this.#chance() < 0.5;
    this.#scene = {
      modes,
      permits: modes.map((mode, index) => (mode === "permit" ? (index === 0 ? odd : permits) : undefined)),
      tickets,
      ranks: this.#shuffled(Array.from({ length: contenders * tickets }, (_, rank) => rank)),
      timestamps: 2,
      listing: "spread",
      expiry: wild && this.#chance() < 0.7,
      crash: wild && this.#chance() < 0.2,
      unknownPlace: wild && this.#chance() < 0.4,
      lateDoors: wild && this.#chance() < 0.3 ? 2 : 0,
      settleMs: this.#chance() < 0.2 ? 1000 : 0,
      tries: this.#chance() < 0.2 ? [this.#below(contenders)] : [],
      rules,
    };
    this.#ids = idsOf(this.#scene);
    this.#doors = this.#ids.map(() => false);
    this.#places = this.#ids.map(() => undefined);
    this.#actors = modes.map((mode, index) => ({
      line: lineOf(this.#scene, mode, index),
      index,
      ...start(0),
      slot: -1,
      valid: true,
      claimedInvalid: false,
      done: false,
      reading: undefined,
      deletes: undefined,
    }));
  }

  run(): Ending {
    try {
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        const awake = this.#actors.filter((actor) => !actor.done);
        if (awake.length === 0) return this.#leftBehind() ? "left behind" : "ok";
        this.#move(awake[this.#below(awake.length)]!);
        this.#befall();
        if (this.#overlap()) return "both hold";
      }
      return "stuck";
    } catch (error) {
      if (error instanceof ForgotTooMuch) return "forgot too much";
      throw error;
    }
  }

  #move(actor: Actor): void {
    const { request } = actor;
    switch (request.do) {
      case "sleep":
        this.#answer(actor, { of: "sleep" });
        break;
      case "draw":
        this.#draw(actor);
        break;
      case "putDoor":
        this.#doors[actor.slot] = true;
        this.#answer(actor, { of: "putDoor", outcome: "stored" });
        break;
      case "putPlace":
        this.#putPlace(actor);
        break;
      case "list":
        this.#read(actor);
        break;
      case "look":
        this.#look(actor, this.#ids.indexOf(request.id), request.part);
        break;
      case "takeOver":
        this.#delete(actor, this.#ids.indexOf(request.id), { of: "takeOver" });
        break;
      case "withdraw":
        this.#delete(actor, actor.slot, { of: "withdraw" });
        break;
      case "verdict":
        if (request.verdict.is !== "held") actor.done = true;
        // A release is two deletes as well; until the first it holds.
        else if (actor.deletes !== undefined || this.#chance() < 0.3) this.#delete(actor, actor.slot, undefined);
    }
  }

  #draw(actor: Actor): void {
    const first = actor.index * this.#scene.tickets;
    const slot = actor.slot < 0 ? first : actor.slot + 1;
    if (slot >= first + this.#scene.tickets) {
      actor.done = true;
      actor.slot = -1;
      return;
    }
    actor.slot = slot;
    actor.valid = true;
    this.#answer(actor, { of: "draw", id: this.#ids[slot]! });
  }

  #putPlace(actor: Actor): void {
    const lost = this.#scene.unknownPlace === true && this.#chance() < 0.2;
    const fate = this.#chance();
    if (lost && fate < 0.7) {
      this.#ghosts.add(actor.slot);
      // Lands later, or never.
      if (fate < 0.5) this.#late.push({ slot: actor.slot, part: 1 });
    } else {
      this.#places[actor.slot] = this.#below(this.#timestamps);
    }
    this.#answer(actor, { of: "putPlace", outcome: lost ? "unknown" : "stored", lastModifiedMs: this.#below(3) });
  }

  #read(actor: Actor): void {
    actor.reading ??= { left: this.#things(), seen: new Map() };
    const { left, seen } = actor.reading;
    for (let count = this.#chance() < 0.2 ? left.length : 1 + this.#below(4); count > 0 && left.length > 0; count--) {
      const { slot, part } = left.pop()!;
      const value = part === 0 ? (this.#doors[slot] ? this.#shownMs(actor, slot) : undefined) : this.#places[slot];
      if (value === undefined) continue;
      const ticket = seen.get(slot) ?? [undefined, undefined];
      ticket[part] = value;
      seen.set(slot, ticket);
    }
    if (left.length > 0) return;
    actor.reading = undefined;
    const own = seen.get(actor.slot);
    const missing = own?.[0] === undefined || own[1] === undefined;
    // Now and then the patience for a listing that lacks own objects is over.
    const nowMs = missing && this.#chance() < 0.3 ? 1_000_000 : 0;
    this.#answer(actor, { of: "list", view: this.#view(seen), sentAtMs: 0 }, nowMs);
    if (isHeld(actor) && !actor.valid) actor.claimedInvalid = true;
  }

  #view(seen: Map<number, [number | undefined, number | undefined]>) {
    const tickets: Ticket[] = [];
    let timeless = false;
    for (const [slot, [doorMs, placeMs]] of seen) {
      // A living ticket seen without its -0 has a young -1.
      if (doorMs === undefined && !this.#mayBeDead(slot)) timeless = true;
      const mode = this.#scene.modes[Math.floor(slot / this.#scene.tickets)]!;
      const permits = this.#scene.permits![Math.floor(slot / this.#scene.tickets)];
      tickets.push({ id: this.#ids[slot]!, mode, permits, leaseMs: LEASE_MS, doorMs, placeMs });
    }
    tickets.sort((a, b) => (a.id < b.id ? -1 : 1));
    return { tickets, marker: undefined, serverTimeMs: timeless ? undefined : NOW_MS };
  }

  /** All objects there may be, last to read first. */
  #things(): Thing[] {
    const slots = [...this.#ids.keys()];
    if (this.#keyOrder) slots.sort((a, b) => (this.#ids[a]! < this.#ids[b]! ? 1 : -1));
    const things = slots.flatMap((slot): Thing[] => [
      { slot, part: 1 },
      { slot, part: 0 },
    ]);
    return this.#keyOrder ? things : this.#shuffled(things);
  }

  #look(actor: Actor, slot: number, part: "door" | "place"): void {
    const there = part === "door" ? this.#doors[slot]! : this.#places[slot] !== undefined;
    const sign = there ? { lastModifiedMs: this.#shownMs(actor, slot), renewal: "0" } : undefined;
    this.#answer(actor, { of: "look", sign, serverTimeMs: NOW_MS, sentAtMs: 0 });
  }

  #shownMs(actor: Actor, slot: number): number {
    return slot !== actor.slot && this.#mayBeDead(slot) && this.#chance() < 0.5 ? 0 : NOW_MS;
  }

  #mayBeDead(slot: number): boolean {
    const owner = this.#actors[Math.floor(slot / this.#scene.tickets)]!;
    return owner.slot !== slot || owner.done || !owner.valid;
  }

  #delete(actor: Actor, slot: number, answer: Answer | undefined): void {
    actor.deletes ??= this.#shuffled<Thing>([
      { slot, part: 0 },
      { slot, part: 1 },
    ]);
    const thing = actor.deletes.pop();
    if (thing?.part === 0) this.#doors[slot] = false;
    if (thing?.part === 1) this.#places[slot] = undefined;
    if (actor.deletes.length > 0) return;
    actor.deletes = undefined;
    if (answer !== undefined) this.#answer(actor, answer);
    else actor.done = true;
  }

  /** What the adversary does between the steps. */
  #befall(): void {
    const actor = this.#actors[this.#below(this.#actors.length)]!;
    const past = actor.request.do === "withdraw" || actor.state.phase === "draw" || actor.state.phase === "door";
    if (!actor.done && this.#scene.expiry === true && !past && this.#chance() < 0.02) actor.valid = false;
    if (!actor.done && this.#scene.crash === true && this.#chance() < 0.005) {
      actor.done = true;
      this.#ghosts.add(actor.slot);
    }
    if (actor.slot >= 0 && !past && this.#chance() < 0.01 * (this.#scene.lateDoors ?? 0)) {
      if (!this.#ghosts.has(actor.slot)) this.#late.push({ slot: actor.slot, part: 0 });
      this.#ghosts.add(actor.slot);
    }
    if (this.#late.length > 0 && this.#chance() < 0.05) {
      const { slot, part } = this.#late.splice(this.#below(this.#late.length), 1)[0]!;
      if (part === 0) this.#doors[slot] = true;
      else this.#places[slot] = this.#below(this.#timestamps);
    }
  }

  #overlap(): boolean {
    // Whoever has begun to delete its objects has let go: the lease ends before the first delete is sent.
    const holders = this.#actors.filter(
      (actor) => !actor.done && isHeld(actor) && actor.deletes === undefined && (actor.valid || actor.claimedInvalid),
    );
    return holders.some(({ line, index }) =>
      line.permits === undefined
        ? holders.some((b) => b.index !== index && conflicts(line.mode, b.line.mode))
        : holders.length > line.permits || holders.some((b) => disagree(line, b.line)),
    );
  }

  #leftBehind(): boolean {
    // A taker that crashed, too, may have left what it was about to remove.
    if (this.#scene.crash === true) return false;
    return this.#ids.some(
      (_, slot) => (this.#doors[slot] || this.#places[slot] !== undefined) && !this.#ghosts.has(slot),
    );
  }

  #answer(actor: Actor, answer: Answer, nowMs = 0): void {
    const facts = { nowMs, valid: actor.valid };
    const next = step(actor.line, actor.state, answer, facts);
    if (this.#compares) compare(actor, answer, facts, next);
    actor.state = next.state;
    actor.request = next.request;
  }

  #below(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }

  #shuffled<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.#below(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}

class ForgotTooMuch extends Error {}

/** The same step on a state, and a listing, that forgot: it must ask for the same, and know the same afterwards. */
function compare(actor: Actor, answer: Answer, facts: Facts, next: Step): void {
  const { line, state } = actor;
  let told = answer;
  if (answer.of === "list") {
    const tickets = answer.view.tickets.filter((ticket) => minds(line, state, ticket.id));
    told = { ...answer, view: { ...answer.view, tickets } };
  }
  const a = rested(line, next);
  const b = rested(line, step(line, forget(line, state), told, facts));
  if (asked(a.request) !== asked(b.request) || known(line, a.state) !== known(line, b.state)) throw new ForgotTooMuch();
}

const known = (line: Line, state: State): string => JSON.stringify(forget(line, state));

function rested(line: Line, at: Step): Step {
  let now = at;
  while (now.request.do === "sleep") now = step(line, now.state, { of: "sleep" }, { nowMs: 0, valid: true });
  return now;
}

const isHeld = (actor: Actor): boolean => actor.request.do === "verdict" && actor.request.verdict.is === "held";

/** Mulberry32: small, and the same on every machine. */
function chanceOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Walks from `first` on, counted by how they ended. */
export function walk(
  first: number,
  count: number,
  rules: Partial<Rules> = {},
): { ends: Map<Ending, number>; bad: number[] } {
  const ends = new Map<Ending, number>();
  const bad: number[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const end = new Walk(seed, rules, seed % 8 === 0).run();
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (end !== "ok") bad.push(seed);
  }
  return { ends, bad };
}
