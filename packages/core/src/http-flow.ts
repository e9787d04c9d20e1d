/**
 * The body of one answer on its way to whoever takes it: paced by the taker, watched for silence while it is wanted. It reads no
 * socket and judges no body.
 */
import type { Clock } from "./clock.js";

/** Takes a body as it comes. */
export interface HttpSink {
  /** False: no more until `resume`. Some may come all the same, when the other side closed already. */
  chunk(bytes: Uint8Array): boolean;
  end(): void;
  /** With HttpFault, or the signal's reason. Nothing comes after it. */
  fail(reason: unknown): void;
}

/** A body under way. Its connection is kept until it ends, fails or is stopped. */
export interface HttpFlow {
  /** Once; nothing flows before. */
  start(sink: HttpSink): void;
  resume(): void;
  /** The rest is not wanted: the connection is closed, the sink hears nothing more. */
  stop(): void;
}

export interface FlowParts {
  /** Of what reads the socket; paused when this is made. */
  readonly controller: { resume(): void };
  readonly clock: Clock;
  /** Limit for silence while more is wanted, in ms. */
  readonly stallMs: number;
  readonly stalled: () => void;
  readonly stopped: (reason: Error) => void;
  /** False: it must not be paused. */
  readonly isPaced: boolean;
}

const NOBODY: HttpSink = { chunk: () => true, end() {}, fail() {} };

export class Flow implements HttpFlow {
  readonly #parts: FlowParts;
  #sink: HttpSink | undefined;
  /** What came before there was a sink. */
  #early: Uint8Array[] = [];
  #over: ((sink: HttpSink) => void) | undefined;
  #isWanted = false;
  #isPaced: boolean;
  #heardMs = 0;
  #stopClock = () => {};

  constructor(parts: FlowParts) {
    this.#parts = parts;
    this.#isPaced = parts.isPaced;
  }

  start(sink: HttpSink): void {
    this.#sink = sink;
    for (const bytes of this.#early.splice(0)) sink.chunk(bytes);
    if (this.#over) this.#over(sink);
    else {
      this.resume();
      this.#watch(this.#parts.stallMs);
    }
  }

  resume(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#heardMs = this.#parts.clock.monotonicMs();
    this.#parts.controller.resume();
  }

  stop(): void {
    this.#sink = NOBODY;
    this.#parts.stopped(new Error("the rest is not wanted"));
  }

  /** The other side has closed: what is left is in memory, and has to come now. */
  rush(): void {
    this.#isPaced = false;
    this.#parts.controller.resume();
  }

  /** False: pause. */
  chunk(bytes: Uint8Array): boolean {
    this.#heardMs = this.#parts.clock.monotonicMs();
    if (this.#sink === undefined) {
      this.#early.push(bytes);
      return !this.#isPaced;
    }
    // Before it is handed on: the sink may ask for more at once.
    this.#isWanted = false;
    if (this.#sink.chunk(bytes)) this.#isWanted = true;
    return this.#isWanted || !this.#isPaced;
  }

  ended(): void {
    this.#end((sink) => sink.end());
  }

  failed(reason: unknown): void {
    this.#end((sink) => sink.fail(reason));
  }

  stopClock(): void {
    this.#stopClock();
  }

  #end(over: (sink: HttpSink) => void): void {
    this.#over = over;
    if (this.#sink) over(this.#sink);
  }

  /** One timer that looks again, not one for each chunk. */
  #watch(ms: number): void {
    const { clock, stallMs, stalled } = this.#parts;
    this.#stopClock = clock.after(ms, () => {
      const silentMs = this.#isWanted ? clock.monotonicMs() - this.#heardMs : 0;
      if (silentMs < stallMs) this.#watch(stallMs - silentMs);
      else stalled();
    });
  }
}
