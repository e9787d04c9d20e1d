/**
 * What the contenders told, as a history that can be judged: leases with their beginning and end, places in line, fencing
 * tokens, counts.
 * The judging itself is the published checker's. Pure.
 *
 * Never false: an end that a process could not tell any more is the last one it did tell, so an interval is only ever too
 * short. Blind, therefore, to a renewal that was stored but not told before a SIGKILL: at most one renewal's length.
 */
import { checkHistory, type Hold } from "@bucketlock/lock/testing";
import type { Line } from "./lines.js";

/** All lines of one process, and how it ended. */
export interface Told {
  readonly actor: string;
  readonly lines: readonly Line[];
  readonly killed: boolean;
  /** It was stopped at some time: its requests may have run out of time meanwhile. */
  readonly stopped?: boolean;
}

/** Kinds of errors that a network with faults explains, and a process that did not run. */
export const PASSING = ["unavailable", "unknown"];
/** Not stopped by us, but by a machine with too much to do. Then the server did not run either, and requests took too long. */
const HELD_UP_MS = 500;

interface Lease {
  readonly hold: Hold;
  /** The last end that its holder knew: before it, nobody may take it over. */
  readonly untilMs: number;
  /** False: killed, or told that it is lost. */
  readonly released: boolean;
  /** Where it was asked for. */
  readonly token: bigint | undefined;
}

export interface Story {
  readonly holds: readonly Hold[];
  /** The highest fencing token told, by key. */
  readonly tokens: ReadonlyMap<string, bigint>;
  readonly counts: Readonly<Record<string, number>>;
  /** Empty: nothing forbidden happened. */
  readonly findings: readonly string[];
  /** Everything told about the holds of `findings` and around them, in time. */
  readonly timeLine: string;
}

// Who was held up longer than this while drawing a place is left out of the check of the order, which would else have to
// forgive everybody as much.
const DRAW_MAX_MS = 200;

export function tellStory(all: readonly Told[]): Story {
  const leases = all.flatMap(leasesOf);
  const spans = drawings(all);
  const holds = leases.map((lease) => withPlace(lease, spans.get(lease.hold.ticketId!)));
  const placed = holds.filter((hold) => hold.placedMs !== undefined);
  // A ticket placed before another opened its door stands before it. How long after the door that place was stored is
  // not the same for all: the longest of it is the tolerance.
  const orderToleranceMs = Math.max(0, ...placed.map((hold) => spans.get(hold.ticketId!)!.tookMs));
  const violations = checkHistory(holds, { orderToleranceMs });
  const findings = [...violations.map(({ rule, message }) => `${rule}: ${message}`), ...wrongTakeOvers(all, leases)];
  findings.push(...wrongTokens(leases));
  const lines = all.flatMap((told) => told.lines);
  const count = (event: Line["event"]) => lines.filter((line) => line.event === event).length;
  return {
    holds,
    tokens: highestTokens(leases),
    counts: {
      attempts: count("ask"),
      acquisitions: count("got"),
      passed: leases.filter(({ hold }) => hold.ticketId?.includes("~")).length,
      modes: new Set(holds.map((hold) => hold.mode)).size,
      shared: holds.filter((hold) => hold.mode === "shared").length,
      sharedAtOnce: mostAtOnce(holds.filter((hold) => hold.mode === "shared")),
      inOrder: placed.length,
      orderToleranceMs: Math.round(orderToleranceMs),
      renewals: count("renewed"),
      gaveUp: count("gaveUp"),
      withdrawals: count("withdrew"),
      takeOvers: count("tookOver"),
      outlived: leases.filter((lease) => !lease.released && isFollowed(lease, leases)).length,
      tokens: count("token"),
      losses: count("lost"),
      ...(holds.some((hold) => hold.mode === "permit")
        ? { permitsAtOnce: mostAtOnce(holds.filter((hold) => hold.mode === "permit")), asked: count("asked") }
        : {}),
      troubles: count("trouble"),
    },
    findings,
    timeLine:
      findings.length === 0
        ? ""
        : timeLine(
            all,
            violations.flatMap((violation) => violation.holds),
          ),
  };
}

/** Everything that went wrong in the contenders, apart from what is explained. */
export function troubles(all: readonly Told[], explained: readonly string[] = []): string[] {
  return all.flatMap(({ actor, lines, stopped }) =>
    lines.flatMap((line) => {
      if (line.event !== "trouble" || explained.includes(line.kind)) return [];
      const { heldUpMs = 0 } = line;
      if ((stopped || heldUpMs > HELD_UP_MS) && PASSING.includes(line.kind)) return [];
      return [`${actor}: ${line.where}: ${line.kind}: ${line.text} (held up for ${heldUpMs} ms)`];
    }),
  );
}

function leasesOf({ actor, lines, killed }: Told): Lease[] {
  return lines.flatMap((got): Lease[] => {
    if (got.event !== "got") return [];
    const own = lines.filter((line) => "ticket" in line && line.ticket === got.ticket);
    let untilMs = got.until ?? Number.POSITIVE_INFINITY;
    let touchedMs = got.at;
    let endMs = Number.POSITIVE_INFINITY;
    let toldLostMs: number | undefined;
    let released = false;
    let token: bigint | undefined;
    for (const line of own) {
      if (line.event === "renewed") untilMs = Math.max(untilMs, line.until);
      // Seen to be held: stronger than any arithmetic.
      if (line.event === "token") token = BigInt(line.token);
      if (line.event === "touch") touchedMs = Math.max(touchedMs, line.at);
      if (line.event === "ending" || line.event === "lost") endMs = Math.min(endMs, line.at);
      if (line.event === "ending") released = toldLostMs === undefined;
      if (line.event === "lost" && !released) toldLostMs = line.ranAt;
    }
    // Neither given back nor told that it ended, by a process that lived on.
    if (endMs === Number.POSITIVE_INFINITY && !killed) toldLostMs = Number.POSITIVE_INFINITY;
    const toMs = Math.max(got.at, touchedMs, Math.min(endMs, untilMs));
    const hold = {
      actor,
      key: got.key,
      mode: got.mode,
      permits: got.permits,
      fromMs: got.at,
      toMs,
      toldLostMs,
      ticketId: got.ticket,
    };
    return [{ hold, untilMs: Math.min(endMs, untilMs), released, token }];
  });
}

