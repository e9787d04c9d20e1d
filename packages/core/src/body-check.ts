/**
 * Does a body have the checksum that its answer names? Picks the one that is worth it and counts along as the bytes come.
 * It decides nothing about what to do when it does not.
 */
import type { Hash } from "node:crypto";
import { nodeCrypto, nodeZlib } from "./builtin.js";
import { Crc32c, Crc64Nvme } from "./crc.js";

/** Counts along. `differs` after the last byte: which checksum is not the one that was announced, if any. */
export interface BodyCheck {
  update(bytes: Uint8Array): void;
  differs(): string | undefined;
}

type HeaderOf = (name: string) => string | undefined;

interface Sum {
  update(bytes: Uint8Array): void;
  /** Base64. */
  base64(): string;
}

// Cheapest first. What node has natively comes before the MD5, the others after it.
const FAST = ["crc32", "sha1", "sha256"] as const;
const SLOW = ["crc64nvme", "crc32c"] as const;

/**
 * Undefined: the answer names none that certainly is one of the whole body. A checksum of checksums (multipart,
 * "COMPOSITE") is none, and an ETag is the MD5 only of a plain upload that the server did not encrypt with a key of KMS or of
 * the caller ("Checking object integrity", Amazon S3 user guide; directory buckets never have it).
 */
export function bodyCheck(header: HeaderOf, bucket: string | undefined): BodyCheck | undefined {
  for (const name of FAST) {
    const sum = announced(header, name);
    if (sum) return check(name, make(name), sum);
  }
  const md5 = plainMd5(header, bucket);
  if (md5) return check("MD5", hashed("md5"), Buffer.from(md5, "hex").toString("base64"));
  for (const name of SLOW) {
    const sum = announced(header, name);
    if (sum) return check(name, make(name), sum);
  }
  return undefined;
}

function announced(header: HeaderOf, name: string): string | undefined {
  const value = header(`x-amz-checksum-${name}`);
  if (value === undefined || value.includes("-") || header("x-amz-checksum-type") === "COMPOSITE") return undefined;
  return /^[A-Za-z0-9+/]+={0,2}$/.test(value) ? value : undefined;
}

function plainMd5(header: HeaderOf, bucket: string | undefined): string | undefined {
  const etag = /^"?([0-9a-f]{32})"?$/.exec(header("etag") ?? "")?.[1];
  if (etag === undefined || bucket?.endsWith("--x-s3")) return undefined;
  // Of another server than one of S3, nobody knows what its ETag is.
  if (header("x-amz-request-id") === undefined) return undefined;
  if (header("x-amz-server-side-encryption-customer-algorithm") !== undefined) return undefined;
  return (header("x-amz-server-side-encryption") ?? "AES256") === "AES256" ? etag : undefined;
}

function check(name: string, sum: Sum, expected: string): BodyCheck {
  return {
    update: (bytes) => sum.update(bytes),
    differs: () => (sum.base64() === expected ? undefined : name),
  };
}

function make(name: (typeof FAST)[number] | (typeof SLOW)[number]): Sum {
  switch (name) {
    case "crc32":
      return crc32();
    case "crc32c":
      return new Crc32c();
    case "crc64nvme":
      return new Crc64Nvme();
    default:
      return hashed(name);
  }
}

function hashed(algorithm: string): Sum {
  const hash: Hash = nodeCrypto().createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), base64: () => hash.digest("base64") };
}

function crc32(): Sum {
  const zlib = nodeZlib();
  let value = 0;
  return {
    update(bytes) {
      value = zlib.crc32(bytes, value);
    },
    base64() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes.toString("base64");
    },
  };
}
