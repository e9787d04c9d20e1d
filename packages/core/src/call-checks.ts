/**
 * What every store of this package checks of a call before it does anything. Refuses with InvalidError (or the
 * caller's own abort reason), never mends what came.
 */
import { InvalidError } from "./errors.js";
import { durationMs, integer, namesAndValues, object, objectKey, text } from "./options.js";
import type { CallOptions, Condition, DeleteTarget, ListOptions, PutOptions } from "./store.js";

/** Limit of a call that brought none, in ms. */
export const CALL_TIMEOUT_MS = 10_000;
/** Objects in one page of a listing when the caller said nothing: what S3 gives. */
const PAGE_SIZE = 1000;

/** The call's limit in ms. Throws the signal's own reason if it is aborted already. */
export function checkCall(options: CallOptions): number {
  const timeoutMs = options.timeoutMs;
  const limitMs = timeoutMs === undefined ? CALL_TIMEOUT_MS : durationMs("timeoutMs", timeoutMs, { min: 1 });
  const signal: Partial<AbortSignal> | null | undefined = options.signal;
  if (signal == null) return limitMs;
  // The controller instead of its signal is soon said.
  if (typeof signal.throwIfAborted !== "function" || typeof signal.addEventListener !== "function")
    throw new InvalidError("signal", "must be an AbortSignal (of a controller: its `signal`)", signal);
  signal.throwIfAborted();
  return limitMs;
}

export function checkPut(key: string, body: unknown, options: PutOptions): void {
  objectKey("key", key);
  if (typeof body !== "string" && !(body instanceof Uint8Array))
    throw new InvalidError("body", "must be a Uint8Array or a string", body);
  checkCondition(options.condition);
  checkMetadata(options.metadata);
}

export function checkMetadata(metadata: PutOptions["metadata"]): void {
  for (const [name, value] of namesAndValues("metadata", metadata)) {
    if (!isMetadataName(name))
      throw new InvalidError("metadata", "names must be of a-z, 0-9, -, _ and .", name, { details: { name } });
    if (typeof value !== "string" || !isMetadataValue(value))
      throw new InvalidError(
        `metadata.${name}`,
        "must be a string of printable ASCII that neither begins nor ends with a space",
        value,
      );
  }
}

export function isMetadataName(name: string): boolean {
  return /^[a-z0-9._-]+$/.test(name);
}

/** Spaces around the value of a header are no part of it (RFC 9110 5.5): they would be lost unsaid. */
export function isMetadataValue(value: string): boolean {
  return /^(?! )[\x20-\x7e]*$/.test(value) && !value.endsWith(" ");
}

function checkCondition(condition: Condition | undefined): void {
  if (condition === undefined) return;
  if (typeof condition === "object" && condition !== null) {
    if ("absent" in condition ? condition.absent === true : typeof condition.etag === "string" && condition.etag !== "")
      return;
  }
  throw new InvalidError("condition", "must be { absent: true } or { etag: a string }", condition);
}

/** Keys, or keys with versions, as targets. */
export function targetsOf(given: readonly (string | DeleteTarget)[]): DeleteTarget[] {
  if (!Array.isArray(given)) throw new InvalidError("keys", "must be an array", given);
  const targets = given.map((target: string | DeleteTarget) => (typeof target === "string" ? { key: target } : target));
  checkTargets(targets);
  return targets;
}

export function checkTargets(targets: readonly DeleteTarget[]): void {
  for (const target of targets) {
    object("target", target);
    objectKey("key", target.key);
    if (target.versionId !== undefined) text("versionId", target.versionId);
  }
}

/** The page size to use. A prefix may be empty (everything), longer than any key (nothing), but must be a string. */
export function checkList(prefix: unknown, options: ListOptions): number {
  if (typeof prefix !== "string") throw new InvalidError("prefix", "must be a string", prefix);
  return options.pageSize === undefined ? PAGE_SIZE : integer("pageSize", options.pageSize, { min: 1, max: PAGE_SIZE });
}
