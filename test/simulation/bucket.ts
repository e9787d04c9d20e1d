/**
 * The store as it is inside: one map of objects, storage nodes with clocks of their own. Every change happens at one
 * instant of virtual time; what a network does to requests is client.ts. Writes down when each object was put and deleted.
 */
import { createHash } from "node:crypto";
import type { ListedObject } from "@bucketlock/core";
import type { Plan } from "./plan.js";
import { decode, placeKey } from "./under-test.js";
import type { World } from "./world.js";

export const RECORD = ".lock.record";
const EPOCH_MS = 1_700_000_000_000;

export interface StoredObject {
  readonly key: string;
  readonly body: string;
  readonly etag: string;
  /** Uncut. */
  readonly writtenMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

const etags = new Map<string, string>();

export class Bucket {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #objects = new Map<string, StoredObject>();
  /** True time of the first landing of every key; a ticket in a record counts as the object it is in the other protocol. */
  readonly firstPutMs = new Map<string, number>();

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
  }

  get keys(): string[] {
    return [...this.#objects.keys()].sort();
  }

  put(key: string, body: string, metadata: Readonly<Record<string, string>>): StoredObject {
    const object = { key, body, etag: etagOf(body), writtenMs: this.#nodeMs(), metadata };
    // Taken out and come in again: a new place in line.
    const before = this.#ticketsIn(key);
    this.#objects.set(key, object);
    if (!this.firstPutMs.has(key)) this.firstPutMs.set(key, this.#world.nowMs);
    for (const ticket of this.#ticketsIn(key))
      if (!before.includes(ticket)) this.firstPutMs.set(ticket, this.#world.nowMs);
    return object;
  }

  /** Of a record: its tickets, named as the objects that they are in the other protocol. */
  #ticketsIn(key: string): string[] {
    const object = this.#objects.get(key);
    if (object === undefined || !key.endsWith(RECORD)) return [];
    const { holders, queue } = decode(key, object.body);
    return [...holders, ...queue].map(({ id }) => placeKey(key.slice(0, -RECORD.length), id));
  }

  /** What nobody may leave: tickets, in objects of their own or in a record; of the fencing markers all but one a lock. */
  get leftovers(): string[] {
    const marked = new Set<string>();
    return this.keys.flatMap((key) => {
      if (key.endsWith(RECORD)) return this.#ticketsIn(key);
      const marker = /^(.*)\.lock\.token\.\d+$/.exec(key);
      if (marker === null || marked.has(marker[1]!)) return [key];
      marked.add(marker[1]!);
      return [];
    });
  }

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  delete(key: string): void {
    this.#objects.delete(key);
  }

  /** What one slice of a listing shows: the slices of all keys together are a whole listing, read at different times. */
  list(prefix: string, slice: number, slices: number, salt: number): ListedObject[] {
    const objects: ListedObject[] = [];
    for (const object of this.#objects.values()) {
      if (!object.key.startsWith(prefix) || sliceOf(object.key, salt, slices) !== slice) continue;
      objects.push({
        key: object.key,
        etag: object.etag,
        lastModifiedMs: cut(object.writtenMs, this.#plan.stepMs),
        size: object.body.length,
      });
    }
    return objects;
  }

  headTimeMs(object: StoredObject): number {
    return cut(object.writtenMs, this.#plan.headStepMs);
  }

  /** `Date` of an answer: of any node, in steps of a second. */
  dateMs(): number {
    return cut(this.#nodeMs(), 1000);
  }

  #nodeMs(): number {
    const { nodesMs } = this.#plan;
    const skewMs = nodesMs.length === 1 ? nodesMs[0]! : this.#world.random.pick(nodesMs);
    return EPOCH_MS + this.#world.nowMs + skewMs;
  }
}

const cut = (ms: number, stepMs: number): number => Math.floor(ms / stepMs) * stepMs;

function sliceOf(key: string, salt: number, slices: number): number {
  let hash = salt;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % slices;
}

function etagOf(body: string): string {
  let etag = etags.get(body);
  if (etag === undefined) {
    etag = `"${createHash("md5").update(body).digest("hex")}"`;
    etags.set(body, etag);
  }
  return etag;
}
