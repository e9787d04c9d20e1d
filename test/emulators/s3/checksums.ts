/**
 * The checksums of S3 (user guide "Checking object integrity"), computed from the definitions and checked against what a
 * request says of its body. Base64 of the big-endian value.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Refusal } from "./answers.js";

export const ALGORITHMS = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export type Checksums = Readonly<Partial<Record<Algorithm, string>>>;

export function checksum(algorithm: Algorithm, data: Buffer): string {
  if (algorithm === "sha1" || algorithm === "sha256") return createHash(algorithm).update(data).digest("base64");
  const out = Buffer.alloc(algorithm === "crc64nvme" ? 8 : 4);
  if (algorithm === "crc64nvme") out.writeBigUInt64BE(crc64nvme(data));
  else out.writeUInt32BE(algorithm === "crc32" ? crc32(data) : crc32c(data));
  return out.toString("base64");
}

// Castagnoli, reflected (RFC 3720 appendix B.4).
const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});
function crc32c(data: Buffer): number {
  let value = 0xffffffff;
  for (const byte of data) value = CRC32C[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

// The NVM Express command set's 64-bit guard, reflected.
const CRC64 = BigUint64Array.from({ length: 256 }, (_, byte) => {
  let value = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
  return value;
});
function crc64nvme(data: Buffer): bigint {
  let value = 0xffffffffffffffffn;
  for (const byte of data) value = CRC64[Number((value ^ BigInt(byte)) & 255n)]! ^ (value >> 8n);
  return value ^ 0xffffffffffffffffn;
}

/** What the headers (or trailers) say of the body, checked: throws 400 BadDigest. Content-MD5 too. */
export function checkedSums(headers: Readonly<Record<string, unknown>>, body: Buffer): Checksums {
  const md5 = headers["content-md5"];
  if (md5 !== undefined) {
    if (!/^[A-Za-z0-9+/]{22}==$/.test(String(md5)))
      throw new Refusal(400, "InvalidDigest", "The Content-MD5 you specified was invalid.");
    if (md5 !== createHash("md5").update(body).digest("base64"))
      throw new Refusal(400, "BadDigest", "The Content-MD5 you specified did not match what we received.");
  }
  const sums: Partial<Record<Algorithm, string>> = {};
  for (const algorithm of ALGORITHMS) {
    const said = headers[`x-amz-checksum-${algorithm}`];
    if (said === undefined) continue;
    if (said !== checksum(algorithm, body))
      throw new Refusal(
        400,
        "BadDigest",
        `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
      );
    sums[algorithm] = String(said);
  }
  return sums;
}

/** Checksums as answer headers. */
export function sumHeaders(sums: Checksums, composite: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [algorithm, value] of Object.entries(sums)) {
    headers[`x-amz-checksum-${algorithm}`] = value;
    headers["x-amz-checksum-type"] = composite ? "COMPOSITE" : "FULL_OBJECT";
  }
  return headers;
}

/** Checksums as elements of a document. */
export function sumElements(sums: Checksums): string {
  return Object.entries(sums)
    .map(([algorithm, value]) => `<Checksum${algorithm.toUpperCase()}>${value}</Checksum${algorithm.toUpperCase()}>`)
    .join("");
}
