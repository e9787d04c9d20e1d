/**
 * How a ticket leaves its record when its process can do nothing any more: one write, made ready from the record as last seen, for
 * another process to send. Pure. It lands only if nobody wrote since; else the lease ends by itself.
 */
import type { Stored } from "./machine.js";
import { encode, leave, recordKey, standing } from "./record.js";

export interface Parting {
  readonly objectKey: string;
  readonly stored: Stored;
  readonly ticketId: string;
  /** It won: it has looked for the other protocol since the record was made. */
  readonly won: boolean;
  /** Unique, as that of any write. */
  readonly writeId: string;
}

export interface PartingWrite {
  readonly objectKey: string;
  readonly etag: string;
  readonly body: string;
}

/** Undefined: what is remembered of the record does not show the ticket. */
export function partingOf(
  key: string,
  ticketId: string,
  won: boolean,
  stored: Stored | undefined,
  writeId: () => string,
): Parting | undefined {
  if (stored === undefined || standing(stored.record, ticketId) === undefined) return undefined;
  return { objectKey: recordKey(key), stored, ticketId, won, writeId: writeId() };
}

/**
 * A write for each record as somebody saw it, in which all of us that stand in it leave together: who saw it later saw the others too,
 * and only the write of who saw it last can land.
 */
export function partingWrites(partings: readonly Parting[]): PartingWrite[] {
  const sightings = new Map<string, Parting>();
  for (const one of partings) sightings.set(JSON.stringify([one.objectKey, one.stored.etag]), one);
  return [...sightings.values()].map(({ objectKey, stored: { record, etag }, writeId }) => {
    const ours = partings.filter((one) => one.objectKey === objectKey && standing(record, one.ticketId) !== undefined);
    const ids = ours.map(({ ticketId }) => ticketId);
    const content = { ...leave(record, ids), confirmed: record.confirmed || ours.some(({ won }) => won) };
    return { objectKey, etag, body: encode({ ...content, writeId }) };
  });
}
