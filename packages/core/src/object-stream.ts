/**
 * An object as it comes: a Readable with back pressure. What breaks on the way is asked for again from where it broke, as long as
 * the object is still the same; a connection that nobody reads from is given back and asked for again when somebody does. A body
 * that ends early, or is not what its checksum says, is an error of the stream, never an end.
 */
import type { Readable } from "node:stream";
import { type BodyCheck, bodyCheck } from "./body-check.js";
import { StoreError } from "./errors.js";
import type { HttpFlow } from "./http-flow.js";
import { contentRange, count, factsOf, type S3ObjectFacts } from "./object-facts.js";
import type { ByteRange } from "./object-options.js";
import { durationMs } from "./options.js";
import { HttpFault } from "./request.js";
import type { S3CallOptions, S3Calls } from "./s3-calls.js";
import { absent, rangeOf, readRequest, type S3Absent, type S3GetOptions } from "./s3-objects.js";
import type { Answer } from "./store.js";

export interface S3StreamOptions extends S3GetOptions {
  /** Limit for silence of the server while more is wanted, in ms. Default 30 000. `timeoutMs` ends where the body begins. */
  readonly stallMs?: number | undefined;
}

/** `body` must be read to its end or destroyed; leaving a `for await` destroys it. */
export type S3StreamAnswer =
  | (Answer & S3ObjectFacts & { readonly found: true; readonly body: Readable; readonly unchanged?: true })
  | S3Absent;

const STALL_MS = 30_000;
/** So long a connection is kept for a reader who does not read. */
const UNREAD_MS = 30_000;
const BUFFER_BYTES = 256 * 1024;
/** So many breaks without a byte between them end it. */
const BREAKS_MAX = 4;
/** Bytes of a body for each entry of a body's ballast: 16 KiB for the 64 KiB of a read. */
const BYTES_PER_ENTRY = 32;

export async function streamObject(
  calls: S3Calls,
  bucket: string | undefined,
  key: string,
  options: S3StreamOptions,
): Promise<S3StreamAnswer> {
  const stallMs = durationMs("stallMs", options.stallMs ?? STALL_MS, { min: 1 });
  const request = { ...readRequest("getObject", key, options), stallMs };
  const outcome = await calls.callAnd(options, request, (answer) => {
    try {
      return answer.status !== 304 && options.range !== undefined ? rangeOf(answer) : undefined;
    } catch (error) {
      answer.flow?.stop();
      throw error;
    }
  });
  const { serverTimeMs } = outcome;
  if (outcome.outcome !== "done") return absent(outcome);
  const { answer, value: range } = outcome;
  const facts = factsOf(answer);
  const { Readable } = process.getBuiltinModule("node:stream");
  if (answer.flow === undefined) {
    return { found: true, unchanged: true, ...facts, body: Readable.from([]), serverTimeMs };
  }
  const wantsCheck = range === undefined && (options.verify ?? true);
  const { etag, versionId } = facts;
  const start = range?.start ?? 0;
  // Without a name for exactly this object, what is left of it cannot be asked for.
  const isNamed = etag !== undefined || versionId !== undefined;
  const rest = async (offset: number): Promise<Piece> => {
    const left: ByteRange = { start: start + offset, end: range?.end };
    const call: S3CallOptions = { bucket: options.bucket, signal: options.signal, timeoutMs: options.timeoutMs };
    const which = {
      headers: options.headers,
      versionId: versionId === "null" ? options.versionId : (versionId ?? options.versionId),
      range: left,
    };
    const next = await calls.callAnd(call, { ...readRequest("getObject", key, which), stallMs }, (given) => {
      const came = given.status === 206 ? contentRange(given.header("content-range")) : undefined;
      const isSame = given.header("etag") === etag && given.header("x-amz-version-id") === versionId;
      if (isSame && came?.start === left.start) return;
      given.flow?.stop();
      throw changed(key);
    });
    if (next.outcome !== "done") throw changed(key);
    return { flow: next.answer.flow!, broken: next.broken };
  };
  const body = new ObjectBody({
    calls,
    signal: options.signal,
    first: { flow: answer.flow, broken: outcome.broken },
    length: range === undefined ? count(answer.header("content-length")) : range.end - range.start + 1,
    check: wantsCheck ? bodyCheck((name) => answer.header(name), options.bucket ?? bucket) : undefined,
    rest: isNamed ? rest : undefined,
  });
  return { found: true, ...facts, body: body.readable, serverTimeMs };
}

interface Piece {
  readonly flow: HttpFlow;
  readonly broken: (reason: unknown) => unknown;
}

interface BodyParts {
  readonly calls: S3Calls;
  readonly signal: AbortSignal | undefined;
  readonly first: Piece;
  /** Of all of it, where it is known. */
  readonly length: number | undefined;
  readonly check: BodyCheck | undefined;
  /** What is left of it from there. Absent: it cannot be asked for. */
  readonly rest: ((offset: number) => Promise<Piece>) | undefined;
}

