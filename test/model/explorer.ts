/**
 * Visits every state of a scene breadth first, so that the first trace found is a shortest one. Checks that no two
 * conflicting contenders hold, that everybody can always finish without help of the adversary, and that nothing stays
 * behind. Knows nothing of locks: world.ts and conditional-world.ts make the steps.
 */
import { idOrders, type Scene } from "./scene.js";
import { Pairs, StateTable } from "./state-table.js";
import { FIRST_OF_ADVERSARY, tell } from "./trace.js";
import { World } from "./world.js";

export interface Found {
  readonly what: string;
  /** One line a step, shortest first found. */
  readonly trace: readonly string[];
}

export interface Explored {
  readonly states: number;
  readonly steps: number;
  readonly found: Found | undefined;
}

export interface Limits {
  /** More states than this is a failure of the test, never a pass. */
  readonly states: number;
}

const PLENTY: Limits = { states: 60_000_000 };

/** What can be explored: a state as a few words, and every step that can come next. */
export interface Explorable {
  readonly words: number;
  /** The state a step leads to, valid while `emit` runs. */
  readonly next: Uint32Array;
  first(): void;
  expand(row: Uint32Array, emit: (step: number, actor: number, detail: number) => void): void;
  /** What is wrong with the state in `next`, if anything. */
  wrong(): string | undefined;
  /** Has everybody finished in the state in `next`? */
  finished(): boolean;
}

/** How the steps of a world are told, and which of them nobody's finishing may depend on. */
export interface Voice {
  readonly firstOfAdversary: number;
  tell(step: number, actor: number, detail: number): string;
}

/** One scene with one order of ids. */
export function explore(scene: Scene, limits: Limits = PLENTY): Explored {
  const world = new World(scene);
  const voice: Voice = {
    firstOfAdversary: FIRST_OF_ADVERSARY,
    tell: (step, actor, detail) => tell(world, step, actor, detail),
  };
  return exploreWorld(world, voice, scene, limits);
}

/** `scene`: for the message when there is no end to it. */
export function exploreWorld(world: Explorable, voice: Voice, scene: unknown, limits: Limits = PLENTY): Explored {
  const table = new StateTable(world.words);
  const parents: number[] = [-1];
  const edges = new Pairs();
  const goals: number[] = [];
  let steps = 0;
  let wrong: { what: string; state: number } | undefined;

  const meet = (number: number): void => {
    const what = world.wrong();
    if (what !== undefined) wrong ??= { what, state: number };
    if (world.finished()) goals.push(number);
  };
  world.first();
  meet(table.add(world.next));

  const row = new Uint32Array(world.words);
  for (let state = 0; state < table.size && wrong === undefined; state++) {
    if (table.size > limits.states) throw new Error(`more than ${limits.states} states: ${JSON.stringify(scene)}`);
    table.read(state, row);
    world.expand(row, (step) => {
      steps++;
      const number = table.add(world.next);
      const known = number < 0 ? -1 - number : number;
      if (number >= 0) {
        parents[number] = state;
        meet(number);
      }
      if (step < voice.firstOfAdversary && known !== state) edges.push(state, known);
    });
  }
  if (wrong === undefined) {
    const able = edges.backwards(table.size, goals);
    const stuck = able.indexOf(0);
    if (stuck >= 0) wrong = { what: "from here on not everybody can finish", state: stuck };
  }
  const found = wrong && { what: wrong.what, trace: traceTo(world, voice, table, parents, wrong.state) };
  return { states: table.size, steps, found };
}

export interface Total {
  readonly orders: number;
  /** All orders there are, up to the names of like contenders. */
  readonly of: number;
  readonly states: number;
  readonly steps: number;
  readonly seconds: number;
  readonly found: (Found & { readonly ranks: readonly number[] }) | undefined;
}

/** A scene in all orders of its ids, or in so many spread evenly over them; stops at the first that goes wrong. */
export function exploreAll(scene: Omit<Scene, "ranks">, some = Number.POSITIVE_INFINITY, limits?: Limits): Total {
  const startedMs = performance.now();
  const all = idOrders(scene);
  const every = Math.max(all.length / some, 1);
  const orders = all.filter((_, i) => Math.floor(i / every) !== Math.floor((i - 1) / every));
  let states = 0;
  let steps = 0;
  let found: Total["found"];
  for (const ranks of orders) {
    const one = explore({ ...scene, ranks }, limits);
    states += one.states;
    steps += one.steps;
    if (one.found !== undefined) {
      found = { ...one.found, ranks };
      break;
    }
  }
  return {
    orders: orders.length,
    of: all.length,
    states,
    steps,
    seconds: (performance.now() - startedMs) / 1000,
    found,
  };
}

/** States are kept without the steps that led to them: each is found again by expanding its parent. */
function traceTo(
  world: Explorable,
  voice: Voice,
  table: StateTable,
  parents: readonly number[],
  state: number,
): string[] {
  const path: number[] = [];
  for (let at = state; at >= 0; at = parents[at]!) path.unshift(at);
  const row = new Uint32Array(world.words);
  const trace: string[] = [];
  for (let i = 1; i < path.length; i++) {
    table.read(path[i - 1]!, row);
    let line: string | undefined;
    world.expand(row, (step, actor, detail) => {
      if (line === undefined && table.add(world.next) === -1 - path[i]!) line = voice.tell(step, actor, detail);
    });
    trace.push(`${String(i).padStart(2)} ${line}`);
  }
  return trace;
}
