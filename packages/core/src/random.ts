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

// A ticket's id takes sixteen draws, and each was a call of the system. Few enough that a copy of a running machine repeats
// little; and no byte is handed out twice.
const POOL_BYTES = 256;
let pool: Buffer = Buffer.alloc(0);
let used = 0;

function draw(bytes: number): Buffer {
  if (bytes > POOL_BYTES) return nodeCrypto().randomBytes(bytes);
  if (used + bytes > pool.length) {
    pool = nodeCrypto().randomBytes(POOL_BYTES);
    used = 0;
  }
  used += bytes;
  return pool.subarray(used - bytes, used);
}

export const systemRandom: Random = {
  float: () => draw(6).readUIntBE(0, 6) / 2 ** 48,
  hex: (bytes) => draw(bytes).toString("hex"),
};
