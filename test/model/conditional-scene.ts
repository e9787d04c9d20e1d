/**
 * What one exploration of the conditional protocol is about: who contends, what the adversary may do, which rules are missing.
 * Data only; it never runs anything.
 */
import type { Rules } from "../../packages/lock/src/conditional/machine.js";
import { type Mode, ticketId } from "../../packages/lock/src/two-object/ticket.js";

export interface RecordScene {
  readonly modes: readonly Mode[];
  /** Of each contender of mode permit: how many may hold, as it counts. */
  readonly permits?: readonly (number | undefined)[];
  /** Once, at any time, a person asks all who hold to release. */
  readonly asks?: boolean;
  /** Once, at any time, a person breaks a ticket that holds. */
  readonly breaks?: boolean;
  /** Instead of a renewal a holder may pass its ticket on within its process: the next one draws a token. */
  readonly draws?: boolean;
  /** A holder may stop at any time, and its ticket is found again by its id, once. */
  readonly resumes?: boolean | readonly number[];
  /** Tickets a contender may draw: 1 + restarts. After the last it stops for good. */
  readonly tickets: number;
  /** No record exists yet; else an empty, confirmed one. */
  readonly cold?: boolean;
  /** Renewals of each held ticket. */
  readonly renewals?: number;
  /** So many answers to writes go wrong in the whole scene: lost (landed, pending, never), or 412 although it landed. */
  readonly lost?: number;
  /** A lease may pass at any time after what a contender last wrote; then its entry may be seen dead. */
  readonly expiry?: boolean | readonly number[];
  readonly crash?: boolean | readonly number[];
  /** A caller gives up at any time. */
  readonly giveUp?: boolean | readonly number[];
  /** The time to wait may be over at any step; with `tries` it is over at once. */
  readonly deadline?: boolean | readonly number[];
  readonly tries?: readonly number[];
  /** A granted waiter that lives is skipped before it claims. */
  readonly impatience?: boolean;
  /** Releases begin with a read, as of who stood in line. */
  readonly asksFirst?: boolean;
  /** All contenders are in one process and share what it remembers of the record. */
  readonly oneProcess?: boolean;
  /** So many tickets of one contender with the two-object protocol, on the same prefix. */
  readonly beside?: number;
  /** Mutant: no writeId, so the ETag is the content's hash, and late duplicates of stored writes may find it again. */
  readonly contentEtags?: boolean;
  readonly rules?: Partial<Rules>;
}

/** Is this contender one of those it happens to? */
export function befalls(whom: boolean | readonly number[] | undefined, contender: number): boolean {
  return typeof whom === "object" ? whom.includes(contender) : whom === true;
}

export const LEASE_MS = 30_000;

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Ids as the real driver makes them; nothing of this protocol depends on their order. */
export function idOf(scene: RecordScene, contender: number, ticket: number): string {
  const ulid = `01ARZ3NDEKTSV4RRFFQ69G5F${DIGITS[contender]}${DIGITS[ticket]}`;
  return ticketId(ulid, scene.modes[contender]!, LEASE_MS, scene.permits?.[contender]);
}

/** Whose ticket, and which of its tickets. */
export function ownerOf(id: string): { readonly contender: number; readonly ticket: number } {
  return { contender: DIGITS.indexOf(id[24]!), ticket: DIGITS.indexOf(id[25]!) };
}
