/**
 * One HTTP request and its answer: the only file that knows undici. It keeps connections, holds limits and gives every
 * socket back (a body is read to its end or its connection destroyed). It never retries, never follows a redirect, never
 * looks into a body and never throws away the question whether anything was sent.
 *
 * undici's own timers are off or only a backstop: above one second they are coarse (about half a second). Its `signal` is
 * not used either: it does not end a request that still waits for a connection.
 */
import type { Readable } from "node:stream";
import type { buildConnector, Client, Dispatcher, Pool } from "undici";
import { type Clock, nextTurn } from "./clock.js";
import { Flow, type HttpFlow } from "./http-flow.js";
import type { Pair } from "./uri.js";

export interface HttpSettings {
  readonly clock: Clock;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Limit for getting a connection, in ms. */
  readonly connectMs: number;
  /** Default: Node's own trust. */
  readonly tls?: TlsSettings | undefined;
  readonly proxy?: ProxySettings | undefined;
}

export interface TlsSettings {
  /** PEM: trusted instead of Node's own roots. */
  readonly ca?: string | undefined;
  /** False: whoever answers is believed. */
  readonly rejectUnauthorized?: boolean | undefined;
}

export interface ProxySettings {
  /** May hold the name and password of the proxy: never shown. */
  readonly url: string;
  /** Hosts reached without it, as in NO_PROXY. */
  readonly except: string;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Encoded, with the query. Sent as it is. */
  readonly path: string;
  readonly headers: readonly Pair[];
  /**
   * Chunks as they come need a content-length header; they are read once, and not further than the server wants. The memory of
   * a chunk of 64 KiB or more may be used again when the third one after it is asked for.
   */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Limit from sending to the first byte of the answer, in ms. */
  readonly headersMs: number;
  /** Limit for everything, in ms. */
  readonly totalMs: number;
  /** A longer body is a fault; of an error answer, only its start is kept. */
  readonly maxBodyBytes: number;
  /**
   * Given: the body of a 2xx answer is not gathered but flows (HttpAnswer.flow). `totalMs` ends with the headers then, and
   * this is the limit for silence while more is wanted, in ms.
   */
  readonly stallMs?: number | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** First value of a header given twice (versitygw sends two x-amz-request-id). Name in lower case. */
  header(name: string): string | undefined;
  /** Names in lower case. */
  readonly headerNames: readonly string[];
  /** Empty where it flows. */
  readonly body: Uint8Array;
  readonly flow?: HttpFlow | undefined;
}

/** No answer. The caller's own abort reason is thrown as it is instead. */
export class HttpFault extends Error {
  readonly why: "timeout" | "unreachable" | "untrusted" | "disconnected" | "too long" | "closed";
  /** False: proven that not a byte was sent. */
  readonly sent: boolean;
  constructor(why: HttpFault["why"], sent: boolean, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.why = why;
    this.sent = sent;
  }
}

const ERROR_BODY_MAX_BYTES = 64 * 1024;
// Shorter than the 5 s after which many servers close an idle connection: a request written to a connection that the
// server is closing may or may not have been carried out. A server's own hint (Keep-Alive: timeout=) is honoured, less
// 2 s because undici checks by half seconds.
const IDLE_MS = 4_000;
const IDLE_MAX_MS = 20_000;
const IDLE_MARGIN_MS = 2_000;

export class HttpClient {
  readonly #settings: HttpSettings;
  readonly #underWay = new Set<(fault: HttpFault) => void>();
  #connections: Promise<Connections> | undefined;
  #closed = false;

  constructor(settings: HttpSettings) {
    this.#settings = settings;
  }

