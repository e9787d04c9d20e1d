/**
 * The names of a lock's objects: what a ticket is called, and how a listing is read back into tickets.
 * Pure: no I/O, no clock, no chance. Never ignores an object it does not know; it says ProtocolMismatch.
 */
import { BucketlockError, InvalidError, type ListedObject } from "@bucketlock/core";

export type LockMode = "exclusive" | "shared";
/** `permit`: one of the permits of a semaphore. */
export type Mode = LockMode | "permit";

/** One attempt to get a lock, as one listing shows it. */
export interface Ticket {
  readonly id: string;
  readonly mode: Mode;
  /** How many may hold at once, as its owner says; undefined: it is of a lock, not of a semaphore. */
  readonly permits?: number | undefined;
  /** Undefined: a foreign client's ticket, it never expires by itself. */
  readonly leaseMs: number | undefined;
  /** Timestamp of `-0`, the doorway and the sign of life, epoch ms. Undefined: not in the listing. */
  readonly doorMs: number | undefined;
  /** Timestamp of `-1`, the place in line, epoch ms. Undefined: still choosing. */
  readonly placeMs: number | undefined;
}

/** What one LIST (all its pages) showed. */
export interface View {
  readonly tickets: readonly Ticket[];
  /** Highest fencing marker; undefined when the lock has none. */
  readonly marker: bigint | undefined;
  readonly serverTimeMs: number | undefined;
}

export const INFIX = ".lock.";
// MD5 of "1" and of "0": what an ETag is on a store without KMS encryption (s3func relies on it too).
const EXCLUSIVE_MD5 = "c4ca4238a0b923820dcc509a6f75849b";
const SHARED_MD5 = "cfcd208495d565ef66e7dff9f98764da";

const OWN_ID = /^([0-7][0-9A-HJKMNP-TV-Z]{25})\.(?:([xs])|p([1-9]\d{0,3}))\.([1-9]\d{0,9})$/;
/** The most permits a semaphore may have: their number is part of its objects' names. */
export const PERMITS_MAX = 9999;
const ENTRY = /^([^-]+)-([01])$/;
const MARKER = /^token\.([1-9]\d{0,18})$/;
// The longest name we ever add: ".lock." + ULID + ".x." + ten digits + "-0".
const ADDED_BYTES = 6 + 26 + 3 + 10 + 2;
// Of a semaphore: ".p9999." instead of ".x.".
const PERMITS_BYTES = 4;
const OBJECT_KEY_MAX_BYTES = 1024;

