/**
 * The few file operations that the file store is made of, and what their errors mean. Decides nothing about generations.
 * The operations are handed in, so that a test can stop a writer between two of them.
 */
import { nodeFs } from "./builtin.js";
import { type ErrorFacts, StoreError } from "./errors.js";

export interface Disk {
  /** The names in a directory. */
  names(dir: string): Promise<readonly string[]>;
  read(path: string): Promise<Buffer>;
  /** Creates the file, which must not exist. `durable`: its bytes are on the disk when this resolves. */
  write(path: string, data: string | Uint8Array, durable: boolean): Promise<void>;
  /** A second name for the file: atomic, fails with EEXIST where the name is taken. */
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Puts the names in a directory on the disk. */
  sync(dir: string): Promise<void>;
}

export const realDisk: Disk = {
  names: (dir) => nodeFs().promises.readdir(dir),
  read: (path) => nodeFs().promises.readFile(path),
  async write(path, data, durable) {
    const file = await nodeFs().promises.open(path, "wx");
    try {
      await file.writeFile(data);
      if (durable) await file.datasync();
    } finally {
      await file.close();
    }
  },
  link: (from, to) => nodeFs().promises.link(from, to),
  rename: (from, to) => nodeFs().promises.rename(from, to),
  remove: (path) => nodeFs().promises.unlink(path),
  async sync(dir) {
    const handle = await nodeFs().promises.open(dir, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

/** The name of a system error, ENOENT and the like; undefined for any other error. */
export function errno(error: unknown): string | undefined {
  return error instanceof Error && "errno" in error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** The promise's value, or undefined when the file is not there. */
export async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (errno(error) === "ENOENT") return undefined;
    throw error;
  }
}

interface Meaning {
  readonly fact: string;
  readonly code: string;
  readonly kind: ErrorFacts["kind"];
}
const denied: Meaning = { fact: "The file system refused access", code: "STORE_ACCESS_DENIED", kind: "denied" };
const readOnly: Meaning = { fact: "The file system is read-only", code: "STORE_ACCESS_DENIED", kind: "denied" };
const full: Meaning = { fact: "The disk or the quota is full", code: "STORE_FULL", kind: "unavailable" };
const missing: Meaning = { fact: "The store's directory is gone", code: "STORE_NO_DIRECTORY", kind: "denied" };
const noLinks: Meaning = {
  fact: "The file system cannot make hard links, which the file store needs",
  code: "STORE_UNSUPPORTED",
  kind: "unsupported",
};
const failed: Meaning = { fact: "A file operation failed", code: "STORE_UNAVAILABLE", kind: "unavailable" };

// EPERM from link(2) is how Linux says that the file system has no hard links.
const MEANINGS: Readonly<Record<string, Meaning>> = {
  EACCES: denied,
  EPERM: denied,
  EROFS: readOnly,
  ENOSPC: full,
  EDQUOT: full,
  ENOENT: missing,
  ENOTDIR: missing,
  EMLINK: noLinks,
  ENOSYS: noLinks,
  ENOTSUP: noLinks,
  EOPNOTSUPP: noLinks,
};

/** What a system error means for the caller. Any other error is answered as it is. */
export function diskError(error: unknown, path: string): unknown {
  const code = errno(error);
  if (code === undefined) return error;
  const syscall = (error as { syscall?: string }).syscall;
  const meaning = code === "EPERM" && syscall === "link" ? noLinks : (MEANINGS[code] ?? failed);
  return new StoreError(`${meaning.fact}: ${path} (${code})`, {
    code: meaning.code,
    kind: meaning.kind,
    cause: error,
    details: { path, errno: code, syscall },
  });
}

/** True where the operation surely changed nothing. Any other failure (EIO) may have. */
export function surelyRefused(error: unknown): boolean {
  return Object.hasOwn(MEANINGS, errno(error) ?? "");
}
