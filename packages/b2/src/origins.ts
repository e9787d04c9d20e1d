/**
 * The HTTP clients of one session, one for each host that B2 names: API, download and many upload pods. Gives each the same
 * limits, and closes the ones that were not used lately. It sends nothing by itself.
 */
import type { Clock } from "@bucketlock/core";
import { InvalidError } from "@bucketlock/core";
import { type HttpAnswer, HttpClient, HttpFault, type HttpRequest, text } from "@bucketlock/core/http";
import { corrupt } from "./b2-errors.js";

// A pool of upload URLs may name as many pods; each client keeps idle sockets for some seconds only.
const CLIENTS_MAX = 32;

interface Kept {
  readonly client: HttpClient;
  underWay: number;
}

export class Origins {
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>();
  readonly #clock: Clock;
  readonly #connectMs: number;
  #closed = false;

  constructor(clock: Clock, connectMs: number) {
    this.#clock = clock;
    this.#connectMs = connectMs;
  }

  /** Throws HttpFault, or the signal's reason. */
  async send(origin: string, request: HttpRequest): Promise<HttpAnswer> {
    if (this.#closed) throw new HttpFault("closed", false, "the session is closed");
    const kept = this.#kept.get(origin) ?? {
      client: new HttpClient({ clock: this.#clock, origin, connectMs: this.#connectMs }),
      underWay: 0,
    };
    this.#kept.delete(origin);
    this.#kept.set(origin, kept);
    kept.underWay++;
    try {
      return await kept.client.send(request);
    } finally {
      kept.underWay--;
      this.#trim();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#kept.values()].map(({ client }) => client.close()));
  }

  #trim(): void {
    if (this.#kept.size <= CLIENTS_MAX) return;
    for (const [origin, { client, underWay }] of this.#kept) {
      if (underWay > 0) continue;
      this.#kept.delete(origin);
      void client.close();
      if (this.#kept.size <= CLIENTS_MAX) return;
    }
  }
}

/** Where a call goes. */
export interface Address {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Encoded, without a trailing slash. */
  readonly path: string;
}

/** What a user gives. */
export function endpointAddress(option: string, value: unknown): Address {
  const given = text(option, value);
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    // The value is not shown: it may hold a password.
    throw new InvalidError(option, "must be a URL such as https://host:port", "something else");
  }
  if (url.username !== "" || url.password !== "")
    throw new InvalidError(option, "must not hold credentials", "a URL with them");
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new InvalidError(option, "must begin with http:// or https://", url.protocol);
  if (url.search !== "" || url.hash !== "")
    throw new InvalidError(option, "must have no query and no fragment", `${url.origin}${url.pathname}?...`);
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, "") };
}

/**
 * What B2 names. Tokens go there, so a server that was reached over TLS may not lead us away from it. The query stays: an
 * upload URL has one on some pods.
 */
export function namedAddress(what: string, value: string, from: string): Address {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw corrupt(`${what} is no URL`);
  }
  const isSafe = url.protocol === "https:" || (url.protocol === "http:" && from.startsWith("http:"));
  if (!isSafe || url.username !== "") throw corrupt(`${what} is no https URL`);
  return { origin: url.origin, path: `${url.pathname.replace(/\/+$/, "")}${url.search}` };
}
