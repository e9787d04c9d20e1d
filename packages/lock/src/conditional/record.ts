/**
 * The record of the conditional protocol: one JSON object per lock with the holders, the line and the highest token.
 * Pure: decodes strictly, encodes, and applies what the protocol allows. Never guesses at a record it does not know.
 */
import { BucketlockError } from "@bucketlock/core";
import { conflicts, disagree, type Mode, PERMITS_MAX } from "../two-object/ticket.js";

const FORMAT = 1;
/** Of a record with a semaphore's tickets in it: who knows only locks must not read it as one. */
const FORMAT_PERMITS = 2;

/** One ticket in the record. */
export interface Entry {
  readonly id: string;
  readonly mode: Mode;
  /** How many may hold at once, as its owner says; undefined: it is of a lock. The same in every entry of a record. */
  readonly permits?: number | undefined;
  readonly label: string;
  readonly leaseMs: number;
  /** Its fencing token; undefined while it waits. Kept through renewals. */
  readonly token: bigint | undefined;
  /** Writes of its owner since it came in. A holder with 0 was granted and has not claimed yet, unless it came in holding. */
  readonly renewals: number;
  /** The store's time at its owner's last write, epoch ms, as the owner knew it. */
  readonly atMs: number | undefined;
  /** Given the lock by another's write: it must claim it in time. */
  readonly granted: boolean;
  /** Somebody asks this holder to release. Weighs nothing: who may hold never depends on it. */
  readonly request?: { readonly reason: string; readonly by: string } | undefined;
}

export interface LockRecord {
  /** Highest token ever granted; never goes down. */
  readonly token: bigint;
  readonly holders: readonly Entry[];
  /** First in first. */
  readonly queue: readonly Entry[];
  /** A LIST after its creation showed no ticket of the other protocol. */
  readonly confirmed: boolean;
  /** Unique to each write: an ETag may be the MD5 of the body, and the same bytes would make compare-and-swap blind. */
  readonly writeId: string;
}

export const EMPTY: Omit<LockRecord, "writeId"> = { token: 0n, holders: [], queue: [], confirmed: false };

export const recordKey = (key: string): string => `${key}.lock.record`;

export function encode(record: LockRecord): string {
  const entry = (one: Entry) => ({
    id: one.id,
    mode: one.mode,
    ...(one.permits === undefined ? {} : { permits: one.permits }),
    label: one.label,
    leaseMs: one.leaseMs,
    ...(one.token === undefined ? {} : { token: String(one.token) }),
    renewals: one.renewals,
    ...(one.atMs === undefined ? {} : { atMs: one.atMs }),
    granted: one.granted,
    ...(one.request === undefined ? {} : { request: one.request }),
  });
  const hasPermits = [...record.holders, ...record.queue].some((one) => one.permits !== undefined);
  return JSON.stringify({
    format: hasPermits ? FORMAT_PERMITS : FORMAT,
    token: String(record.token),
    confirmed: record.confirmed,
    writeId: record.writeId,
    holders: record.holders.map(entry),
    queue: record.queue.map(entry),
  });
}

/** Throws RECORD_CORRUPT, or RECORD_TOO_NEW for a later format, naming the object. */
export function decode(objectKey: string, text: string): LockRecord {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw corrupt(objectKey, "it is no JSON", cause);
  }
  const record = fields(objectKey, raw, "the record");
  if (record.format !== FORMAT && record.format !== FORMAT_PERMITS) {
    if (typeof record.format === "number" && record.format > FORMAT_PERMITS) {
      throw new BucketlockError(
        `the lock record was written by a later version (format ${record.format}); update this one: ${objectKey}`,
        {
          code: "RECORD_TOO_NEW",
          kind: "unsupported",
          details: { object: objectKey, format: record.format },
        },
      );
    }
    throw corrupt(objectKey, "format is missing or unknown");
  }
  const result: LockRecord = {
    token: bigint(objectKey, record.token, "token"),
    confirmed: boolean(objectKey, record.confirmed, "confirmed"),
    writeId: string(objectKey, record.writeId, "writeId"),
    holders: entries(objectKey, record.holders, "holders"),
    queue: entries(objectKey, record.queue, "queue"),
  };
  check(objectKey, result);
  return result;
}

