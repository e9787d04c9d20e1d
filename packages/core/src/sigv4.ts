/**
 * AWS signature version 4: the stages of the specification, named as there, and a signer over them for the header form
 * and the query form. It decides nothing else: no clock (`nowMs` is handed in), no I/O, and no secret is ever readable
 * on its objects. Source of every rule: "Signature Version 4 for API requests", AWS IAM user guide, and the S3 API
 * reference "Authenticating requests" where S3 differs.
 */
import { nodeCrypto } from "./builtin.js";
import { formatInstant } from "./clock.js";
import { canonicalQuery, encodePath, normalizePath, type Pair } from "./uri.js";

export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
const ALGORITHM = "AWS4-HMAC-SHA256";

/** What signs. The shape of AwsCredentialIdentity without its expiry. */
export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** Where a signature is valid. */
export interface SigningScope {
  readonly region: string;
  readonly service: string;
}

/**
 * How the path becomes canonical. `sent`: as it is sent, encoded once (S3). `encoded`: the raw path is encoded here;
 * `normalized`: dot segments and doubled slashes are removed first (every other service).
 */
export type PathRule = "sent" | "encoded" | "normalized";

export interface SigningRequest {
  readonly method: string;
  /** With PathRule `sent`: already encoded. Without the query. */
  readonly path: string;
  /** Not encoded yet. */
  readonly query: readonly Pair[];
  /** Names in any case, may repeat; `host` must be among them. All of them are signed. */
  readonly headers: readonly Pair[];
  /** Hex SHA-256 of the body, or UNSIGNED-PAYLOAD. */
  readonly payloadHash: string;
}

/** Hex SHA-256. */
export function sha256Hex(data: string | Uint8Array): string {
  return data.length === 0 ? EMPTY_SHA256 : nodeCrypto().createHash("sha256").update(data).digest("hex");
}

