/**
 * A store in a directory, shared by the processes of one host: the embedded default, no server needed.
 * Every write makes a new state of the whole store (file-generations.ts), so all of it is atomic and every listing is a
 * snapshot. Meant for thousands of small objects, not for millions: a write costs time in proportion to their number.
 */
import { join } from "node:path";
import { checkList, checkPut, checkTargets } from "./call-checks.js";
import { CallLimit } from "./call-limit.js";
import { type Clock, systemClock } from "./clock.js";
import { StoreError } from "./errors.js";
import { uniqueEtag } from "./etag.js";
import { type Disk, diskError, realDisk, unlessMissing } from "./file-disk.js";
import { type Decision, Generations } from "./file-generations.js";
import { type Layout, openLayout } from "./file-layout.js";
import { keysUnder, type StoredObject } from "./file-state.js";
import { objectKey } from "./options.js";
import { type Random, systemRandom } from "./random.js";
import type {
  CallOptions,
  Condition,
  DeleteAnswer,
  DeleteIfAnswer,
  DeleteManyAnswer,
  DeletePlan,
  DeleteTarget,
  GetAnswer,
  GetOptions,
  HeadAnswer,
  ListOptions,
  ListPage,
  ObjectFacts,
  PutAnswer,
  PutOptions,
  PutPlan,
  Store,
  StoreFeatures,
  VersionPage,
} from "./store.js";

/** A body up to so many bytes lies in the generation file itself. */
const INLINE_MAX_BYTES = 4096;

export interface FileStoreOptions {
  /** Absolute path, on a local file system that has hard links. Empty, or the directory of a file store. */
  readonly dir: string;
  /** Make the directory (and those above it) where it is missing. Default false. */
  readonly create?: boolean | undefined;
  /**
   * Wait for the disk with every write. Default false: every operation is atomic and survives a SIGKILL of any process at
   * any point, but after a power loss or a crash of the system the last writes, or the newest state, may be lost or torn.
   */
  readonly durable?: boolean | undefined;
  /** Default: the system's. Gives `lastModifiedMs`, `serverTimeMs` and the limits of calls. */
  readonly clock?: Clock | undefined;
  /** Names files and spreads retries. Must not repeat between processes. Default: the system's. */
  readonly random?: Random | undefined;
}

/**
 * Opens the store in a directory; any number of processes of one host may. Synchronous. After return the directory is
 * laid out, and nothing runs or is open.
 *
 * ETags are `"<MD5 of the body>-<id of the write>"`: never the same twice, so If-Match is a true compare-and-swap.
 * `contentType` is not kept. Limits and signals of a call are looked at between file operations.
 *
 * @throws InvalidError for a `dir` that is relative, missing, no directory, or holds something else.
 * @throws StoreError STORE_ACCESS_DENIED, STORE_FULL, STORE_UNSUPPORTED (no hard links; or written by a later version).
 */
export function openFileStore(options: FileStoreOptions): Store {
  return openFileStoreOn(realDisk, options);
}

/** As openFileStore, on other file operations: for tests that stop a writer halfway. */
export function openFileStoreOn(disk: Disk, options: FileStoreOptions): Store {
  return new FileStore(disk, options);
}

class FileStore implements Store {
  readonly name: string;
  readonly features: StoreFeatures = Object.freeze({
    conditionalWrites: "yes",
    versions: "no",
    timestampStepMs: 1,
    deleteMany: true,
  });
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #generations: Generations;

  constructor(disk: Disk, options: FileStoreOptions) {
    const random = options.random ?? systemRandom;
    const durable = options.durable ?? false;
    this.#disk = disk;
    this.#clock = options.clock ?? systemClock;
    this.#layout = openLayout(options.dir, { create: options.create ?? false, durable, random });
    this.#generations = new Generations({ disk, layout: this.#layout, random, durable });
    this.name = `file:${this.#layout.dir}`;
  }

  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<PutAnswer> {
    checkPut(key, body, options);
    const limit = this.#limit(options, `put ${key}`);
    // Copied: the caller may change its array while this waits.
    const bytes = Buffer.from(body);
    const written = await this.#generations.write(limit, (objects, { name, writeId }): Decision<PutAnswer> => {
      if (!meets(options.condition, objects.get(key))) return { answer: { outcome: "conflict" } };
      const inline = bytes.length <= INLINE_MAX_BYTES;
      const object: StoredObject = {
        etag: uniqueEtag(bytes, writeId),
        lastModifiedMs: Math.floor(this.#clock.wallMs()),
        size: bytes.length,
        metadata: { ...options.metadata },
        body: inline ? { inline: bytes.toString("base64") } : { file: name },
      };
      const { etag, lastModifiedMs } = object;
      return {
        objects: new Map(objects).set(key, object),
        body: inline ? undefined : bytes,
        answer: { outcome: "stored", etag, lastModifiedMs },
      };
    });
    if ("answer" in written) return { ...written.answer, serverTimeMs: this.#nowMs() };
    options.signal?.throwIfAborted();
    return { outcome: "unknown", cause: written.unknown };
  }

