/**
 * What a holder is told when somebody asks it to release: one signal for each held ticket, there from the moment it is first
 * asked for. Asks nobody and forces nobody; the tickets find out, the program decides.
 */
import { ReleaseRequestedError } from "./errors.js";

/** What is asked of a holder, and by whom. */
export interface ReleaseRequest {
  readonly reason: string;
  /** The label of who asks. */
  readonly by: string;
}

export class Revocation {
  readonly #key: string;
  readonly #ticketId: string;
  #controller: AbortController | undefined;
  #request: ReleaseRequest | undefined;

  constructor(key: string, ticketId: string) {
    this.#key = key;
    this.#ticketId = ticketId;
  }

  /** Aborts with a ReleaseRequestedError once somebody has asked. From the first use on, somebody listens. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    this.#abort();
    return this.#controller.signal;
  }

  /** Is it worth a request to find out? */
  get isAwaited(): boolean {
    return this.#controller !== undefined && this.#request === undefined;
  }

  get isAsked(): boolean {
    return this.#request !== undefined;
  }

  get isListenedTo(): boolean {
    return this.#controller !== undefined;
  }

  /** The first one counts. */
  tell(request: ReleaseRequest): void {
    this.#request ??= request;
    this.#abort();
  }

  #abort(): void {
    if (this.#request === undefined) return;
    this.#controller?.abort(new ReleaseRequestedError(this.#key, this.#ticketId, this.#request));
  }
}
