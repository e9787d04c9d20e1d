/**
 * The checksums that an appliance knows, of bytes as they come. It sends and compares nothing itself. `crc32` is
 * big-endian base64, as in the vendor's SDKs.
 */
import { nodeCrypto } from "../builtin.js";

/** CRC-32C is left to the appliance. */
export const DS3_CHECKSUMS = ["md5", "crc32", "sha256", "sha512"] as const;
export type Ds3Checksum = (typeof DS3_CHECKSUMS)[number];

export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** Base64; once, at the end. */
  end(): string;
}

export function runningChecksum(kind: Ds3Checksum): RunningChecksum {
  if (kind === "crc32") {
    const { crc32 } = process.getBuiltinModule("node:zlib");
    let value = 0;
    return {
      update(bytes) {
        value = crc32(bytes, value);
      },
      end() {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(value);
        return bytes.toString("base64");
      },
    };
  }
  const hash = nodeCrypto().createHash(kind);
  return { update: (bytes) => void hash.update(bytes), end: () => hash.digest("base64") };
}
