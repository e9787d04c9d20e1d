/**
 * Whether the ticket of somebody else still stands in a lock, by one request: for those who only look on.
 * Never takes anything over, and never proves that its holder still works: only that nobody took its place.
 */
import type { CallOptions, Store } from "@bucketlock/core";
import { inspectRecord } from "./conditional/inspect.js";
import type { LockContext } from "./lock.js";
import { deadByServer } from "./two-object/liveness.js";
import { doorKey, parseOwnId } from "./two-object/ticket.js";

/** False: it was released, taken over or broken, or the store's own clock says that its lease is over. */
export async function isStanding(
  context: LockContext,
  store: Store,
  key: string,
  ticketId: string,
  options: CallOptions,
): Promise<boolean> {
  const { settings, memory } = context;
  if (settings.protocol === "conditional") {
    const { holders } = await inspectRecord({ store, settings, key, memory }, options);
    return holders.some((holder) => holder.ticketId === ticketId && holder.life !== "dead");
  }
  const head = await store.head(doorKey(key, ticketId), options);
  if (!head.found) return false;
  return !deadByServer(head.lastModifiedMs ?? 0, parseOwnId(ticketId)?.leaseMs, head.serverTimeMs, settings);
}
