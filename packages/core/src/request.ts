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
import type { HttpAnswer } from "./http-answer.js";
import { type Carrier, closedFault, HttpFault, type HttpRequest, type Line, Passage } from "./http-passage.js";

export type { HttpAnswer } from "./http-answer.js";
export { HttpFault, type HttpRequest } from "./http-passage.js";

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

// Shorter than the 5 s after which many servers close an idle connection: a request written to a connection that the
// server is closing may or may not have been carried out. A server's own hint (Keep-Alive: timeout=) is honoured, less
// 2 s because undici checks by half seconds.
const IDLE_MS = 4_000;
const IDLE_MAX_MS = 20_000;
const IDLE_MARGIN_MS = 2_000;

export class HttpClient {
  readonly #settings: HttpSettings;
  readonly #carrier: Carrier;
  readonly #underWay = new Set<Passage>();
  #opening: Promise<Connections> | undefined;
  #connections: Connections | undefined;
  /** Requests that wait for the connections to be made ready, once. */
  #waiting = 0;
  #closed = false;

  constructor(settings: HttpSettings) {
    const { clock, connectMs, proxy } = settings;
    this.#settings = settings;
    this.#carrier = {
      clock,
      connectMs,
      tellsEnds: proxy === undefined,
      ended: (passage) => this.#underWay.delete(passage),
      give: (line, isSound) => this.#connections?.give(line, isSound),
      faultOf: (cause, isUnderWay) => faultOf(cause, isUnderWay, proxy),
    };
  }

  /** Requests and bodies under way. */
  get underWay(): number {
    return this.#underWay.size + this.#waiting;
  }

  /** Rejects with HttpFault, or the signal's reason. When it resolves, the body is complete, or flows. */
  send(request: HttpRequest): Promise<HttpAnswer> {
    const connections = this.#connections;
    return connections === undefined || connections.isPool
      ? this.#sendWhenOpen(request)
      : this.#sendBy(connections, request);
  }

  async #sendWhenOpen(request: HttpRequest): Promise<HttpAnswer> {
    request.signal?.throwIfAborted();
    if (this.#closed) throw closedFault(false);
    this.#waiting++;
    try {
      this.#opening ??= this.#open();
      this.#connections = await this.#opening;
    } finally {
      this.#waiting--;
    }
    const answer = await this.#sendBy(this.#connections, request);
    if (this.#connections.isPool) await nextTurn();
    return answer;
  }

  #sendBy(connections: Connections, request: HttpRequest): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      request.signal?.throwIfAborted();
      if (this.#closed) throw closedFault(false);
      this.#dispatch(connections, request, resolve, reject);
    });
  }

  /** Ends what is under way (as HttpFault `closed`) and every connection. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const passage of [...this.#underWay]) passage.close();
    const connections = await this.#opening?.catch(() => undefined);
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
    return {
      isPool: true,
      take: () => ({ dispatcher: agent, passage: undefined }),
      give() {},
      destroy: () => agent.destroy(null),
    };
  }

  #dispatch(
    connections: Connections,
    request: HttpRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (reason: unknown) => void,
  ): void {
    const line = connections.take();
    const passage = new Passage(this.#carrier, line, request, resolve, reject);
    this.#underWay.add(passage);
    const { method, path } = request;
    // Names and values in turns.
    const headers: string[] = [];
    for (const [name, value] of request.headers) headers.push(name, value);
    const { origin } = this.#settings;
    try {
      // `reset: false`: without it undici closes the connection after every HEAD.
      line.dispatcher.dispatch({ origin, method, path, headers, body: bodyOf(request), reset: false }, passage);
    } catch (cause) {
      connections.give(line, false);
      passage.fail(new HttpFault("unreachable", false, "the request could not be started", cause));
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
  take(): OpenLine;
  /** The request's answer, or its failure, is complete. */
  give(line: Line, isSound: boolean): void;
  destroy(): Promise<void>;
}

type OpenLine = Line & { readonly dispatcher: Dispatcher };

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

  take(): OpenLine {
    const free = this.#free.pop();
    if (free) return free;
    const line: OwnLine = { dispatcher: this.#make(() => line), passage: undefined };
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
type OwnLine = OpenLine & { readonly dispatcher: Client };

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

function faultOf(cause: Error, isUnderWay: boolean, proxy: ProxySettings | undefined): HttpFault {
  if (!isUnderWay || isProxyRefusal(cause, proxy)) return unconnected(cause, proxy);
  return new HttpFault("disconnected", true, "the connection broke before the answer was complete", cause);
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
        socket.on("end", () => line().passage?.flow?.rush());
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
