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
