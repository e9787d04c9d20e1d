/**
 * Parts of Node that cost a few milliseconds to load and that a program which only imports this package does not need.
 * Loads them at their first use, at once: `process.getBuiltinModule` (Node 20.16) needs no await.
 */
type Crypto = typeof import("node:crypto");
let loaded: Crypto | undefined;

export function nodeCrypto(): Crypto {
  loaded ??= process.getBuiltinModule("node:crypto");
  return loaded;
}

export function nodeZlib(): typeof import("node:zlib") {
  return process.getBuiltinModule("node:zlib");
}

/** Whoever imports `node:fs` by name has Node evaluate all of it, its streams included; its promises are `promises` of this. */
export function nodeFs(): typeof import("node:fs") {
  return process.getBuiltinModule("node:fs");
}
