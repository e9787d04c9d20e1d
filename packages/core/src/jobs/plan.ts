/**
 * What a bulk job has to do: which file goes to which key or comes from which, and in which chunks. Pure: it is handed two
 * listings and answers a plan, or refuses all of it before anything is sent. It touches no file and no store.
 */
import { compareKeys } from "../byte-order.js";
import { BucketlockError, InvalidError } from "../errors.js";
import { objectKey } from "../options.js";
import type { ListedObject } from "../store.js";

/** The other name, or undefined to leave it out. */
export type Rename = (name: string) => string | undefined;

/** A file or an empty folder of this host. `name`: below the folder of the job, with `/` between its parts. */
export interface LocalEntry {
  readonly name: string;
  readonly path: string;
  /** Bytes; of a folder 0. */
  readonly size: number;
  readonly isFolder: boolean;
}

/** One thing to do. */
export interface JobItem {
  readonly path: string;
  readonly key: string;
  /** Bytes, when the plan was made. */
  readonly size: number;
  readonly isFolder: boolean;
  /** What stands at the other end under that name: the object, of the same size as the file, for a look at its checksum. */
  readonly remote: ListedObject | undefined;
}

/** Items that are told of together. */
export interface JobChunk {
  readonly items: readonly JobItem[];
  readonly bytes: number;
}

export interface ChunkLimits {
  readonly chunkFiles: number;
  readonly chunkBytes: number;
}

/** Throws InvalidError for a name that is no key. */
export function planPut(
  entries: readonly LocalEntry[],
  remotes: ReadonlyMap<string, ListedObject>,
  prefix: string,
  rename: Rename | undefined,
): JobItem[] {
  const items: JobItem[] = [];
  const taken = new Map<string, string>();
  for (const { name, path, size, isFolder } of entries) {
    const renamed = rename === undefined ? name : rename(name);
    if (renamed === undefined) continue;
    // A key that ends in a slash is how consoles and other tools keep a folder.
    const key = objectKey("key", `${prefix}${renamed}${isFolder ? "/" : ""}`);
    const other = taken.get(key);
    if (other !== undefined) throw clash("two files would become one object", key, other, path);
    taken.set(key, path);
    items.push({ path, key, size, isFolder, remote: remotes.get(key) });
  }
  return items;
}

/** How names of this host are. */
export interface LocalNames {
  /** The path of a name below the job's folder. */
  join(parts: readonly string[]): string;
  /** Does the file system here refuse it, or take it for something else? */
  refuses(part: string): boolean;
}

/** Throws JOB_NAME_REFUSED for a key that cannot be a file below the folder. */
export function planGet(
  objects: readonly ListedObject[],
  prefix: string,
  rename: Rename | undefined,
  { join, refuses }: LocalNames,
): JobItem[] {
  const items: JobItem[] = [];
  const files = new Map<string, string>();
  const folders = new Map<string, string>();
  for (const remote of objects) {
    const { key, size } = remote;
    const isFolder = key.endsWith("/");
    if (isFolder && size > 0) throw refused(key, "it ends like a folder and holds bytes");
    const name = key.slice(prefix.length, isFolder ? -1 : undefined);
    // The folder of the job itself.
    if (name === "" && isFolder) continue;
    const renamed = rename === undefined ? name : rename(name);
    if (renamed === undefined) continue;
    const parts = partsOf(key, renamed, refuses);
    const path = join(parts);
    for (let length = 1; length < parts.length + (isFolder ? 1 : 0); length++) {
      const folder = join(parts.slice(0, length));
      folders.set(folder, folders.get(folder) ?? key);
    }
    if (!isFolder) {
      const other = files.get(path);
      if (other !== undefined) throw clash("two objects would become one file", path, other, key);
      files.set(path, key);
    }
    items.push({ path, key, size, isFolder, remote });
  }
  for (const [path, key] of files) {
    const below = folders.get(path);
    if (below !== undefined) throw clash("an object would have to be a file and a folder", path, key, below);
  }
  return items;
}

/** In the order of the keys, so that a job that stops early has done a beginning. */
export function cutIntoChunks(items: readonly JobItem[], { chunkFiles, chunkBytes }: ChunkLimits): JobChunk[] {
  const chunks: JobChunk[] = [];
  let held: JobItem[] = [];
  let bytes = 0;
  const close = () => {
    if (held.length > 0) chunks.push({ items: held, bytes });
    held = [];
    bytes = 0;
  };
  for (const item of [...items].sort((a, b) => compareKeys(a.key, b.key))) {
    if (held.length >= chunkFiles || (held.length > 0 && bytes + item.size > chunkBytes)) close();
    held.push(item);
    bytes += item.size;
  }
  close();
  return chunks;
}

const MIB = 1024 * 1024;
/** Sizes of parts that clients in use send, in bytes. */
const PART_SIZES = [5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512].map((mib) => mib * MIB);
const ETAG = /^"?([0-9a-f]{32})(?:-(\d{1,5}))?"?$/;

/** How the ETag of an object of this size may have come about. */
export interface EtagShape {
  readonly md5: string;
  /** Empty: the MD5 of the whole. Else it is the MD5 of the parts' MD5s, for one of these sizes of parts. */
  readonly partSizes: readonly number[];
}

/**
 * Undefined: it is no MD5 of anything. What it may be is never certain (an object that was encrypted has an ETag of the same
 * look), so an equal one proves that bytes are the same, and an unequal one proves nothing.
 */
export function etagShape(etag: string | undefined, size: number, partBytes: number): EtagShape | undefined {
  const found = ETAG.exec(etag ?? "");
  if (!found) return undefined;
  const md5 = found[1]!;
  if (found[2] === undefined) return { md5, partSizes: [] };
  const count = Number(found[2]);
  const even = Math.ceil(size / Math.max(count, 1) / MIB) * MIB;
  const partSizes = [...new Set([partBytes, even, ...PART_SIZES])].filter(
    (bytes) => bytes > 0 && Math.max(1, Math.ceil(size / bytes)) === count,
  );
  return partSizes.length === 0 ? undefined : { md5, partSizes };
}

// A name that leaves its folder is how an archive, or a listing, writes where it should not.
function partsOf(key: string, name: string, refuses: LocalNames["refuses"]): string[] {
  if (typeof name !== "string") throw new InvalidError("rename", "must answer a name or undefined", name);
  const parts = name.split("/");
  for (const part of parts) {
    if (part === "") throw refused(key, "it has an empty name between slashes");
    if (part === "." || part === "..") throw refused(key, "it has a '.' or '..' between slashes");
    if (part.includes("\0") || refuses(part)) throw refused(key, "it has a character that names of files cannot have");
  }
  return parts;
}

function refused(key: string, why: string): BucketlockError {
  return new BucketlockError(
    `an object cannot become a file, nothing was read: ${why}; use rename; key ${JSON.stringify(key)}`,
    { code: "JOB_NAME_REFUSED", kind: "invalid", details: { key } },
  );
}

function clash(fact: string, name: string, one: string, other: string): BucketlockError {
  return new BucketlockError(`${fact}, nothing was done: ${JSON.stringify(name)}`, {
    code: "JOB_NAMES_CLASH",
    kind: "invalid",
    details: { name, one, other },
  });
}
