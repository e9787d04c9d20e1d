/**
 * Keeps the list of what must not outlive this process, in a child that sees our end however we end (SIGKILL too).
 * Decides nothing about an orderly end: who starts a thing stops it and takes it off the list.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Kind = "group" | "container" | "directory";

let guard: ChildProcess | undefined;

function tell(entry: { kind: Kind; id: string | number; gone?: true }): void {
  if (guard === undefined) {
    guard = spawn(process.execPath, [join(import.meta.dirname, "guard.mjs")], {
      stdio: ["pipe", "ignore", "inherit"],
      detached: true,
    });
    guard.unref();
    (guard.stdin as unknown as { unref(): void }).unref();
    guard.stdin!.on("error", () => {});
  }
  guard.stdin!.write(`${JSON.stringify(entry)}\n`);
}

export const watch = (kind: Kind, id: string | number): void => tell({ kind, id });
export const unwatch = (kind: Kind, id: string | number): void => tell({ kind, id, gone: true });

/** A directory of its own below the system's temporary one, that goes when this process goes. */
export function temporaryDirectory(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `bucketlock-${name}-`));
  watch("directory", path);
  return {
    path,
    remove() {
      rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      unwatch("directory", path);
    },
  };
}
