/**
 * Judges a history of leases: who believed to hold what, from when to when, all on one time line.
 * Pure: reads no clock and asks no store, so that the simulation, real processes on real servers and your own tests can
 * use the same judge. It never guesses: what the caller did not record is not checked.
 */
import type { Mode } from "../two-object/ticket.js";

/** One lease, as an omniscient observer would write it down. All instants in ms on the same time line. */
export interface Hold {
  /** Who: a process, a host, a test's own name for it. */
  readonly actor: string;
  readonly key: string;
  readonly mode: Mode;
  /** Of mode permit: how many may hold at once. */
  readonly permits?: number | undefined;
  /** When `acquire` returned. */
  readonly fromMs: number;
  /** Until when the holder could believe itself the holder: released, told lost, or the end of the lease by its own clock. */
  readonly toMs: number;
  /**
   * Only of a lost lease: when its signal aborted, or from when `throwIfLost` would have thrown where nothing could run
   * (a stopped process). Infinity: lost, and never told.
   */
  readonly toldLostMs?: number | undefined;
  /** When its place in line was stored: with it, first in first out is checked. */
  readonly placedMs?: number | undefined;
  /** For people. */
  readonly ticketId?: string | undefined;
}

export interface Violation {
  readonly rule: /** Two leases in conflict were valid at the same time, or more of a semaphore than it has permits. */
    | "overlap"
    /** A lease was lost, and its holder had not been told when the next one in conflict began. */
    | "untold"
    /** Who stood in line first held later; of a semaphore: who held before as many as may hold had gone that were first. */
    | "order"
    /** The record itself cannot be: it ends before it begins, or holds no number. */
    | "record";
  readonly message: string;
  readonly holds: readonly Hold[];
}

export interface HistoryRules {
  /** Two clocks' worth of doubt: overlaps up to this are no violation, in ms. Default 0. */
  readonly overlapToleranceMs?: number | undefined;
  /** Who was placed less than this earlier may hold later, in ms. Default: order is not checked. */
  readonly orderToleranceMs?: number | undefined;
}

/** Every violation, in the order in which they began; empty: the history is sound. */
export function checkHistory(holds: readonly Hold[], rules: HistoryRules = {}): Violation[] {
  const sound: Hold[] = [];
  const violations: { readonly atMs: number; readonly violation: Violation }[] = [];
  const add = (atMs: number, rule: Violation["rule"], message: string, ...both: Hold[]) =>
    violations.push({ atMs, violation: { rule, message, holds: both } });

  for (const hold of holds) {
    if (isRecord(hold)) sound.push(hold);
    else add(Number.NEGATIVE_INFINITY, "record", `no interval: ${show(hold)}`, hold);
  }
  for (const line of byKey(sound).values()) {
    checkOverlap(line, rules.overlapToleranceMs ?? 0, add);
    checkTold(line, rules.overlapToleranceMs ?? 0, add);
    checkPermits(line, rules.overlapToleranceMs ?? 0, add);
    if (rules.orderToleranceMs !== undefined) {
      checkOrder(line, rules.orderToleranceMs, add);
      checkPermitOrder(line, rules.orderToleranceMs, add);
    }
  }
  return violations.sort((a, b) => a.atMs - b.atMs).map(({ violation }) => violation);
}

type Add = (atMs: number, rule: Violation["rule"], message: string, ...both: Hold[]) => void;

/** Two are too many. Those of one semaphore are counted. */
const inConflict = (a: Hold, b: Hold): boolean =>
  (a.mode !== "shared" || b.mode !== "shared") && !areOfOneSemaphore(a, b);

const areOfOneSemaphore = (a: Hold, b: Hold): boolean =>
  a.mode === "permit" && b.mode === "permit" && a.permits === b.permits;

const isHeldAt = (hold: Hold, atMs: number, toleranceMs: number): boolean =>
  hold.fromMs <= atMs && hold.toMs - toleranceMs > atMs;

function isRecord(hold: Hold): boolean {
  return Number.isFinite(hold.fromMs) && !Number.isNaN(hold.toMs) && hold.toMs >= hold.fromMs;
}

function byKey(holds: readonly Hold[]): Map<string, Hold[]> {
  const lines = new Map<string, Hold[]>();
  for (const hold of [...holds].sort((a, b) => a.fromMs - b.fromMs)) {
    const line = lines.get(hold.key);
    if (line === undefined) lines.set(hold.key, [hold]);
    else line.push(hold);
  }
  return lines;
}

