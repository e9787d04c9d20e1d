/**
 * Looking at a lock from outside, and breaking it: for people and their tools.
 * Inspecting never changes anything. Breaking never touches a ticket that may be alive unless told to.
 */
import { type CallOptions, durationMs, InvalidError, type Store } from "@bucketlock/core";
import type { ReleaseRequest } from "./revocation.js";
import type { Settings } from "./settings.js";
import { deadByServer, newestMs } from "./two-object/liveness.js";
import { HOLDER, listTickets, RENEWAL, removeTicket } from "./two-object/objects.js";
import { readRequest, requestedOf } from "./two-object/revocations.js";
import { doorKey, inLine, type Mode, type Placed, placeKey, type Ticket, type View } from "./two-object/ticket.js";

export interface TicketInfo {
  readonly ticketId: string;
  readonly mode: Mode;
  /** Of a semaphore's ticket: how many may hold at once. */
  readonly permits: number | undefined;
  /** As the order of the listing says. A claim is the holder's own; from outside this is the best that can be known. */
  readonly state: Placed["state"];
  /** Who: the holder's label; undefined for foreign tickets. */
  readonly label: string | undefined;
  /** When it drew its place, epoch ms by the store; undefined while choosing. */
  readonly sinceMs: number | undefined;
  /** Its last sign of life, epoch ms by the store. */
  readonly renewedAtMs: number;
  /** Time since that, by the store's clock, in ms; undefined where the store tells no time. */
  readonly ageMs: number | undefined;
  readonly renewals: number | undefined;
  /** Undefined: a foreign ticket, which never expires by itself. */
  readonly leaseMs: number | undefined;
  /** Somebody asked this holder to release; it may not have heard it yet. */
  readonly revocation: ReleaseRequest | undefined;
  /** `dead`: the store's own clock says its lease is over. `unsure`: it is over, but within the allowance for clocks. */
  readonly life: "alive" | "unsure" | "dead" | "foreign";
}

export interface LockInfo {
  readonly key: string;
  readonly holders: readonly TicketInfo[];
  /** In line, first in first. */
  readonly waiters: readonly TicketInfo[];
  readonly serverTimeMs: number | undefined;
}

export async function inspectLock(
  store: Store,
  key: string,
  settings: Settings,
  options: CallOptions,
): Promise<LockInfo> {
  const asked = await requestedOf(store, key, options);
  const view = await listTickets(store, key, new Map(), options);
  const describing = inLine(view.tickets).map(async (placed) => {
    const { id } = placed.ticket;
    const revocation = asked.includes(id) ? await readRequest(store, key, id, options) : undefined;
    return { ...(await describe(store, key, settings, view, placed, options)), revocation };
  });
  const infos = await Promise.all(describing);
  return {
    key,
    holders: infos.filter((info) => info.state === "holds"),
    waiters: infos.filter((info) => info.state !== "holds"),
    serverTimeMs: view.serverTimeMs,
  };
}

async function describe(
  store: Store,
  key: string,
  settings: Settings,
  view: View,
  { ticket, state }: Placed,
  options: CallOptions,
): Promise<Omit<TicketInfo, "revocation">> {
  const head = await store.head(
    ticket.doorMs === undefined ? placeKey(key, ticket.id) : doorKey(key, ticket.id),
    options,
  );
  const metadata = head.found ? head.metadata : {};
  const ageMs = view.serverTimeMs === undefined ? undefined : Math.max(0, view.serverTimeMs - newestMs(ticket));
  return {
    ticketId: ticket.id,
    mode: ticket.mode,
    permits: ticket.permits,
    state,
    label: metadata[HOLDER],
    sinceMs: ticket.placeMs,
    renewedAtMs: newestMs(ticket),
    ageMs,
    renewals: metadata[RENEWAL] === undefined ? undefined : Number(metadata[RENEWAL]),
    leaseMs: ticket.leaseMs,
    life: life(ticket, ageMs, view, settings),
  };
}

function life(ticket: Ticket, ageMs: number | undefined, view: View, settings: Settings): TicketInfo["life"] {
  if (deadByServer(newestMs(ticket), ticket.leaseMs, view.serverTimeMs, settings)) return "dead";
  if (ticket.leaseMs === undefined) return "foreign";
  return ageMs !== undefined && ageMs > ticket.leaseMs + settings.stepMs ? "unsure" : "alive";
}

export interface BreakOptions {
  /**
   * Only tickets whose last sign of life is older than this, by the store's clock, in ms. Default 7 200 000 (two hours), as s3func:
   * long sessions are normal, and foreign tickets show no sign of life after their start. 0 breaks everything.
   */
  readonly olderThanMs?: number | undefined;
  /** Only these tickets. Default: all. */
  readonly ticketIds?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const BREAK_AGE_MS = 7_200_000;

/** Throws InvalidError. */
export function checkBreak({ olderThanMs, ticketIds }: BreakOptions): { readonly olderThanMs: number } {
  if (ticketIds !== undefined && !Array.isArray(ticketIds))
    throw new InvalidError("ticketIds", "must be an array of ticket ids", ticketIds);
  return { olderThanMs: durationMs("olderThanMs", olderThanMs ?? BREAK_AGE_MS) };
}

/** Answers the ids that were removed. */
export async function breakTickets(
  store: Store,
  key: string,
  settings: Settings,
  options: BreakOptions,
): Promise<string[]> {
  const { olderThanMs } = checkBreak(options);
  const call = { signal: options.signal, timeoutMs: settings.requestTimeoutMs };
  const view = await listTickets(store, key, new Map(), call);
  const broken: string[] = [];
  for (const ticket of view.tickets) {
    if (options.ticketIds !== undefined && !options.ticketIds.includes(ticket.id)) continue;
    // Without the store's time no age can be told: only an explicit 0 breaks then.
    const ageMs = view.serverTimeMs === undefined ? 0 : view.serverTimeMs - newestMs(ticket);
    if (olderThanMs > 0 && ageMs < olderThanMs) continue;
    const exclusive = ticket.mode === "exclusive";
    await removeTicket(
      store,
      key,
      ticket.id,
      exclusive && view.marker !== undefined ? view.marker + 1n : undefined,
      call,
    );
    broken.push(ticket.id);
  }
  return broken;
}
