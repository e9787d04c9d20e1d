/**
 * From a described request to its outcome: sign, send, classify, and again where that is allowed and there is time. The
 * only path to the server. It decides nothing about what an answer means (classify) or how long to wait (backoff).
 */
import { backoffMs, DEFAULT_BACKOFF, nextWaitMs, retryAfterMs, sendingMs } from "./backoff.js";
import {
  type Asked,
  classify,
  classifySilence,
  classifyUnreadable,
  type Said,
  type StoreCode,
  type Verdict,
} from "./classify.js";
import { type Clock, parseInstantMs } from "./clock.js";
import type { StoreError } from "./errors.js";
import type { Origins } from "./origins.js";
import type { Random } from "./random.js";
import { type HttpAnswer, HttpFault } from "./request.js";
import { RetryBudget, retryCost } from "./retry-budget.js";
import { type ErrorPlace, type Note, storeError, unclear } from "./s3-errors.js";
import { S3_REQUESTS, type S3RequestName } from "./s3-requests.js";
import type { HostTime } from "./server-clock.js";
import type { Condition } from "./store.js";
import type { Pair } from "./uri.js";
import { XmlFault, XmlReader } from "./xml.js";

/** What happened on the way, for logs and traces. Never holds a secret. */
export type S3Event =
  | {
      readonly type: "request";
      readonly request: S3RequestName;
      /** Absent: the session's own. */
      readonly bucket?: string | undefined;
      readonly key?: string | undefined;
      readonly status?: number | undefined;
      readonly code?: StoreCode | undefined;
      readonly tries: number;
      readonly durationMs: number;
    }
  | {
      readonly type: "retry";
      readonly request: S3RequestName;
      readonly bucket?: string | undefined;
      readonly key?: string | undefined;
      readonly code: StoreCode;
      readonly tries: number;
      readonly waitMs: number;
    };

/** Bytes that are read when they are sent, and again when they are sent again: they must be the same then. */
export interface S3Body {
  /** At least 1. */
  readonly length: number;
  /** What it throws ends the request, and is thrown as it is. Chunks: see HttpRequest. */
  open(): AsyncIterable<Uint8Array>;
}

