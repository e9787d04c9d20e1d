/**
 * Asking the holders of a lock to release it: who is asked, by either protocol. Nobody is forced, nothing is waited for.
 */
import { type CallOptions, InvalidError, type Store } from "@bucketlock/core";
import { type Line, startAsk } from "./conditional/machine.js";
import { recordKey } from "./conditional/record.js";
import { drive, type Hands } from "./conditional/record-hands.js";
import type { ReleaseRequest } from "./revocation.js";
import type { Settings } from "./settings.js";
import { listTickets } from "./two-object/objects.js";
import { removeRequest, requestedOf, writeRequest } from "./two-object/revocations.js";
import { inLine, parseOwnId, placeKey } from "./two-object/ticket.js";

const REASON_MAX = 1000;

export interface RequestOptions {
  /** Only these holders. Default: all. */
  readonly ticketIds?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Checked: a reason that every store and every reader takes. Throws InvalidError. */
export function releaseRequest(reason: unknown, options: RequestOptions, settings: Settings): ReleaseRequest {
  if (typeof reason !== "string" || reason === "" || reason.length > REASON_MAX || !reason.isWellFormed())
    throw new InvalidError("reason", `must be 1 to ${REASON_MAX} characters of well-formed Unicode`, reason);
  if (options.ticketIds !== undefined && !Array.isArray(options.ticketIds))
    throw new InvalidError("ticketIds", "must be an array of ticket ids", options.ticketIds);
  return { reason, by: settings.label };
}

/** Asks all who hold by the order of a listing, and sweeps requests to tickets that are gone. Answers whom it asked. */
export async function askTickets(
  store: Store,
  key: string,
  request: ReleaseRequest,
  ticketIds: readonly string[] | undefined,
  options: CallOptions,
): Promise<string[]> {
  // Before the tickets: whoever is gone then was asked earlier and will never read it.
  const earlier = await requestedOf(store, key, options);
  const { tickets } = await listTickets(store, key, new Map(), options);
  const gone = earlier.filter((id) => !tickets.some((ticket) => ticket.id === id));
  await Promise.all(gone.map((id) => removeRequest(store, key, id, options)));
  const asked: string[] = [];
  for (const { ticket, state } of inLine(tickets)) {
    // A foreign client reads no requests.
    if (state !== "holds" || parseOwnId(ticket.id) === undefined) continue;
    if (ticketIds !== undefined && !ticketIds.includes(ticket.id)) continue;
    await writeRequest(store, key, ticket.id, request, options);
    // Released meanwhile: nobody would read it.
    if ((await store.head(placeKey(key, ticket.id), options)).found) asked.push(ticket.id);
    else await removeRequest(store, key, ticket.id, options);
  }
  return asked;
}

/** The same in a record: one write. */
export async function askEntries(
  hands: Hands,
  line: Line,
  request: ReleaseRequest,
  ticketIds: readonly string[] | undefined,
  options: CallOptions & { readonly timeoutMs: number },
): Promise<string[]> {
  const { clock } = hands.settings;
  const verdict = await drive(hands, {
    line,
    first: startAsk({ request, ticketIds }),
    signal: options.signal,
    patienceUntilMs: clock.monotonicMs() + options.timeoutMs,
    steadyMs: () => clock.monotonicMs(),
    timeoutMs: options.timeoutMs,
  });
  if (verdict.is !== "asked") throw new Error(`bug: a request to release ended with '${verdict.is}'`);
  await hands.memory.versions.sweep(hands.store, recordKey(hands.key), options);
  return [...verdict.ids];
}