  async get(key: string, options: GetOptions = {}): Promise<GetAnswer> {
    objectKey("key", key);
    const limit = this.#limit(options, `get ${key}`);
    let missing: string | undefined;
    for (;;) {
      const { objects } = await this.#generations.read(limit);
      const object = objects.get(key);
      if (object === undefined) return { found: false, serverTimeMs: this.#nowMs() };
      if (object.etag === options.unlessEtag) {
        return { found: true, unchanged: true, body: new Uint8Array(), ...facts(object), serverTimeMs: this.#nowMs() };
      }
      const body = await this.#body(object);
      if (body !== undefined) return { found: true, body, ...facts(object), serverTimeMs: this.#nowMs() };
      // Rewritten or deleted meanwhile: look again. A state read later that still names the same file has truly lost it.
      const { file } = object.body as { file: string };
      if (file === missing) throw bodyLost(join(this.#layout.bodies, file));
      missing = file;
    }
  }

  async head(key: string, options: CallOptions = {}): Promise<HeadAnswer> {
    objectKey("key", key);
    const { objects } = await this.#generations.read(this.#limit(options, `head ${key}`));
    const object = objects.get(key);
    const serverTimeMs = this.#nowMs();
    return object === undefined ? { found: false, serverTimeMs } : { found: true, ...facts(object), serverTimeMs };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage> {
    for await (const { rows, serverTimeMs } of this.#pages(prefix, options)) {
      const objects = rows.map(([key, { etag, lastModifiedMs, size }]) => ({ key, etag, lastModifiedMs, size }));
      yield { objects, serverTimeMs };
    }
  }

  async *listVersions(prefix: string, options: ListOptions = {}): AsyncGenerator<VersionPage> {
    for await (const { rows, serverTimeMs } of this.#pages(prefix, options)) {
      const only = { isLatest: true, isDeleteMarker: false };
      yield { versions: rows.map(([key, { lastModifiedMs }]) => ({ key, ...only, lastModifiedMs })), serverTimeMs };
    }
  }

  async delete(target: DeleteTarget, options: CallOptions = {}): Promise<DeleteAnswer> {
    await this.#remove([target], options, `delete ${target.key}`);
    return { serverTimeMs: this.#nowMs() };
  }

  async deleteIf(key: string, etag: string, options: CallOptions = {}): Promise<DeleteIfAnswer> {
    checkTargets([{ key }]);
    const limit = this.#limit(options, `delete ${key}`);
    const written = await this.#generations.write(limit, (objects): Decision<DeleteIfAnswer> => {
      if (objects.get(key)?.etag !== etag) return { answer: { outcome: "conflict" } };
      const left = new Map(objects);
      left.delete(key);
      return { objects: left, answer: { outcome: "deleted" } };
    });
    if ("answer" in written) return { ...written.answer, serverTimeMs: this.#nowMs() };
    options.signal?.throwIfAborted();
    return { outcome: "unknown" };
  }

  /** One write, whatever the number: all are gone at once, or none. */
  async deleteMany(targets: readonly DeleteTarget[], options: CallOptions = {}): Promise<DeleteManyAnswer> {
    await this.#remove(targets, options, `delete ${targets.length} objects`);
    return { failed: [], serverTimeMs: this.#nowMs() };
  }

  planDelete(targets: readonly DeleteTarget[]): DeletePlan {
    return { kind: "file", dir: this.#layout.dir, keys: targets.map((target) => target.key) };
  }

  planPut(key: string, body: string, etag: string): PutPlan {
    return { kind: "file-put", dir: this.#layout.dir, key, etag, body };
  }

  /** Nothing to end: nothing stays open between calls. */
  async close(): Promise<void> {}

  async #remove(targets: readonly DeleteTarget[], options: CallOptions, what: string): Promise<void> {
    checkTargets(targets);
    const limit = this.#limit(options, what);
    const written = await this.#generations.write(limit, (objects): Decision<undefined> => {
      // This store never gave out a version id, so a target with one names nothing.
      const keys = targets.filter(({ key, versionId }) => versionId === undefined && objects.has(key));
      if (keys.length === 0) return { answer: undefined };
      const left = new Map(objects);
      for (const { key } of keys) left.delete(key);
      return { objects: left, answer: undefined };
    });
    if ("answer" in written) return;
    options.signal?.throwIfAborted();
    throw written.unknown;
  }

  /** One snapshot, cut into pages; at least one, if an empty one. */
  async *#pages(prefix: string, options: ListOptions) {
    const pageSize = checkList(prefix, options);
    const { objects } = await this.#generations.read(this.#limit(options, `list ${prefix}`));
    const keys = keysUnder(objects, prefix);
    for (let at = 0; at === 0 || at < keys.length; at += pageSize) {
      options.signal?.throwIfAborted();
      const rows = keys.slice(at, at + pageSize).map((key) => [key, objects.get(key) as StoredObject] as const);
      yield { rows, serverTimeMs: this.#nowMs() };
    }
  }

  /** Undefined: its file is not there any more. */
  async #body({ body }: StoredObject): Promise<Uint8Array | undefined> {
    if ("inline" in body) return Buffer.from(body.inline, "base64");
    const path = join(this.#layout.bodies, body.file);
    try {
      return await unlessMissing(this.#disk.read(path));
    } catch (error) {
      throw diskError(error, path);
    }
  }

  #limit(options: CallOptions, what: string): CallLimit {
    return new CallLimit(this.#clock, options, what);
  }

  #nowMs(): number {
    return Math.floor(this.#clock.wallMs());
  }
}

function meets(condition: Condition | undefined, current: StoredObject | undefined): boolean {
  if (condition === undefined) return true;
  return "absent" in condition ? current === undefined : current?.etag === condition.etag;
}

function facts({ etag, lastModifiedMs, size, metadata }: StoredObject): ObjectFacts {
  return { etag, lastModifiedMs, size, metadata: { ...metadata } };
}

function bodyLost(path: string): StoreError {
  return new StoreError(`The body of an object is missing: ${path}`, {
    code: "STORE_CORRUPT",
    kind: "corrupt",
    details: { path },
  });
}