/** One request, described. */
export interface S3Ask {
  readonly request: S3RequestName;
  /** Default: the session's own. */
  readonly bucket?: string | undefined;
  readonly key?: string | undefined;
  readonly query?: readonly Pair[] | undefined;
  readonly headers?: readonly Pair[] | undefined;
  readonly body?: Uint8Array | S3Body | undefined;
  /** Hex SHA-256 of the body, where it is known already; of an S3Body it must be. */
  readonly bodySha256?: string | undefined;
  readonly condition?: Condition | undefined;
  /** A read whose headers hold conditions: that one is not met is an outcome (`conflict`). */
  readonly guarded?: boolean | undefined;
  /** The body of the answer flows; this is the limit for its silence, in ms. `timeoutMs` ends with the headers then. */
  readonly stallMs?: number | undefined;
  readonly once?: boolean | undefined;
  readonly validForMs?: number | undefined;
  /** Where it moved to, once an answer told so. */
  readonly region?: string | undefined;
  readonly url?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

/** `value` is what `read` made of the body. */
export type S3Outcome<T> =
  | {
      readonly outcome: "done";
      readonly answer: HttpAnswer;
      readonly value: T;
      readonly serverTimeMs: number | undefined;
      /** The error for what ended a flowing body; the caller's own reason stays what it is. */
      readonly broken: (reason: unknown) => unknown;
    }
  | { readonly outcome: "absent" | "conflict"; readonly serverTimeMs: number | undefined }
  | { readonly outcome: "unknown"; readonly cause: StoreError; readonly serverTimeMs: number | undefined };

/** Ready to be sent, at that moment. */
export interface Addressed {
  readonly origin: string;
  readonly path: string;
  readonly headers: readonly Pair[];
  readonly at: HostTime;
}

/** Where requests go, and as who. */
export interface Addressing {
  /** For messages. Throws InvalidError. */
  placeOf(ask: S3Ask): ErrorPlace;
  /** Undefined: the limit passed before it was ready. At once where nothing has to be waited for. */
  prepare(ask: S3Ask, remainingMs: () => number): Promise<Addressed | undefined> | Addressed;
  /** What the server's clock showed in an answer. */
  observe(serverTimeMs: number, sentAt: HostTime): void;
  /** The keys were refused. Are there others? */
  renew(): boolean;
  /** The same request where this answer says that it belongs; undefined: nowhere else. */
  moved(ask: S3Ask, note: Note): S3Ask | undefined;
  /** It was the right place. */
  arrived(ask: S3Ask): void;
  /** How often a request may move. */
  readonly movesMax: number;
}

export interface ExchangeParts {
  readonly origins: Origins;
  readonly addressing: Addressing;
  /** The answers are a web server's: pages are no surprise. */
  readonly isPlain?: boolean | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Limit from sending to the first byte of an answer of a request that may be sent again, in ms. */
  readonly headersMs: number;
  readonly maxTries: number;
  readonly onEvent?: ((event: S3Event) => void) | undefined;
}

type Try<T> =
  | { readonly done: S3Outcome<T> & { outcome: "done" } }
  | { readonly verdict: Verdict; readonly note: Note };

/** An answer, and what is known of it. */
interface Came {
  readonly ask: S3Ask;
  readonly answer: HttpAnswer;
  readonly serverTimeMs: number | undefined;
  readonly sentAt: HostTime;
  said: Said;
}

const REGION = "x-amz-bucket-region";
/** Answers that may say where it belongs instead. */
const MOVED: ReadonlySet<StoreCode> = new Set(["STORE_REDIRECT", "STORE_WRONG_REGION"]);
const SKEW_OF_HEAD_MS = 10 * 60_000;

export class S3Exchange {
  readonly #parts: ExchangeParts;
  readonly #budget = new RetryBudget();
  #reader: Promise<XmlReader> | undefined;
  #xml: XmlReader | undefined;
  /** The last one read: many answers come within a second, to which it is cut. */
  #date: { readonly text: string | undefined; readonly ms: number | undefined } = { text: undefined, ms: undefined };

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  /**
   * Carries the request out. Throws StoreError for what is certainly refused or cannot be read, the signal's reason as it
   * is. A write that may have landed is `unknown` where its shape says so.
   */
  async call<T>(
    asked: S3Ask,
    read: (answer: HttpAnswer, xml: XmlReader) => T,
    needsXml: boolean,
  ): Promise<S3Outcome<T>> {
    const { clock, random, maxTries, addressing } = this.#parts;
    let ask = asked;
    let moves = 0;
    const startMs = clock.monotonicMs();
    const shape = S3_REQUESTS[ask.request];
    let remedied: Set<string> | undefined;
    let landed = false;
    // What the last retry took from the budget comes back with a success.
    let taken = 0;
    for (let tries = 1; ; tries++) {
      const tried = await this.#try(ask, startMs, read, needsXml);
      const hasMoved = "verdict" in tried && "code" in tried.verdict && MOVED.has(tried.verdict.code);
      if (moves > 0 && !hasMoved) addressing.arrived(ask);
      if ("done" in tried) {
        this.#budget.giveBack(taken, clock.monotonicMs());
        this.#emit(ask, startMs, tries, tried.done.answer.status, undefined);
        return tried.done;
      }
      const { verdict, note } = tried;
      const { serverTimeMs } = note;
      if (verdict.verdict === "done") throw new Error("a done try without an answer");
      if (verdict.verdict === "absent" || verdict.verdict === "conflict") {
        this.#emit(ask, startMs, tries, note.status, undefined);
        if (verdict.verdict === "absent" && !shape.mayBeAbsent)
          throw storeError(ask, addressing.placeOf(ask), "STORE_REFUSED", note, tries);
        return { outcome: verdict.verdict, serverTimeMs };
      }
      let spent = false;
      landed ||= verdict.verdict === "unclear" || (verdict.verdict === "again" && verdict.landed);
      let waitMs: number | undefined;
      const next = hasMoved ? addressing.moved(ask, note) : undefined;
      // What is sent once is not sent there, but the next one will be.
      if (next && verdict.verdict === "refused") addressing.arrived(next);
      // Going elsewhere is no second try.
      if (verdict.verdict === "again" && (verdict.remedy === "place" || tries - moves < maxTries)) {
        const remainingMs = ask.timeoutMs - (clock.monotonicMs() - startMs);
        if (verdict.remedy === "wait") {
          waitMs = nextWaitMs({
            tries,
            chance: random.float(),
            remainingMs,
            retryAfterMs: note.retryAfterMs,
            settings: DEFAULT_BACKOFF,
          });
          if (waitMs !== undefined) {
            taken = retryCost(verdict.code);
            spent = !this.#budget.take(taken, clock.monotonicMs());
            if (spent) waitMs = undefined;
          }
        } else if (verdict.remedy === "place") {
          if (next && ++moves <= addressing.movesMax && remainingMs > 0) {
            ask = next;
            waitMs = 0;
          }
        } else if (remedied?.has(verdict.remedy) !== true && remainingMs > 0) {
          // Once each: the clock was corrected by the very answer that complained; other credentials are asked for.
          remedied ??= new Set();
          remedied.add(verdict.remedy);
          if (verdict.remedy === "clock" || addressing.renew()) waitMs = 0;
        }
      }
      if (waitMs === undefined) {
        this.#emit(ask, startMs, tries, note.status, verdict.code);
        const why = spent ? { ...note, fact: joined(note.fact, "not tried again: too much failed lately") } : note;
        const error = storeError(ask, addressing.placeOf(ask), verdict.code, why, tries);
        if (landed && shape.unknownIs === "outcome") return { outcome: "unknown", cause: unclear(error), serverTimeMs };
        throw error;
      }
      const { request, bucket, key } = ask;
      this.#parts.onEvent?.({ type: "retry", request, bucket, key, code: verdict.code, tries, waitMs });
      if (waitMs > 0) await clock.sleep(waitMs, { signal: ask.signal });
    }
  }

