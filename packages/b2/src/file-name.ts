/**
 * Names, file info and paths as B2 takes them: checked before anything is sent, encoded the one way that B2 decodes. Pure.
 *
 * Rules: https://www.backblaze.com/docs/cloud-storage-files ("File names", "File information") and
 * https://www.backblaze.com/docs/cloud-storage-native-api-string-encoding.
 */
import { InvalidError } from "@bucketlock/core";
import { decodePercent, objectKey, type Pair } from "@bucketlock/core/http";

const SEGMENT_MAX_BYTES = 250;
const INFO_MAX_BYTES = 7_000;
const INFO_PREFIX = "x-bz-info-";
/** Milliseconds since the epoch of the source file's last change: a convention that every B2 client knows. */
export const LAST_MODIFIED = "src_last_modified_millis";
/** SHA-1 of a whole large file, which B2 itself does not compute. */
export const LARGE_FILE_SHA1 = "large_file_sha1";

/** Throws InvalidError naming `option` and the rule that is broken. */
export function fileName(option: string, value: unknown): string {
  const name = objectKey(option, value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters B2 refuses.
  if (/[\u0000-\u001f\u007f]/.test(name))
    throw new InvalidError(option, "must have no control character (B2 file names)", name);
  if (name.startsWith("/") || name.endsWith("/") || name.includes("//"))
    throw new InvalidError(option, "must not begin or end with / nor have // (B2 file names)", name);
  if (name.split("/").some((segment) => Buffer.byteLength(segment) > SEGMENT_MAX_BYTES))
    throw new InvalidError(
      option,
      `must have at most ${SEGMENT_MAX_BYTES} bytes between slashes (B2 file names)`,
      name,
    );
  return name;
}

/** As B2 wants it in paths and headers: a raw `+` would mean a space, a slash stays. */
export function encodeName(text: string): string {
  return encodeURIComponent(text).replaceAll("%2F", "/");
}

/** Undefined where it is no escaped UTF-8. B2 escapes a space as `+` in some answers. */
export function decodeName(text: string): string | undefined {
  return decodePercent(text, true);
}

/** https://www.backblaze.com/docs/cloud-storage-buckets: 6 to 63 letters, digits and `-`, not beginning with `b2-`. */
export function bucketName(value: unknown): string {
  if (typeof value !== "string" || !/^[A-Za-z0-9-]{6,63}$/.test(value) || /^b2-/i.test(value))
    throw new InvalidError("bucket", "must be 6 to 63 letters, digits and -, not beginning with b2-", value);
  return value;
}

/** Names of letters, digits, `-` and `_`, at most 7000 bytes together; values any text without control characters. */
export function infoHeaders(info: Readonly<Record<string, string>>): Pair[] {
  const headers: Pair[] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(info)) {
    if (!/^[A-Za-z0-9_-]{1,50}$/.test(name))
      throw new InvalidError("info", "names must be 1 to 50 letters, digits, - and _", name);
    if (/^b2-/i.test(name)) throw new InvalidError("info", "names beginning with b2- are B2's own", name);
    if (typeof value !== "string" || !value.isWellFormed())
      throw new InvalidError(`info.${name}`, "must be a string of well-formed Unicode", value);
    const encoded = encodeURIComponent(value);
    bytes += name.length + encoded.length;
    headers.push([`${INFO_PREFIX}${name}`, encoded]);
  }
  if (bytes > INFO_MAX_BYTES)
    throw new InvalidError("info", `must be at most ${INFO_MAX_BYTES} bytes, names and escaped values together`, bytes);
  return headers;
}

/** The file info that an answer's headers carry; values that are no escaped text come as they are. */
export function infoOf(names: readonly string[], header: (name: string) => string | undefined): Record<string, string> {
  const info: Record<string, string> = {};
  for (const name of names) {
    if (!name.startsWith(INFO_PREFIX)) continue;
    const value = header(name) ?? "";
    info[name.slice(INFO_PREFIX.length)] = decodeName(value) ?? value;
  }
  return info;
}
