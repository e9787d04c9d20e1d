/**
 * One object, read or written whole: get, head, put. Options become requests, answers become facts. What flows is object-stream's,
 * what is too large for one request uploads'. It judges no status and retries nothing.
 */
import { bodyCheck } from "./body-check.js";
import { checkPut } from "./call-checks.js";
import { StoreError } from "./errors.js";
import { contentRange, count, factsOf, type S3ObjectFacts } from "./object-facts.js";
import { type ByteRange, isConditional, putHeaders, type ReadConditions, readHeaders } from "./object-options.js";
import { durationMs, objectKey, text } from "./options.js";
import type { HttpAnswer } from "./request.js";
import { type Described, type S3Calls, versionQuery } from "./s3-calls.js";
import type { InBucket } from "./s3-endpoint.js";
import type { S3Body } from "./s3-exchange.js";
import type { Answer, CallOptions, PutAnswer, PutOptions } from "./store.js";
import { XmlFault } from "./xml.js";

export interface S3HeadOptions extends CallOptions, InBucket, ReadConditions {
  readonly versionId?: string | undefined;
  /**
   * More headers of the request, such as the key of an encryption of your own (`x-amz-server-side-encryption-customer-...`),
   * `x-amz-request-payer`, `x-amz-checksum-mode`. What has an option of its own, or frames the request, is refused.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface S3GetOptions extends S3HeadOptions {
  /** Only these bytes. Where the object has none of them: StoreError STORE_NO_SUCH_RANGE. */
  readonly range?: ByteRange | undefined;
  /** Compare a whole body with the checksum or MD5 that its answer names, where it certainly is one. Default true. */
  readonly verify?: boolean | undefined;
}

export interface S3PutOptions extends PutOptions, InBucket {
  /**
   * More headers of the request, such as `cache-control`, `content-disposition`, `content-encoding`, `expires`,
   * `x-amz-storage-class`, `x-amz-acl`, `x-amz-tagging`. What has an option of its own, or frames the request, is refused.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Not there; `changed`: there, but not as `ifMatch` or `ifUnmodifiedSinceMs` wants it. */
export type S3Absent = Answer & { readonly found: false; readonly changed?: true };
/** `unchanged`: as `unlessEtag` or `ifModifiedSinceMs` says, and there is no body; other facts may be missing. */
export type S3HeadAnswer = (Answer & S3ObjectFacts & { readonly found: true; readonly unchanged?: true }) | S3Absent;
/** `size` is the whole object's, also where `body` is a range of it. */
export type S3GetAnswer =
  | (Answer & S3ObjectFacts & { readonly found: true; readonly body: Uint8Array; readonly unchanged?: true })
  | S3Absent;
export type S3TextAnswer =
  | (Answer & S3ObjectFacts & { readonly found: true; readonly text: string; readonly unchanged?: true })
  | S3Absent;

export class S3Objects {
  readonly #calls: S3Calls;
  readonly #bucket: string | undefined;

  constructor(calls: S3Calls, bucket: string | undefined) {
    this.#calls = calls;
    this.#bucket = bucket;
  }

  async put(key: string, body: Uint8Array | string, options: S3PutOptions): Promise<PutAnswer> {
    checkPut(key, body, options);
    return this.send(key, typeof body === "string" ? Buffer.from(body) : body, options);
  }

