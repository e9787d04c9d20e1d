/**
 * What the verbs of a session have in common: options become a request of the one exchange, with its limit and bucket. Every
 * verb's file goes through here; it knows no verb, and keeps nothing between calls.
 */
import { nodeCrypto } from "./builtin.js";
import { checkCall } from "./call-checks.js";
import type { Clock } from "./clock.js";
import type { HttpAnswer } from "./request.js";
import type { InBucket } from "./s3-endpoint.js";
import type { S3Ask, S3Exchange, S3Outcome } from "./s3-exchange.js";
import type { CallOptions, Condition } from "./store.js";
import type { Pair } from "./uri.js";
import type { XmlReader, XmlTree } from "./xml.js";

/** What every verb of a session takes. */
export interface S3CallOptions extends CallOptions, InBucket {}

/** A request without what the options say. */
export type Described = Omit<S3Ask, "signal" | "timeoutMs" | "bucket">;

export interface S3CallsParts {
  readonly exchange: S3Exchange;
  readonly clock: Clock;
  /** Limit of a call that brings none, in ms. */
  readonly timeoutMs: number;
  readonly bareIfMatch: boolean;
  /** What is asked for, where it is no object of a bucket. */
  readonly url?: string | undefined;
}

export class S3Calls {
  readonly #parts: S3CallsParts;

  constructor(parts: S3CallsParts) {
    this.#parts = parts;
  }

  /** The same for one plain URL. */
  at(url: string): S3Calls {
    return new S3Calls({ ...this.#parts, url });
  }

  /** The call's limit in ms. Throws the signal's own reason if it is aborted already. */
  limitMs(options: CallOptions): number {
    checkCall(options);
    return options.timeoutMs ?? this.#parts.timeoutMs;
  }

  /**
   * For a verb of several requests: the same options with what is left of the limit, at least 1 ms, each time it is asked.
   * The signal is not looked at.
   */
  sharing<T extends S3CallOptions>(options: T): () => T & { readonly timeoutMs: number } {
    const { clock } = this.#parts;
    const limitMs = this.limitMs(options);
    const startMs = clock.monotonicMs();
    return () => ({ ...options, timeoutMs: Math.max(limitMs - (clock.monotonicMs() - startMs), 1) });
  }

  async call(options: S3CallOptions, ask: Described): Promise<S3Outcome<undefined>> {
    return await this.#parts.exchange.call(this.#ask(options, ask), nothing, false);
  }

  /** With a look at the answer before it counts as one: XmlFault from there means that it cannot be read. */
  async callAnd<T>(options: S3CallOptions, ask: Described, read: (answer: HttpAnswer) => T): Promise<S3Outcome<T>> {
    return await this.#parts.exchange.call(this.#ask(options, ask), read, false);
  }

  /** Before what broke on its way is asked for again. False: too much failed lately. */
  pause(tries: number, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#parts.exchange.pause(tries, signal);
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  /** For requests that answer XML, and whose outcome may be another than done. */
  async outcome<T>(
    options: S3CallOptions,
    ask: Described,
    read: (answer: HttpAnswer, xml: XmlReader) => T,
  ): Promise<S3Outcome<T>> {
    return await this.#parts.exchange.call(this.#ask(options, ask), read, true);
  }

  /** For requests whose answer is XML and cannot be absent. */
  async read<T>(
    options: S3CallOptions,
    ask: Described,
    read: (answer: HttpAnswer, xml: XmlReader) => T,
  ): Promise<T & { serverTimeMs: number | undefined }> {
    const outcome = await this.#parts.exchange.call(this.#ask(options, ask), read, true);
    if (outcome.outcome !== "done") throw new Error(`${ask.request} cannot be ${outcome.outcome}`);
    return { ...outcome.value, serverTimeMs: outcome.serverTimeMs };
  }

  /**
   * A document as the body of a request, and its headers. Content-MD5: Swift and older stores refuse some requests without
   * it, AWS those about object lock.
   */
  async document(
    root: string,
    content: { readonly [name: string]: XmlTree | undefined },
  ): Promise<{ readonly body: Uint8Array; readonly headers: Pair[] }> {
    const body = (await this.#parts.exchange.xml()).write(root, content);
    return { body, headers: this.documentHeaders(body) };
  }

  documentHeaders(body: Uint8Array): Pair[] {
    return [
      ["content-md5", nodeCrypto().createHash("md5").update(body).digest("base64")],
      ["content-type", "application/xml"],
    ];
  }

  /** The server is Ceph RGW, or one like it: see S3SessionOptions. */
  get bareIfMatch(): boolean {
    return this.#parts.bareIfMatch;
  }

  /** As this server wants ETags. */
  condition(condition: Condition | undefined): Condition | undefined {
    if (!this.#parts.bareIfMatch || condition === undefined || !("etag" in condition)) return condition;
    return { etag: condition.etag.replace(/^"(.*)"$/, "$1") };
  }

  #ask(options: S3CallOptions, ask: Described): S3Ask {
    const timeoutMs = this.limitMs(options);
    const { url } = this.#parts;
    // Every one made alike, and none by copying what has no value: this is half of what a call costs before it is signed.
    return {
      request: ask.request,
      bucket: options.bucket,
      key: ask.key,
      query: ask.query,
      headers: ask.headers,
      body: ask.body,
      bodySha256: ask.bodySha256,
      condition: ask.condition,
      guarded: ask.guarded,
      stallMs: ask.stallMs,
      once: ask.once,
      validForMs: ask.validForMs,
      region: ask.region,
      url,
      signal: options.signal,
      timeoutMs,
    };
  }
}

const nothing = () => undefined;

export function versionQuery(from: { readonly versionId?: string | undefined }): readonly Pair[] | undefined {
  return from.versionId === undefined ? undefined : [["versionId", from.versionId]];
}
