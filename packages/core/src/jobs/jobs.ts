/**
 * Bulk jobs: a folder into a bucket and back, many files at a time. A job that was interrupted is run again: what is there and
 * proved to be the same is not moved twice. It makes no request but the session's, and decides no name (plan).
 */
import { BucketlockError, InvalidError, StoreError } from "../errors.js";
import { integer, knownOptions, object, text } from "../options.js";
import type { S3Session } from "../s3-session.js";
import type { ListedObject } from "../store.js";
import { fileAt, filesBelow, hasBytesOf, sizeOf } from "./local-files.js";
import { cutIntoChunks, etagShape, type JobChunk, type JobItem, planGet, planPut, type Rename } from "./plan.js";

export interface JobFailure {
  readonly path: string;
  readonly key: string;
  readonly error: unknown;
}

/** What a job has done. Bytes that were moved by an earlier, interrupted run count as skipped. */
export interface JobReport {
  readonly files: number;
  readonly bytes: number;
  /** There already, and proved to be the same. */
  readonly skippedFiles: number;
  readonly skippedBytes: number;
  readonly folders: number;
  /** Came whole, but the store names no checksum that could be checked. Of `getAll` only. */
  readonly unverified: readonly string[];
}

/** A job did not do all of it. What it did is done; run it again for the rest. */
export class JobError extends BucketlockError {
  /** Each file that failed, with its own error. With `errors: "first"` the first one. */
  readonly failures: readonly JobFailure[];
  readonly report: JobReport;

  /** @internal */
  constructor(failures: readonly JobFailure[], report: JobReport) {
    const errors = failures.map(({ error }) => error);
    const known = errors.filter((error) => error instanceof BucketlockError);
    const names = failures.slice(0, 5).map(({ key, error }) => `${JSON.stringify(key)}: ${(error as Error)?.message}`);
    const more = failures.length > names.length ? `; and ${failures.length - names.length} more` : "";
    super(`${failures.length} of the job's files failed; ${names.join("; ")}${more}`, {
      code: "JOB_FAILED",
      // What no waiting mends comes first.
      kind: known.find(({ retryable }) => !retryable)?.kind ?? "unavailable",
      retryable: known.length === errors.length && known.every(({ retryable }) => retryable),
      cause: errors.length === 1 ? errors[0] : new AggregateError(errors),
      details: { keys: failures.map(({ key }) => key) },
    });
    this.failures = failures;
    this.report = report;
  }
}

export type JobEvent =
  | { readonly type: "planned"; readonly items: number; readonly bytes: number; readonly chunks: number }
  | {
      readonly type: "item";
      readonly key: string;
      readonly path: string;
      readonly bytes: number;
      readonly did: "moved" | "skipped" | "folder" | "failed";
      readonly error?: unknown;
    }
  /** All items of this chunk have ended. From 1. */
  | { readonly type: "chunk"; readonly chunk: number; readonly chunks: number; readonly bytes: number };

export interface JobOptions {
  /** Default: the session's. */
  readonly bucket?: string | undefined;
  /** Another name for one, or undefined to leave it out. `putAll`: local name to the rest of the key; `getAll`: the reverse. */
  readonly rename?: Rename | undefined;
  /** Files under way at once, 1 to 64. Default 8. */
  readonly parallel?: number | undefined;
  /** `first`: the first failure ends the job. `all` (default): the rest is done, and one error names each. */
  readonly errors?: "first" | "all" | undefined;
  /** A chunk, for `onProgress`, has at most so many files (default 100) and, but for a single one, bytes (default 64 MiB). */
  readonly chunkFiles?: number | undefined;
  readonly chunkBytes?: number | undefined;
  /** Files above this go in parts of this size. 5 MiB to 5 GiB, default 16 MiB. */
  readonly partBytes?: number | undefined;
  /** Limit of each request, in ms. Default: the session's, and more for large bodies. */
  readonly timeoutMs?: number | undefined;
  /** Ends the job; its reason is thrown as it is. What is done stays done. */
  readonly signal?: AbortSignal | undefined;
  /** Called synchronously. What it throws ends the job. */
  readonly onProgress?: ((event: JobEvent) => void) | undefined;
}

