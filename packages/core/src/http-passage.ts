/**
 * One request on its way: its limits, its signal, and what comes in answer. It is told what happens by what carries it
 * (request.ts), and ends once: with an answer, a fault or its caller's reason. It opens no connection and never asks again.
 *
 * It is a handler of undici's older form (`onConnect`, `onHeaders`, ...), which is what undici itself works with: in the newer one
 * every answer's head is made into an object first, whether anybody reads it or not.
 */
import type { Clock } from "./clock.js";
import { type HttpAnswer, headerOf, RawAnswer, type RawHead } from "./http-answer.js";
import { Flow } from "./http-flow.js";
import type { Pair } from "./uri.js";

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

/** A connection, or several behind one: one passage at a time is on it. */
export interface Line {
  passage: Passage | undefined;
}

/** What carries requests. */
export interface Carrier {
  readonly clock: Clock;
  /** Limit for getting a connection, in ms. */
  readonly connectMs: number;
  /** False: nobody will say when the connection of a body that is paused ends. */
  readonly tellsEnds: boolean;
  /** It has ended, for its caller. */
  ended(passage: Passage): void;
  /** The line is done with its request. */
  give(line: Line, isSound: boolean): void;
  /** What its failure means. `isUnderWay`: there was a connection for it, so something may have been sent. */
  faultOf(cause: Error, isUnderWay: boolean): HttpFault;
}

const ERROR_BODY_MAX_BYTES = 64 * 1024;
const NO_HEAD: RawHead = [];
const EMPTY: Uint8Array = Buffer.alloc(0);
const ONCE = { once: true };

export class Passage {
  /** Its body, where that flows. */
  flow: Flow | undefined;
  readonly #carrier: Carrier;
  readonly #line: Line;
  readonly #request: HttpRequest;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #stopTotal: () => void;
  #stopPhase: () => void;
  /** Known as soon as there is a connection: from then on something may have been sent. */
  #abort: ((reason: Error) => void) | undefined;
  #isOver = false;
  #status = 0;
  #head = NO_HEAD;
  /** What came of the body, while that is one piece. */
  #only = EMPTY;
  #chunks: Uint8Array[] | undefined;
  #length = 0;

  /** Starts its limits: hand it to a connection at once. */
  constructor(
    carrier: Carrier,
    line: Line,
    request: HttpRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (reason: unknown) => void,
  ) {
    const { clock, connectMs } = carrier;
    const { totalMs, signal } = request;
    this.#carrier = carrier;
    this.#line = line;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#stopTotal = clock.after(totalMs, () => this.#timedOut("complete answer", totalMs));
    this.#stopPhase = clock.after(connectMs, () => this.#timedOut("connection", connectMs));
    signal?.addEventListener("abort", this, ONCE);
    line.passage = this;
  }

  /** The session is closed. */
  close(): void {
    this.fail(closedFault(this.#wasSent));
  }

  /** Its signal's. */
  handleEvent(): void {
    this.fail(this.#request.signal!.reason);
  }

  /** The first reason counts. */
  fail(reason: unknown): void {
    if (!this.#settle()) return;
    if (this.flow) this.flow.failed(reason);
    else this.#reject(reason);
    this.#abort?.(new Error("ended by the caller"));
  }

  /** Called when a connection is there, before a byte of this request is written. */
  onConnect(abort: (reason?: Error) => void): void {
    if (this.#isOver) {
      abort(new Error("ended by the caller"));
      return;
    }
    this.#abort = abort;
    this.#stopPhase();
    const { headersMs, totalMs } = this.#request;
    this.#stopPhase =
      headersMs < totalMs ? this.#carrier.clock.after(headersMs, () => this.#timedOut("answer", headersMs)) : NOTHING;
  }

  /** False: the body has to wait. */
  onHeaders(status: number, head: RawHead, resume: () => void): boolean {
    if (status < 200 || this.#isOver) return true;
    this.#stopPhase();
    this.#stopPhase = NOTHING;
    this.#status = status;
    this.#head = head;
    const { method, stallMs, maxBodyBytes } = this.#request;
    if (status >= 300) return true;
    if (stallMs === undefined) {
      // Not after all of it came.
      if (method !== "HEAD" && Number(headerOf(head, "content-length")) > maxBodyBytes) this.#tooLong(maxBodyBytes);
      return true;
    }
    this.#stopTotal();
    const { clock, tellsEnds } = this.#carrier;
    const flow = new Flow({
      // The parser reads for others too, once this is over.
      controller: { resume: () => (this.#isOver ? undefined : resume()) },
      clock,
      stallMs,
      stalled: () => this.fail(new HttpFault("timeout", true, `nothing came for ${Math.round(stallMs)} ms`)),
      stopped: (reason) => this.fail(reason),
      isPaced: tellsEnds || !/\bclose\b/i.test(headerOf(head, "connection") ?? ""),
    });
    this.flow = flow;
    this.#stopPhase = () => flow.stopClock();
    this.#resolve(new RawAnswer(status, head, EMPTY, flow));
    return false;
  }

  /** False: no more for now. */
  onData(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (this.flow) return this.flow.chunk(chunk);
    const isError = this.#status >= 300;
    const max = isError ? ERROR_BODY_MAX_BYTES : this.#request.maxBodyBytes;
    const isTooLong = this.#length + chunk.length > max;
    this.#gather(isTooLong ? chunk.subarray(0, max - this.#length) : chunk);
    if (!isTooLong) return true;
    if (!isError) {
      this.#tooLong(max);
      return true;
    }
    this.#succeed();
    this.#abort?.(new Error("the rest is not wanted"));
    return true;
  }

  onComplete(): void {
    this.#carrier.give(this.#line, true);
    this.#succeed();
  }

  onError(cause: Error): void {
    this.#carrier.give(this.#line, false);
    if (!this.#isOver) this.fail(this.#carrier.faultOf(cause, this.#wasSent));
  }

  get #wasSent(): boolean {
    return this.#abort !== undefined;
  }

  #gather(chunk: Uint8Array): void {
    if (this.#length === 0) this.#only = chunk;
    else {
      this.#chunks ??= [this.#only];
      this.#chunks.push(chunk);
    }
    this.#length += chunk.length;
  }

  #succeed(): void {
    if (!this.#settle()) return;
    if (this.flow) this.flow.ended();
    else {
      const body = this.#chunks === undefined ? this.#only : Buffer.concat(this.#chunks, this.#length);
      this.#resolve(new RawAnswer(this.#status, this.#head, body, undefined));
    }
  }

  #tooLong(max: number): void {
    this.fail(new HttpFault("too long", true, `the body is longer than ${max} bytes`));
  }

  #timedOut(stage: string, limitMs: number): void {
    this.fail(new HttpFault("timeout", this.#wasSent, `no ${stage} within the limit of ${Math.round(limitMs)} ms`));
  }

  #settle(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#stopPhase();
    this.#stopTotal();
    this.#request.signal?.removeEventListener("abort", this);
    this.#line.passage = undefined;
    this.#carrier.ended(this);
    return true;
  }
}

const NOTHING = () => {};

export function closedFault(sent: boolean): HttpFault {
  return new HttpFault("closed", sent, "the session is closed");
}