/** What every write of ours keeps true. */
function check(objectKey: string, record: LockRecord): void {
  const all = [...record.holders, ...record.queue];
  const ids = all.map((one) => one.id);
  if (new Set(ids).size !== ids.length) throw corrupt(objectKey, "a ticket stands in it twice");
  if (all.some((one) => disagree(one, all[0]!))) throw corrupt(objectKey, "its tickets count different permits");
  for (const [at, one] of record.holders.entries()) {
    if (one.token === undefined) throw corrupt(objectKey, `holders[${at}] has no token`);
    if (one.token > record.token) throw corrupt(objectKey, `holders[${at}] has a token above the highest`);
    if (!hasRoom(record.holders.slice(0, at), one)) throw corrupt(objectKey, "more hold than may");
  }
  if (record.queue.some((one) => one.token !== undefined)) throw corrupt(objectKey, "a waiter has a token");
}

function entries(objectKey: string, value: unknown, name: string): Entry[] {
  if (!Array.isArray(value)) throw corrupt(objectKey, `${name} is no list`);
  return value.map((raw, at) => {
    const where = `${name}[${at}]`;
    const one = fields(objectKey, raw, where);
    if (one.mode !== "exclusive" && one.mode !== "shared" && one.mode !== "permit")
      throw corrupt(objectKey, `${where}.mode is neither exclusive nor shared nor permit`);
    return {
      id: string(objectKey, one.id, `${where}.id`),
      mode: one.mode,
      ...(one.mode === "permit" ? { permits: permits(objectKey, one.permits, `${where}.permits`) } : {}),
      label: string(objectKey, one.label, `${where}.label`),
      leaseMs: count(objectKey, one.leaseMs, `${where}.leaseMs`),
      token: one.token === undefined ? undefined : bigint(objectKey, one.token, `${where}.token`),
      renewals: count(objectKey, one.renewals, `${where}.renewals`),
      atMs: one.atMs === undefined ? undefined : count(objectKey, one.atMs, `${where}.atMs`),
      granted: boolean(objectKey, one.granted, `${where}.granted`),
      ...(one.request === undefined ? {} : { request: request(objectKey, one.request, `${where}.request`) }),
    };
  });
}

function fields(objectKey: string, value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw corrupt(objectKey, `${name} is no object`);
  return value as Record<string, unknown>;
}

function string(objectKey: string, value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw corrupt(objectKey, `${name} is no text`);
  return value;
}

function boolean(objectKey: string, value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw corrupt(objectKey, `${name} is neither true nor false`);
  return value;
}

function count(objectKey: string, value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw corrupt(objectKey, `${name} is no count`);
  return value as number;
}

function request(objectKey: string, value: unknown, name: string): { reason: string; by: string } {
  const { reason, by } = fields(objectKey, value, name);
  return { reason: string(objectKey, reason, `${name}.reason`), by: string(objectKey, by, `${name}.by`) };
}

function permits(objectKey: string, value: unknown, name: string): number {
  if (count(objectKey, value, name) < 1 || (value as number) > PERMITS_MAX)
    throw corrupt(objectKey, `${name} is no number of permits`);
  return value as number;
}

// 64 bits: what every language can hold.
const TOKEN_MAX = 2n ** 63n - 1n;
function bigint(objectKey: string, value: unknown, name: string): bigint {
  if (typeof value !== "string" || !/^(0|[1-9]\d{0,18})$/.test(value) || BigInt(value) > TOKEN_MAX)
    throw corrupt(objectKey, `${name} is no token`);
  return BigInt(value);
}

function corrupt(objectKey: string, why: string, cause?: unknown): BucketlockError {
  return new BucketlockError(`the lock record is not what this library writes (${why}): ${objectKey}`, {
    code: "RECORD_CORRUPT",
    kind: "corrupt",
    cause,
    details: { object: objectKey, why },
  });
}

export type Content = Omit<LockRecord, "writeId">;

/** Where a ticket stands. */
export function standing(record: Content, id: string): "holder" | "waiter" | undefined {
  if (record.holders.some((one) => one.id === id)) return "holder";
  return record.queue.some((one) => one.id === id) ? "waiter" : undefined;
}