  async #try<T>(
    ask: S3Ask,
    startMs: number,
    read: (answer: HttpAnswer, xml: XmlReader) => T,
    needsXml: boolean,
  ): Promise<Try<T>> {
    const { clock, origins, headersMs, addressing, isPlain } = this.#parts;
    const shape = S3_REQUESTS[ask.request];
    const remainingMs = () => ask.timeoutMs - (clock.monotonicMs() - startMs);
    const silent = (why: HttpFault["why"], sent: boolean, cause: unknown, fact: string): Try<T> => {
      if (why === "closed" && !sent) return { verdict: { verdict: "refused", code: "STORE_CLOSED" }, note: { fact } };
      if (why === "closed") return { verdict: { verdict: "unclear", code: "STORE_CLOSED" }, note: { fact } };
      if (why === "too long" && ask.request === "getObject")
        return { verdict: { verdict: "refused", code: "STORE_TOO_LARGE" }, note: { fact } };
      return { verdict: classifySilence({ why, sent }, askedOf(ask, isPlain === true)), note: { cause, fact } };
    };
    ask.signal?.throwIfAborted();
    const preparing = addressing.prepare(ask, remainingMs);
    const ready = preparing instanceof Promise ? await preparing : preparing;
    const totalMs = remainingMs();
    if (ready === undefined || totalMs <= 0)
      return silent("timeout", false, undefined, `nothing was sent within the limit of ${ask.timeoutMs} ms`);

    const { origin, path, headers, at: sentAt } = ready;
    const isOnce = ask.once === true || ask.condition !== undefined;
    let answer: HttpAnswer;
    let unreadable: { readonly reason: unknown } | undefined;
    try {
      answer = await origins.send(origin, {
        method: shape.method,
        path,
        headers,
        body: opened(ask.body, (reason) => {
          unreadable = { reason };
        }),
        signal: ask.signal,
        // What is never sent again waits for its answer as long as it may.
        headersMs: isOnce || shape.isSlow ? totalMs : Math.min(headersMs + sendingMs(ask.body?.length ?? 0), totalMs),
        totalMs,
        maxBodyBytes: shape.maxBodyBytes,
        stallMs: ask.stallMs,
      });
    } catch (fault) {
      if (!(fault instanceof HttpFault)) throw fault;
      if (unreadable) throw unreadable.reason;
      return silent(fault.why, fault.sent, fault.cause, fault.message);
    }

    const serverTimeMs = this.#serverTimeOf(answer);
    if (serverTimeMs !== undefined) addressing.observe(serverTimeMs, sentAt);
    const came: Came = { ask, answer, serverTimeMs, sentAt, said: "none" };
    if (!isPlainSuccess(answer, shape.method)) {
      const verdict = await this.#judge(came);
      if (verdict.verdict !== "done") return { verdict, note: noteOf(came) };
    }
    try {
      const value = read(answer, needsXml ? (this.#xml ?? (await this.xml())) : (undefined as never));
      const broken = (reason: unknown) => (reason instanceof HttpFault ? this.#broken(came, reason) : reason);
      return { done: { outcome: "done", answer, value, serverTimeMs, broken } };
    } catch (fault) {
      if (!(fault instanceof XmlFault)) throw fault;
      const asked = askedOf(ask, isPlain === true);
      return { verdict: classifyUnreadable(fault.why, asked), note: { ...noteOf(came), fact: fault.message } };
    }
  }

  async #judge(came: Came): Promise<Verdict> {
    const { ask, answer, serverTimeMs, sentAt } = came;
    const { addressing, isPlain } = this.#parts;
    const { method } = S3_REQUESTS[ask.request];
    came.said = await this.#said(answer, method);
    if (method === "HEAD" && answer.status === 403 && serverTimeMs !== undefined) {
      // HEAD has no body to say why; a clock that is this far off is reason enough.
      if (Math.abs(serverTimeMs - sentAt.wallMs) > SKEW_OF_HEAD_MS)
        came.said = { code: "RequestTimeTooSkewed", message: "" };
    }
    const region = answer.header(REGION);
    if (method === "HEAD" && answer.status === 400 && addressing.moved(ask, { region }) !== undefined)
      came.said = { code: "AuthorizationHeaderMalformed", message: "", region };
    // Reading a delete marker by its version: there is no object, which is no want of the server's.
    if (answer.status === 405 && answer.header("x-amz-delete-marker") === "true")
      came.said = { code: "NoSuchVersion", message: "a delete marker" };
    return classify(answer.status, came.said, askedOf(ask, isPlain === true));
  }

  #serverTimeOf(answer: HttpAnswer): number | undefined {
    const text = answer.header("date");
    if (this.#date.text !== text) this.#date = { text, ms: parseInstantMs(text) };
    return this.#date.ms;
  }

  /** Waits before what failed on its way is asked for again, the `tries`th time. False: too much failed lately. */
  async pause(tries: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { clock, random } = this.#parts;
    if (!this.#budget.take(retryCost("STORE_DISCONNECTED"), clock.monotonicMs())) return false;
    await clock.sleep(backoffMs(tries, random.float()), { signal });
    return true;
  }

  #broken(came: Came, { why, cause, message }: HttpFault): StoreError {
    const { ask } = came;
    const code = why === "closed" ? "STORE_CLOSED" : why === "timeout" ? "STORE_TIMEOUT" : "STORE_DISCONNECTED";
    const note = { ...noteOf(came), said: undefined, cause, fact: message };
    return storeError(ask, this.#parts.addressing.placeOf(ask), code, note, 1);
  }

  /** What the body says, of every answer that is no plain success. */
  async #said(answer: HttpAnswer, method: string): Promise<Said> {
    const isHtml = /^\s*text\/html\b/i.test(answer.header("content-type") ?? "");
    if (method === "HEAD") return isHtml && answer.status >= 400 ? "page" : "none";
    if (answer.status >= 200 && answer.status < 300) {
      // An object may be a page, so GET is not judged by that; of the others a few bytes tell.
      if (method === "GET" || answer.body.length === 0) return "none";
      const start = opening(answer.body);
      if (isHtml || /^<(?:!doctype html|html)[\s>]/i.test(start)) return "page";
      if (!/^<Error[\s>]/.test(start)) return "none";
    }
    if (answer.body.length === 0) return "none";
    try {
      return (await this.xml()).error(answer.body) ?? "foreign";
    } catch (fault) {
      if (!(fault instanceof XmlFault)) throw fault;
      return fault.why === "html" ? "page" : fault.why === "cut" ? "cut" : "foreign";
    }
  }

  /** Reads and writes documents; loaded when it is first needed. */
  async xml(): Promise<XmlReader> {
    this.#reader ??= loadXmlReader();
    this.#xml = await this.#reader;
    return this.#xml;
  }

  #emit(ask: S3Ask, startMs: number, tries: number, status: number | undefined, code: StoreCode | undefined): void {
    const { onEvent, clock } = this.#parts;
    onEvent?.({
      type: "request",
      request: ask.request,
      bucket: ask.bucket,
      key: ask.key,
      status,
      code,
      tries,
      durationMs: clock.monotonicMs() - startMs,
    });
  }
}

/** Loaded with the first answer that needs it: a program that only imports this package does not pay. */
export async function loadXmlReader(): Promise<XmlReader> {
  return new XmlReader(await import("fast-xml-parser"));
}

/** For one try. `failed` hears what its source throws, and nothing of what ends the sending. */
function opened(
  body: Uint8Array | S3Body | undefined,
  failed: (reason: unknown) => void,
): Uint8Array | AsyncIterable<Uint8Array> | undefined {
  if (body === undefined || body instanceof Uint8Array) return body;
  const chunks = body.open()[Symbol.asyncIterator]();
  const iterator: AsyncIterator<Uint8Array> = {
    next: () =>
      chunks.next().catch((reason: unknown) => {
        failed(reason);
        throw reason;
      }),
    return: async () => (await chunks.return?.()) ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** There is nothing in it that could say otherwise. */
function isPlainSuccess({ status, body }: HttpAnswer, method: string): boolean {
  return status >= 200 && status < 300 && (method === "GET" || method === "HEAD" || body.length === 0);
}

/** For whoever has to be told of it. */
function noteOf({ answer, said, serverTimeMs, sentAt }: Came): Note {
  const { status } = answer;
  return {
    status,
    said,
    requestId: answer.header("x-amz-request-id"),
    region: answer.header(REGION),
    location: status >= 300 && status < 400 ? answer.header("location") : undefined,
    serverTimeMs,
    skewMs: serverTimeMs === undefined ? undefined : serverTimeMs - sentAt.wallMs,
    retryAfterMs: retryAfterMs(answer.header("retry-after"), serverTimeMs, parseInstantMs),
  };
}

function askedOf(ask: S3Ask, isPlain: boolean): Asked {
  const { method, target } = S3_REQUESTS[ask.request];
  const condition = ask.condition === undefined ? undefined : "absent" in ask.condition ? "absent" : "etag";
  return {
    method,
    target,
    condition: condition ?? (ask.guarded ? "etag" : undefined),
    once: ask.once === true || condition !== undefined,
    expires: ask.validForMs !== undefined,
    isPlain,
  };
}

function joined(...facts: (string | undefined)[]): string {
  return facts.filter((fact) => fact !== undefined).join("; ");
}

/** How a document begins: after white space, which a server that works for minutes sends meanwhile, and its declaration. */
function opening(body: Uint8Array): string {
  let at = 0;
  const skip = () => {
    while (at < body.length && body[at]! <= 32) at++;
    return Buffer.from(body.subarray(at, at + 256)).toString("latin1");
  };
  const start = skip();
  if (!start.startsWith("<?xml")) return start;
  at += start.indexOf(">") + 1;
  return skip();
}
