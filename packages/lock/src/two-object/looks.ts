/**
 * Whom a waiting ticket looks at next, and what that says of its place in line. Pure. Decides neither who holds nor who is dead: a look
 * at the wrong one costs time or a request.
 */
import { compareOrder } from "./ticket.js";

/** One of the wait set. */
export interface Before {
  readonly id: string;
  /** Complete in the last listing. Otherwise it was choosing: its order is not known yet. */
  readonly order: { readonly placeMs: number; readonly id: string } | undefined;
  readonly leaseMs: number | undefined;
  readonly placeMs: number | undefined;
  readonly hasDoor: boolean;
  readonly disagrees: boolean;
}

/** What is remembered from look to look. */
export interface Looking {
  /** The wait set. */
  readonly before: readonly Before[];
  /** Of a semaphore: looks so far, in rounds of two for each permit. Even: the next is a LIST. */
  readonly turn: number;
  /** Since the last LIST: so many at the head of the wait set were gone, by peeks. */
  readonly passed: number;
  /** When the one just before us was looked at last, monotonic. */
  readonly lookedMs: number;
}

interface Line {
  readonly permits?: number | undefined;
  readonly rules: { readonly looksInTurn: boolean };
}

export interface Target {
  readonly id: string;
  readonly part: "door" | "place";
}

/** How many may hold at once. */
export const room = (line: Pick<Line, "permits">): number => line.permits ?? 1;

/** So many must hold and go before it is our turn. */
export const ahead = (line: Line, { before, passed }: Looking): number =>
  Math.max(before.length - passed - room(line), 0);

/**
 * While others stand between: one in the middle. When it is gone, the line has moved that far, and whoever is next hurries. Nobody is
 * dropped from the wait set, taken over or believed to live for a peek.
 */
export function peekedNext(line: Line, looking: Looking): Before | undefined {
  const { before } = looking;
  if (room(line) > 1 || ahead(line, looking) === 0) return undefined;
  if (before.some((one) => one.order === undefined)) return undefined;
  return [...before].sort((a, b) => compareOrder(a.order!, b.order!))[middle(looking)];
}

/** Of those before us that may still be there, the last one left out: at it we look anyway. */
const middle = ({ before, passed }: Looking): number => passed + ((before.length - passed - 2) >> 1);

export function afterPeek<S extends Looking>(looking: S, saw: "there" | "gone"): S {
  return saw === "gone" ? { ...looking, passed: middle(looking) + 1 } : looking;
}

/**
 * Whom to look at by HEAD; undefined: a LIST. Of a semaphore any of the last k before me may go first, and until one of them does I
 * stay where I am: every other look is a LIST, which shows them all, and between them HEADs ask one after the other, for only a HEAD
 * shows that a ticket which renewed is dead.
 */
export function watchedNext(line: Line, { before, turn }: Looking): Before | undefined {
  if (before.some((one) => one.order === undefined)) return undefined;
  if (room(line) > 1 && line.rules.looksInTurn && turn % 2 === 0) return undefined;
  const lastFirst = [...before].sort((a, b) => compareOrder(b.order!, a.order!));
  return lastFirst[turn >> 1];
}

export function turned<S extends Looking>(line: Line, looking: S): S {
  if (room(line) === 1 || !line.rules.looksInTurn) return looking;
  return { ...looking, turn: (looking.turn + 1) % (2 * room(line)) };
}

export const targetOf = ({ id, hasDoor }: Before): Target => ({ id, part: hasDoor ? "door" : "place" });