export const entryOf = (record: Content, id: string): Entry | undefined =>
  record.holders.find((one) => one.id === id) ?? record.queue.find((one) => one.id === id);

/** How many in line must hold and go before it is the turn of this one: who reads goes with the readers before it. */
export function waitersBefore(record: Content, id: string): number {
  const at = record.queue.findIndex((one) => one.id === id);
  return record.queue.slice(0, at).filter((one) => conflicts(one.mode, record.queue[at]!.mode)).length;
}

/** Those in line or holding who count otherwise than `entry` does. */
export const dissenters = (record: Content, entry: Pick<Entry, "permits">): Entry[] =>
  [...record.holders, ...record.queue].filter((one) => disagree(one, entry));

/** May one more hold beside these? */
function hasRoom(holders: readonly Entry[], entry: Pick<Entry, "mode" | "permits">, spare = 0): boolean {
  if (holders.some((holder) => disagree(holder, entry))) return false;
  if (entry.permits !== undefined) return holders.length < entry.permits + spare;
  return holders.every((holder) => !conflicts(holder.mode, entry.mode));
}

/** The newcomer holds at once when there is room and nobody waits; else it goes to the end of the line. `spare`: 0, but for tests. */
export function join(record: Content, entry: Omit<Entry, "token" | "renewals" | "granted">, spare = 0): Content {
  const free = record.queue.length === 0 && hasRoom(record.holders, entry, spare);
  if (!free)
    return { ...record, queue: [...record.queue, { ...entry, token: undefined, renewals: 0, granted: false }] };
  const token = record.token + 1n;
  return { ...record, token, holders: [...record.holders, { ...entry, token, renewals: 0, granted: false }] };
}

/** Out of the record, whichever place it has; the lock goes to the next in line in the same write. */
export function leave(record: Content, ids: readonly string[]): Content {
  const gone = (one: Entry) => !ids.includes(one.id);
  return grant({ ...record, holders: record.holders.filter(gone), queue: record.queue.filter(gone) });
}

/** Gives the lock to as many from the head of the line as may hold it together. */
export function grant(record: Content): Content {
  const holders = [...record.holders];
  const queue = [...record.queue];
  let { token } = record;
  for (let next = queue[0]; next !== undefined; next = queue[0]) {
    if (!hasRoom(holders, next)) break;
    token += 1n;
    holders.push({ ...next, token, granted: true });
    queue.shift();
  }
  return { ...record, token, holders, queue };
}

/**
 * The other protocol's tokens count too: every one here is above `marker`, the highest that a LIST showed with nobody of that
 * protocol left. A holder that has a lower one did not claim it yet, for it looks at the markers first.
 */
export function raise(record: Content, marker: bigint): Content {
  let token = record.token > marker ? record.token : marker;
  const raised = (one: Entry): Entry =>
    one.token === undefined || one.token > marker ? one : { ...one, token: ++token };
  const holders = record.holders.map(raised);
  return { ...record, token, holders };
}

/** These holders are asked to release; undefined: all. Who was asked before keeps that request. */
export function ask(record: Content, ids: readonly string[] | undefined, request: Entry["request"]): Content {
  const asked = (one: Entry): Entry =>
    one.request === undefined && (ids === undefined || ids.includes(one.id)) ? { ...one, request } : one;
  return { ...record, holders: record.holders.map(asked) };
}

/** Another lease by the same ticket: its token is above every one given so far. */
export function newToken(record: Content, id: string): Content {
  const token = record.token + 1n;
  return { ...record, token, holders: record.holders.map((one) => (one.id === id ? { ...one, token } : one)) };
}

/** Its owner says that it lives: a renewal, a claim of what was granted, or a waiter's sign of life. */
export function touch(record: Content, id: string, atMs: number | undefined): Content {
  const touched = (one: Entry): Entry =>
    one.id === id ? { ...one, renewals: one.renewals + 1, granted: false, atMs: atMs ?? one.atMs } : one;
  return { ...record, holders: record.holders.map(touched), queue: record.queue.map(touched) };
}
