/**
 * Checks a request's signature from the bytes that arrived, written from the specification and sharing no line with the
 * signer under test.
 */
import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const SKEW_MAX_MS = 15 * 60_000;

/** Undefined: the signature is right. `nowMs` is the server's clock. */
export function refusal(
  req: IncomingMessage,
  body: Buffer,
  keys: Keys,
  region: string,
  nowMs: number,
): Refusal | undefined {
  const [rawPath, rawQuery = ""] = splitOnce(req.url!, "?");
  const params = rawQuery === "" ? [] : rawQuery.split("&").map((part) => splitOnce(part, "="));
  const query = new Map(params.map(([name, value = ""]) => [decodeURIComponent(name), decodeURIComponent(value)]));
  const isQuery = query.has("X-Amz-Signature");
  let credential: string;
  let signedHeaders: string;
  let given: string;
  let date: string;
  let payload: string;
  if (isQuery) {
    if (query.get("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256") return deny(400, "InvalidRequest", "algorithm");
    credential = query.get("X-Amz-Credential") ?? "";
    signedHeaders = query.get("X-Amz-SignedHeaders") ?? "";
    given = query.get("X-Amz-Signature")!;
    date = query.get("X-Amz-Date") ?? "";
    payload = "UNSIGNED-PAYLOAD";
  } else {
    const header = req.headers.authorization;
    if (header === undefined) return deny(403, "AccessDenied", "Anonymous access is denied");
    const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(header);
    if (!match) return deny(400, "AuthorizationHeaderMalformed", "malformed");
    [, credential, signedHeaders, given] = match as unknown as [string, string, string, string];
    date = String(req.headers["x-amz-date"] ?? "");
    payload = String(req.headers["x-amz-content-sha256"] ?? "");
    if (payload !== createHash("sha256").update(body).digest("hex"))
      return deny(400, "XAmzContentSHA256Mismatch", "the body is not what was signed");
  }
  const parts = credential.split("/");
  if (parts[0] !== keys.accessKeyId) return deny(403, "InvalidAccessKeyId", "unknown key");
  const token = isQuery ? query.get("X-Amz-Security-Token") : req.headers["x-amz-security-token"];
  if (token !== keys.sessionToken) return deny(403, "InvalidToken", "wrong session token");
  if (parts[2] !== region)
    return deny(400, "AuthorizationHeaderMalformed", `the region is wrong; expecting '${region}'`);

  const at = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (!at) return deny(403, "AccessDenied", "no date");
  const [year, month, day, hour, minute, second] = at.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const signedMs = Date.UTC(year, month - 1, day, hour, minute, second);
  if (isQuery) {
    const expiresS = Number(query.get("X-Amz-Expires"));
    if (!Number.isInteger(expiresS) || expiresS < 1 || expiresS > 604_800)
      return deny(400, "AuthorizationQueryParametersError", "X-Amz-Expires");
    if (nowMs > signedMs + expiresS * 1000) return deny(403, "AccessDenied", "Request has expired");
    if (signedMs > nowMs + SKEW_MAX_MS) return deny(403, "RequestTimeTooSkewed", "too far ahead");
  } else if (Math.abs(nowMs - signedMs) > SKEW_MAX_MS) {
    return deny(
      403,
      "RequestTimeTooSkewed",
      "The difference between the request time and the server's time is too large.",
    );
  }

  const names = signedHeaders.split(";");
  for (const name of Object.keys(req.headers)) {
    // S3: every x-amz- header that is sent must be signed.
    if ((name === "host" || name.startsWith("x-amz-")) && !names.includes(name))
      return deny(403, "AccessDenied", `the header ${name} is not signed`);
  }
  const canonicalHeaders = names.map((name) => {
    const values: string[] = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      if (req.rawHeaders[i]!.toLowerCase() === name) values.push(req.rawHeaders[i + 1]!.trim().split(/ +/).join(" "));
    return `${name}:${values.join(",")}\n`;
  });
  const sorted = params
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(
      ([name, value = ""]) => `${percentEncode(decodeURIComponent(name))}=${percentEncode(decodeURIComponent(value))}`,
    )
    .sort((a, b) => Buffer.compare(Buffer.from(a.replace("=", "\0")), Buffer.from(b.replace("=", "\0"))));
  const path = rawPath!
    .split("/")
    .map((segment) => percentEncode(decodeURIComponent(segment)))
    .join("/");
  const canonical = [req.method, path, sorted.join("&"), canonicalHeaders.join(""), signedHeaders, payload].join("\n");
  const scope = parts.slice(1).join("/");
  const toSign = ["AWS4-HMAC-SHA256", date, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
  const key = scope
    .split("/")
    .reduce((k: Buffer | string, part) => createHmac("sha256", k).update(part).digest(), `AWS4${keys.secretAccessKey}`);
  if (createHmac("sha256", key).update(toSign).digest("hex") !== given)
    return deny(403, "SignatureDoesNotMatch", `your string to sign was ${toSign}`);
  return undefined;
}

function percentEncode(text: string): string {
  let out = "";
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    out += /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

function splitOnce(text: string, by: string): [string, string?] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + by.length)];
}

function deny(status: number, code: string, message: string): Refusal {
  return { status, code, message };
}
