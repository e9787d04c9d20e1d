/**
 * What to do about an error, in half a sentence: for people at a command line, who have no program to fix. Pure.
 */
import { BucketlockError, type ErrorKind } from "@bucketlock/core";
import { printable } from "./printable.js";

const BY_KIND: Readonly<Record<ErrorKind, string>> = {
  contended: "try later, or wait longer with --wait",
  lost: "look at what the command did: another may have held the lock at the same time",
  unknown: "look again with `bucketlock inspect`",
  unavailable: "try later",
  denied: "mend keys, rights or clock",
  unsupported: "`bucketlock probe` tells what this store can do",
  corrupt: "a person must look at the objects under this key",
  invalid: "see --help",
};

const BY_CODE: Readonly<Record<string, string>> = {
  COMMAND_NOT_FOUND: "check the name and PATH",
  COMMAND_NOT_EXECUTABLE: "check its permissions",
  CONFIG_UNREADABLE: "mend or remove the file",
  NOT_CONFIRMED: "--yes answers in advance",
  B2_NOT_INSTALLED: "install it beside @bucketlock/lock",
  RELEASE_FAILED: "nothing: the lock frees itself",
  PROTOCOL_MISMATCH: "all clients of a key must use the same --protocol",
  PERMITS_MISMATCH: "use the same --semaphore everywhere, or another key",
  STORE_NO_DIRECTORY: "make it, or add ?create=1 to the URL",
  STORE_NO_BUCKET: "make it, or mend its name in the URL",
  STORE_NO_CREDENTIALS: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
  STORE_BAD_CREDENTIALS: "check the keys",
  STORE_ACCESS_DENIED: "give it the right, or use another account",
  STORE_CLOCK_SKEW: "set this host's clock, with NTP",
  STORE_REDIRECT: "mend the region or the endpoint in the URL",
  STORE_WRONG_REGION: "mend the region in the URL",
  STORE_UNTRUSTED: "check the endpoint and its certificate",
  STORE_UNREACHABLE: "check the endpoint and the network",
  STORE_NOT_S3: "check the endpoint",
  STORE_FULL: "make room",
};

/** What to do about it. */
export function adviceOf({ code, kind }: BucketlockError): string {
  return BY_CODE[code] ?? BY_KIND[kind];
}

/** One line: the fact, the code, what to do. */
export function errorLine(error: unknown): string {
  if (!(error instanceof BucketlockError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${text} [BUG] please report it`;
  }
  // What a look at the store may explain.
  const more = error.code.startsWith("STORE_") ? "; `bucketlock doctor` tells more" : "";
  return `${printable(error.message)} [${error.code}] ${adviceOf(error)}${more}`;
}

export function errorFacts(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof BucketlockError)) return { code: "BUG", kind: "bug", message: String(error) };
  const { code, kind, message } = error;
  return { code, kind, message, todo: adviceOf(error) };
}