/** The key of a lock, checked: what every store takes once `.lock.<ticket>` is added. Throws InvalidError. */
export function lockKey(value: unknown, permits?: number): string {
  const max = OBJECT_KEY_MAX_BYTES - ADDED_BYTES - (permits === undefined ? 0 : PERMITS_BYTES);
  if (typeof value !== "string" || value === "")
    throw new InvalidError("key", "must be a string that is not empty", value);
  if (!value.isWellFormed()) throw new InvalidError("key", "must be well-formed Unicode", value);
  if (Buffer.byteLength(value) > max) throw new InvalidError("key", `must be at most ${max} bytes of UTF-8`, value);
  // Such a key's tickets would be read as foreign tickets of another lock: those of `a.lock` start with the prefix of `a`.
  if (`${value}.`.includes(INFIX))
    throw new InvalidError("key", `must not contain '${INFIX}' nor end with '.lock'`, value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new InvalidError("key", "must hold no control character", value);
  if (value.startsWith("/")) throw new InvalidError("key", "must not start with '/'", value);
  if (value.includes("//")) throw new InvalidError("key", "must not contain '//' (several stores refuse it)", value);
  if (value.split("/").some((segment) => segment === "." || segment === "..")) {
    throw new InvalidError("key", "must have no '.' or '..' between slashes (URL parsers remove them)", value);
  }
  return value;
}

export const prefixOf = (key: string): string => `${key}${INFIX}`;
export const doorKey = (key: string, id: string): string => `${key}${INFIX}${id}-0`;
export const placeKey = (key: string, id: string): string => `${key}${INFIX}${id}-1`;
export const markerKey = (key: string, token: bigint): string => `${key}${INFIX}token.${token}`;
/** Requests to release stand outside the lock's prefix: nobody must take one for a ticket. No longer than a ticket's names. */
export const revokePrefix = (key: string): string => `${key}.revoke.`;
export const revokeKey = (key: string, id: string): string => `${revokePrefix(key)}${id}`;
/** The token of a marker; undefined for any other object. */
export function markerOf(key: string, objectKey: string): bigint | undefined {
  const match = MARKER.exec(objectKey.slice(prefixOf(key).length));
  return match === null ? undefined : BigInt(match[1]!);
}
/** A permit looks exclusive to who knows no semaphores: it can only make them wait. */
export const bodyOf = (mode: Mode): string => (mode === "shared" ? "0" : "1");

/** `<ULID>.<x, s or p and the permits>.<leaseMs>`: says mode and lease without a further request. */
export function ticketId(ulid: string, mode: Mode, leaseMs: number, permits?: number): string {
  return `${ulid}.${mode === "permit" ? `p${permits}` : mode === "exclusive" ? "x" : "s"}.${leaseMs}`;
}

export interface OwnId {
  readonly ulid: string;
  readonly mode: Mode;
  /** Of a semaphore's ticket. */
  readonly permits?: number;
  readonly leaseMs: number;
}

/** The parts of an id of this library; undefined for a foreign one. */
export function parseOwnId(id: string): OwnId | undefined {
  const match = OWN_ID.exec(id);
  if (match === null) return undefined;
  const parts = { ulid: match[1]!, leaseMs: Number(match[4]) };
  if (match[3] !== undefined) return { ...parts, mode: "permit", permits: Number(match[3]) };
  return { ...parts, mode: match[2] === "x" ? "exclusive" : "shared" };
}

/** Of a foreign object's ETag. Undefined: the ETag is not the MD5 of `0` or `1` (SSE-KMS), only the body tells. */
export function modeOfEtag(etag: string | undefined): Mode | undefined {
  const md5 = etag?.replaceAll('"', "").toLowerCase();
  if (md5 === EXCLUSIVE_MD5) return "exclusive";
  return md5 === SHARED_MD5 ? "shared" : undefined;
}

/** Of a foreign object's body. Anything but `0` and `1` was not written by a lock client. */
export function modeOfBody(objectKey: string, body: string): Mode {
  if (body === "1") return "exclusive";
  if (body === "0") return "shared";
  throw mismatch(objectKey, "its body is neither 0 nor 1");
}

export function mismatch(objectKey: string, why: string): BucketlockError {
  return new BucketlockError(
    `an object under the lock's prefix is no ticket and no token marker (${why}); use one protocol per prefix: ${objectKey}`,
    { code: "PROTOCOL_MISMATCH", kind: "corrupt", details: { object: objectKey } },
  );
}

/** Foreign ids whose mode the listing does not tell, with the object to GET for it. */
export function unknownModes(
  key: string,
  objects: readonly ListedObject[],
  known: ReadonlyMap<string, Mode>,
): Map<string, string> {
  const ask = new Map<string, string>();
  for (const object of objects) {
    const entry = ENTRY.exec(object.key.slice(prefixOf(key).length));
    if (entry === null || parseOwnId(entry[1]!) !== undefined) continue;
    const id = entry[1]!;
    if (modeOfEtag(object.etag) === undefined && !known.has(id)) ask.set(id, object.key);
  }
  return ask;
}

/** A whole listing of the lock's prefix as tickets. Throws ProtocolMismatch naming the object that is neither ticket nor marker. */
export function readView(
  key: string,
  objects: readonly ListedObject[],
  serverTimeMs: number | undefined,
  foreignModes: ReadonlyMap<string, Mode>,
): View {
  const tickets = new Map<
    string,
    { mode: Mode; permits?: number; leaseMs: number | undefined; at: [number | undefined, number | undefined] }
  >();
  let marker: bigint | undefined;
  for (const object of objects) {
    const rest = object.key.slice(prefixOf(key).length);
    const token = MARKER.exec(rest);
    if (token !== null) {
      const value = BigInt(token[1]!);
      if (marker === undefined || value > marker) marker = value;
      continue;
    }
    const entry = ENTRY.exec(rest);
    if (entry === null) {
      throw mismatch(object.key, rest === "record" ? "it is the record of the conditional protocol" : "unknown name");
    }
    const id = entry[1]!;
    let ticket = tickets.get(id);
    if (ticket === undefined) {
      const own = parseOwnId(id);
      // An unreadable foreign mode (object gone before the GET) counts as exclusive: it can only make us wait.
      const mode = own?.mode ?? modeOfEtag(object.etag) ?? foreignModes.get(id) ?? "exclusive";
      ticket = { mode, leaseMs: own?.leaseMs, at: [undefined, undefined] };
      if (own?.permits !== undefined) ticket.permits = own.permits;
      tickets.set(id, ticket);
    }
    ticket.at[entry[2] === "0" ? 0 : 1] = object.lastModifiedMs;
  }
  return {
    tickets: [...tickets].map(([id, t]) => ({
      id,
      mode: t.mode,
      ...(t.permits === undefined ? {} : { permits: t.permits }),
      leaseMs: t.leaseMs,
      doorMs: t.at[0],
      placeMs: t.at[1],
    })),
    marker,
    serverTimeMs,
  };
}

/** Only readers ignore each other. Permits of one semaphore count each other: whoever has enough of them before it waits. */
export const conflicts = (a: Mode, b: Mode): boolean => a !== "shared" || b !== "shared";

export interface Placed {
  readonly ticket: Ticket;
  /** As the order of the listing says. A claim is the holder's own; from outside this is the best that can be known. */
  readonly state: "holds" | "waits" | "choosing";
}

/** In their order; choosing tickets have no place yet and come last. */
export function inLine(tickets: readonly Ticket[]): Placed[] {
  const place = (ticket: Ticket) => ({ id: ticket.id, placeMs: ticket.placeMs ?? Number.POSITIVE_INFINITY });
  const line = [...tickets].sort((a, b) => compareOrder(place(a), place(b)) || 0);
  return line.map((ticket, at) => {
    const before = line.slice(0, at).filter((other) => conflicts(other.mode, ticket.mode)).length;
    if (ticket.placeMs === undefined) return { ticket, state: "choosing" };
    return { ticket, state: before < (ticket.permits ?? 1) ? "holds" : "waits" };
  });
}

/** The same key as a lock and as a semaphore, or as semaphores of different size: nobody may hold beside such a ticket. */
export const disagree = (
  a: { readonly permits?: number | undefined },
  b: { readonly permits?: number | undefined },
): boolean => a.permits !== b.permits;

/** order(X) = (timestamp of X's `-1`, X's id), both of one listing. Negative: `a` stands before `b`. */
export function compareOrder(a: { placeMs: number; id: string }, b: { placeMs: number; id: string }): number {
  if (a.placeMs !== b.placeMs) return a.placeMs - b.placeMs;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