/** `YYYYMMDDTHHMMSSZ`, the fraction cut off. */
export function amzDate(nowMs: number): string {
  const iso = formatInstant(nowMs);
  return `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
}

/** `YYYYMMDD/region/service/aws4_request`. */
export function credentialScope(date: string, scope: SigningScope): string {
  return `${date.slice(0, 8)}/${scope.region}/${scope.service}/aws4_request`;
}

/** Stage "canonical headers": names lower case and sorted, values trimmed, inner white space one space, repeats joined by a comma in order. */
export function canonicalHeaders(headers: readonly Pair[]): { readonly lines: string; readonly signed: string } {
  const byName = new Map<string, string>();
  for (const [rawName, rawValue] of headers) {
    const name = rawName.toLowerCase();
    const value = rawValue.trim().replace(/\s+/g, " ");
    const before = byName.get(name);
    byName.set(name, before === undefined ? value : `${before},${value}`);
  }
  const names = [...byName.keys()].sort();
  let lines = "";
  for (const name of names) lines += `${name}:${byName.get(name)}\n`;
  return { lines, signed: names.join(";") };
}

/** Stage 1 of the specification. */
export function canonicalRequest(request: SigningRequest, rule: PathRule): { text: string; signedHeaders: string } {
  const path =
    rule === "sent" ? request.path : encodePath(rule === "encoded" ? request.path : normalizePath(request.path));
  const { lines, signed } = canonicalHeaders(request.headers);
  const text = `${request.method}\n${path}\n${canonicalQuery(request.query)}\n${lines}\n${signed}\n${request.payloadHash}`;
  return { text, signedHeaders: signed };
}

/** Stage 2. */
export function stringToSign(date: string, scope: SigningScope, canonical: string): string {
  return `${ALGORITHM}\n${date}\n${credentialScope(date, scope)}\n${sha256Hex(canonical)}`;
}

/** Stage 3: four chained HMACs. `day` is `YYYYMMDD`. */
export function signingKey(secret: string, day: string, scope: SigningScope): Buffer {
  let key: Buffer = hmac(`AWS4${secret}`, day);
  for (const part of [scope.region, scope.service, "aws4_request"]) key = hmac(key, part);
  return key;
}

/** Stage 4: hex. */
export function signature(key: Buffer, toSign: string): string {
  return nodeCrypto().createHmac("sha256", key).update(toSign).digest("hex");
}

function hmac(key: string | Buffer, data: string): Buffer {
  return nodeCrypto().createHmac("sha256", key).update(data).digest();
}

export interface SignerSettings extends SigningScope {
  readonly pathRule?: PathRule | undefined;
  /** The session token is added after signing instead of before (some services of AWS want that; S3 does not). */
  readonly tokenUnsigned?: boolean | undefined;
  /** Adds the header `x-amz-content-sha256`, which S3 requires. Default: with path rule `sent`. */
  readonly payloadHeader?: boolean | undefined;
}

/** Signs requests for one region and service. Holds the last signing key (valid for a day), nowhere readable. */
export class Signer {
  readonly #settings: SignerSettings;
  readonly #rule: PathRule;
  readonly #payloadHeader: boolean;
  #cached: { readonly secret: string; readonly day: string; readonly key: Buffer } | undefined;

  constructor(settings: SignerSettings) {
    this.#settings = settings;
    this.#rule = settings.pathRule ?? "sent";
    this.#payloadHeader = settings.payloadHeader ?? this.#rule === "sent";
  }

  /** The headers to send, in lower case: the request's own and what the signature adds. Valid for 15 minutes around `nowMs` on AWS. */
  signHeaders(request: SigningRequest, credentials: SigningCredentials, nowMs: number): Pair[] {
    const date = amzDate(nowMs);
    const headers: Pair[] = [...request.headers, ["x-amz-date", date]];
    if (this.#payloadHeader) headers.push(["x-amz-content-sha256", request.payloadHash]);
    const token: Pair | undefined =
      credentials.sessionToken === undefined ? undefined : ["x-amz-security-token", credentials.sessionToken];
    if (token && !this.#settings.tokenUnsigned) headers.push(token);
    const canonical = canonicalRequest({ ...request, headers }, this.#rule);
    const signed = this.#sign(date, canonical.text, credentials.secretAccessKey);
    if (token && this.#settings.tokenUnsigned) headers.push(token);
    const scope = credentialScope(date, this.#settings);
    headers.push([
      "authorization",
      `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${canonical.signedHeaders}, Signature=${signed}`,
    ]);
    return headers;
  }

  /**
   * The query string to send (without `?`), signature last. The server refuses it when it arrives more than `expiresS`
   * whole seconds (1 to 604800) after `nowMs`.
   */
  signQuery(request: SigningRequest, credentials: SigningCredentials, nowMs: number, expiresS: number): string {
    const date = amzDate(nowMs);
    const { signed } = canonicalHeaders(request.headers);
    const query: Pair[] = [
      ...request.query,
      ["X-Amz-Algorithm", ALGORITHM],
      ["X-Amz-Credential", `${credentials.accessKeyId}/${credentialScope(date, this.#settings)}`],
      ["X-Amz-Date", date],
      ["X-Amz-Expires", String(expiresS)],
      ["X-Amz-SignedHeaders", signed],
    ];
    const token: Pair | undefined =
      credentials.sessionToken === undefined ? undefined : ["X-Amz-Security-Token", credentials.sessionToken];
    if (token && !this.#settings.tokenUnsigned) query.push(token);
    const canonical = canonicalRequest({ ...request, query }, this.#rule);
    const made = this.#sign(date, canonical.text, credentials.secretAccessKey);
    if (token && this.#settings.tokenUnsigned) query.push(token);
    return `${canonicalQuery(query)}&X-Amz-Signature=${made}`;
  }

  #sign(date: string, canonical: string, secret: string): string {
    const day = date.slice(0, 8);
    let cached = this.#cached;
    if (cached === undefined || cached.day !== day || cached.secret !== secret) {
      cached = { secret, day, key: signingKey(secret, day, this.#settings) };
      this.#cached = cached;
    }
    return signature(cached.key, stringToSign(date, this.#settings, canonical));
  }
}