export interface PutAllOptions extends JobOptions {
  /** Of a file, by its name. Default `application/octet-stream`. */
  readonly contentType?: ((name: string) => string | undefined) | undefined;
}

/** A file, and its name below the prefix. */
export interface NamedFile {
  readonly file: string;
  readonly name: string;
}

interface Settings {
  readonly parallel: number;
  readonly partBytes: number;
  readonly chunkFiles: number;
  readonly chunkBytes: number;
  readonly stopAtFirst: boolean;
}

type Did = "moved" | "skipped" | "folder";
type Carry = (item: JobItem, signal: AbortSignal) => Promise<{ readonly did: Did; readonly unverified?: true }>;

const MIB = 1024 * 1024;
const KNOWN: readonly (keyof PutAllOptions)[] = [
  "bucket",
  "rename",
  "parallel",
  "errors",
  "chunkFiles",
  "chunkBytes",
  "partBytes",
  "timeoutMs",
  "signal",
  "onProgress",
  "contentType",
];

/**
 * Every file of a folder, or of a list, to `prefix` + its name; empty folders as keys that end in `/`. After return each of them is in
 * the bucket with the bytes the file had when it was read, checked by the server (Content-MD5, or the signed SHA-256 of each part).
 * What is there with the same size and checksum is not sent. One listing of the target comes first.
 *
 * @throws JobError naming each file that failed; InvalidError and JOB_NAMES_CLASH before anything is sent; the signal's reason.
 */
export async function putAll(
  session: S3Session,
  from: string | readonly NamedFile[],
  prefix: string,
  options: PutAllOptions = {},
): Promise<JobReport> {
  const settings = settle(options);
  const { bucket, signal, timeoutMs, contentType } = options;
  const entries =
    typeof from === "string"
      ? await filesBelow(text("from", from), signal)
      : await Promise.all(
          filesOf(from).map(({ file, name }) => fileAt(text("from.file", file), text("from.name", name))),
        );
  const named = planPut(entries, new Map(), prefixOf(prefix), options.rename);
  const remotes = new Map<string, ListedObject>();
  if (named.length > 0)
    for await (const { objects } of session.listObjects(sharedStart(named), { bucket, signal, timeoutMs }))
      for (const object of objects) remotes.set(object.key, object);
  const items = named.map((item) => ({ ...item, remote: remotes.get(item.key) }));

  return run(items, settings, options, async (item, ending) => {
    const { key, path, remote, size, isFolder } = item;
    const call = { bucket, timeoutMs, signal: ending };
    if (isFolder) {
      if (remote === undefined) await stored(session.putObject(key, "", call), key);
      return { did: "folder" };
    }
    if (remote?.size === size && (await hasBytesOf(path, remote, settings.partBytes, ending)))
      return { did: "skipped" };
    const put = { ...call, partBytes: settings.partBytes, contentType: contentType?.(key.slice(prefix.length)) };
    if (size > settings.partBytes) {
      await stored(session.upload(key, { file: path }, { ...put, parallel: 2 }), key);
      return { did: "moved" };
    }
    const bytes = await readWhole(path);
    const { nodeCrypto } = await import("../builtin.js");
    const md5 = nodeCrypto().createHash("md5").update(bytes).digest("base64");
    await stored(session.upload(key, bytes, { ...put, headers: { "content-md5": md5 } }), key);
    return { did: "moved" };
  });
}

/**
 * Every object whose key begins with `prefix` into a folder, under the rest of its key; keys that end in `/` as empty folders. After
 * return each file has the bytes of its object; its checksum was checked, or it is named in `unverified`. A file that is there with
 * the same size and checksum is not read again; any other is replaced, all at once. Files of no object are left alone.
 *
 * @throws JobError naming each object that failed; JOB_NAME_REFUSED for keys that would leave the folder and JOB_NAMES_CLASH for two
 * that would be one file, before anything is read; the signal's reason.
 */
