/**
 * Randomness: the only file that names Math.random or crypto's generators. Handed in wherever chance is needed, so that a
 * test or a simulation can replay it.
 */
import { nodeCrypto } from "./builtin.js";

export interface Random {
  /** In [0, 1), 48 bits. */
  float(): number;
  /** `bytes` random bytes as lower-case hex. */
  hex(bytes: number): string;
}

export const systemRandom: Random = {
  float: () => nodeCrypto().randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  hex: (bytes) => nodeCrypto().randomBytes(bytes).toString("hex"),
};
