/**
 * Checks a request's signature from the bytes that arrived, written from the specification and sharing no line with the
 * signer under test.
 */
import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Refusal } from "./answers.js";
import type { Seal } from "./chunked.js";

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}
export interface Verified {
  /** What was said of the body: its hash, UNSIGNED-PAYLOAD, or STREAMING-... */
  readonly payload: string;
  /** What the signatures of chunks continue. */
  readonly seal: Seal;
}
/** Where the request goes, as far as its signature must say so. */
export interface Place {
  readonly region: string;
  /** How a signature for another region is answered. */
  readonly wrongRegion: 400 | 301 | 307;
}

const SKEW_MAX_MS = 15 * 60_000;
const EXPIRES_MAX_S = 604_800;
const MALFORMED = "The authorization header is malformed";

/** Throws the refusal. `anonymous`: nothing of a signature is there. `nowMs` is the server's clock. */
export function verify(
  req: IncomingMessage,
  body: Buffer,
  keys: Keys,
  place: Place,
  nowMs: number,
): Verified | "anonymous" {
  const [rawPath, rawQuery = ""] = splitOnce(req.url!, "?");
  const params = rawQuery === "" ? [] : rawQuery.split("&").map((part) => splitOnce(part, "="));
  const query = new Map(params.map(([name, value = ""]) => [decodeURIComponent(name), decodeURIComponent(value)]));
  const isQuery = query.has("X-Amz-Signature");
  const header = req.headers.authorization;
  if (!isQuery && header === undefined) return "anonymous";
  if (isQuery && header !== undefined)
    throw new Refusal(400, "InvalidArgument", "Only one auth mechanism allowed; use the query or the header");
  const { credential, signedHeaders, given, date, payload } = isQuery ? ofQuery(query) : ofHeader(header!, req);
  if (/^[0-9a-f]{64}$/.test(payload)) {
    if (payload !== createHash("sha256").update(body).digest("hex"))
      throw new Refusal(400, "XAmzContentSHA256Mismatch", "the body is not what was signed");
  } else if (payload !== "UNSIGNED-PAYLOAD" && !payload.startsWith("STREAMING-"))
    throw new Refusal(400, "InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-... or a hash");
  const parts = credential.split("/");
  if (parts[0] !== keys.accessKeyId)
    throw new Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
  const token = isQuery ? query.get("X-Amz-Security-Token") : req.headers["x-amz-security-token"];
  if (token !== keys.sessionToken)
    throw new Refusal(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
  if (parts[2] !== place.region) throw wrongRegion(place);
  if (parts.length !== 5 || parts[3] !== "s3" || parts[4] !== "aws4_request" || parts[1] !== date.slice(0, 8))
    throw new Refusal(400, "AuthorizationHeaderMalformed", `${MALFORMED}; the credential scope is wrong`);
  checkDate(date, isQuery ? query.get("X-Amz-Expires") : undefined, nowMs);

  const names = signedHeaders.split(";");
  for (const name of Object.keys(req.headers)) {
    // S3: every x-amz- header that is sent must be signed.
    if ((name === "host" || name.startsWith("x-amz-")) && !names.includes(name))
      throw new Refusal(403, "AccessDenied", "There were headers present in the request which were not signed", {
        HeadersNotSigned: name,
      });
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
  const path = rawPath
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
    throw new Refusal(403, "SignatureDoesNotMatch", `your string to sign was ${toSign}`);
  return { payload, seal: { key: key as Buffer, date, scope, seed: given } };
}

interface Claim {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly given: string;
  readonly date: string;
  readonly payload: string;
}

function ofQuery(query: ReadonlyMap<string, string>): Claim {
  if (query.get("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256")
    throw new Refusal(400, "AuthorizationQueryParametersError", "X-Amz-Algorithm only supports AWS4-HMAC-SHA256");
  return {
    credential: query.get("X-Amz-Credential") ?? "",
    signedHeaders: query.get("X-Amz-SignedHeaders") ?? "",
    given: query.get("X-Amz-Signature")!,
    date: query.get("X-Amz-Date") ?? "",
    payload: query.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD",
  };
}

function ofHeader(header: string, req: IncomingMessage): Claim {
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(header);
  if (!match) throw new Refusal(400, "AuthorizationHeaderMalformed", MALFORMED);
  const [, credential, signedHeaders, given] = match as unknown as [string, string, string, string];
  const payload = req.headers["x-amz-content-sha256"];
  if (payload === undefined)
    throw new Refusal(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  return { credential, signedHeaders, given, date: String(req.headers["x-amz-date"] ?? ""), payload: String(payload) };
}

function checkDate(date: string, expires: string | undefined, nowMs: number): void {
  const at = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (!at) throw new Refusal(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  const [year, month, ...rest] = at.slice(1).map(Number) as [number, number, number, number, number, number];
  const signedMs = Date.UTC(year, month - 1, ...rest);
  const skewed = () =>
    new Refusal(
      403,
      "RequestTimeTooSkewed",
      "The difference between the request time and the server's time is too large.",
      { RequestTime: date, ServerTime: new Date(nowMs).toISOString(), MaxAllowedSkewMilliseconds: "900000" },
    );
  if (expires === undefined) {
    if (Math.abs(nowMs - signedMs) > SKEW_MAX_MS) throw skewed();
    return;
  }
  const expiresS = Number(expires);
  if (!Number.isInteger(expiresS) || expiresS < 1 || expiresS > EXPIRES_MAX_S)
    throw new Refusal(
      400,
      "AuthorizationQueryParametersError",
      "X-Amz-Expires must be between 1 and a week, that is 604800 seconds",
    );
  if (nowMs > signedMs + expiresS * 1000) throw new Refusal(403, "AccessDenied", "Request has expired");
  if (signedMs > nowMs + SKEW_MAX_MS) throw skewed();
}

function wrongRegion({ region, wrongRegion }: Place): Refusal {
  const headers = { "x-amz-bucket-region": region };
  if (wrongRegion === 400)
    return new Refusal(
      400,
      "AuthorizationHeaderMalformed",
      `The authorization header is malformed; the region is wrong; expecting '${region}'`,
      { Region: region },
      headers,
    );
  const code = wrongRegion === 301 ? "PermanentRedirect" : "TemporaryRedirect";
  return new Refusal(
    wrongRegion,
    code,
    "The bucket you are attempting to access must be addressed using the specified endpoint.",
    { Endpoint: `s3.${region}.amazonaws.com` },
    headers,
  );
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
