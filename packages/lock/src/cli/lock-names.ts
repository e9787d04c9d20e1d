/**
 * What a listing shows, by the names of the objects alone: locks, semaphores, elections, jobs, latches and members, each under the
 * key that its users gave. Pure. It does not tell who holds: that is inspect's.
 */
import { electionLock, leaderPrefix } from "../election-rule.js";
import { memberPrefix } from "../member-rule.js";
import { onceLock, slotPrefix } from "../once-rule.js";
import { INFIX, parseOwnId } from "../two-object/ticket.js";

/** Kinds whose lock stands under another name than their own. */
export const KINDS = ["lock", "election", "job"] as const;
export type Kind = (typeof KINDS)[number];

export interface ListedLock {
  readonly key: string;
  readonly kind: Kind | "semaphore";
  /** Who holds and who waits; 0: only the marker of its fencing tokens is left, or what leaders and runs left. */
  readonly tickets: number;
  readonly protocol: "two-object" | "conditional" | "none";
}

export interface ListedLatch {
  readonly key: string;
  readonly kind: "latch";
  readonly arrived: number;
  /** How many are awaited. */
  readonly count: number;
}

export interface ListedMembers {
  readonly key: string;
  readonly kind: "members";
  /** Dead ones that nobody has removed yet included. */
  readonly members: number;
}

export type Listed = ListedLock | ListedLatch | ListedMembers;

export interface NamedObject {
  readonly key: string;
}

/** The key of the lock that stands behind the name. */
export const lockOf = (kind: Kind, key: string): string =>
  kind === "election" ? electionLock(key) : kind === "job" ? onceLock(key) : key;

/** What the name of one object says. */
interface Part {
  readonly key: string;
  readonly kind: Kind | "latch" | "members";
  readonly count?: number;
  readonly ticketId?: string | undefined;
  readonly isRecord?: boolean;
}

/** Objects beside a lock, or without one: what stands between the key and their own part, and that part. */
const BESIDE = [
  [leaderPrefix(""), /^\d{19}$/, "election"],
  [slotPrefix(""), /^\d{4}-[^/]+Z\.\d+(?:\.end)?$/, "job"],
  [".latch.", /^([1-9]\d{0,5})\.[^/]+$/, "latch"],
  [memberPrefix(""), /^[0-7][0-9A-Z]{25}\.s\.\d+$/, "members"],
] as const;

/** In the order of the keys. */
export function listedIn(objects: Iterable<NamedObject>): Listed[] {
  const found = new Map<string, { part: Part; ids: Set<string>; isRecord: boolean; objects: number }>();
  for (const object of objects) {
    const part = partOf(object.key);
    if (part === undefined) continue;
    const id = JSON.stringify([part.key, part.kind, part.count]);
    const one = found.get(id) ?? { part, ids: new Set(), isRecord: false, objects: 0 };
    found.set(id, one);
    one.objects += 1;
    if (part.ticketId !== undefined) one.ids.add(part.ticketId);
    if (part.isRecord === true) one.isRecord = true;
  }
  return [...found.values()]
    .map(({ part: { key, kind, count }, ids, isRecord, objects }): Listed => {
      if (kind === "latch") return { key, kind, arrived: objects, count: count! };
      if (kind === "members") return { key, kind, members: objects };
      const hasPermits = kind === "lock" && [...ids].some((id) => parseOwnId(id)?.mode === "permit");
      return {
        key,
        kind: hasPermits ? "semaphore" : kind,
        tickets: ids.size,
        protocol: isRecord ? "conditional" : ids.size > 0 ? "two-object" : "none",
      };
    })
    .sort((a, b) => (a.key === b.key ? (a.kind < b.kind ? -1 : 1) : a.key < b.key ? -1 : 1));
}

function partOf(objectKey: string): Part | undefined {
  const at = objectKey.indexOf(INFIX);
  const rest = objectKey.slice(at + INFIX.length);
  const ticketId = /^(.+)-[01]$/.exec(rest)?.[1];
  const isRecord = rest === "record";
  if (at > 0 && (isRecord || ticketId !== undefined)) return { ...named(objectKey.slice(0, at)), ticketId, isRecord };
  for (const [between, own, kind] of BESIDE) {
    const end = objectKey.lastIndexOf(between);
    const match = end <= 0 ? null : own.exec(objectKey.slice(end + between.length));
    if (match === null) continue;
    return { key: objectKey.slice(0, end), kind, ...(kind === "latch" ? { count: Number(match[1]) } : {}) };
  }
  return at > 0 ? named(objectKey.slice(0, at)) : undefined;
}

/** Whose lock it is, by its name. */
function named(lock: string): Pick<Part, "key" | "kind"> {
  for (const kind of ["election", "job"] as const) {
    const suffix = lockOf(kind, "");
    if (lock.endsWith(suffix) && lock !== suffix) return { key: lock.slice(0, -suffix.length), kind };
  }
  return { key: lock, kind: "lock" };
}
