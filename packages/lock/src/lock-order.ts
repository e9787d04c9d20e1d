/**
 * In which order several locks are taken: always the same, whatever order the caller names them in, so that no two programs
 * ever wait for each other. Pure. Says nothing about whether a key is one the protocol takes.
 */
import { InvalidError, oneOf } from "@bucketlock/core";
import type { LockMode } from "./two-object/ticket.js";

/** A key, or a key with a mode. */
export type Wanted = string | { readonly key: string; readonly mode?: LockMode | undefined };

export interface Ordered {
  readonly key: string;
  readonly mode: LockMode;
}

/** By the UTF-16 units of the keys, as `<` compares them. Throws InvalidError: none, twice the same, or no key at all. */
export function inOrder(wanted: readonly Wanted[]): Ordered[] {
  if (!Array.isArray(wanted) || wanted.length === 0)
    throw new InvalidError("keys", "must be an array of at least one key", wanted);
  const all = wanted.map((one): Ordered => {
    if (typeof one === "string") return { key: one, mode: "exclusive" };
    if (typeof one !== "object" || one === null || typeof one.key !== "string")
      throw new InvalidError("keys", "must hold strings, or objects of key and mode", one);
    return { key: one.key, mode: oneOf("mode", one.mode ?? "exclusive", ["exclusive", "shared"]) };
  });
  const ordered = all.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const twice = ordered.find((one, at) => one.key === ordered[at - 1]?.key);
  // Which mode was meant? And a lock of our own would be waited for until the time is up.
  if (twice !== undefined) throw new InvalidError("keys", "must name each key once", twice.key);
  return ordered;
}
