/**
 * The two objects of one ticket, as requests to the store: put, look, delete, with every version that came into being.
 * Hands only: it decides nothing about who holds, and retries nothing that must be written once.
 */
import {
  BucketlockError,
  type CallOptions,
  type DeleteTarget,
  type HeadAnswer,
  type ListedObject,
  type PutAnswer,
  type PutOptions,
  type Store,
} from "@bucketlock/core";
import { LockLostError } from "../errors.js";
import type { HeldTicket, Renewal, RenewalCall } from "../held-ticket.js";
import { unlessAborted } from "../patience.js";
import { Revocation } from "../revocation.js";
import { deleteAll, versionsOrObjects } from "./deletes.js";
import type { SignOfLife } from "./liveness.js";
import { highestToken, markerPrefix, markersOf, writeMarker } from "./markers.js";
import { readRequest, requestTarget } from "./revocations.js";
import {
  bodyOf,
  doorKey,
  type Mode,
  markerKey,
  markerOf,
  modeOfBody,
  parseOwnId,
  placeKey,
  prefixOf,
  readView,
  unknownModes,
  type View,
} from "./ticket.js";

/** Stores that answered a conditional create with a refusal of the condition itself. */
const REFUSES_CONDITIONS = new WeakSet<Store>();

export const RENEWAL = "renewal";
export const HOLDER = "holder";

/** One LIST of a lock's prefix, all pages, as tickets. Modes of foreign tickets that the ETag does not tell are read once and kept. */
export async function listTickets(
  store: Store,
  key: string,
  foreignModes: Map<string, Mode>,
  options: CallOptions,
): Promise<View> {
  const objects: ListedObject[] = [];
  let serverTimeMs: number | undefined;
  for await (const page of store.list(prefixOf(key), options)) {
    objects.push(...page.objects);
    // The first page's time: every timestamp of this listing is compared with a clock read no later than it.
    serverTimeMs ??= page.serverTimeMs;
  }
  for (const [id, objectKey] of unknownModes(key, objects, foreignModes)) {
    const answer = await store.get(objectKey, options);
    if (answer.found) foreignModes.set(id, modeOfBody(objectKey, new TextDecoder().decode(answer.body)));
  }
  return readView(key, objects, serverTimeMs, foreignModes);
}

/** A HEAD of another's `-0` or `-1`. Undefined sign: it is gone. */
export async function lookAt(
  store: Store,
  key: string,
  id: string,
  part: "door" | "place",
  options: CallOptions,
): Promise<{ sign: SignOfLife | undefined; serverTimeMs: number | undefined }> {
  const answer = await store.head(part === "door" ? doorKey(key, id) : placeKey(key, id), options);
  if (!answer.found) return { sign: undefined, serverTimeMs: answer.serverTimeMs };
  return {
    sign: { lastModifiedMs: answer.lastModifiedMs, renewal: answer.metadata[RENEWAL] },
    serverTimeMs: answer.serverTimeMs,
  };
}

/** Who drew the ticket, for people. */
export async function labelOf(
  store: Store,
  key: string,
  id: string,
  options: CallOptions,
): Promise<string | undefined> {
  const answer = await store.head(doorKey(key, id), options);
  return answer.found ? answer.metadata[HOLDER] : undefined;
}

/** Removes another's ticket, `-1` first, all its versions. With `marker`, the fencing marker is written before, and replaces the one below. */
export async function removeTicket(
  store: Store,
  key: string,
  id: string,
  marker: bigint | undefined,
  options: CallOptions,
): Promise<void> {
  if (marker !== undefined)
    await writeMarker(store, key, marker, "the fencing marker of a take-over may not have been written", options);
  const objects = objectsOf(key, id);
  if (marker !== undefined && marker > 1n) objects.push({ key: markerKey(key, marker - 1n) });
  await deleteAll(store, await versionsOrObjects(store, objects, options), options);
}

const objectsOf = (key: string, id: string): DeleteTarget[] => [{ key: placeKey(key, id) }, { key: doorKey(key, id) }];

/** The objects of a ticket of our own. Lives from the first PUT to the delete. */
export class TicketObjects implements HeldTicket {
  readonly mode: Mode;
  readonly revocation: Revocation;
  readonly #store: Store;
  readonly #label: string;
  /** Versions of `-0` and `-1` known to exist, so that nothing stays behind where the store keeps them. */
  #versions: DeleteTarget[] = [];
  #versioned = false;
  #base = 0n;
  #token: bigint | undefined;
  /** The highest ever drawn by this ticket. */
  #drawn: bigint | undefined;
  #drawing: Promise<bigint> | undefined;
  /** A marker was sent, whatever became of it. */
  #sentMarker = false;
  /** Some write may have landed without our knowing its version. */
  #unclear = false;

