/**
 * Whose turn it is among the acquires of one lock in one process: who is served by a ticket that is held already, when one of
 * them stands in the store's line for all, when a ticket is given back so that other hosts are served. Pure: `nowMs` is handed in.
 * Never decides who holds at the store, and never looks whether a ticket is still valid: what is lost is taken out before.
 */
import { conflicts, type Mode } from "../two-object/ticket.js";

export interface Ask {
  readonly id: number;
  readonly mode: Mode;
  /** On the caller's monotonic clock. */
  readonly deadlineMs: number;
  /** Wants no wait: refused as soon as another is sure to stand before it. */
  readonly tries: boolean;
}

/** A ticket that this process holds. */
export interface Held {
  readonly id: number;
  readonly mode: Mode;
  /** When the store gave it, monotonic. */
  readonly grantedMs: number;
  /** Leases it served so far. */
  readonly turns: number;
  /** Leases of it that are not over. */
  readonly users: number;
  /** One of its leases was abandoned: it serves nobody any more. */
  readonly closed: boolean;
}

/** The one ticket of ours in the store's line. */
export interface Standing {
  readonly mode: Mode;
  /** The ask it was drawn for; any other of its mode may be served by it, unless it `tries`. */
  readonly ask: number;
  readonly tries: boolean;
  /** Others are known to stand before it, or the store does not answer just now. */
  readonly waiting: boolean;
  /** Called back: nobody wants it any more. */
  readonly ending: boolean;
}

export interface Turns {
  /** First come first. */
  readonly asks: readonly Ask[];
  readonly held: readonly Held[];
  readonly standing: Standing | undefined;
}

export const NOBODY: Turns = { asks: [], held: [], standing: undefined };

export interface TurnRules {
  /** Exclusive leases in a row by one ticket. */
  readonly localTurns: number;
  /** How long a ticket serves further leases, in ms from the store's grant. */
  readonly localMs: number;
  /** The rest only for tests that remove a rule. A ticket serves within bounds. */
  readonly bounded: boolean;
  /** Nobody is served before who came first. */
  readonly inOrder: boolean;
  /** Only a ticket that can be proved is passed on. */
  readonly onlyValid: boolean;
  /** Each exclusive lease has a token of its own. */
  readonly ownToken: boolean;
}

/** Users always get all of them. */
export const ALL_RULES = { bounded: true, inOrder: true, onlyValid: true, ownToken: true } as const;

export type Order =
  | { readonly do: "serve"; readonly ask: number; readonly held: number; readonly isFirst: boolean }
  /** Others stand before it, or its time is over. */
  | { readonly do: "refuse"; readonly ask: number }
  | { readonly do: "stand"; readonly ask: Ask }
  /** Call the ticket in the store's line back. */
  | { readonly do: "callBack" }
  /** Give the ticket back to the store. */
  | { readonly do: "release"; readonly held: number };

/** What follows from the state as it is: the next state, and what to do at once. */
export function settle(before: Turns, nowMs: number, rules: TurnRules): { turns: Turns; orders: Order[] } {
  const orders: Order[] = [];
  let turns = before;
  for (let next = servable(turns, nowMs, rules); next !== undefined; next = servable(turns, nowMs, rules)) {
    const { ask, held } = next;
    orders.push({ do: "serve", ask: ask.id, held: held.id, isFirst: held.turns === 0 });
    turns = {
      ...turns,
      asks: turns.asks[0] === ask ? turns.asks.slice(1) : turns.asks.filter((one) => one !== ask),
      held: turns.held.map((one) => (one === held ? { ...one, turns: one.turns + 1, users: one.users + 1 } : one)),
    };
  }
  const refused = new Set(turns.asks.filter((ask, at) => isRefused(turns, ask, at, nowMs)));
  for (const { id } of refused) orders.push({ do: "refuse", ask: id });
  if (refused.size > 0) turns = { ...turns, asks: turns.asks.filter((ask) => !refused.has(ask)) };

  for (const { id, users } of turns.held) if (users === 0) orders.push({ do: "release", held: id });
  if (turns.held.some(({ users }) => users === 0))
    turns = { ...turns, held: turns.held.filter(({ users }) => users > 0) };

  const { standing } = turns;
  const [head] = turns.asks;
  if (standing === undefined) {
    if (head === undefined || turns.held.some((held) => willPass(held, head, nowMs, rules))) return { turns, orders };
    orders.push({ do: "stand", ask: head });
    const { mode, id, tries } = head;
    return { turns: { ...turns, standing: { mode, ask: id, tries, waiting: false, ending: false } }, orders };
  }
  const isWanted = standing.tries ? head?.id === standing.ask : head?.mode === standing.mode;
  if (isWanted || standing.ending) return { turns, orders };
  orders.push({ do: "callBack" });
  return { turns: { ...turns, standing: { ...standing, ending: true } }, orders };
}