function checkOverlap(line: readonly Hold[], toleranceMs: number, add: Add): void {
  let open: Hold[] = [];
  for (const hold of line) {
    // A lease that ends at the instant at which the next begins does not overlap it.
    open = open.filter((earlier) => earlier.toMs - toleranceMs > hold.fromMs);
    for (const earlier of open) {
      const overlapMs = Math.min(earlier.toMs, hold.toMs) - hold.fromMs;
      // An empty interval is held at no instant.
      if (!inConflict(earlier, hold) || overlapMs <= toleranceMs) continue;
      add(hold.fromMs, "overlap", `${round(overlapMs)} ms: ${show(earlier)} and ${show(hold)}`, earlier, hold);
    }
    open.push(hold);
  }
}

function checkTold(line: readonly Hold[], toleranceMs: number, add: Add): void {
  for (const [index, lost] of line.entries()) {
    const toldMs = lost.toldLostMs;
    if (toldMs === undefined) continue;
    for (const next of line.slice(index + 1)) {
      if (!inConflict(lost, next)) continue;
      if (toldMs - toleranceMs > next.fromMs) {
        const late = toldMs === Number.POSITIVE_INFINITY ? "never told" : `told ${round(toldMs - next.fromMs)} ms late`;
        add(next.fromMs, "untold", `${late}: ${show(lost)} before ${show(next)}`, lost, next);
      }
      break;
    }
  }
}

/** At the instant at which each begins; and the one that was lost counts until it was told. */
function checkPermits(line: readonly Hold[], toleranceMs: number, add: Add): void {
  for (const [index, next] of line.entries()) {
    if (next.permits === undefined || !isHeldAt(next, next.fromMs, toleranceMs)) continue;
    const earlier = line.slice(0, index).filter((one) => areOfOneSemaphore(one, next));
    const held = earlier.filter((one) => isHeldAt(one, next.fromMs, toleranceMs));
    if (held.length >= next.permits)
      add(
        next.fromMs,
        "overlap",
        `more than ${next.permits}: ${[...held, next].map(show).join(" and ")}`,
        ...held,
        next,
      );
    const untold = earlier.filter((one) => !held.includes(one) && (one.toldLostMs ?? 0) - toleranceMs > next.fromMs);
    if (untold.length > 0 && held.length + untold.length >= next.permits)
      add(next.fromMs, "untold", `told late: ${untold.map(show).join(" and ")} before ${show(next)}`, ...untold, next);
  }
}

/** Whoever begins to hold has fewer than the permits before it that were placed earlier and are there still, holding or waiting. */
function checkPermitOrder(line: readonly Hold[], toleranceMs: number, add: Add): void {
  for (const hold of line) {
    const { permits, placedMs } = hold;
    if (permits === undefined || placedMs === undefined) continue;
    const first = line.filter(
      (one) =>
        areOfOneSemaphore(one, hold) &&
        one.placedMs !== undefined &&
        placedMs - one.placedMs > toleranceMs &&
        // One that waits holds later for at least an instant.
        (one.fromMs > hold.fromMs || isHeldAt(one, hold.fromMs, toleranceMs)),
    );
    if (first.length < permits || first.every((one) => one.fromMs <= hold.fromMs)) continue;
    add(hold.fromMs, "order", `${first.map(show).join(" and ")} came before ${show(hold)}`, ...first, hold);
  }
}

function checkOrder(line: readonly Hold[], toleranceMs: number, add: Add): void {
  // Held in this order; whoever comes later in it must not have been placed earlier.
  for (const [index, later] of line.entries()) {
    if (later.placedMs === undefined) continue;
    for (let at = index - 1; at >= 0; at--) {
      const earlier = line[at]!;
      // Held before the later one was even in line: it and all before it have nothing to answer for.
      if (earlier.fromMs <= later.placedMs) break;
      if (earlier.placedMs === undefined || !inConflict(earlier, later)) continue;
      const byMs = earlier.placedMs - later.placedMs;
      if (byMs > toleranceMs)
        add(
          earlier.fromMs,
          "order",
          `placed ${round(byMs)} ms later but first: ${show(earlier)} before ${show(later)}`,
          earlier,
          later,
        );
    }
  }
}

function show(hold: Hold): string {
  const ticket = hold.ticketId === undefined ? "" : ` (${hold.ticketId})`;
  return `${hold.actor} ${hold.mode} '${hold.key}' ${round(hold.fromMs)}..${round(hold.toMs)}${ticket}`;
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;