  constructor(
    store: Store,
    readonly key: string,
    readonly id: string,
    label: string,
  ) {
    this.#store = store;
    this.#label = label;
    this.mode = parseOwnId(id)!.mode;
    this.revocation = new Revocation(key, id);
  }

  async putDoor(renewal: number, options: CallOptions & { validForMs?: number }): Promise<PutAnswer> {
    const metadata = { [HOLDER]: this.#label, [RENEWAL]: String(renewal) };
    // Once each time: a retry that lands late would bring back a sign of life of the dead.
    return this.#noted(doorKey(this.key, this.id), await this.#put(doorKey(this.key, this.id), metadata, options));
  }

  /**
   * PUT of `-1`, once. Where the store honours If-None-Match, a repetition by the network that lands late finds the first and is
   * refused: it would give the place a later time and let another in. Where it ignores the condition, no harm is done.
   */
  async putPlace(options: CallOptions & { validForMs?: number }): Promise<PutAnswer> {
    const objectKey = placeKey(this.key, this.id);
    const metadata = { [HOLDER]: this.#label };
    if (this.#store.features.conditionalWrites !== "no" && !REFUSES_CONDITIONS.has(this.#store)) {
      try {
        return this.#noted(
          objectKey,
          await this.#put(objectKey, metadata, { ...options, condition: { absent: true } }),
        );
      } catch (error) {
        if (!(error instanceof BucketlockError) || error.kind !== "unsupported") throw error;
        // Certainly not written (501): this store must be asked without.
        REFUSES_CONDITIONS.add(this.#store);
      }
    }
    return this.#noted(objectKey, await this.#put(objectKey, metadata, options));
  }

  async #put(objectKey: string, metadata: Record<string, string>, options: PutOptions): Promise<PutAnswer> {
    try {
      return await this.#store.put(objectKey, bodyOf(this.mode), {
        ...options,
        metadata,
        once: true,
        contentType: "text/plain",
      });
    } catch (error) {
      // An abort or a surprise in mid-flight: it may have landed.
      this.#unclear = true;
      throw error;
    }
  }

  #noted(objectKey: string, put: PutAnswer): PutAnswer {
    // A conflict is a place that has landed already: the id is ours alone.
    if (put.outcome !== "stored") this.#unclear = true;
    if (put.outcome === "stored" && put.versionId !== undefined) {
      this.#versioned = true;
      this.#versions.push({ key: objectKey, versionId: put.versionId });
    }
    return put;
  }

  headPlace(options: CallOptions): Promise<HeadAnswer> {
    return this.#store.head(placeKey(this.key, this.id), options);
  }

  headDoor(options: CallOptions): Promise<HeadAnswer> {
    return this.#store.head(doorKey(this.key, this.id), options);
  }

  /** What the deciding listing showed: the highest marker, from which a token is drawn when asked for. */
  won(marker: bigint | undefined): void {
    this.#base = marker ?? 0n;
  }

  /** The next number above every marker, made known by a marker of its own. Throws LockLostError when the ticket is gone by then. */
  async token(options: CallOptions): Promise<bigint> {
    for (;;) {
      if (this.#token !== undefined) return this.#token;
      if (this.#drawing === undefined) break;
      // Another call draws: one lease has one token. If that fails, this call draws itself.
      await unlessAborted(
        this.#drawing.catch(() => {}),
        options.signal,
      );
    }
    options.signal?.throwIfAborted();
    this.#drawing = this.#draw(options);
    try {
      this.#token = await this.#drawing;
      this.#drawn = this.#token;
      return this.#token;
    } finally {
      this.#drawing = undefined;
    }
  }

  nextTurn(): void {
    // One that is being drawn just now is the next lease's: the one before is over, and will not be told it.
    this.#token = undefined;
  }

  async #draw(options: CallOptions): Promise<bigint> {
    // Asked anew: the deciding listing may have read the markers before an earlier holder wrote its own and left
    // (a LIST is no snapshot), and where a live ticket is broken, its holder may draw after that listing.
    const markers = await markersOf(this.#store, this.key, options);
    const token = highestToken(markers, this.#base) + 1n;
    this.#sentMarker = true;
    await writeMarker(this.#store, this.key, token, "the token's marker may not have been written", options);
    // Still in line, so whoever holds next has not looked for markers yet: its token is above. Else it may have drawn the same.
    if (!(await this.headPlace(options)).found)
      throw new LockLostError(this.key, this.id, "another removed its ticket before the token was drawn");
    return token;
  }

  /** Markers below the newest, which stays, so that the next token is above it. */
  async #oldMarkers(options: CallOptions): Promise<DeleteTarget[]> {
    if (!this.#sentMarker) return [];
    const markers: (DeleteTarget & { readonly stands: boolean })[] = [];
    if (this.#versioned) {
      for await (const page of this.#store.listVersions(markerPrefix(this.key), options)) {
        for (const { key, versionId, isLatest, isDeleteMarker } of page.versions)
          markers.push({ key, versionId, stands: isLatest && !isDeleteMarker });
      }
    } else {
      const standing = await markersOf(this.#store, this.key, options);
      markers.push(...standing.map(({ key }) => ({ key, stands: true })));
    }
    // Readers who hold together may draw out of turn: the newest that stands may be another's.
    let newest = this.#drawn ?? 0n;
    for (const { key, stands } of markers) {
      const token = markerOf(this.key, key);
      if (stands && token !== undefined && token > newest) newest = token;
    }
    return markers
      .filter(({ key }) => (markerOf(this.key, key) ?? newest) < newest)
      .map(({ key, versionId }) => ({ key, versionId }));
  }

  /** The request to release, which ends with what it asks for. A program that does not listen knows of none. */
  async #request(options: CallOptions): Promise<readonly DeleteTarget[]> {
    if (!this.revocation.isListenedTo) return [];
    return versionsOrObjects(this.#store, [requestTarget(this.key, this.id)], options);
  }

  /** HEAD of `-1` (gone: lost), then PUT of `-0`. */
  async renew(call: RenewalCall): Promise<Renewal> {
    const place = await this.headPlace({ ...call.limit(), signal: call.stop });
    if (!place.found) return { is: "gone" };
    if (!call.mayWrite()) return { is: "stopped" };
    const sentAtMs = call.nowMs();
    const limit = call.limit();
    const put = await this.putDoor(call.renewals, { ...limit, validForMs: limit.timeoutMs });
    if (put.outcome === "stored") return { is: "renewed", sentAtMs };
    return { is: "unclear", cause: put.outcome === "unknown" ? put.cause : put };
  }

  async isThere(options: CallOptions): Promise<boolean> {
    const [place, door] = await Promise.all([this.headPlace(options), this.headDoor(options)]);
    return place.found && door.found;
  }

  async afterRenewal(options: CallOptions): Promise<void> {
    await Promise.all([this.#hear(options), this.#sweep(options)]);
  }

  /** Only where the program listens: it costs a request. */
  async #hear(options: CallOptions): Promise<void> {
    if (!this.revocation.isAwaited) return;
    const request = await readRequest(this.#store, this.key, this.id, options);
    if (request !== undefined) this.revocation.tell(request);
  }

  /** On a store that keeps versions: the versions of `-0` before the newest go. The next call has again what was not deleted. */
  async #sweep(options: CallOptions): Promise<void> {
    const doors = this.#versions.filter((version) => version.key === doorKey(this.key, this.id));
    const old = doors.slice(0, -1);
    if (old.length === 0) return;
    await deleteAll(this.#store, old, options);
    this.#versions = this.#versions.filter((version) => !old.includes(version));
  }

  /** A ticket found again: its versions are not known. */
  assumeVersions(): void {
    this.#unclear = true;
    this.#versioned = this.#store.features.versions !== "no";
  }

  /** What to delete so that nothing stays behind, as far as it is known without asking the store. `-1` first. */
  targets(): DeleteTarget[] {
    if (this.#versioned && !this.#unclear) {
      return [...this.#versions].sort((a, b) => (a.key < b.key ? 1 : a.key > b.key ? -1 : 0));
    }
    return objectsOf(this.key, this.id);
  }

  /** Deletes both objects and every version. Deleting twice is harmless. Throws when anything could not be deleted. */
  async delete(options: CallOptions): Promise<void> {
    const targets =
      this.#versioned && this.#unclear
        ? await versionsOrObjects(this.#store, objectsOf(this.key, this.id), options)
        : this.targets();
    await deleteAll(
      this.#store,
      [...targets, ...(await this.#oldMarkers(options)), ...(await this.#request(options))],
      options,
    );
  }
}
