/**
 * Signature version 2, checked from the raw request by the text of AWS ("Signing and authenticating REST requests"), not by
 * the code that it judges.
 */
import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";

export interface Ds3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}
export interface Ds3Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const SIGNED =
  "acl cors delete lifecycle location logging notification partNumber policy requestPayment tagging torrent uploadId uploads versionId versioning versions website".split(
    " ",
  );
const SKEW_MAX_MS = 15 * 60_000;

export function refusalV2(req: IncomingMessage, keys: Ds3Keys, nowMs: number): Ds3Refusal | undefined {
  const [, accessKey, given] = /^AWS ([^:]+):(\S+)$/.exec(req.headers.authorization ?? "") ?? [];
  if (accessKey === undefined) return { status: 403, code: "AccessDenied", message: "no signature of version 2" };
  if (accessKey !== keys.accessKey) return { status: 403, code: "InvalidAccessKeyId", message: "unknown key" };
  const date = String(req.headers["x-amz-date"] ?? req.headers.date ?? "");
  const atMs = Date.parse(date);
  if (Number.isNaN(atMs)) return { status: 403, code: "AccessDenied", message: "no date" };
  if (Math.abs(atMs - nowMs) > SKEW_MAX_MS)
    return { status: 403, code: "RequestTimeTooSkewed", message: "too far off" };

  const [path, search = ""] = splitAt(req.url!, "?");
  const amz: string[] = [];
  for (const name of Object.keys(req.headers).sort()) {
    if (!name.startsWith("x-amz-")) continue;
    const values: string[] = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      if (req.rawHeaders[i]!.toLowerCase() === name) values.push(req.rawHeaders[i + 1]!.trim());
    amz.push(`${name}:${values.join(",")}`);
  }
  const sub = search
    .split("&")
    .filter((pair) => SIGNED.includes(splitAt(pair, "=")[0]))
    .sort()
    .map(decodeURIComponent);
  const checksum = ["md5", "crc32", "crc32c", "sha256", "sha512"]
    .map((kind) => req.headers[`content-${kind}`])
    .find((value) => value !== undefined);
  const lines = [
    req.method,
    checksum ?? "",
    req.headers["content-type"] ?? "",
    req.headers["x-amz-date"] === undefined ? date : "",
    ...amz,
    sub.length > 0 ? `${path}?${sub.join("&")}` : path,
  ];
  const wanted = createHmac("sha1", keys.secretKey).update(lines.join("\n")).digest("base64");
  if (given !== wanted)
    return { status: 403, code: "SignatureDoesNotMatch", message: "The request signature does not match" };
  return undefined;
}

function splitAt(text: string, by: string): [string, string?] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + by.length)];
}
