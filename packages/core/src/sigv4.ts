/**
 * AWS signature version 4: the stages of the specification, named as there, and a signer over them for the header form
 * and the query form. It decides nothing else: no clock (`nowMs` is handed in), no I/O, and no secret is ever readable
 * on its objects. Source of every rule: "Signature Version 4 for API requests", AWS IAM user guide, and the S3 API
 * reference "Authenticating requests" where S3 differs.
 */
import type { KeyObject } from "node:crypto";
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
  return data.length === 0 ? EMPTY_SHA256 : nodeCrypto().hash("sha256", data, "hex");
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

const WHITE_SPACE = /\s/;

/** Stage "canonical headers": names lower case and sorted, values trimmed, inner white space one space, repeats joined by a comma in order. */
export function canonicalHeaders(headers: readonly Pair[]): { readonly lines: string; readonly signed: string } {
  const names: string[] = [];
  const values: string[] = [];
  for (const [rawName, rawValue] of headers) {
    const name = rawName.toLowerCase();
    // Looking is cheaper than replacing, and nearly no value has any.
    const value = WHITE_SPACE.test(rawValue) ? rawValue.trim().replace(/\s+/g, " ") : rawValue;
    // Put where it belongs at once: they are few, and half in order already.
    let at = names.length;
    while (at > 0 && names[at - 1]! > name) at--;
    if (at > 0 && names[at - 1] === name) {
      values[at - 1] = `${values[at - 1]},${value}`;
      continue;
    }
    for (let to = names.length; to > at; to--) {
      names[to] = names[to - 1]!;
      values[to] = values[to - 1]!;
    }
    names[at] = name;
    values[at] = value;
  }
  let lines = "";
  for (let at = 0; at < names.length; at++) lines += `${names[at]}:${values[at]}\n`;
  return { lines, signed: names.join(";") };
}

/** Stage 1 of the specification. */
export function canonicalRequest(request: SigningRequest, rule: PathRule): { text: string; signedHeaders: string } {
  const headers = canonicalHeaders(request.headers);
  return {
    text: canonicalText(request, rule, canonicalQuery(request.query), headers),
    signedHeaders: headers.signed,
  };
}

/** Of parts that are canonical already: the query form needs them before and after, and they are half its cost. */
function canonicalText(
  request: Pick<SigningRequest, "method" | "path" | "payloadHash">,
  rule: PathRule,
  query: string,
  { lines, signed }: { readonly lines: string; readonly signed: string },
): string {
  const path =
    rule === "sent" ? request.path : encodePath(rule === "encoded" ? request.path : normalizePath(request.path));
  return `${request.method}\n${path}\n${query}\n${lines}\n${signed}\n${request.payloadHash}`;
}

/** Stage 2. */
export function stringToSign(date: string, scope: SigningScope, canonical: string): string {
  return toSignWithin(date, credentialScope(date, scope), canonical);
}

function toSignWithin(date: string, credentialScope: string, canonical: string): string {
  return `${ALGORITHM}\n${date}\n${credentialScope}\n${sha256Hex(canonical)}`;
}

/** Stage 3: four chained HMACs. `day` is `YYYYMMDD`. */
export function signingKey(secret: string, day: string, scope: SigningScope): Buffer {
  let key: Buffer = hmac(`AWS4${secret}`, day);
  for (const part of [scope.region, scope.service, "aws4_request"]) key = hmac(key, part);
  return key;
}

/** Stage 4: hex. */
export function signature(key: Buffer | KeyObject, toSign: string): string {
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
  #cached: { readonly secret: string; readonly day: string; readonly key: KeyObject } | undefined;
  #second: { readonly number: number; readonly date: string; readonly scope: string } | undefined;

  constructor(settings: SignerSettings) {
    this.#settings = settings;
    this.#rule = settings.pathRule ?? "sent";
    this.#payloadHeader = settings.payloadHeader ?? this.#rule === "sent";
  }

  /**
   * The headers to send, in lower case: the request's own and what the signature adds. Valid for 15 minutes around `nowMs` on AWS.
   * `search`: its query in canonical form, where that is known already.
   */
  signHeaders(
    request: SigningRequest,
    credentials: SigningCredentials,
    nowMs: number,
    search = canonicalQuery(request.query),
  ): Pair[] {
    const { date, scope } = this.#at(nowMs);
    const headers: Pair[] = [...request.headers, ["x-amz-date", date]];
    if (this.#payloadHeader) headers.push(["x-amz-content-sha256", request.payloadHash]);
    const token: Pair | undefined =
      credentials.sessionToken === undefined ? undefined : ["x-amz-security-token", credentials.sessionToken];
    if (token && !this.#settings.tokenUnsigned) headers.push(token);
    const canonical = canonicalHeaders(headers);
    const text = canonicalText(request, this.#rule, search, canonical);
    const signed = this.#sign(date, scope, text, credentials.secretAccessKey);
    if (token && this.#settings.tokenUnsigned) headers.push(token);
    headers.push([
      "authorization",
      `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${canonical.signed}, Signature=${signed}`,
    ]);
    return headers;
  }

  /**
   * The query string to send (without `?`), signature last. The server refuses it when it arrives more than `expiresS`
   * whole seconds (1 to 604800) after `nowMs`.
   */
  signQuery(request: SigningRequest, credentials: SigningCredentials, nowMs: number, expiresS: number): string {
    const { date, scope } = this.#at(nowMs);
    const canonical = canonicalHeaders(request.headers);
    const query: Pair[] = [
      ...request.query,
      ["X-Amz-Algorithm", ALGORITHM],
      ["X-Amz-Credential", `${credentials.accessKeyId}/${scope}`],
      ["X-Amz-Date", date],
      ["X-Amz-Expires", String(expiresS)],
      ["X-Amz-SignedHeaders", canonical.signed],
    ];
    const token: Pair | undefined =
      credentials.sessionToken === undefined ? undefined : ["X-Amz-Security-Token", credentials.sessionToken];
    if (token && !this.#settings.tokenUnsigned) query.push(token);
    const sent = canonicalQuery(query);
    const text = canonicalText(request, this.#rule, sent, canonical);
    const made = this.#sign(date, scope, text, credentials.secretAccessKey);
    if (!token || !this.#settings.tokenUnsigned) return `${sent}&X-Amz-Signature=${made}`;
    return `${canonicalQuery([...query, token])}&X-Amz-Signature=${made}`;
  }

  /** Many requests are signed within a second, to which dates are cut. */
  #at(nowMs: number): { readonly date: string; readonly scope: string } {
    const number = Math.floor(nowMs / 1000);
    if (this.#second?.number === number) return this.#second;
    const date = amzDate(nowMs);
    this.#second = { number, date, scope: credentialScope(date, this.#settings) };
    return this.#second;
  }

  #sign(date: string, scope: string, canonical: string, secret: string): string {
    const day = date.slice(0, 8);
    let cached = this.#cached;
    if (cached === undefined || cached.day !== day || cached.secret !== secret) {
      // A key that is bytes would be made into such an object for every signature.
      cached = { secret, day, key: nodeCrypto().createSecretKey(signingKey(secret, day, this.#settings)) };
      this.#cached = cached;
    }
    return signature(cached.key, toSignWithin(date, scope, canonical));
  }
}
