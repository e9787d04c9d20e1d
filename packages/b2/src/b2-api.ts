/**
 * Calls of the B2 API that take and give JSON, each with the account token of the moment. It decides nothing: the exchange
 * judges answers, the authority renews tokens.
 */
import { StoreError } from "@bucketlock/core";
import { bucketOf, list } from "./answers.js";
import type { Authority, Authorized } from "./authority.js";
import { checkAllowed } from "./authority.js";
import type { B2CallName } from "./b2-calls.js";
import { b2Error } from "./b2-errors.js";
import { type B2Exchange, jsonOf, type Outcome } from "./b2-exchange.js";
import type { Limit } from "./patience.js";

type Json = Readonly<Record<string, unknown>>;
export type JsonAnswer = { readonly json: Json; readonly serverTimeMs: number | undefined };

export interface CallAbout {
  readonly name?: string | undefined;
  readonly bucket?: string | undefined;
}

/** Parameters, made once the token and what it allows are known. */
export type Parameters = (grant: Authorized) => Json | Promise<Json>;

export class B2Api {
  readonly #bucketIds = new Map<string, string>();

  constructor(
    readonly exchange: B2Exchange,
    readonly authority: Authority,
  ) {}

  async run(call: B2CallName, limit: Limit, parameters: Parameters, about: CallAbout = {}): Promise<Outcome<Json>> {
    return this.exchange.run({ call, kind: "api", ...about, ...limit }, async (left) => {
      const grant = await this.authority.current(left);
      const body = Buffer.from(JSON.stringify(await parameters(grant)));
      return {
        origin: grant.api.origin,
        method: "POST",
        path: `${grant.api.path}/b2api/v4/${call}`,
        headers: [
          ["authorization", grant.token],
          ["content-type", "application/json"],
        ],
        body,
        read: jsonOf,
        ended: (verdict) => {
          if (verdict?.verdict === "again" && verdict.remedy === "token") this.authority.forget(grant);
        },
      };
    });
  }

  /** Throws where it is absent, in conflict or unknown. */
  async call(call: B2CallName, limit: Limit, parameters: Parameters, about: CallAbout = {}): Promise<JsonAnswer> {
    const outcome = await this.run(call, limit, parameters, about);
    if (outcome.outcome === "unknown") throw outcome.cause;
    if (outcome.outcome !== "done") throw outcome.error;
    return { json: outcome.value, serverTimeMs: outcome.serverTimeMs };
  }

  /**
   * The id of a bucket: from the key's restriction where it names it, else asked for by name, once. Throws StoreError
   * STORE_NO_BUCKET, or STORE_ACCESS_DENIED when the key is restricted to others.
   */
  async bucketId(bucket: string, limit: Limit): Promise<string> {
    const grant = await this.authority.current(limit);
    checkAllowed(grant, bucket);
    const known = grant.buckets?.find(({ name }) => name === bucket)?.id ?? this.#bucketIds.get(bucket);
    if (known !== undefined) return known;
    // By name: a restricted key may not list all, and nobody needs to.
    const about = { bucket };
    const { json } = await this.call(
      "b2_list_buckets",
      limit,
      ({ accountId }) => ({ accountId, bucketName: bucket }),
      about,
    );
    const found = list(json, "buckets").map(bucketOf)[0];
    if (found === undefined) throw b2Error({ call: "b2_list_buckets", bucket }, "STORE_NO_BUCKET", {}, 1);
    this.#bucketIds.set(bucket, found.id);
    return found.id;
  }

  /** A bucket was deleted, or is called bad: ask for its id again next time. */
  forgetBucket(bucket: string): void {
    this.#bucketIds.delete(bucket);
  }

  /** Runs `work` with the bucket's id, and a second time when the id turns out to be of a bucket that was made anew. */
  async inBucket<T>(bucket: string, limit: Limit, work: (bucketId: string) => Promise<T>): Promise<T> {
    const wasKnown = this.#bucketIds.has(bucket);
    const bucketId = await this.bucketId(bucket, limit);
    try {
      return await work(bucketId);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "STORE_NO_BUCKET") throw error;
      this.forgetBucket(bucket);
      if (!wasKnown) throw error;
      return work(await this.bucketId(bucket, limit));
    }
  }
}
