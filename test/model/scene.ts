/**
 * What one exploration is about: who contends, and what the adversary may do to them.
 * Data only, and the enumeration of id orders; it never runs anything.
 */
import type { Rules } from "../../packages/lock/src/two-object/machine.js";
import { type Mode, ticketId } from "../../packages/lock/src/two-object/ticket.js";

export interface Scene {
  readonly modes: readonly Mode[];
  /** Of each contender of mode permit: how many may hold, as it counts. */
  readonly permits?: readonly (number | undefined)[];
  /** These never release. */
  readonly keeps?: readonly number[];
  /** Tickets a contender may draw: 1 + restarts. After the last it stops for good. */
  readonly tickets: number;
  /** Rank of each ticket's id; tickets of one contender are neighbours: contender * tickets + attempt. */
  readonly ranks: readonly number[];
  /** Timestamps the adversary chooses from for each `-1`: 0 or 1, or only 0. */
  readonly timestamps: 1 | 2;
  /** Read at one instant, or every object at any instant between begin and end. */
  readonly listing: "snapshot" | "spread";
  /** A listing begins in a step of its own, not at once. Needed only where the instant of its beginning is judged. */
  readonly beginApart?: boolean;
  /** A contender's validity may end at any time, and from then on its ticket may be shown dead. */
  readonly expiry?: boolean | readonly number[];
  /** A contender may stop for ever at any time. */
  readonly crash?: boolean | readonly number[];
  /** The answer to PUT `-1` may be lost: it landed, lands later, or never. */
  readonly unknownPlace?: boolean;
  /** So many renewals of `-0` land late, at any time after that `-0` was first written. */
  readonly lateDoors?: number;
  /** A person breaks one ticket, whoever's, at any time. */
  readonly breaker?: boolean;
  /** A caller gives up at any time. */
  readonly giveUp?: boolean;
  /** These contenders try once and do not wait. */
  readonly tries?: readonly number[];
  readonly settleMs?: number;
  /** The answer to PUT `-1` carries a timestamp of its own, whatever the listing shows. */
  readonly putAnswerLies?: boolean;
  /** The last contender resumes the ticket of the first, once that has crashed: only while its lease lasts, or later too. */
  readonly resume?: "inTime" | "anyTime";
  readonly rules?: Partial<Rules>;
}

/** Is this contender one of those it happens to? */
export function befalls(whom: boolean | readonly number[] | undefined, contender: number): boolean {
  return typeof whom === "object" ? whom.includes(contender) : whom === true;
}

export const LEASE_MS = 30_000;

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Ids as the real driver makes them; only their order and their mode matter. */
export function idsOf(scene: Scene): string[] {
  return scene.ranks.map((rank, slot) => {
    const contender = Math.floor(slot / scene.tickets);
    const ulid = `01ARZ3NDEKTSV4RRFFQ69G5FA${DIGITS[rank]}`;
    return ticketId(ulid, scene.modes[contender]!, LEASE_MS, scene.permits?.[contender]);
  });
}

/** All orders of the ids, without those that only swap the names of two like contenders. */
export function idOrders(
  scene: Pick<Scene, "modes" | "permits" | "keeps" | "tickets" | "tries" | "resume">,
): number[][] {
  const { modes, tickets } = scene;
  const alike = (a: number, b: number) =>
    modes[a] === modes[b] &&
    scene.permits?.[a] === scene.permits?.[b] &&
    scene.keeps?.includes(a) === scene.keeps?.includes(b) &&
    scene.tries?.includes(a) === scene.tries?.includes(b) &&
    (scene.resume === undefined || (a !== 0 && b !== 0 && a !== modes.length - 1 && b !== modes.length - 1));
  const orders: number[][] = [];
  const place = (order: number[], free: number[]): void => {
    if (free.length === 0) {
      for (let a = 0; a < modes.length; a++)
        for (let b = a + 1; b < modes.length; b++) if (alike(a, b) && order[a * tickets]! > order[b * tickets]!) return;
      orders.push(order);
      return;
    }
    for (const rank of free)
      place(
        [...order, rank],
        free.filter((other) => other !== rank),
      );
  };
  place(
    [],
    Array.from({ length: modes.length * tickets }, (_, rank) => rank),
  );
  return orders;
}
