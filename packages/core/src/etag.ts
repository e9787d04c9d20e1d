/**
 * ETags of the stores that make their own (memory, file). Decides how they look, never what a foreign store's ETag means.
 */
import { nodeCrypto } from "./builtin.js";

/** The MD5 of the body as lower-case hex: what S3 puts between the quotes for a plain PUT. No security rests on it. */
export function md5Hex(body: Uint8Array | string): string {
  return nodeCrypto().createHash("md5").update(body).digest("hex");
}

/** As S3 answers a plain PUT: the same bytes give the same ETag. */
export function contentEtag(body: Uint8Array | string): string {
  return `"${md5Hex(body)}"`;
}

/**
 * Unlike S3: never the same twice, so that If-Match is a true compare-and-swap. With an ETag of the bytes alone, a value
 * that went from A to B and back to A would pass for one that never changed.
 */
export function uniqueEtag(body: Uint8Array | string, writeId: string): string {
  return `"${md5Hex(body)}-${writeId}"`;
}