export async function getAll(
  session: S3Session,
  prefix: string,
  folder: string,
  options: JobOptions = {},
): Promise<JobReport> {
  const settings = settle(options);
  const { bucket, signal, timeoutMs } = options;
  const { resolve, join, dirname } = process.getBuiltinModule("node:path");
  const fs = process.getBuiltinModule("node:fs/promises");
  const target = resolve(text("folder", folder));
  const objects: ListedObject[] = [];
  for await (const page of session.listObjects(prefixOf(prefix), { bucket, signal, timeoutMs }))
    objects.push(...page.objects);
  const items = planGet(objects, prefix, options.rename, {
    join: (parts) => join(target, ...parts),
    refuses: (part) => process.platform === "win32" && /[\\:*?"<>|]/.test(part),
  });

  return run(items, settings, options, async ({ key, path, size, isFolder, remote }, ending) => {
    await fs.mkdir(isFolder ? path : dirname(path), { recursive: true });
    if (isFolder) return { did: "folder" };
    const { partBytes } = settings;
    if ((await sizeOf(path)) === size && (await hasBytesOf(path, remote!, partBytes, ending)))
      return { did: "skipped" };
    const answer = await session.download(key, path, { bucket, timeoutMs, signal: ending });
    if (!answer.found) throw new StoreError("the object is gone", { code: "OBJECT_GONE", kind: "unavailable" });
    // The session checks every checksum of a whole object; what was sent in parts has one of its parts.
    const shape = etagShape(answer.etag, answer.size ?? size, partBytes);
    if (shape !== undefined && shape.partSizes.length === 0) return { did: "moved" };
    const facts = { etag: answer.etag, size: answer.size ?? size };
    return (await hasBytesOf(path, facts, partBytes, ending)) ? { did: "moved" } : { did: "moved", unverified: true };
  });
}

/** Deletes what is below `folder/`, and the folder's own key; never a sibling whose name only begins with it. */
export async function deleteFolder(
  session: S3Session,
  folder: string,
  options: Pick<JobOptions, "bucket" | "signal" | "timeoutMs"> & {
    /** Every version too, for good. Default false: a bucket that keeps versions keeps them. */
    readonly purge?: boolean | undefined;
  } = {},
): Promise<{ readonly deleted: number }> {
  const { purge = false, ...call } = options;
  const name = text("folder", folder).replace(/\/+$/, "");
  if (name === "")
    throw new InvalidError("folder", "must be a name; the whole bucket is remove({ prefix: '' })", folder);
  const doomed = { prefix: `${name}/` };
  return purge ? session.purge(doomed, call) : session.remove(doomed, call);
}

/** Runs `carry` for each item, `parallel` at a time, and tells of it. */
async function run(
  items: readonly JobItem[],
  { parallel, stopAtFirst, ...limits }: Settings,
  { signal, onProgress }: JobOptions,
  carry: Carry,
): Promise<JobReport> {
  const chunks = cutIntoChunks(items, limits);
  const report = { files: 0, bytes: 0, skippedFiles: 0, skippedBytes: 0, folders: 0, unverified: [] as string[] };
  const failures: JobFailure[] = [];
  const stop = new AbortController();
  const ending = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  // Every file under way listens to it; Node would warn of a leak at the eleventh.
  process.getBuiltinModule("node:events").setMaxListeners(0, ending);
  onProgress?.({
    type: "planned",
    items: items.length,
    bytes: chunks.reduce((sum, { bytes }) => sum + bytes, 0),
    chunks: chunks.length,
  });
  let broken: { reason: unknown } | undefined;

  const one = async (item: JobItem): Promise<JobEvent | undefined> => {
    const { key, path, size: bytes } = item;
    try {
      const { did, unverified } = await carry(item, ending);
      if (did === "folder") report.folders++;
      else if (did === "skipped") {
        report.skippedFiles++;
        report.skippedBytes += bytes;
      } else {
        report.files++;
        report.bytes += bytes;
      }
      if (unverified) report.unverified.push(key);
      return { type: "item", key, path, bytes, did };
    } catch (error) {
      // What only ended because the job ends has no failure of its own.
      if (ending.aborted && error === ending.reason) return undefined;
      failures.push({ key, path, error });
      if (stopAtFirst) stop.abort(error);
      return { type: "item", key, path, bytes, did: "failed", error };
    }
  };
  const queue = inTurn(chunks, (chunk) => {
    onProgress?.({ type: "chunk", chunk: chunk + 1, chunks: chunks.length, bytes: chunks[chunk]!.bytes });
  });
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next !== undefined && !ending.aborted; next = queue.next()) {
      try {
        const event = await one(next.item);
        if (event === undefined) continue;
        onProgress?.(event);
        next.ended();
      } catch (reason) {
        // What `onProgress` threw.
        broken ??= { reason };
        stop.abort(reason);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
  signal?.throwIfAborted();
  if (broken) throw broken.reason;
  if (failures.length > 0) throw new JobError(failures, report);
  return report;
}

/** Items one by one, and a word when the last of a chunk has ended. */
function inTurn(chunks: readonly JobChunk[], onEnded: (chunk: number) => void) {
  const open = chunks.map(({ items }) => items.length);
  let chunk = 0;
  let at = 0;
  return {
    next(): { readonly item: JobItem; ended(): void } | undefined {
      if (at >= (chunks[chunk]?.items.length ?? 0)) {
        chunk++;
        at = 0;
      }
      const of = chunk;
      const item = chunks[of]?.items[at++];
      return (
        item && {
          item,
          ended() {
            open[of]!--;
            if (open[of] === 0) onEnded(of);
          },
        }
      );
    },
  };
}

async function stored(writing: Promise<{ readonly outcome: string; readonly cause?: unknown }>, key: string) {
  const { outcome, cause } = await writing;
  if (outcome === "stored") return;
  throw new StoreError(`it is not known whether the object was written; key ${JSON.stringify(key)}`, {
    code: "WRITE_UNKNOWN",
    kind: "unknown",
    cause,
    details: { key },
  });
}

function filesOf(from: readonly NamedFile[]): readonly NamedFile[] {
  if (!Array.isArray(from)) throw new InvalidError("from", "must be a folder, or an array of { file, name }", from);
  for (const entry of from) object("from", entry);
  return from;
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await process.getBuiltinModule("node:fs/promises").readFile(path);
  } catch (cause) {
    throw new InvalidError("from", "must hold only files that can be read", path, { cause });
  }
}

/** What all keys begin with: the listing that shows them all. */
function sharedStart(items: readonly JobItem[]): string {
  let start = items[0]!.key;
  for (const { key } of items) while (!key.startsWith(start)) start = start.slice(0, -1);
  // Half a surrogate pair is no text.
  return start.isWellFormed() ? start : start.slice(0, -1);
}

function prefixOf(value: unknown): string {
  if (typeof value !== "string") throw new InvalidError("prefix", "must be a string", value);
  return value;
}

function settle(options: PutAllOptions): Settings {
  knownOptions(options, KNOWN);
  const { errors = "all", rename } = options;
  if (errors !== "first" && errors !== "all") throw new InvalidError("errors", "must be first or all", errors);
  if (rename !== undefined && typeof rename !== "function")
    throw new InvalidError("rename", "must be a function from a name to a name", rename);
  return {
    parallel: integer("parallel", options.parallel ?? 8, { min: 1, max: 64 }),
    partBytes: integer("partBytes", options.partBytes ?? 16 * MIB, { min: 5 * MIB, max: 5 * 1024 * MIB }),
    chunkFiles: integer("chunkFiles", options.chunkFiles ?? 100, { min: 1, max: 1_000_000 }),
    chunkBytes: integer("chunkBytes", options.chunkBytes ?? 64 * MIB, { min: 1, max: Number.MAX_SAFE_INTEGER }),
    stopAtFirst: errors === "first",
  };
}
