/**
 * From a described request to its answer: sign, send, judge, and again where that does no harm and there is time. The only
 * path to the appliance, on the project's one HTTP client. It decides nothing about what an answer means (ds3-verdict).
 */
import { nextWaitMs, retryAfterMs } from "../backoff.js";
import { type Clock, dateAt, parseInstantMs } from "../clock.js";
import type { Random } from "../random.js";
import { type HttpAnswer, HttpClient, HttpFault, type ProxySettings, type TlsSettings } from "../request.js";
import { canonicalQuery, encodePath, type Pair } from "../uri.js";
import { XmlFault } from "../xml.js";
import { Ds3Reader } from "./ds3-answers.js";
import { type Ds3Code, type Ds3Target, ds3Error, ds3Verdict } from "./ds3-verdict.js";
import { authorizationV2 } from "./sigv2.js";

export interface Ds3Ask {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly target: Ds3Target;
  /** Not encoded, with the leading slash. */
  readonly path: string;
  /** A value of "" is sent as the name alone. */
  readonly query?: readonly Pair[] | undefined;
  readonly headers?: readonly Pair[] | undefined;
  /** Bytes, or what opens them anew for each try. */
  readonly body?: Uint8Array | { readonly length: number; readonly open: () => AsyncIterable<Uint8Array> } | undefined;
  /** Carrying it out twice is as good as once. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Limit of everything, tries included, in ms. */
  readonly timeoutMs: number;
  /** Given: the body of the answer flows, and this is the limit for its silence, in ms. */
  readonly stallMs?: number | undefined;
}

export interface Ds3ExchangeParts {
  readonly endpoint: URL;
  readonly keys: { readonly accessKey: string; readonly secretKey: string };
  readonly clock: Clock;
  readonly random: Random;
  readonly connectMs: number;
  readonly maxTries: number;
  readonly tls: TlsSettings | undefined;
  readonly proxy: ProxySettings | undefined;
}

// 500,000 objects of a job, with names of some hundred bytes.
const XML_MAX_BYTES = 512 * 1024 * 1024;

export class Ds3Exchange {
  readonly #parts: Ds3ExchangeParts;
  readonly #http: HttpClient;
  #reader: Promise<Ds3Reader> | undefined;

  constructor(parts: Ds3ExchangeParts) {
    this.#parts = parts;
    const { clock, connectMs, tls, proxy, endpoint } = parts;
    this.#http = new HttpClient({ clock, connectMs, tls, proxy, origin: endpoint.origin });
  }

  /** Loaded with the first answer that needs it. */
  reader(): Promise<Ds3Reader> {
    this.#reader ??= import("fast-xml-parser").then((engine) => new Ds3Reader(engine));
    return this.#reader;
  }

  /** The answer, always 2xx; undefined: what it is about is not there. Throws StoreError, or the signal's reason. */
  async call(ask: Ds3Ask): Promise<HttpAnswer | undefined> {
    const { clock, random, maxTries } = this.#parts;
    const endMs = clock.monotonicMs() + ask.timeoutMs;
    const what = `${ask.method} ${ask.path}`;
    for (let tries = 1; ; tries++) {
      const tried = await this.#try(ask, endMs - clock.monotonicMs());
      if ("answer" in tried) return tried.answer;
      const { code, again, note } = tried;
      const waitMs =
        again && tries < maxTries
          ? nextWaitMs({
              tries,
              chance: random.float(),
              remainingMs: endMs - clock.monotonicMs(),
              retryAfterMs: note.retryAfterMs,
            })
          : undefined;
      if (waitMs === undefined) throw ds3Error(code, what, note);
      await clock.sleep(waitMs, { signal: ask.signal });
    }
  }