  /** What was checked already. */
  async send(
    key: string,
    body: Uint8Array | S3Body,
    options: S3PutOptions & { readonly bodySha256?: string | undefined },
  ): Promise<PutAnswer> {
    const outcome = await this.#calls.call(options, {
      request: "putObject",
      key,
      headers: putHeaders(options),
      body,
      bodySha256: options.bodySha256,
      condition: this.#calls.condition(options.condition),
      once: options.once,
      validForMs:
        options.validForMs === undefined ? undefined : durationMs("validForMs", options.validForMs, { min: 1 }),
    });
    const { serverTimeMs } = outcome;
    switch (outcome.outcome) {
      case "conflict":
        return { outcome: "conflict", serverTimeMs };
      case "done": {
        const { answer } = outcome;
        const [etag, versionId] = [answer.header("etag"), answer.header("x-amz-version-id")];
        return { outcome: "stored", etag, versionId, serverTimeMs };
      }
      case "unknown":
        return { outcome: "unknown", cause: outcome.cause, serverTimeMs };
      default:
        throw new Error(`a PUT cannot be ${outcome.outcome}`);
    }
  }

  async get(key: string, options: S3GetOptions): Promise<S3GetAnswer> {
    const outcome = await this.#calls.callAnd(options, readRequest("getObject", key, options), (answer) => {
      if (answer.status !== 304) this.#check(answer, options);
    });
    const { serverTimeMs } = outcome;
    if (outcome.outcome !== "done") return absent(outcome);
    const { answer } = outcome;
    const facts = factsOf(answer);
    if (answer.status === 304) return { found: true, unchanged: true, ...facts, body: new Uint8Array(), serverTimeMs };
    return { found: true, ...facts, body: answer.body, serverTimeMs };
  }

  async text(key: string, options: S3GetOptions): Promise<S3TextAnswer> {
    const answer = await this.get(key, options);
    if (!answer.found) return answer;
    const { body, ...facts } = answer;
    return { ...facts, text: new TextDecoder().decode(body) };
  }

  async head(key: string, options: S3HeadOptions): Promise<S3HeadAnswer> {
    const outcome = await this.#calls.call(options, readRequest("headObject", key, options));
    const { serverTimeMs } = outcome;
    if (outcome.outcome !== "done") return absent(outcome);
    const facts = factsOf(outcome.answer);
    if (outcome.answer.status === 304) return { found: true, unchanged: true, ...facts, serverTimeMs };
    return { found: true, ...facts, serverTimeMs };
  }

  /** Cut short, or not what its own headers say: asked for again, and in the end an error. */
  #check(answer: HttpAnswer, options: S3GetOptions): void {
    const { body } = answer;
    const length = count(answer.header("content-length"));
    if (length !== undefined && length !== body.length) throw new XmlFault("cut", "the body is shorter than announced");
    if (options.range !== undefined) {
      const range = rangeOf(answer);
      if (range.end - range.start + 1 !== body.length)
        throw new XmlFault("cut", "the body is not the range that its headers announce");
    } else if (options.verify ?? true) {
      const check = bodyCheck((name) => answer.header(name), options.bucket ?? this.#bucket);
      check?.update(body);
      const differs = check?.differs();
      if (differs !== undefined) throw new XmlFault("cut", `the body does not have the announced ${differs}`);
    }
  }
}

/** Also for what flows. Throws InvalidError. */
export function readRequest(request: "getObject" | "headObject", key: string, options: S3GetOptions): Described {
  if (options.versionId !== undefined) text("versionId", options.versionId);
  return {
    request,
    key: objectKey("key", key),
    query: versionQuery(options),
    headers: readHeaders(options),
    guarded: isConditional(options),
  };
}

export function absent(outcome: {
  readonly outcome: "absent" | "conflict" | "unknown";
  readonly serverTimeMs: number | undefined;
}): S3Absent {
  const { serverTimeMs } = outcome;
  if (outcome.outcome === "unknown") throw new Error("a read cannot be unknown");
  return outcome.outcome === "conflict"
    ? { found: false, changed: true, serverTimeMs }
    : { found: false, serverTimeMs };
}

/**
 * The range that came. Throws StoreError STORE_NO_SUCH_RANGE for an empty object, STORE_UNSUPPORTED when the server took no
 * notice that one was wanted.
 */
export function rangeOf(answer: HttpAnswer): { readonly start: number; readonly end: number } {
  // AWS and RGW say 416 to the last bytes of nothing; versitygw sends the whole, MinIO a part without a range.
  if (count(answer.header("content-length")) === 0)
    throw new StoreError("the object has no such bytes: it is empty", { code: "STORE_NO_SUCH_RANGE", kind: "invalid" });
  if (answer.status !== 206)
    throw new StoreError("the server does not send ranges: a part was asked for, the whole came", {
      code: "STORE_UNSUPPORTED",
      kind: "unsupported",
    });
  const range = contentRange(answer.header("content-range"));
  if (range === undefined) throw new XmlFault("incomplete", "a part without a readable Content-Range");
  return range;
}
