/**
 * Who is alive, from a listing of the objects that members keep alive; what such an object is called and says. Pure.
 * Death is judged as everywhere: by the store's own clock, or by who watches for a lease on its own.
 */
import { BucketlockError, InvalidError, type ListedObject } from "@bucketlock/core";
import { deadByServer, deadByWatching, type LivenessRules, seenInList, type Watched } from "./two-object/liveness.js";
import { parseOwnId, type Ticket } from "./two-object/ticket.js";

/** What a member says of itself; strings only, so that every language reads them. */
export type Card = Readonly<Record<string, string>>;

export interface Member {
  /** Unique to this stay: who leaves and joins again has another. */
  readonly id: string;
  readonly label: string;
  readonly metadata: Card;
  /** Its last sign of life, epoch ms by the store. */
  readonly renewedAtMs: number;
}

const CARD_MAX_BYTES = 4096;

export const memberPrefix = (key: string): string => `${key}.members.`;
export const memberKey = (key: string, id: string): string => `${memberPrefix(key)}${id}`;

/** Throws InvalidError. */
export function checkCard(card: unknown): Card {
  const isCard =
    typeof card === "object" &&
    card !== null &&
    !Array.isArray(card) &&
    Object.values(card).every((value) => typeof value === "string");
  if (!isCard) throw new InvalidError("metadata", "must be an object of strings", card);
  if (Buffer.byteLength(JSON.stringify(card)) > CARD_MAX_BYTES)
    throw new InvalidError("metadata", `must be at most ${CARD_MAX_BYTES} bytes of JSON`, card);
  return { ...(card as Card) };
}

export function encodeMember(label: string, metadata: Card): string {
  return `${JSON.stringify({ format: 1, label, metadata })}\n`;
}

/** Throws MEMBER_CORRUPT: a person must look. */
export function decodeMember(objectKey: string, text: string): { label: string; metadata: Card } {
  try {
    const { format, label, metadata } = JSON.parse(text) as Record<string, unknown>;
    if (format === 1 && typeof label === "string") return { label, metadata: checkCard(metadata) };
  } catch {
    // No JSON, or no card: said below.
  }
  throw new BucketlockError(`the object is not what a member writes: ${objectKey}`, {
    code: "MEMBER_CORRUPT",
    kind: "corrupt",
    details: { object: objectKey },
  });
}

/** One look at who is there. */
export interface Look {
  readonly objects: readonly ListedObject[];
  readonly serverTimeMs: number | undefined;
  /** Of the watcher's own monotonic clock. */
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
}

/** What one watcher has seen, by id. */
export type Sightings = ReadonlyMap<string, Watched>;

export interface Roll {
  readonly alive: readonly { readonly id: string; readonly renewedAtMs: number }[];
  readonly dead: readonly string[];
  readonly sightings: Sightings;
}

/** Who lives, in the order in which they joined. Names that are not ours are not members. */
export function callRoll(key: string, look: Look, before: Sightings, rules: LivenessRules): Roll {
  const alive: { id: string; renewedAtMs: number }[] = [];
  const dead: string[] = [];
  const sightings = new Map<string, Watched>();
  for (const object of look.objects) {
    const id = object.key.slice(memberPrefix(key).length);
    const own = parseOwnId(id);
    if (own?.mode !== "shared") continue;
    const { leaseMs } = own;
    const renewedAtMs = object.lastModifiedMs;
    const ticket: Ticket = { id, mode: "shared", leaseMs, doorMs: renewedAtMs, placeMs: undefined };
    const watched = seenInList(before.get(id), ticket, look.answeredAtMs);
    sightings.set(id, watched);
    const isDead =
      deadByServer(renewedAtMs, leaseMs, look.serverTimeMs, rules) ||
      deadByWatching(watched, "list", leaseMs, false, look.sentAtMs, rules);
    if (isDead) dead.push(id);
    else alive.push({ id, renewedAtMs });
  }
  return { alive, dead, sightings };
}

/** Dead by the store's clock, not only by ours: those may be swept away. */
export function sweepable(key: string, look: Look, rules: LivenessRules): readonly string[] {
  return callRoll(key, look, new Map(), rules).dead;
}
