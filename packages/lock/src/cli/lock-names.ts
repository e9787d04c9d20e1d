/**
 * Which locks a listing shows, by the names of their objects alone. Pure. It does not tell who holds: that is inspect's.
 */
import { INFIX } from "../two-object/ticket.js";

export interface ListedLock {
  readonly key: string;
  /** Tickets and records; 0: only the marker of its fencing tokens is left. */
  readonly tickets: number;
  readonly protocol: "two-object" | "conditional" | "none";
}

export interface NamedObject {
  readonly key: string;
}

/** In the order of the keys. */
export function locksIn(objects: Iterable<NamedObject>): ListedLock[] {
  const found = new Map<string, { ids: Set<string>; record: boolean }>();
  for (const { key } of objects) {
    const at = key.indexOf(INFIX);
    if (at <= 0) continue;
    const name = key.slice(0, at);
    const rest = key.slice(at + INFIX.length);
    const lock = found.get(name) ?? { ids: new Set<string>(), record: false };
    found.set(name, lock);
    if (rest === "record") lock.record = true;
    const ticket = /^(.+)-[01]$/.exec(rest);
    if (ticket !== null) lock.ids.add(ticket[1]!);
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { ids, record }]) => ({
      key,
      tickets: ids.size,
      protocol: record ? "conditional" : ids.size > 0 ? "two-object" : "none",
    }));
}
