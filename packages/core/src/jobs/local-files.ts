/**
 * The local end of a bulk job: what a folder holds, and whether a file has the bytes of an object. Reads only; it writes nothing
 * and asks no server.
 */
import type { Hash } from "node:crypto";
import type { Dirent } from "node:fs";
import { nodeCrypto } from "../builtin.js";
import { InvalidError } from "../errors.js";
import type { ListedObject } from "../store.js";
import { etagShape, type LocalEntry } from "./plan.js";

/**
 * Every file below a folder and every folder that is empty, by name. Links to files are followed; a link to a folder, a device or
 * a socket is refused, for leaving it out unsaid would lose data. Throws InvalidError naming `from`.
 */
export async function filesBelow(folder: string, signal: AbortSignal | undefined): Promise<LocalEntry[]> {
  const fs = process.getBuiltinModule("node:fs/promises");
  const { join } = process.getBuiltinModule("node:path");
  const found: LocalEntry[] = [];
  const walk = async (path: string, name: string): Promise<void> => {
    signal?.throwIfAborted();
    let entries: Dirent[];
    try {
      entries = await fs.readdir(path, { withFileTypes: true });
    } catch (cause) {
      throw new InvalidError("from", "must be a folder that can be read", path, { cause });
    }
    if (entries.length === 0 && name !== "") found.push({ name, path, size: 0, isFolder: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const below = join(path, entry.name);
      const belowName = name === "" ? entry.name : `${name}/${entry.name}`;
      if (entry.isDirectory()) await walk(below, belowName);
      else found.push(await fileAt(below, belowName));
    }
  };
  await walk(folder, "");
  return found;
}

/** Throws InvalidError naming `from`. */
export async function fileAt(path: string, name: string): Promise<LocalEntry> {
  const stat = await process
    .getBuiltinModule("node:fs/promises")
    .stat(path)
    .catch((cause: unknown) => {
      throw new InvalidError("from", "must hold only what can be read", path, { cause });
    });
  if (!stat.isFile())
    throw new InvalidError("from", "must hold files and folders only, no link to a folder and no device", path);
  return { name, path, size: stat.size, isFolder: false };
}

/** The size of a file, undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const stat = await process
    .getBuiltinModule("node:fs/promises")
    .stat(path)
    .catch(() => undefined);
  return stat?.isFile() ? stat.size : undefined;
}

/** True: proved to hold the bytes of the object. False proves nothing. */
export async function hasBytesOf(
  path: string,
  { etag, size }: Pick<ListedObject, "etag" | "size">,
  partBytes: number,
  signal: AbortSignal,
): Promise<boolean> {
  const shape = etagShape(etag, size, partBytes);
  if (shape === undefined) return false;
  const md5s = shape.partSizes.length === 0 ? [new Whole()] : shape.partSizes.map((bytes) => new InParts(bytes));
  let length = 0;
  const file = await process.getBuiltinModule("node:fs/promises").open(path, "r");
  try {
    for await (const chunk of file.createReadStream({ highWaterMark: 1024 * 1024, autoClose: false })) {
      signal.throwIfAborted();
      for (const md5 of md5s) md5.update(chunk as Uint8Array);
      length += (chunk as Uint8Array).length;
    }
  } finally {
    await file.close();
  }
  return length === size && md5s.some((md5) => md5.hex() === shape.md5);
}

const newMd5 = (): Hash => nodeCrypto().createHash("md5");

class Whole {
  readonly #hash = newMd5();

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  hex(): string {
    return this.#hash.digest("hex");
  }
}

/** The MD5 of the MD5s of the parts: what CompleteMultipartUpload makes the ETag of. */
class InParts {
  readonly #partBytes: number;
  readonly #outer = newMd5();
  #part = newMd5();
  #filled = 0;

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.subarray(at, at + this.#partBytes - this.#filled);
      this.#part.update(taken);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === this.#partBytes) this.#close();
    }
  }

  hex(): string {
    if (this.#filled > 0) this.#close();
    return this.#outer.digest("hex");
  }

  #close(): void {
    this.#outer.update(this.#part.digest());
    this.#part = newMd5();
    this.#filled = 0;
  }
}
