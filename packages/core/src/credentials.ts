/**
 * The keys of a session: given, or asked for. One question at a time, answers kept until shortly before they expire.
 * Nothing here ever prints a secret.
 */
import { InvalidError, StoreError, show } from "./errors.js";
import { PROVIDERS_ENDS, type S3Credentials, type S3CredentialsProvider } from "./identity.js";
import type { SigningCredentials } from "./sigv4.js";

export type { S3Credentials, S3CredentialsProvider } from "./identity.js";

// A request signed with credentials that expire under way is refused.
const REFRESH_BEFORE_MS = 60_000;
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** Credentials whose secret parts cannot be printed, enumerated or serialised by accident. */
class KeptCredentials implements SigningCredentials {
  readonly accessKeyId: string;
  readonly expiresMs: number | undefined;
  readonly #secret: string;
  readonly #token: string | undefined;

  constructor(from: S3Credentials) {
    this.accessKeyId = secretText("credentials.accessKeyId", from.accessKeyId);
    this.#secret = secretText("credentials.secretAccessKey", from.secretAccessKey);
    this.#token =
      from.sessionToken === undefined ? undefined : secretText("credentials.sessionToken", from.sessionToken);
    const expiresMs = from.expiration?.getTime();
    if (expiresMs !== undefined && !Number.isFinite(expiresMs))
      throw new InvalidError("credentials.expiration", "must be a valid date", show(from.expiration));
    this.expiresMs = expiresMs;
  }

  get secretAccessKey(): string {
    return this.#secret;
  }
  get sessionToken(): string | undefined {
    return this.#token;
  }
  toJSON(): object {
    return { accessKeyId: "[redacted]" };
  }
  [INSPECT](): string {
    return "Credentials [redacted]";
  }
}

/** The value itself is never shown, not even a wrong one: it may be half a secret. */
function secretText(option: string, value: unknown): string {
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) return value;
  throw new InvalidError(
    option,
    "must be a string of printable ASCII without spaces, not empty",
    typeof value === "string" ? `a string of ${value.length}` : typeof value,
  );
}

export class CredentialSource {
  readonly #provider: S3CredentialsProvider | undefined;
  #kept: KeptCredentials | undefined;
  #asking: Promise<KeptCredentials> | undefined;

  constructor(from: S3Credentials | S3CredentialsProvider) {
    if (typeof from === "function") this.#provider = from;
    else if (typeof from === "object" && from !== null) this.#kept = new KeptCredentials(from);
    else throw new InvalidError("credentials", "must be an object of keys or a function that answers one", typeof from);
  }

  /** Can a refused pair be replaced by asking again? */
  get renewable(): boolean {
    return this.#provider !== undefined;
  }

  /** What is at hand without waiting; undefined before the first answer and after expiry. */
  current(nowMs: number): SigningCredentials | undefined {
    const kept = this.#kept;
    return kept && (kept.expiresMs === undefined || kept.expiresMs > nowMs) ? kept : undefined;
  }

  /** What is at hand and need not be renewed yet. */
  fresh(nowMs: number): SigningCredentials | undefined {
    const kept = this.#kept;
    return kept && (kept.expiresMs === undefined || kept.expiresMs - REFRESH_BEFORE_MS > nowMs) ? kept : undefined;
  }

  /** Throws StoreError STORE_BAD_CREDENTIALS when the provider fails or the keys are expired and cannot be renewed. */
  async resolve(nowMs: number): Promise<SigningCredentials> {
    const fresh = this.fresh(nowMs);
    if (fresh !== undefined) return fresh;
    const kept = this.#kept;
    if (this.#provider === undefined) {
      if (kept && kept.expiresMs! > nowMs) return kept;
      throw new StoreError("the credentials are expired and nothing was given that renews them", {
        code: "STORE_BAD_CREDENTIALS",
        kind: "denied",
      });
    }
    this.#asking ??= this.#ask(this.#provider).finally(() => {
      this.#asking = undefined;
    });
    try {
      return await this.#asking;
    } catch (error) {
      // What is still good serves until it is not: the next call asks again.
      const left = this.current(nowMs);
      if (left === undefined) throw error;
      return left;
    }
  }

  /** Nobody waits any more. Idempotent. */
  close(): void {
    if (this.#provider) PROVIDERS_ENDS.get(this.#provider)?.();
  }

  /** The server refused them: ask again next time. */
  forget(): void {
    if (this.renewable) this.#kept = undefined;
  }

  async #ask(provider: S3CredentialsProvider): Promise<KeptCredentials> {
    let given: S3Credentials;
    try {
      given = await provider();
    } catch (cause) {
      // Our own say what is wrong better.
      if (cause instanceof StoreError) throw cause;
      throw new StoreError("the credentials provider failed", { code: "STORE_BAD_CREDENTIALS", kind: "denied", cause });
    }
    this.#kept = new KeptCredentials(given);
    return this.#kept;
  }

  toJSON(): object {
    return {};
  }
}
