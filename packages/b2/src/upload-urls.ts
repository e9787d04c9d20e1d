/**
 * Upload URLs: each takes one upload at a time, lives 24 hours or until it refuses one. Lends each to one upload, takes back
 * only what worked, prefers the last used. Fetches two ahead when a bucket is first used, never later by itself.
 *
 * Rules: https://www.backblaze.com/docs/cloud-storage-integration-checklist ("Uploading files"),
 * https://www.backblaze.com/apidocs/b2-get-upload-url.
 */
import type { Clock } from "@bucketlock/core";
import { type Address, namedAddress } from "./addresses.js";
import { text } from "./answers.js";
import type { JsonAnswer } from "./b2-api.js";
import type { Limit } from "./patience.js";

export interface UploadUrl extends Address {
  readonly token: string;
  readonly fetchedMs: number;
}

/** Four hours less than B2 says. */
export const URL_MAX_AGE_MS = 20 * 3_600_000;
/** The first upload waits for one round trip, the second for none. */
const AHEAD = 2;
const IDLE_MAX = 16;

/** Asks B2 for a new URL: of a bucket, or of one large file's parts. */
export type FetchUrl = (limit: Limit) => Promise<JsonAnswer>;

export class UploadUrls {
  readonly #clock: Clock;
  readonly #fetch: FetchUrl;
  readonly #from: string;
  readonly #ahead: boolean;
  readonly #idle: UploadUrl[] = [];
  #isWarm = false;

  /** `from`: the server's own origin; a URL that leads from TLS to plain HTTP is refused. */
  constructor(clock: Clock, from: string, fetch: FetchUrl, options: { readonly ahead: boolean }) {
    this.#clock = clock;
    this.#from = from;
    this.#fetch = fetch;
    this.#ahead = options.ahead;
  }

  /** How many wait to be used. */
  get idle(): number {
    return this.#idle.length;
  }

  /** For this upload alone. `fresh`: not one from the pool (the last one failed). */
  async checkOut(limit: Limit, fresh: boolean): Promise<UploadUrl> {
    const oldestMs = this.#clock.monotonicMs() - URL_MAX_AGE_MS;
    while (!fresh) {
      const url = this.#idle.pop();
      if (url === undefined) break;
      if (url.fetchedMs > oldestMs) return url;
    }
    if (this.#ahead && !this.#isWarm) {
      this.#isWarm = true;
      for (let more = 1; more < AHEAD; more++) void this.#fetchAhead(limit.timeoutMs);
    }
    return this.#ask(limit);
  }

  /** After a 2xx or 429 only: a URL that saw anything else must not be used again. */
  giveBack(url: UploadUrl): void {
    if (this.#idle.length < IDLE_MAX) this.#idle.push(url);
  }

  async #fetchAhead(timeoutMs: number): Promise<void> {
    try {
      // Not the caller's signal: others will want it too. Below what is given back: the newest is used first.
      this.#idle.unshift(await this.#ask({ timeoutMs }));
    } catch {
      // Whoever needs one asks again, and sees the error then.
    }
  }

  async #ask(limit: Limit): Promise<UploadUrl> {
    const { json } = await this.#fetch(limit);
    const address = namedAddress("uploadUrl", text(json, "uploadUrl"), this.#from);
    return { ...address, token: text(json, "authorizationToken"), fetchedMs: this.#clock.monotonicMs() };
  }
}
