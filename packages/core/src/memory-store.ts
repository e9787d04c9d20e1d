/**
 * A store in the memory of this process: for tests, simulations and programs of one process.
 * It behaves as S3 does, down to the ETag (MD5 of the body) and the delete markers. It never uses a timer or a macrotask:
 * every answer comes in a microtask, so that virtual time can drive it. Nothing survives the process.
 */
import { compareKeys } from "./byte-order.js";
import { checkCall, checkList, checkPut, checkTargets } from "./call-checks.js";
import { type Clock, systemClock } from "./clock.js";
import { contentEtag } from "./etag.js";
import { durationMs, objectKey, text } from "./options.js";
import type {
  Answer,
  CallOptions,
  Condition,
  DeleteIfAnswer,
  DeleteManyAnswer,
  DeleteTarget,
  GetAnswer,
  GetOptions,
  HeadAnswer,
  ListedVersion,
  ListOptions,
  ListPage,
  ObjectFacts,
  PutAnswer,
  PutOptions,
  Store,
  StoreFeatures,
  VersionPage,
} from "./store.js";

export interface MemoryStoreOptions {
  /** Gives `lastModifiedMs` and `serverTimeMs`. Default: the system clock. */
  readonly clock?: Clock | undefined;
  /** Default `memory:`. */
  readonly name?: string | undefined;
  /** Keep every version, lay a delete marker on a plain delete. Default false. */
  readonly versions?: boolean | undefined;
  /** Timestamps and server times are cut down to whole steps of this many ms (many servers: 1000). Default 1. */
  readonly timestampStepMs?: number | undefined;
}

/** One version of one object, or a delete marker. Never changed once made. */
interface Version {
  readonly versionId: string | undefined;
  readonly isDeleteMarker: boolean;
  readonly body: Uint8Array;
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * A new, empty store. A call takes effect when it is made, in the order of the calls, and answers in a microtask; so
 * conditions are atomic, listings strong page by page, and an aborted write may have landed, as on a real store.
 *
 * @throws InvalidError for a bad option.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly name: string;
  readonly features: StoreFeatures;
  readonly #clock: Clock;
  readonly #stepMs: number;
  readonly #keepsVersions: boolean;
  /** Newest version last; a key without any is not in the map. */
  readonly #versions = new Map<string, Version[]>();
  #versionCount = 0;

  constructor(options: MemoryStoreOptions) {
    this.name = text("name", options.name ?? "memory:");
    this.#clock = options.clock ?? systemClock;
    this.#stepMs = durationMs("timestampStepMs", options.timestampStepMs ?? 1, { min: 1 });
    this.#keepsVersions = options.versions ?? false;
    this.features = Object.freeze({
      conditionalWrites: "yes",
      versions: this.#keepsVersions ? "yes" : "no",
      timestampStepMs: this.#stepMs,
      deleteMany: true,
    });
  }

