/**
 * An account token kept in a file, so that many short processes authorise once a day and not once each. Only on request, and
 * only for the owner: mode 0600, refused when others may read it. A file that cannot be read as ours counts as absent.
 */
import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { InvalidError, type Random } from "@bucketlock/core";
import type { Grant } from "./answers.js";

const FORMAT = 1;
const OTHERS = 0o077;

export class TokenFile {
  readonly #path: string;
  readonly #owner: string;
  readonly #random: Random;

  /** `owner`: whose token it is; another key, secret or server never gets this one. Only its hash is stored. */
  constructor(path: string, owner: readonly string[], random: Random) {
    this.#path = path;
    this.#owner = createHash("sha256").update(JSON.stringify(owner)).digest("hex");
    this.#random = random;
  }

  /** Throws InvalidError when others than the owner may read or write the file. */
  async read(): Promise<Grant | undefined> {
    let text: string;
    try {
      const file = await open(this.#path, "r");
      try {
        const { mode } = await file.stat();
        if (process.platform !== "win32" && (mode & OTHERS) !== 0)
          throw new InvalidError("tokenFile", "must be readable by its owner only (mode 0600)", this.#path);
        text = await file.readFile("utf8");
      } finally {
        await file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error instanceof InvalidError ? error : unusable(this.#path, error);
    }
    try {
      const kept = JSON.parse(text) as { format: number; owner: string; grant: Grant };
      return kept.format === FORMAT && kept.owner === this.#owner && typeof kept.grant.token === "string"
        ? kept.grant
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whole or not at all: written beside it and renamed. Throws InvalidError when that cannot be done. */
  async write(grant: Grant): Promise<void> {
    const beside = `${this.#path}.${this.#random.hex(6)}.tmp`;
    try {
      const file = await open(beside, "wx", 0o600);
      try {
        await file.writeFile(JSON.stringify({ format: FORMAT, owner: this.#owner, grant }));
      } finally {
        await file.close();
      }
      await rename(beside, this.#path);
    } catch (error) {
      await rm(beside, { force: true }).catch(() => {});
      throw unusable(this.#path, error);
    }
  }
}

function unusable(path: string, cause: unknown): InvalidError {
  return new InvalidError("tokenFile", "must be a file that this user may read and replace", path, { cause });
}
