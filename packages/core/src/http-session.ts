/**
 * Reading plain URLs without credentials: public objects, and what any web server gives. The same requests, limits, retries and
 * streams as of an S3 session, on the same exchange. It writes nothing, and sends nothing to a host that it was led to but the
 * request itself.
 */
import { CALL_TIMEOUT_MS } from "./call-checks.js";
import { type Clock, systemClock } from "./clock.js";
import type { S3DownloadAnswer } from "./download.js";
import { InvalidError } from "./errors.js";
import { type ConnectionOptions, connectionSettings } from "./http-connection.js";
import type { S3StreamAnswer, S3StreamOptions } from "./object-stream.js";
import { callback, durationMs, integer, object, text } from "./options.js";
import { Origins } from "./origins.js";
import { type Random, systemRandom } from "./random.js";
import { S3Calls } from "./s3-calls.js";
import type { ErrorPlace, Note } from "./s3-errors.js";
import { type Addressed, type Addressing, type S3Ask, type S3Event, S3Exchange } from "./s3-exchange.js";
import {
  type S3GetAnswer,
  type S3GetOptions,
  type S3HeadAnswer,
  type S3HeadOptions,
  S3Objects,
  type S3TextAnswer,
} from "./s3-objects.js";
import type { Pair } from "./uri.js";

export interface HttpSessionOptions extends ConnectionOptions {
  /** Limit of a call that brings none, its tries included, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Limit for getting a connection, in ms. Default 3000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Limit of one try until the answer begins, in ms. Default 5000. */
  readonly headersTimeoutMs?: number | undefined;
  /** Default 5. */
  readonly maxTries?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Called for every request and retry, synchronously; `key` is the URL without its query. */
  readonly onEvent?: ((event: S3Event) => void) | undefined;
}

type Without<T> = Omit<T, "bucket" | "versionId">;
export type HttpGetOptions = Without<S3GetOptions>;
export type HttpHeadOptions = Without<S3HeadOptions>;
export type HttpStreamOptions = Without<S3StreamOptions>;

/** Nothing is sent and no socket opened before the first call. Throws InvalidError naming the option. */
export function openHttpSession(options: HttpSessionOptions = {}): HttpSession {
  return new HttpSession(options);
}

export class HttpSession {
  readonly #origins: Origins;
  readonly #calls: S3Calls;
  readonly #random: Random;

  constructor(options: HttpSessionOptions) {
    object("options", options);
    callback("onEvent", options.onEvent);
    const clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#origins = new Origins({
      clock,
      ...connectionSettings(options),
      connectMs: durationMs("connectTimeoutMs", options.connectTimeoutMs ?? 3_000, { min: 1 }),
    });
    this.#calls = new S3Calls({
      exchange: new S3Exchange({
        origins: this.#origins,
        addressing: new PlainAddressing(clock),
        isPlain: true,
        clock,
        random: this.#random,
        headersMs: durationMs("headersTimeoutMs", options.headersTimeoutMs ?? 5_000, { min: 1 }),
        maxTries: integer("maxTries", options.maxTries ?? 5, { min: 1, max: 100 }),
        onEvent: options.onEvent,
      }),
      clock,
      timeoutMs: durationMs("timeoutMs", options.timeoutMs ?? CALL_TIMEOUT_MS, { min: 1 }),
      bareIfMatch: false,
    });
  }

  /** Up to 256 MiB: whole, a range, or only if a condition is met. A 404 is an answer. Redirects are followed, up to 5. */
  get(url: string, options: HttpGetOptions = {}): Promise<S3GetAnswer> {
    const { calls, key } = this.#at(url);
    return new S3Objects(calls, undefined).get(key, options);
  }

  /** As get, the body as UTF-8 text. */
  getText(url: string, options: HttpGetOptions = {}): Promise<S3TextAnswer> {
    const { calls, key } = this.#at(url);
    return new S3Objects(calls, undefined).text(key, options);
  }

  head(url: string, options: HttpHeadOptions = {}): Promise<S3HeadAnswer> {
    const { calls, key } = this.#at(url);
    return new S3Objects(calls, undefined).head(key, options);
  }

  /** Of any size, as S3Session.streamObject. */
  async stream(url: string, options: HttpStreamOptions = {}): Promise<S3StreamAnswer> {
    const { calls, key } = this.#at(url);
    const { streamObject } = await import("./object-stream.js");
    return streamObject(calls, undefined, key, options);
  }

  /** Into a local file, as S3Session.download. */
  async download(url: string, path: string, options: HttpStreamOptions = {}): Promise<S3DownloadAnswer> {
    const { downloadTo } = await import("./download.js");
    return downloadTo(path, this.#random, () => this.stream(url, options));
  }

  /** Ends every connection; what is under way fails with STORE_CLOSED. Idempotent. */
  close(): Promise<void> {
    return this.#origins.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #at(url: string): { calls: S3Calls; key: string } {
    const { href, pathname, origin } = checkedUrl(url);
    // The query may be signed: no message shows it.
    return { calls: this.#calls.at(href), key: `${origin}${pathname}`.slice(0, SHOWN_MAX) };
  }
}

const REDIRECTS_MAX = 5;
const SHOWN_MAX = 1_000;

/** As the URL says. Signs nothing. */
class PlainAddressing implements Addressing {
  readonly movesMax = REDIRECTS_MAX;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  placeOf({ url }: S3Ask): ErrorPlace {
    return { origin: new URL(url!).origin };
  }

  async prepare(ask: S3Ask): Promise<Addressed> {
    const { origin, host, pathname, search } = new URL(ask.url!);
    const headers: Pair[] = [["host", host], ...(ask.headers ?? [])];
    const at = { wallMs: this.#clock.wallMs(), monotonicMs: this.#clock.monotonicMs() };
    return { origin, path: `${pathname}${search}`, headers, at };
  }

  observe(): void {}

  renew(): boolean {
    return false;
  }

  /** Never from https to http. */
  moved(ask: S3Ask, { location }: Note): S3Ask | undefined {
    if (location === undefined || !URL.canParse(location, ask.url)) return undefined;
    const [from, to] = [new URL(ask.url!), new URL(location, ask.url)];
    const isWeb = to.protocol === "https:" || (to.protocol === "http:" && from.protocol === "http:");
    if (!isWeb || to.username !== "" || to.password !== "") return undefined;
    // What the caller said to one host is not for another.
    const isOurs = ([name]: Pair) => name === "range" || name.startsWith("if-");
    const headers = to.origin === from.origin ? ask.headers : ask.headers?.filter(isOurs);
    return { ...ask, headers, url: to.href };
  }

  arrived(): void {}
}

function checkedUrl(value: unknown): URL {
  const given = text("url", value);
  // The value is not shown: it may be signed, or hold a password.
  if (!URL.canParse(given)) throw new InvalidError("url", "must be a URL such as https://host/path", "something else");
  const url = new URL(given);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new InvalidError("url", "must begin with http:// or https://", url.protocol);
  if (url.username !== "" || url.password !== "")
    throw new InvalidError("url", "must not hold credentials", "a URL with them");
  return url;
}