  /** Requests and bodies under way. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** Throws HttpFault, or the signal's reason. When it returns, the body is complete, or flows. */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    request.signal?.throwIfAborted();
    if (this.#closed) throw closedFault(false);
    this.#connections ??= this.#open();
    const connections = await this.#connections;
    request.signal?.throwIfAborted();
    if (this.#closed) throw closedFault(false);
    const answer = await new Promise<HttpAnswer>((resolve, reject) =>
      this.#dispatch(connections, request, resolve, reject),
    );
    if (connections.isPool) await nextTurn();
    return answer;
  }

  /** Ends what is under way (as HttpFault `closed`) and every connection. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const end of [...this.#underWay]) end(closedFault(true));
    const connections = await this.#connections?.catch(() => undefined);
    await connections?.destroy();
  }

  async #open(): Promise<Connections> {
    const { Client, buildConnector } = await loadClient();
    const { origin, connectMs, proxy } = this.#settings;
    const tls = Object.fromEntries(Object.entries(this.#settings.tls ?? {}).filter(([, value]) => value !== undefined));
    // The backstop that gives the socket back when our own, finer limit has ended the request.
    const connect = { timeout: Math.ceil(connectMs) + 1_000, ...tls };
    const settings = {
      // One request at a time per connection: with more, undici itself would send some of them again.
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MAX_MS,
      keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    };
    if (proxy === undefined) {
      const connector = withResetsRenamed(buildConnector(connect));
      return new OwnConnections(
        (line) => new Client(origin, { ...settings, connect: withEndsAnnounced(connector, line) }),
      );
    }
    const { Pool, EnvHttpProxyAgent } = await import("undici");
    const agent = new EnvHttpProxyAgent({
      ...settings,
      connect,
      // Every connection, to the proxy and through it.
      factory: (to, how: Pool.Options) => {
        const connector = typeof how.connect === "function" ? how.connect : buildConnector({ ...how.connect });
        return new Pool(to, { ...how, ...settings, connect: withResetsRenamed(connector) });
      },
      // Both are said, so that undici does not look into the environment by itself.
      httpProxy: proxy.url,
      httpsProxy: proxy.url,
      noProxy: proxy.except,
      requestTls: connect,
      proxyTls: connect,
      // Many proxies refuse to tunnel to anything but port 443: plain HTTP is asked of the proxy itself.
      proxyTunnel: false,
    });
    return { isPool: true, take: () => ({ dispatcher: agent }), give() {}, destroy: () => agent.destroy(null) };
  }

  #dispatch(
    connections: Connections,
    request: HttpRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (reason: unknown) => void,
  ): void {
    const { clock, connectMs, origin, proxy } = this.#settings;
    const { signal } = request;
    let abort: ((reason: Error) => void) | undefined;
    let ended = false;
    let status = 0;
    let headers: Readonly<Record<string, string | string[] | undefined>> = {};
    const chunks: Uint8Array[] = [];
    let length = 0;
    let flow: Flow | undefined;
    const line = connections.take();

    const settle = (): boolean => {
      if (ended) return false;
      ended = true;
      stopPhase();
      stopTotal();
      signal?.removeEventListener("abort", onAbort);
      this.#underWay.delete(onClose);
      line.flow = undefined;
      return true;
    };
    const fail = (reason: unknown) => {
      if (!settle()) return;
      if (flow) flow.failed(reason);
      else reject(reason);
      abort?.(new Error("ended by the caller"));
    };
    const succeed = () => {
      if (!settle()) return;
      if (flow) flow.ended();
      else resolve(answerOf(status, headers, chunks, length));
    };
    const timedOut = (stage: string, limitMs: number) => () =>
      fail(new HttpFault("timeout", abort !== undefined, `no ${stage} within the limit of ${Math.round(limitMs)} ms`));
    const onAbort = () => fail(signal!.reason);
    const onClose = (fault: HttpFault) => fail(new HttpFault(fault.why, abort !== undefined, fault.message));

    const stopTotal = clock.after(request.totalMs, timedOut("complete answer", request.totalMs));
    let stopPhase = clock.after(connectMs, timedOut("connection", connectMs));
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#underWay.add(onClose);

    const names: Record<string, string> = {};
    for (const [name, value] of request.headers) names[name] = value;
    try {
      line.dispatcher.dispatch(
        // `reset: false`: without it undici closes the connection after every HEAD.
        { origin, method: request.method, path: request.path, headers: names, body: bodyOf(request), reset: false },
        {
          onRequestStart(controller) {
            // Called when a connection is there, before a byte of this request is written.
            if (ended) return controller.abort(new Error("ended by the caller"));
            abort = (reason) => controller.abort(reason);
            stopPhase();
            stopPhase = clock.after(request.headersMs, timedOut("answer", request.headersMs));
          },
          onResponseStart(controller, code, given) {
            if (code < 200 || ended) return;
            stopPhase();
            status = code;
            headers = given;
            const { stallMs, maxBodyBytes } = request;
            if (code >= 300) return;
            if (stallMs === undefined) {
              // Not after all of it came.
              if (request.method !== "HEAD" && Number(given["content-length"]) > maxBodyBytes)
                fail(new HttpFault("too long", true, `the body is longer than ${maxBodyBytes} bytes`));
              return;
            }
            stopTotal();
            controller.pause();
            // Nobody will say when such a connection of a pool ends.
            const isPaced = !connections.isPool || !/\bclose\b/i.test(String(given.connection ?? ""));
            const stalled = () => fail(new HttpFault("timeout", true, `nothing came for ${Math.round(stallMs)} ms`));
            flow = new Flow({ controller, clock, stallMs, stalled, isPaced, stopped: fail });
            line.flow = flow;
            stopPhase = () => flow!.stopClock();
            resolve(answerOf(status, headers, [], 0, flow));
          },
          onResponseData(controller, chunk) {
            if (ended) return;
            if (flow) {
              if (!flow.chunk(chunk)) controller.pause();
              return;
            }
            const isError = status >= 300;
            const max = isError ? ERROR_BODY_MAX_BYTES : request.maxBodyBytes;
            chunks.push(length + chunk.length > max ? chunk.subarray(0, max - length) : chunk);
            length += chunk.length;
            if (length <= max) return;
            length = max;
            if (!isError) return fail(new HttpFault("too long", true, `the body is longer than ${max} bytes`));
            succeed();
            abort?.(new Error("the rest is not wanted"));
          },
          onResponseEnd() {
            connections.give(line, true);
            succeed();
          },
          onResponseError(_controller, cause) {
            connections.give(line, false);
            const sent = abort !== undefined && !isProxyRefusal(cause, proxy);
            if (sent)
              return fail(
                new HttpFault("disconnected", sent, "the connection broke before the answer was complete", cause),
              );
            fail(unconnected(cause, proxy));
          },
        },
      );
    } catch (cause) {
      connections.give(line, false);
      fail(new HttpFault("unreachable", false, "the request could not be started", cause));
    }
  }
}

type Undici = typeof import("undici");

/**
 * These two only: the whole of undici (fetch, caches, mocks) takes 10 MiB more and three times as long to load, and makes itself
 * the dispatcher of Node's own fetch. The version is pinned, so its files are known.
 */
async function loadClient(): Promise<Pick<Undici, "Client" | "buildConnector">> {
  const [client, connect] = await Promise.all([
    // @ts-expect-error: undici declares no types for its files.
    import("undici/lib/dispatcher/client.js"),
    // @ts-expect-error: as above.
    import("undici/lib/core/connect.js"),
  ]);
  return { Client: client.default as Undici["Client"], buildConnector: connect.default as Undici["buildConnector"] };
}

/** What requests are sent over. */
interface Connections {
  /**
   * Several connections behind one: they are free again one turn after an answer ended, and a request sent before that opens
   * another one.
   */
  readonly isPool: boolean;
  take(): Line;
  /** The request's answer, or its failure, is complete. */
  give(line: Line, isSound: boolean): void;
  destroy(): Promise<void>;
}

/** One request at a time. */
interface Line {
  readonly dispatcher: Dispatcher;
  /** The body that is on it. */
  flow?: Flow | undefined;
}

/** So many free ones are kept: without a socket after some seconds, they hold little. */
const FREE_MAX = 64;

/**
 * Each a client of its own, one request at a time; the one used last first, so that the others' sockets can end. undici's own
 * pool would have every request wait for the next turn of the event loop.
 */
class OwnConnections implements Connections {
  readonly isPool = false;
  readonly #make: (line: () => OwnLine) => Client;
  readonly #all = new Set<OwnLine>();
  readonly #free: OwnLine[] = [];

  constructor(make: (line: () => OwnLine) => Client) {
    this.#make = make;
  }

  take(): Line {
    const free = this.#free.pop();
    if (free) return free;
    const line: OwnLine = { dispatcher: this.#make(() => line), flow: undefined };
    this.#all.add(line);
    return line;
  }

  give(given: Line, isSound: boolean): void {
    const line = given as OwnLine;
    if (isSound && !line.dispatcher.destroyed && this.#free.length < FREE_MAX) this.#free.push(line);
    else if (this.#all.delete(line)) void line.dispatcher.destroy().catch(() => {});
  }

  async destroy(): Promise<void> {
    this.#free.length = 0;
    await Promise.all([...this.#all].map(({ dispatcher }) => dispatcher.destroy(null)));
  }
}
type OwnLine = Line & { readonly dispatcher: Client };

// What Node's TLS says of a certificate that it does not accept (its documentation, "X509 certificate error codes"), and
// of a server that does not speak TLS at all.
const UNTRUSTED = /^(?:(?:DEPTH_ZERO_)?SELF_SIGNED_CERT|UNABLE_TO_|CERT_|CRL_|ERR_TLS_CERT|INVALID_CA|INVALID_PURPOSE)/;
const NO_TLS = /^(?:ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|EPROTO)$/;

function codeOf(cause: unknown): string {
  const { code = "", cause: inner } = cause as { readonly code?: unknown; readonly cause?: unknown };
  if (code === "UND_ERR_PRX_TLS" && inner instanceof Error) return codeOf(inner);
  return String(code);
}

/** Proxy Authentication Required, for a tunnel or, as an answer that undici never hands out, for a plain request. */
function isProxyRefusal(cause: Error, proxy: ProxySettings | undefined): boolean {
  return proxy !== undefined && /\(407\)/.test(cause.message);
}

function unconnected(cause: Error, proxy: ProxySettings | undefined): HttpFault {
  const code = codeOf(cause);
  if (UNTRUSTED.test(code)) return new HttpFault("untrusted", false, `the certificate is not trusted: ${code}`, cause);
  if (NO_TLS.test(code)) return new HttpFault("untrusted", false, `it does not speak TLS: ${code}`, cause);
  if (proxy === undefined) return new HttpFault("unreachable", false, "no connection", cause);
  const { host } = new URL(proxy.url);
  const fact = isProxyRefusal(cause, proxy)
    ? `the proxy ${host} wants other credentials (407)`
    : `no connection, asked through the proxy ${host} unless excepted`;
  return new HttpFault("unreachable", false, fact, cause);
}

/**
 * When the other side closes while a body is paused, and nothing of it is left to read from the socket, an assertion in undici ends
 * the process (7.30.2, client-h1 `finish`): it must not be paused then. A listener that was there first may see to it.
 */
function withEndsAnnounced(connector: buildConnector.connector, line: () => Line): buildConnector.connector {
  return (options, done) =>
    connector(options, (...[error, socket]) => {
      if (error === null) {
        socket.on("end", () => line().flow?.rush());
        done(null, socket);
      } else done(error, null);
    });
}

/**
 * undici takes a reset for the regular end of a body when the server announced to close the connection, which would pass a cut
 * body for a whole one; and if that body is paused at that moment, an assertion of its own ends the process (7.30.2,
 * client-h1 `finish`). It knows a reset by this code only. A listener that was there first may change it.
 */
function withResetsRenamed(connector: buildConnector.connector): buildConnector.connector {
  return (options, done) =>
    connector(options, (...[error, socket]) => {
      if (error === null) {
        socket.on("error", (reset: Error & { code?: string }) => {
          if (reset.code === "ECONNRESET") reset.code = "CONNECTION_RESET";
        });
        done(null, socket);
      } else done(error, null);
    });
}

function bodyOf({ body }: HttpRequest): Uint8Array | Readable | null {
  if (body === undefined || body instanceof Uint8Array) return body ?? null;
  // Loaded with the first stream: most programs send none.
  return process.getBuiltinModule("node:stream").Readable.from(body);
}

function closedFault(sent: boolean): HttpFault {
  return new HttpFault("closed", sent, "the session is closed");
}

function answerOf(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  chunks: readonly Uint8Array[],
  length: number,
  flow?: Flow,
): HttpAnswer {
  return {
    status,
    flow,
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    headerNames: Object.keys(headers),
    body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length),
  };
}
