/**
 * A lock as text for people. Pure: `now` is in what the store said. Says nothing that is not in the facts.
 */
import { formatInstant } from "@bucketlock/core/http";
import type { LockInfo, TicketInfo } from "../inspect.js";
import { showDuration, showSeconds } from "./duration.js";
import type { Listed } from "./lock-names.js";
import { printable } from "./printable.js";

/** The first line tells the state, the others one ticket each. `paint`: colours, or none. */
export function describeLock(
  info: LockInfo,
  paint: (colour: "red" | "green" | "yellow" | "dim" | "bold", text: string) => string,
): string {
  const { holders, waiters } = info;
  const state = holders.length === 0 ? "free" : `held by ${holders.length}${limit(holders)}${deadAmong(holders)}`;
  const waiting = waiters.length === 0 ? "" : `, ${waiters.length} waiting`;
  const rows = [...holders, ...waiters].map((ticket) => [
    ticket.state,
    who(ticket),
    ticket.mode,
    ticket.sinceMs === undefined ? "" : `since ${since(ticket.sinceMs, info.serverTimeMs)}`,
    ticket.ageMs === undefined ? "" : `seen ${showDuration(ticket.ageMs)} ago`,
    ticket.life,
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => {
    const life = row[5]!;
    const colour = life === "alive" ? "green" : life === "dead" ? "red" : "yellow";
    return `  ${row
      .slice(0, 5)
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")}  ${paint(colour, life)}`;
  });
  return [`${paint("bold", printable(info.key))}: ${state}${waiting}`, ...lines].join("\n");
}

/** A line each: key, kind, and how many. */
export function describeListed(all: readonly Listed[], dim: (text: string) => string): string[] {
  const rows = all.map((one) => [printable(one.key), one.kind, howMany(one)] as const);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  return rows.map(([key, kind, many]) => `${key.padEnd(widths[0]!)}  ${kind.padEnd(widths[1]!)}  ${dim(many)}`);
}

function howMany(one: Listed): string {
  if (one.kind === "latch") return `${one.arrived} of ${one.count} arrived`;
  const [number, what] = one.kind === "members" ? [one.members, "member"] : [one.tickets, "ticket"];
  if ("protocol" in one && one.protocol === "conditional") return "a record";
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

/** Who has it, in half a line, for who waits: `worker-3 since 2026-11-21T10:00:00Z (2m 05s)`. */
export function describeHolders({ holders, waiters, serverTimeMs }: LockInfo): string {
  const [first, ...more] = holders;
  if (first === undefined) return waiters.length === 0 ? "nobody any more" : "nobody just now";
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  const dead = first.life === "alive" ? "" : `, ${first.life}`;
  const when = first.sinceMs === undefined ? "" : ` since ${since(first.sinceMs, serverTimeMs)}`;
  return `${who(first)}${when}${dead}${others}`;
}

/** To the second, `2026-11-21T10:00:00Z`. */
export function showInstant(ms: number): string {
  return formatInstant(Math.floor(ms / 1000) * 1000).replace(".000Z", "Z");
}

/** Of a semaphore: how many may. */
function limit([first]: readonly TicketInfo[]): string {
  return first?.permits === undefined ? "" : ` of ${first.permits}`;
}

function deadAmong(holders: readonly TicketInfo[]): string {
  const dead = holders.filter(({ life }) => life === "dead").length;
  return dead === 0 ? "" : ` (${dead === holders.length ? "" : `${dead} `}dead)`;
}

/** By its label; a foreign ticket has only its id. */
export function who({ label, ticketId }: Pick<TicketInfo, "label" | "ticketId">): string {
  return printable(label ?? ticketId);
}

function since(ms: number, nowMs: number | undefined): string {
  const at = showInstant(ms);
  return nowMs === undefined ? at : `${at} (${showSeconds(Math.max(0, nowMs - ms))})`;
}
