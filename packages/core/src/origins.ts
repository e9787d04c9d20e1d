/**
 * The HTTP clients of one session, one for each host that its requests go to: buckets under virtual hosts, regions, upload
 * pods. Gives each the same limits, and closes the ones that were not used lately. It sends nothing by itself.
 */
import { type HttpAnswer, HttpClient, HttpFault, type HttpRequest, type HttpSettings } from "./request.js";

// Each client keeps idle sockets for some seconds only; this bounds the clients themselves.
const CLIENTS_MAX = 32;

interface Kept {
  readonly client: HttpClient;
  underWay: number;
}

export class Origins {
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>();
  readonly #settings: Omit<HttpSettings, "origin">;
  #closed = false;

  constructor(settings: Omit<HttpSettings, "origin">) {
    this.#settings = settings;
  }

  /** Throws HttpFault, or the signal's reason. */
  async send(origin: string, request: HttpRequest): Promise<HttpAnswer> {
    if (this.#closed) throw new HttpFault("closed", false, "the session is closed");
    const kept = this.#kept.get(origin) ?? {
      client: new HttpClient({ ...this.#settings, origin }),
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

  /** Ends every connection; what is under way fails as HttpFault `closed`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#kept.values()].map(({ client }) => client.close()));
  }

  #trim(): void {
    if (this.#kept.size <= CLIENTS_MAX) return;
    for (const [origin, { client, underWay }] of this.#kept) {
      // A body may still flow.
      if (underWay > 0 || client.underWay > 0) continue;
      this.#kept.delete(origin);
      void client.close();
      if (this.#kept.size <= CLIENTS_MAX) return;
    }
  }
}