  put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<PutAnswer> {
    return this.#answer(options, () => {
      checkPut(key, body, options);
      if (!meets(options.condition, this.#current(key))) return { outcome: "conflict", serverTimeMs: this.#nowMs() };
      const bytes = typeof body === "string" ? Buffer.from(body) : Uint8Array.from(body);
      const stored = this.#add(key, {
        isDeleteMarker: false,
        body: bytes,
        etag: contentEtag(bytes),
        metadata: { ...options.metadata },
      });
      const { etag, lastModifiedMs, versionId } = stored;
      return { outcome: "stored", etag, lastModifiedMs, ...(versionId && { versionId }), serverTimeMs: this.#nowMs() };
    });
  }

  get(key: string, options: GetOptions = {}): Promise<GetAnswer> {
    return this.#answer(options, () => {
      const version = this.#current(objectKey("key", key));
      const serverTimeMs = this.#nowMs();
      if (version === undefined) return { found: false, serverTimeMs };
      if (facts(version).etag === options.unlessEtag) {
        return { found: true, unchanged: true, body: new Uint8Array(), ...facts(version), serverTimeMs };
      }
      return { found: true, body: Uint8Array.from(version.body), ...facts(version), serverTimeMs };
    });
  }

  head(key: string, options: CallOptions = {}): Promise<HeadAnswer> {
    return this.#answer(options, () => {
      const version = this.#current(objectKey("key", key));
      const serverTimeMs = this.#nowMs();
      return version === undefined ? { found: false, serverTimeMs } : { found: true, ...facts(version), serverTimeMs };
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage> {
    const pageSize = checkList(prefix, options);
    // As S3 pages: after the last key of the page before, in the store as it is by then.
    let after: string | undefined;
    for (;;) {
      const page = await this.#answer(options, () => {
        const objects = [];
        for (const key of this.#keys(prefix, after)) {
          const version = this.#current(key);
          if (version === undefined) continue;
          const { etag, lastModifiedMs, body } = version;
          objects.push({ key, etag, lastModifiedMs, size: body.length });
        }
        const more = objects.length > pageSize;
        return { objects: objects.slice(0, pageSize), more, serverTimeMs: this.#nowMs() };
      });
      after = page.objects.at(-1)?.key;
      yield { objects: page.objects, serverTimeMs: page.serverTimeMs };
      if (!page.more) return;
    }
  }

  async *listVersions(prefix: string, options: ListOptions = {}): AsyncGenerator<VersionPage> {
    const pageSize = checkList(prefix, options);
    // One snapshot, cut into pages: S3's marker is a pair of key and version, and nobody needs that here.
    const all = await this.#answer(options, () =>
      this.#keys(prefix, undefined).flatMap((key) => [...listed(key, this.#versions.get(key) ?? [])].reverse()),
    );
    for (let at = 0; at === 0 || at < all.length; at += pageSize) {
      yield await this.#answer(options, () => ({
        versions: all.slice(at, at + pageSize),
        serverTimeMs: this.#nowMs(),
      }));
    }
  }

  delete(target: DeleteTarget, options: CallOptions = {}): Promise<Answer> {
    return this.#answer(options, () => {
      checkTargets([target]);
      this.#remove(target);
      return { serverTimeMs: this.#nowMs() };
    });
  }

  deleteIf(key: string, etag: string, options: CallOptions = {}): Promise<DeleteIfAnswer> {
    return this.#answer(options, () => {
      checkTargets([{ key }]);
      const isSame = this.#current(key)?.etag === etag;
      if (isSame) this.#remove({ key });
      return { outcome: isSame ? "deleted" : "conflict", serverTimeMs: this.#nowMs() };
    });
  }

  deleteMany(targets: readonly DeleteTarget[], options: CallOptions = {}): Promise<DeleteManyAnswer> {
    return this.#answer(options, () => {
      checkTargets(targets);
      for (const target of targets) this.#remove(target);
      return { failed: [], serverTimeMs: this.#nowMs() };
    });
  }

  /** Nothing to end: the store goes on answering. */
  async close(): Promise<void> {}

  /** Does the whole call now, answers in a microtask; aborted in between, the effect stays and the reason is thrown. */
  async #answer<T>(options: CallOptions, run: () => T): Promise<T> {
    checkCall(options);
    const answer = run();
    await undefined;
    options.signal?.throwIfAborted();
    return answer;
  }

  #nowMs(): number {
    return Math.floor(this.#clock.wallMs() / this.#stepMs) * this.#stepMs;
  }

  #keys(prefix: string, after: string | undefined): string[] {
    return [...this.#versions.keys()]
      .filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
      .sort(compareKeys);
  }

  /** The object as a plain GET sees it: a delete marker on top hides it. */
  #current(key: string): Version | undefined {
    const newest = this.#versions.get(key)?.at(-1);
    return newest?.isDeleteMarker ? undefined : newest;
  }

  #add(key: string, content: Omit<Version, "versionId" | "lastModifiedMs">): Version {
    const versionId = this.#keepsVersions ? `v${String(++this.#versionCount).padStart(12, "0")}` : undefined;
    const version = Object.freeze({ ...content, versionId, lastModifiedMs: this.#nowMs() });
    const before = this.#keepsVersions ? (this.#versions.get(key) ?? []) : [];
    this.#versions.set(key, [...before, version]);
    return version;
  }

  #remove({ key, versionId }: DeleteTarget): void {
    if (versionId !== undefined) {
      const left = (this.#versions.get(key) ?? []).filter((version) => version.versionId !== versionId);
      if (left.length > 0) this.#versions.set(key, left);
      else this.#versions.delete(key);
    } else if (this.#keepsVersions) {
      // S3 lays a marker even where there was no object.
      this.#add(key, { isDeleteMarker: true, body: new Uint8Array(), etag: "", metadata: {} });
    } else {
      this.#versions.delete(key);
    }
  }
}

function meets(condition: Condition | undefined, current: Version | undefined): boolean {
  if (condition === undefined) return true;
  return "absent" in condition ? current === undefined : current?.etag === condition.etag;
}

function facts(version: Version): ObjectFacts {
  const { etag, lastModifiedMs, versionId, body, metadata } = version;
  return { etag, lastModifiedMs, ...(versionId && { versionId }), size: body.length, metadata: { ...metadata } };
}

function* listed(key: string, versions: readonly Version[]): Generator<ListedVersion> {
  for (const version of versions) {
    const { versionId, isDeleteMarker, lastModifiedMs } = version;
    const isLatest = version === versions.at(-1);
    yield { key, ...(versionId && { versionId }), isLatest, isDeleteMarker, lastModifiedMs };
  }
}
