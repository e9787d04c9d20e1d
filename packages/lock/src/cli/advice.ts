/**
 * What to do about an error, in half a sentence: for people at a command line, who have no program to fix. Pure.
 */
import { BucketlockError, type ErrorKind } from "@bucketlock/core";

const BY_KIND: Readonly<Record<ErrorKind, string>> = {
  contended: "try later, or wait longer with --wait",
  lost: "look at what the command did: another may have held the lock at the same time",
  unknown: "look again with `bucketlock inspect`",
  unavailable: "try later; `bucketlock doctor` tells what is reached",
  denied: "mend keys, rights or clock; `bucketlock doctor` tells which",
  unsupported: "`bucketlock probe` tells what this store can do",
  corrupt: "a person must look at the objects under this key",
  invalid: "see --help",
};

const BY_CODE: Readonly<Record<string, string>> = {
  COMMAND_NOT_FOUND: "check the name and PATH",
  COMMAND_NOT_EXECUTABLE: "check its permissions",
  CONFIG_UNREADABLE: "mend or remove the file",
  B2_NOT_INSTALLED: "install it beside @bucketlock/lock",
  STORE_NO_DIRECTORY: "make it, or add ?create=1 to the URL",
  RELEASE_FAILED: "nothing: the lock frees itself",
};

/** One line: the fact, the code, what to do. */
export function errorLine(error: unknown): string {
  if (!(error instanceof BucketlockError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${text} [BUG] please report it`;
  }
  return `${error.message} [${error.code}] ${BY_CODE[error.code] ?? BY_KIND[error.kind]}`;
}

export function errorFacts(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof BucketlockError)) return { code: "BUG", kind: "bug", message: String(error) };
  const { code, kind, message } = error;
  return { code, kind, message, todo: BY_CODE[code] ?? BY_KIND[kind] };
}
