/**
 * The baseline: S3 requests by undici with nothing of ours in between. Unsigned where the server lets everybody in, else
 * signed beforehand, outside what is measured. Retries nothing, checks nothing but the status.
 */
import { createHash } from "node:crypto";
import { Pool } from "undici";
import { Signer, UNSIGNED_PAYLOAD } from "../packages/core/src/sigv4.js";
import { canonicalQuery, encodePath, type Pair } from "../packages/core/src/uri.js";
import type { S3Target } from "./targets.js";

type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";

export interface RawRequest {
  readonly method: Method;
  /** Undefined: the bucket. */
  readonly key?: string;
  readonly query?: readonly Pair[];
  readonly headers?: readonly Pair[];
  readonly body?: string;
  /** Also where the server lets everybody in: what it takes longer to check a signature is no cost of ours. */
  readonly signed?: boolean;
}

/** Ready to send: path and headers, signature included where there is one. */
export interface Prepared {
  readonly method: Method;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
}

const SIGNED_FOR_S = 600;

export class RawClient {
  readonly #target: S3Target;
  readonly #pool: Pool;
  readonly #signer: Signer;
  #unsigned = false;
  #manyUnsigned = false;

  constructor(target: S3Target) {
    this.#target = target;
    this.#pool = new Pool(target.endpoint);
    this.#signer = new Signer({ region: target.region, service: "s3" });
  }

  get isUnsigned(): boolean {
    return this.#unsigned;
  }

  /** Finds out whether the server lets everybody in; with `open`, asks it to (only for a bucket of our own). */
  async begin(prefix: string, open: boolean): Promise<void> {
    if (open) await this.#letEverybodyIn().catch(() => {});
    const key = `${prefix}probe`;
    this.#unsigned = true;
    this.#unsigned = await this.#pleases([
      { method: "PUT", key, body: "1" },
      { method: "GET", key },
      list(prefix),
      { method: "DELETE", key },
    ]);
    // RGW and versitygw let nobody delete several at once without a signature, whatever the policy says.
    this.#manyUnsigned = true;
    this.#manyUnsigned = this.#unsigned && (await this.#pleases([removeMany([key])]));
  }

  prepare({ method, key, query = [], headers = [], body, signed = false }: RawRequest): Prepared {
    const { endpoint, bucket, accessKeyId, secretAccessKey } = this.#target;
    const path = `/${bucket}${key === undefined ? "" : `/${encodePath(key)}`}`;
    let search = canonicalQuery(query);
    if (signed || (method === "POST" ? !this.#manyUnsigned : !this.#unsigned)) {
      const all: Pair[] = [["host", new URL(endpoint).host], ...headers];
      const request = { method, path, query, headers: all, payloadHash: UNSIGNED_PAYLOAD };
      search = this.#signer.signQuery(request, { accessKeyId, secretAccessKey }, Date.now(), SIGNED_FOR_S);
    }
    return {
      method,
      path: search === "" ? path : `${path}?${search}`,
      headers: Object.fromEntries(headers),
      body: body ?? null,
    };
  }

  /** Sends and reads the answer to its end; answers its ETag. Throws for any status but 2xx. */
  async send({ method, path, headers, body }: Prepared): Promise<string | undefined> {
    // `reset: false`: without it undici closes the connection after every HEAD, which would make the baseline look bad.
    const answer = await this.#pool.request({ method, path, headers, body, reset: false });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) {
      throw new Error(`raw ${method} answered ${answer.statusCode}: ${text.slice(0, 200)}`);
    }
    return answer.headers.etag?.toString();
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #pleases(requests: readonly RawRequest[]): Promise<boolean> {
    try {
      for (const request of requests) await this.send(this.prepare(request));
      return true;
    } catch {
      return false;
    }
  }

  async #letEverybodyIn(): Promise<void> {
    const { endpoint, bucket, accessKeyId, secretAccessKey } = this.#target;
    const resource = `arn:aws:s3:::${bucket}`;
    const everybody = { Effect: "Allow", Principal: { AWS: ["*"] } };
    const body = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { ...everybody, Action: ["s3:ListBucket"], Resource: [resource] },
        { ...everybody, Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource: [`${resource}/*`] },
      ],
    });
    const headers = this.#signer.signHeaders(
      {
        method: "PUT",
        path: `/${bucket}`,
        query: [["policy", ""]],
        headers: [["host", new URL(endpoint).host]],
        payloadHash: createHash("sha256").update(body).digest("hex"),
      },
      { accessKeyId, secretAccessKey },
      Date.now(),
    );
    await this.send({ method: "PUT", path: `/${bucket}?policy=`, headers: Object.fromEntries(headers), body });
  }
}

/** As our session asks for a listing. */
export function list(prefix: string): RawRequest {
  const query: Pair[] = [
    ["list-type", "2"],
    ["prefix", prefix],
    ["max-keys", "1000"],
  ];
  return { method: "GET", query };
}

export function removeMany(keys: readonly string[]): RawRequest {
  const objects = keys.map((key) => `<Object><Key>${key}</Key></Object>`).join("");
  const body = `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${objects}<Quiet>true</Quiet></Delete>`;
  const md5 = createHash("md5").update(body).digest("base64");
  const headers: Pair[] = [
    ["content-md5", md5],
    ["content-type", "application/xml"],
  ];
  return { method: "POST", query: [["delete", ""]], headers, body };
}