  /** Reads the body of an answer that must be there. */
  async read<T>(ask: Ds3Ask, read: (reader: Ds3Reader, answer: HttpAnswer) => T): Promise<T> {
    const answer = await this.call(ask);
    const what = `${ask.method} ${ask.path}`;
    if (answer === undefined) throw ds3Error("STORE_REFUSED", what, { status: 404 });
    try {
      return read(await this.reader(), answer);
    } catch (fault) {
      if (!(fault instanceof XmlFault)) throw fault;
      const code = fault.why === "html" || fault.why === "foreign" ? "STORE_NOT_S3" : "STORE_CORRUPT_ANSWER";
      throw ds3Error(code, what, { status: answer.status, fact: fault.message });
    }
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #try(
    ask: Ds3Ask,
    remainingMs: number,
  ): Promise<
    | { readonly answer: HttpAnswer | undefined }
    | { readonly code: Ds3Code; readonly again: boolean; readonly note: Parameters<typeof ds3Error>[2] & object }
  > {
    ask.signal?.throwIfAborted();
    if (remainingMs <= 0) return { code: "STORE_TIMEOUT", again: false, note: {} };
    let answer: HttpAnswer;
    try {
      answer = await this.#http.send({
        ...this.#signed(ask),
        method: ask.method,
        signal: ask.signal,
        headersMs: remainingMs,
        totalMs: remainingMs,
        maxBodyBytes: XML_MAX_BYTES,
        stallMs: ask.stallMs,
      });
    } catch (fault) {
      if (!(fault instanceof HttpFault)) throw fault;
      return silence(fault, ask.repeatable);
    }
    const { status } = answer;
    const isPage = /^\s*text\/html\b/i.test(answer.header("content-type") ?? "");
    const error = status < 300 || ask.method === "HEAD" || isPage ? undefined : await this.#error(answer.body);
    const verdict = ds3Verdict(status, error, ask);
    if (verdict.verdict === "done") return { answer };
    if (verdict.verdict === "absent")
      return isPage ? { code: "STORE_NOT_S3", again: false, note: { status } } : { answer: undefined };
    const waitMs = retryAfterMs(answer.header("retry-after"), undefined, parseInstantMs);
    return { ...verdict, note: { status, error, retryAfterMs: waitMs } };
  }

  async #error(body: Uint8Array) {
    try {
      return (await this.reader()).error(body);
    } catch (fault) {
      if (fault instanceof XmlFault) return undefined;
      throw fault;
    }
  }

  #signed(ask: Ds3Ask): {
    path: string;
    headers: readonly Pair[];
    body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  } {
    const { endpoint, keys, clock } = this.#parts;
    const base = endpoint.pathname.replace(/\/+$/, "");
    const resource = `${base}${encodePath(ask.path)}`;
    const query = ask.query ?? [];
    const { body } = ask;
    const headers: Pair[] = [
      ["host", endpoint.host],
      // The form in the documents of Spectra and AWS; `GMT` means the same.
      ["date", dateAt(clock.wallMs()).toUTCString().replace("GMT", "+0000")],
      ...(ask.headers ?? []),
    ];
    if (body !== undefined) headers.push(["content-type", "application/octet-stream"]);
    if (body !== undefined && !(body instanceof Uint8Array)) headers.push(["content-length", String(body.length)]);
    headers.push(["authorization", authorizationV2({ method: ask.method, resource, query, headers }, keys)]);
    const sent = canonicalQuery(query).replace(/=(?=&|$)/g, "");
    return {
      path: sent === "" ? resource : `${resource}?${sent}`,
      headers,
      body:
        body === undefined || body instanceof Uint8Array ? body : body.length === 0 ? new Uint8Array() : body.open(),
    };
  }
}

function silence(fault: HttpFault, repeatable: boolean) {
  const note = { fact: fault.message, cause: fault.cause };
  const failed = (code: Ds3Code, again: boolean) => ({ code, again, note });
  switch (fault.why) {
    case "closed":
      return failed("STORE_CLOSED", false);
    case "untrusted":
      return failed("STORE_UNTRUSTED", false);
    case "too long":
      return failed("STORE_CORRUPT_ANSWER", false);
    default: {
      if (fault.sent && !repeatable) return failed("STORE_UNCLEAR", false);
      const code = fault.why === "timeout" ? "STORE_TIMEOUT" : fault.sent ? "STORE_DISCONNECTED" : "STORE_UNREACHABLE";
      return failed(code, true);
    }
  }
}
