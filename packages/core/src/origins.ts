/**
 * The HTTP clients of one session, one for each host that its requests go to: buckets under virtual hosts, regions, upload
 * pods. Gives each the same limits, and closes the ones that were not used lately. It sends nothing by itself.
 */
import { type HttpAnswer, HttpClient, HttpFault, type HttpRequest, type HttpSettings } from "./request.js";

// Each client keeps idle sockets for some seconds only; this bounds the clients themselves.
const CLIENTS_MAX = 32;

export class Origins {
  /** In the order of their last use. */
  readonly #kept = new Map<string, HttpClient>();
  /** The one used last. */
  #last: { readonly origin: string; readonly client: HttpClient } | undefined;
  readonly #settings: Omit<HttpSettings, "origin">;
  #closed = false;

  constructor(settings: Omit<HttpSettings, "origin">) {
    this.#settings = settings;
  }

  /** Rejects with HttpFault, or the signal's reason. */
  send(origin: string, request: HttpRequest): Promise<HttpAnswer> {
    if (this.#closed) return Promise.reject(new HttpFault("closed", false, "the session is closed"));
    if (this.#last?.origin !== origin) this.#last = { origin, client: this.#clientFor(origin) };
    return this.#last.client.send(request);
  }

  #clientFor(origin: string): HttpClient {
    const client = this.#kept.get(origin) ?? new HttpClient({ ...this.#settings, origin });
    this.#kept.delete(origin);
    this.#trim();
    this.#kept.set(origin, client);
    return client;
  }

  /** Ends every connection; what is under way fails as HttpFault `closed`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#kept.values()].map((client) => client.close()));
  }

  /** Makes room for one. */
  #trim(): void {
    for (const [origin, client] of this.#kept) {
      if (this.#kept.size < CLIENTS_MAX) return;
      // A body may still flow.
      if (client.underWay > 0) continue;
      this.#kept.delete(origin);
      void client.close();
    }
  }
}
