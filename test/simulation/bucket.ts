/**
 * The store as it is inside: one map of objects, storage nodes with clocks of their own. Every change happens at one
 * instant of virtual time; what a network does to requests is client.ts. Writes down when each object was put and deleted.
 */
import { createHash } from "node:crypto";
import type { ListedObject } from "@bucketlock/core";
import type { Plan } from "./plan.js";
import type { World } from "./world.js";

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
  /** True time of the first landing of every key. */
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
    this.#objects.set(key, object);
    if (!this.firstPutMs.has(key)) this.firstPutMs.set(key, this.#world.nowMs);
    return object;
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
