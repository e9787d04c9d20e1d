/**
 * Application keys and the tokens they give: who may do what, in which buckets, under which prefix. Refuses as B2 does:
 * `bad_auth_token`, `expired_auth_token`, or `unauthorized` with an empty message.
 */
import { randomBytes } from "node:crypto";
import { bad, Refusal } from "./refusal.js";

export const ALL_CAPABILITIES = [
  "listKeys",
  "writeKeys",
  "deleteKeys",
  "listBuckets",
  "listAllBucketNames",
  "readBuckets",
  "writeBuckets",
  "deleteBuckets",
  "readBucketEncryption",
  "writeBucketEncryption",
  "readBucketRetentions",
  "writeBucketRetentions",
  "readBucketReplications",
  "writeBucketReplications",
  "readBucketNotifications",
  "writeBucketNotifications",
  "readBucketLogging",
  "writeBucketLogging",
  "listFiles",
  "readFiles",
  "shareFiles",
  "writeFiles",
  "deleteFiles",
  "readFileLegalHolds",
  "writeFileLegalHolds",
  "readFileRetentions",
  "writeFileRetentions",
  "bypassGovernance",
] as const;

export interface Key {
  readonly id: string;
  readonly secret: string;
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly bucketIds: readonly string[] | undefined;
  readonly namePrefix: string | undefined;
  readonly expiresMs: number | undefined;
}

export interface Token {
  readonly key: Key;
  readonly version: number;
  readonly expiresMs: number;
  uses: number;
}

export class Keys {
  readonly accountId = "0123456789ab";
  readonly #byId = new Map<string, Key>();
  readonly #tokens = new Map<string, Token>();
  #serial = 0;

  constructor(masterId: string, masterSecret: string) {
    this.#add({
      id: masterId,
      secret: masterSecret,
      name: "Master Application Key",
      capabilities: ALL_CAPABILITIES,
      bucketIds: undefined,
      namePrefix: undefined,
      expiresMs: undefined,
    });
  }

  /** Every key but the master's, by id. */
  get list(): readonly Key[] {
    return [...this.#byId.values()].slice(1).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  create(from: Omit<Key, "id" | "secret">): Key {
    if (!/^[A-Za-z0-9-]{1,100}$/.test(from.name)) throw bad(`illegal key name: ${from.name}`, "bad_json");
    const unknown = from.capabilities.find((name) => !(ALL_CAPABILITIES as readonly string[]).includes(name));
    if (unknown !== undefined || from.capabilities.length === 0) throw bad(`Invalid capability: ${unknown}`);
    if (from.namePrefix !== undefined && from.bucketIds === undefined)
      throw bad("Bucket id is required when namePrefix is given");
    const id = `00${this.accountId}${String(++this.#serial).padStart(11, "0")}`;
    return this.#add({ ...from, id, secret: `K00${randomBytes(14).toString("hex")}` });
  }

  delete(id: string): Key {
    const key = this.#byId.get(id);
    if (key === undefined || key === [...this.#byId.values()][0]) throw bad(`application key does not exist: ${id}`);
    this.#byId.delete(id);
    for (const [token, { key: of }] of this.#tokens) if (of === key) this.#tokens.delete(token);
    return key;
  }

  /** `basic`: the Authorization header. */
  authorize(basic: string | undefined, version: number, nowMs: number, lifeMs: number): { token: string; key: Key } {
    const [, given] = /^Basic (.+)$/.exec(basic ?? "") ?? [];
    const [id = "", ...secret] = Buffer.from(given ?? "", "base64")
      .toString()
      .split(":");
    const key = this.#byId.get(id) ?? (id === this.accountId ? [...this.#byId.values()][0] : undefined);
    if (key === undefined || key.secret !== secret.join(":"))
      throw new Refusal(401, "bad_auth_token", "Invalid Authorization");
    if (key.expiresMs !== undefined && key.expiresMs <= nowMs)
      throw new Refusal(401, "bad_auth_token", "The application key has expired");
    const token = `4_${key.id}_${randomBytes(9).toString("hex")}_acct_`;
    this.#tokens.set(token, { key, version, expiresMs: nowMs + lifeMs, uses: 0 });
    return { token, key };
  }

  /** All account tokens are called expired from now on. */
  expireAll(): void {
    for (const [token, kept] of this.#tokens) this.#tokens.set(token, { ...kept, expiresMs: 0 });
  }

  check(given: string | undefined, nowMs: number, usesMax: number): Token {
    const token = given === undefined ? undefined : this.#tokens.get(given);
    if (token === undefined) throw new Refusal(401, "bad_auth_token", "Invalid authorization token");
    token.uses++;
    if (token.expiresMs <= nowMs || (usesMax > 0 && token.uses > usesMax))
      throw new Refusal(401, "expired_auth_token", "Authorization token has expired");
    return token;
  }

  #add(key: Key): Key {
    this.#byId.set(key.id, key);
    return key;
  }
}

const unauthorized = () => new Refusal(401, "unauthorized", "");

/** May this key do that, in that bucket, with that name or prefix? */
export function allow(key: Key, capability: string, bucketId?: string, name?: string): void {
  if (!key.capabilities.includes(capability)) throw unauthorized();
  if (key.bucketIds !== undefined && bucketId !== undefined && !key.bucketIds.includes(bucketId)) throw unauthorized();
  if (key.namePrefix !== undefined && name !== undefined && !name.startsWith(key.namePrefix)) throw unauthorized();
}