/** The asks that the ticket in the store's line stands for: those at the head that it could serve. */
export function stoodFor({ asks, standing }: Turns): readonly Ask[] {
  // Who asks while it is being called back stands in line anew.
  if (standing === undefined || standing.ending) return [];
  if (standing.tries) return asks.filter(({ id }) => id === standing.ask);
  const end = asks.findIndex(({ mode }) => mode !== standing.mode);
  return end < 0 ? asks : asks.slice(0, end);
}

/** When to settle again though nothing happened: somebody's time is over, or a ticket may not be passed on any more. */
export function nextLookMs({ asks, held, standing }: Turns, nowMs: number, rules: TurnRules): number | undefined {
  // The last one that a ticket stands for ends with it.
  if (asks.length === 0 || (asks.length === 1 && standing?.ending === false)) return undefined;
  let nextMs = Number.POSITIVE_INFINITY;
  const consider = (atMs: number) => {
    if (atMs > nowMs && atMs < nextMs) nextMs = atMs;
  };
  for (const { deadlineMs } of asks) consider(deadlineMs);
  if (standing === undefined) for (const { grantedMs } of held) consider(grantedMs + rules.localMs);
  return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs;
}

function servable(
  { asks, held }: Turns,
  nowMs: number,
  rules: TurnRules,
): { readonly ask: Ask; readonly held: Held } | undefined {
  // Only the first: who joined a held ticket from behind would overtake a writer that waits.
  for (const ask of rules.inOrder ? asks.slice(0, 1) : asks) {
    const by = held.find((one) => serves(one, ask, nowMs, rules) && (ask.mode === "shared" || one.users === 0));
    if (by !== undefined) return { ask, held: by };
  }
  return undefined;
}

/** Within its bounds. Readers hold together, so for them only time counts. */
function serves(held: Held, ask: Ask, nowMs: number, rules: TurnRules): boolean {
  if (held.closed || held.mode !== ask.mode) return false;
  if (!rules.bounded || held.turns === 0) return true;
  return nowMs - held.grantedMs < rules.localMs && (held.mode === "shared" || held.turns < rules.localTurns);
}

/** It need not stand in the store's line: its turn comes by this ticket. */
const willPass = (held: Held, ask: Ask, nowMs: number, rules: TurnRules): boolean =>
  ask.mode === "exclusive" && serves(held, ask, nowMs, rules);

function isRefused(turns: Turns, ask: Ask, at: number, nowMs: number): boolean {
  const { asks, held, standing } = turns;
  if (ask.tries) {
    const isOwn = standing?.ask === ask.id;
    return (
      (!isOwn && standing?.waiting === true) ||
      held.some((one) => one.users > 0 && conflicts(one.mode, ask.mode)) ||
      asks.slice(0, at).some((earlier) => conflicts(earlier.mode, ask.mode))
    );
  }
  if (nowMs < ask.deadlineMs) return false;
  // The last ones that a ticket stands for wait for its end, which is near: it may have won already.
  const together = stoodFor(turns);
  return !(together.includes(ask) && together.every(({ deadlineMs }) => nowMs >= deadlineMs));
}