class ObjectBody {
  readonly readable: Readable;
  readonly #parts: BodyParts;
  #piece: Piece | undefined;
  #offset = 0;
  /** Breaks since the last byte. */
  #breaks = 0;
  #isAsking = false;
  #isWanted = true;
  #stopWaiting = () => {};
  /**
   * Each read of a socket has memory of its own outside of V8's heap. V8 sees the small objects that hold it, and lets 64 MiB pile
   * up before it frees any. Something in its heap for every chunk makes it look, cheaply, when some MiB have gone through
   * (measured, 1 GiB: 20 to 25 MiB less, the same CPU time). Kept, so that it is not optimised away.
   */
  protected ballast: unknown[] = [];

  constructor(parts: BodyParts) {
    this.#parts = parts;
    const { Readable } = process.getBuiltinModule("node:stream");
    const { signal } = parts;
    const onAbort = () => this.#break(signal!.reason);
    this.readable = new Readable({
      highWaterMark: BUFFER_BYTES,
      read: () => this.#more(),
      destroy: (error, done) => {
        signal?.removeEventListener("abort", onAbort);
        this.#stopWaiting();
        this.#piece?.flow.stop();
        this.#piece = undefined;
        done(error);
      },
    });
    this.#take(parts.first);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  }

  #take(piece: Piece): void {
    this.#piece = piece;
    piece.flow.start({
      chunk: (bytes) => {
        this.#offset += bytes.length;
        this.#breaks = 0;
        this.#parts.check?.update(bytes);
        this.ballast = new Array(Math.ceil(bytes.length / BYTES_PER_ENTRY));
        // Before it is handed on: the reader may ask for more at once.
        this.#isWanted = false;
        if (this.readable.push(bytes)) this.#isWanted = true;
        if (!this.#isWanted) this.#waitForReader();
        return this.#isWanted;
      },
      end: () => this.#ended(piece),
      fail: (reason) => this.#failed(piece, reason),
    });
  }

  #more(): void {
    this.#isWanted = true;
    this.#stopWaiting();
    if (this.#piece) this.#piece.flow.resume();
    else if (!this.#isAsking) void this.#ask();
  }

  #waitForReader(): void {
    if (this.#parts.rest === undefined) return;
    this.#stopWaiting();
    this.#stopWaiting = this.#parts.calls.clock.after(UNREAD_MS, () => {
      this.#piece?.flow.stop();
      this.#piece = undefined;
    });
  }

  #ended(piece: Piece): void {
    const { length, check } = this.#parts;
    if (length !== undefined && this.#offset < length) {
      this.#failed(piece, new HttpFault("disconnected", true, "the body ended early"));
      return;
    }
    this.#piece = undefined;
    this.#stopWaiting();
    const differs = length !== undefined && this.#offset > length ? "length" : check?.differs();
    if (differs === undefined) this.readable.push(null);
    else this.#break(corrupt(`the body does not have the announced ${differs}`));
  }

  #failed(piece: Piece, reason: unknown): void {
    this.#piece = undefined;
    this.#stopWaiting();
    const mayAsk = reason instanceof HttpFault && reason.why !== "closed" && this.#parts.rest !== undefined;
    const error = piece.broken(reason) as Error;
    if (!mayAsk) this.#break(error);
    // Nobody reads: it is time enough to ask when somebody does.
    else if (this.#isWanted) void this.#ask(error);
  }

  /** Who reads later is told then; while nobody does, it must not end the process as an event that nobody hears. */
  #break(reason: unknown): void {
    const { readable } = this;
    if (readable.readableFlowing === null && readable.listenerCount("readable") === 0) readable.once("error", () => {});
    readable.destroy(reason as Error);
  }

  /** What is left, after a break or because it is wanted again. */
  async #ask(error?: Error): Promise<void> {
    const { calls, rest, signal } = this.#parts;
    this.#isAsking = true;
    try {
      if (error && (++this.#breaks > BREAKS_MAX || !(await calls.pause(this.#breaks, signal)))) throw error;
      if (this.readable.destroyed) return;
      const piece = await rest!(this.#offset);
      if (this.readable.destroyed) piece.flow.stop();
      else this.#take(piece);
    } catch (reason) {
      this.#break(reason);
    } finally {
      this.#isAsking = false;
    }
  }
}

function changed(key: string): StoreError {
  return new StoreError(`the object was replaced while it was read; key ${JSON.stringify(key)}`, {
    code: "STORE_CHANGED",
    kind: "contended",
    details: { key },
  });
}

function corrupt(fact: string): StoreError {
  return new StoreError(fact, { code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
}
