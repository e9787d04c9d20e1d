/**
 * The local side of a bulk job: pieces read from files, and pieces put together into files. A file
 * under its final name is always a whole one. It knows no appliance, and never writes outside the folder it was given.
 */
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StoreError } from "../errors.js";

/** A local file and the name it gets; without a path, an empty folder (its name ends with a slash). */
export interface Ds3Source {
  readonly name: string;
  readonly path?: string | undefined;
}
export interface SizedSource extends Ds3Source {
  readonly size: number;
}

/** Throws StoreError FILE_NOT_READ. */
export async function withSize(source: Ds3Source): Promise<SizedSource> {
  if (source.path === undefined) return { ...source, size: 0 };
  const facts = await stat(source.path).catch((cause) => {
    throw fileError("FILE_NOT_READ", source.path!, cause);
  });
  if (!facts.isFile()) throw fileError("FILE_NOT_READ", source.path, new Error("it is no file"));
  return { ...source, size: facts.size };
}

/** A piece of a file. Fails where the file became shorter. */
export async function* readPiece(path: string, offset: number, length: number): AsyncGenerator<Uint8Array, void, void> {
  const file = await open(path, "r").catch((cause) => {
    throw fileError("FILE_NOT_READ", path, cause);
  });
  try {
    for (let done = 0; done < length; ) {
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(Math.min(256 * 1024, length - done)),
        0,
        null,
        offset + done,
      );
      if (bytesRead === 0) throw fileError("FILE_NOT_READ", path, new Error("it became shorter while it was sent"));
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** A file that is put together from pieces under another name, and gets its own when it is whole. */
export class PartFile {
  readonly #path: string;
  readonly #part: string;
  readonly #remaining: Set<number>;
  #made: Promise<void> | undefined;

  /** `offsets`: where its pieces begin. `mark` makes the other name its own. */
  constructor(path: string, offsets: readonly number[], mark: string) {
    this.#path = path;
    this.#part = `${path}.${mark}.part`;
    this.#remaining = new Set(offsets);
  }

  /** Writes one piece. With the last one the file is whole: on disk, and under its own name. */
  async write(offset: number, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    this.#made ??= make(this.#part);
    await this.#made;
    const file = await open(this.#part, "r+").catch((cause) => {
      throw fileError("FILE_NOT_WRITTEN", this.#part, cause);
    });
    try {
      let at = offset;
      for await (const piece of pieces) {
        await writeAll(file, piece, at, this.#part);
        at += piece.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    this.#remaining.delete(offset);
    if (this.#remaining.size > 0) return;
    await rename(this.#part, this.#path).catch((cause) => {
      throw fileError("FILE_NOT_WRITTEN", this.#path, cause);
    });
  }

  /** Leaves nothing of a file that is not whole. */
  async drop(): Promise<void> {
    if (this.#made === undefined || this.#remaining.size === 0) return;
    await rm(this.#part, { force: true }).catch(() => {});
  }
}

async function make(part: string): Promise<void> {
  try {
    await mkdir(dirname(part), { recursive: true });
    await (await open(part, "w")).close();
  } catch (cause) {
    throw fileError("FILE_NOT_WRITTEN", part, cause);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, at: number, path: string): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
    }
  } catch (cause) {
    throw fileError("FILE_NOT_WRITTEN", path, cause);
  }
}

export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw fileError("FILE_NOT_WRITTEN", path, cause);
  });
}

function fileError(code: "FILE_NOT_READ" | "FILE_NOT_WRITTEN", path: string, cause: unknown): StoreError {
  if (code === "FILE_NOT_READ")
    return new StoreError(`the file could not be read; ${path}`, {
      code: "FILE_NOT_READ",
      kind: "denied",
      cause,
      details: { path },
    });
  return new StoreError(`the file could not be written; ${path}`, {
    code: "FILE_NOT_WRITTEN",
    kind: "unavailable",
    cause,
    details: { path },
  });
}
