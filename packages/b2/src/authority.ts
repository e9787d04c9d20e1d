/**
 * The account token: asked for once, shared by every caller, renewed when B2 calls it old. Knows what the key may do. It
 * never prints the key or the token, and never asks again for a key that was refused without being told to.
 */
import { InvalidError, StoreError } from "@bucketlock/core";
import { CALL_TIMEOUT_MS } from "@bucketlock/core/http";
import { type Address, namedAddress } from "./addresses.js";
import { type Grant, grantOf } from "./answers.js";
import { b2Error } from "./b2-errors.js";
import { type B2Exchange, jsonOf } from "./b2-exchange.js";
import { type Limit, within } from "./patience.js";
import type { TokenFile } from "./token-file.js";

/** An application key, as the account's page or b2_create_key gives it. */
export interface B2Credentials {
  readonly applicationKeyId: string;
  readonly applicationKey: string;
}

// Tokens live at most 24 h: https://www.backblaze.com/apidocs/b2-authorize-account. An hour less, so that none ends under way.
const TOKEN_MS = 23 * 3_600_000;
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** A grant with its addresses read. */
export interface Authorized extends Grant {
  readonly api: Address;
  readonly download: Address;
}

export class Authority {
  readonly #exchange: B2Exchange;
  readonly #realm: Address;
  readonly #basic: string;
  readonly #file: TokenFile | undefined;
  #kept: Authorized | undefined;
  #asking: Promise<Authorized> | undefined;
  /** Tokens that were refused: the file may still hold one. */
  #stale: string | undefined;

  constructor(exchange: B2Exchange, realm: Address, credentials: B2Credentials, file: TokenFile | undefined) {
    this.#exchange = exchange;
    this.#realm = realm;
    this.#file = file;
    const { applicationKeyId, applicationKey } = credentials;
    this.#basic = `Basic ${Buffer.from(`${applicationKeyId}:${applicationKey}`).toString("base64")}`;
  }

  /** Concurrent callers wait for one authorization. Throws StoreError STORE_BAD_CREDENTIALS for a wrong key. */
  async current(limit: Limit): Promise<Authorized> {
    const { clock } = this.#exchange;
    const kept = this.#kept;
    if (kept !== undefined && isYoung(kept, clock.wallMs())) return kept;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    const grant = await within(this.#asking, clock, limit);
    if (grant !== undefined) return grant;
    const note = { fact: `no token within the limit of ${Math.round(limit.timeoutMs)} ms` };
    throw b2Error({ call: "b2_authorize_account" }, "STORE_TIMEOUT", note, 1);
  }

  /** B2 refused this one: the next caller asks anew, once for all. */
  forget(grant: Grant): void {
    this.#stale = grant.token;
    if (this.#kept?.token === grant.token) this.#kept = undefined;
  }

  async #ask(): Promise<Authorized> {
    const kept = await this.#file?.read();
    if (kept !== undefined && kept.token !== this.#stale && isYoung(kept, this.#exchange.clock.wallMs()))
      return this.#keep(kept);
    const { grant } = await this.#exchange.get(
      { call: "b2_authorize_account", kind: "authorize", timeoutMs: CALL_TIMEOUT_MS },
      async () => ({
        origin: this.#realm.origin,
        method: "GET",
        path: `${this.#realm.path}/b2api/v4/b2_authorize_account`,
        headers: [["authorization", this.#basic]],
        read: (answer) => ({ grant: grantOf(jsonOf(answer), this.#exchange.clock.wallMs()) }),
      }),
    );
    const authorized = this.#keep(grant);
    await this.#file?.write(grant);
    return authorized;
  }

  #keep(grant: Grant): Authorized {
    const api = namedAddress("apiUrl", grant.apiUrl, this.#realm.origin);
    const download = namedAddress("downloadUrl", grant.downloadUrl, this.#realm.origin);
    this.#kept = { ...grant, api, download };
    return this.#kept;
  }

  toJSON(): object {
    return {};
  }
  [INSPECT](): string {
    return "Authority [redacted]";
  }
}

/** A clock that was set back makes a token's age negative: then nobody knows. */
function isYoung(grant: Grant, nowMs: number): boolean {
  const ageMs = nowMs - grant.obtainedMs;
  return ageMs >= 0 && ageMs < TOKEN_MS;
}

/** Key id and key as they must be; the values are never shown, not even wrong ones. */
export function checkCredentials(credentials: B2Credentials): B2Credentials {
  if (typeof credentials !== "object" || credentials === null)
    throw new InvalidError("credentials", "must be { applicationKeyId, applicationKey }", typeof credentials);
  for (const name of ["applicationKeyId", "applicationKey"] as const) {
    const value: unknown = credentials[name];
    if (typeof value !== "string" || !/^[\x21-\x39\x3b-\x7e]+$/.test(value))
      throw new InvalidError(
        `credentials.${name}`,
        "must be a string of printable ASCII without spaces and colons, not empty",
        typeof value === "string" ? `a string of ${value.length}` : typeof value,
      );
  }
  return credentials;
}

/** The bucket must be one the key may use: known before anything is sent. */
export function checkAllowed(grant: Grant, bucket: string): void {
  if (grant.buckets === undefined || grant.buckets.some(({ name }) => name === bucket)) return;
  throw new StoreError(
    `the application key is restricted to other buckets; bucket ${bucket}, allowed ${grant.buckets
      .map(({ id, name }) => name ?? id)
      .join(", ")}`,
    { code: "STORE_ACCESS_DENIED", kind: "denied", details: { bucket } },
  );
}