interface Drawing {
  readonly placedMs: number;
  /** From opening the door to the place. */
  readonly tookMs: number;
}

function drawings(all: readonly Told[]): Map<string, Drawing> {
  const doors = new Map<string, number>();
  const spans = new Map<string, Drawing>();
  for (const line of all.flatMap((told) => told.lines)) {
    if (line.event === "door") doors.set(line.ticket, line.at);
    if (line.event === "place")
      spans.set(line.ticket, { placedMs: line.at, tookMs: line.at - (doors.get(line.ticket) ?? 0) });
  }
  return spans;
}

function withPlace({ hold, untilMs }: Lease, drawing: Drawing | undefined): Hold {
  if (drawing === undefined || drawing.tookMs > DRAW_MAX_MS) return hold;
  // Stopped between the claim and telling it: when it held, if it did, is not known.
  if (untilMs <= hold.fromMs) return hold;
  return { ...hold, placedMs: drawing.placedMs };
}

/** Took over a lease before the last end that its holder knew: wrong even where nobody held after it. */
function wrongTakeOvers(all: readonly Told[], leases: readonly Lease[]): string[] {
  // The last of those that were passed on.
  const byTicket = new Map(leases.map((lease) => [lease.hold.ticketId?.split("~")[0], lease]));
  return all.flatMap(({ actor, lines }) =>
    lines.flatMap((line) => {
      if (line.event !== "tookOver") return [];
      const victim = byTicket.get(line.victim);
      if (victim === undefined || victim.untilMs <= line.at) return [];
      return [`take-over: ${actor} took over ${line.victim} ${Math.round(victim.untilMs - line.at)} ms before its end`];
    }),
  );
}

const conflict = (one: Hold, other: Hold): boolean =>
  one.key === other.key && (one.mode !== "shared" || other.mode !== "shared");

/**
 * Tokens rise strictly from holder to holder in conflict. Stopped between the claim and telling it: when it held, if it did, is
 * not known, and nothing is said of it.
 */
function wrongTokens(leases: readonly Lease[]): string[] {
  const drawn = leases
    .filter((lease) => lease.token !== undefined && lease.untilMs > lease.hold.fromMs)
    .sort((a, b) => a.hold.fromMs - b.hold.fromMs);
  return drawn.flatMap((later, at) =>
    drawn
      .slice(0, at)
      .filter((earlier) => conflict(earlier.hold, later.hold) && isWrong(earlier, later))
      .map(
        (earlier) =>
          `token: ${later.hold.actor} (${later.hold.ticketId}) got ${later.token} on '${later.hold.key}' after ` +
          `${earlier.hold.actor} (${earlier.hold.ticketId}) had ${earlier.token}`,
      ),
  );
}

/** Holders of a semaphore at the same time may have any; of two that follow each other no protocol gives both the same. */
function isWrong(earlier: Lease, later: Lease): boolean {
  if (later.hold.mode !== "permit") return earlier.token! >= later.token!;
  return earlier.hold.toMs < later.hold.fromMs && earlier.token === later.token;
}

function highestTokens(leases: readonly Lease[]): Map<string, bigint> {
  const highest = new Map<string, bigint>();
  for (const { token, hold } of leases)
    if (token !== undefined && token > (highest.get(hold.key) ?? 0n)) highest.set(hold.key, token);
  return highest;
}

/** Another held what this one never gave back. */
function isFollowed({ hold }: Lease, leases: readonly Lease[]): boolean {
  return leases.some((other) => conflict(hold, other.hold) && other.hold.fromMs > hold.fromMs);
}

function mostAtOnce(holds: readonly Hold[]): number {
  return Math.max(
    0,
    ...holds.map(
      (one) => holds.filter((o) => o.key === one.key && o.fromMs <= one.fromMs && one.fromMs < o.toMs).length,
    ),
  );
}

const AROUND_MS = 300;

function timeLine(all: readonly Told[], holds: readonly Hold[]): string {
  const lines = all.flatMap(({ actor, lines }) => lines.map((line) => ({ actor, line })));
  const tickets = new Set(holds.map((hold) => hold.ticketId));
  const near = (at: number) => holds.some((hold) => at > hold.fromMs - AROUND_MS && at < hold.toMs + AROUND_MS);
  return lines
    .filter(({ line }) => "at" in line && (("ticket" in line && tickets.has(line.ticket)) || near(line.at)))
    .filter(({ line }) => line.event !== "touch" || tickets.has(line.ticket))
    .map(({ actor, line }) => ({ actor, line: line as Line & { at: number } }))
    .sort((a, b) => a.line.at - b.line.at)
    .slice(-400)
    .map(({ actor, line: { at, ...rest } }) => `${at.toFixed(3)} ${actor} ${JSON.stringify(rest)}`)
    .join("\n");
}

/** One line for a log. */
export function showCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
