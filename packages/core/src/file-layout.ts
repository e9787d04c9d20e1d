/**
 * The directory of a file store: where what lies, and whether a directory is one. Creates it where it may; never touches a
 * directory that holds something else, or that a later version of this project wrote.
 *
 *     bucketlock.json     marker: whose directory this is, and in which format
 *     generations/<n>     the whole store as it was after its n-th write; the highest is the store
 *     bodies/<n>-<id>     bodies too large for a generation file, written for the attempt to make generation n
 *     tmp/<n>-<id>        generation files being written, for the attempt to make generation n
 */
import { isAbsolute, join } from "node:path";
import { nodeFs } from "./builtin.js";
import { InvalidError, StoreError } from "./errors.js";
import { diskError, errno } from "./file-disk.js";
import { text } from "./options.js";
import type { Random } from "./random.js";

const MARKER = "bucketlock.json";
const FORMAT = 1;
const FOLDERS = ["generations", "bodies", "tmp"] as const;

export interface Layout {
  readonly dir: string;
  readonly generations: string;
  readonly bodies: string;
  readonly tmp: string;
}

export interface LayoutOptions {
  readonly create: boolean;
  readonly durable: boolean;
  readonly random: Random;
}

/**
 * Synchronous, once per store. After return the directory is a file store of this format.
 * Throws InvalidError (`dir`), or StoreError (rights, full disk, STORE_UNSUPPORTED for a later format).
 */
export function openLayout(dir: unknown, options: LayoutOptions): Layout {
  const path = text("dir", dir);
  if (!isAbsolute(path)) throw new InvalidError("dir", "must be an absolute path", path);
  const layout = {
    dir: path,
    generations: join(path, "generations"),
    bodies: join(path, "bodies"),
    tmp: join(path, "tmp"),
  };
  try {
    if (options.create) nodeFs().mkdirSync(path, { recursive: true });
    checkDirectory(path);
    if (!checkMarker(path)) {
      checkEmpty(path);
      build(layout, options);
    }
  } catch (error) {
    throw diskError(error, path);
  }
  return layout;
}

function checkDirectory(path: string): void {
  const stats = nodeFs().statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new InvalidError("dir", "must exist (create: true makes it; in a URL ?create=1)", path);
  if (!stats.isDirectory()) throw new InvalidError("dir", "must be a directory", path);
}

/** True: a store of this format. False: no marker. */
function checkMarker(path: string): boolean {
  let marker: { format?: unknown; version?: unknown } | null;
  try {
    marker = JSON.parse(nodeFs().readFileSync(join(path, MARKER), "utf8"));
  } catch (error) {
    if (errno(error) === "ENOENT") return false;
    if (errno(error) !== undefined) throw error;
    marker = null;
  }
  const version = marker?.format === "bucketlock file store" ? marker.version : undefined;
  if (version === FORMAT) return true;
  if (typeof version === "number" && version > FORMAT) {
    throw new StoreError(
      `A later version of bucketlock wrote this directory: ${path}; format ${version}, known ${FORMAT}`,
      {
        code: "STORE_UNSUPPORTED",
        kind: "unsupported",
        details: { path, version },
      },
    );
  }
  throw new InvalidError("dir", `must be the directory of a file store, but its ${MARKER} is not ours`, path);
}

/** Two processes may open a new store at once: what the other has made so far is no reason to refuse. */
function checkEmpty(path: string): void {
  const own: readonly string[] = [MARKER, ...FOLDERS];
  const foreign = nodeFs()
    .readdirSync(path)
    .find((name) => !own.includes(name));
  if (foreign === undefined) return;
  throw new InvalidError("dir", "must be empty or the directory of a file store", path, { details: { foreign } });
}

function build({ dir, tmp }: Layout, { durable, random }: LayoutOptions): void {
  for (const folder of FOLDERS) nodeFs().mkdirSync(join(dir, folder), { recursive: true });
  // The marker comes last and whole: who sees it sees a finished store.
  const draft = join(tmp, `${generationName(0)}-${random.hex(8)}`);
  nodeFs().writeFileSync(draft, `${JSON.stringify({ format: "bucketlock file store", version: FORMAT })}\n`, {
    flag: "wx",
    flush: durable,
  });
  try {
    nodeFs().linkSync(draft, join(dir, MARKER));
    nodeFs().unlinkSync(draft);
  } catch (error) {
    // Another process was first (EEXIST), or first and so far ahead that it has swept the draft (ENOENT).
    if (errno(error) !== "EEXIST" && errno(error) !== "ENOENT") throw error;
    nodeFs().rmSync(draft, { force: true });
  }
  if (durable) {
    const handle = nodeFs().openSync(dir, "r");
    nodeFs().fsyncSync(handle);
    nodeFs().closeSync(handle);
  }
}

/** 16 digits, so that names sort as numbers do; more writes than any store lives to see. */
export function generationName(generation: number): string {
  return String(generation).padStart(16, "0");
}

/** The number at the front of a name that this project made; undefined for any other (those are left alone). */
export function generationOf(name: string): number | undefined {
  return /^\d{16}(-[0-9a-f]+)?$/.test(name) ? Number(name.slice(0, 16)) : undefined;
}
