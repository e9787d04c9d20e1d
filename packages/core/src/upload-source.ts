/**
 * What is uploaded, in pieces of one size: bytes, text, a file, or chunks as they come. Hashes while it reads, and never holds the
 * event loop for long. Of a file it keeps no piece: it is read again when it is sent. Of chunks it keeps what is not sent yet, in
 * memory that is used again: what a large upload takes does not depend on when garbage is collected.
 */
import type { FileHandle } from "node:fs/promises";
import { nodeCrypto } from "./builtin.js";
import { InvalidError } from "./errors.js";
import { text } from "./options.js";
import type { S3Body } from "./s3-exchange.js";

/** `file`: a path. Streams of Node and of the web, and everything that can be iterated, are read once. */
export type S3UploadSource =
  | Uint8Array
  | string
  | { readonly file: string }
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>
  | ReadableStream<Uint8Array>;

export interface UploadPiece {
  /** From 1. */
  readonly number: number;
  readonly length: number;
  readonly body: Uint8Array | S3Body;
  /** Hex. */
  readonly sha256: string;
  readonly isLast: boolean;
  /** It was sent, and is not needed any more: its memory may change from now on. */
  release(): void;
}

export interface UploadPieces {
  /** Undefined: not known before the end. */
  readonly size: number | undefined;
  /** Can be read again. */
  readonly isRewindable: boolean;
  /**
   * Once. The next one is read when it is asked for. An empty source has one empty piece. Of what can be read once, no more than
   * `heldBytes` (at least one piece) are held: the rest is read as pieces are released.
   */
  cut(pieceBytes: number, heldBytes: number): AsyncGenerator<UploadPiece, void, void>;
  /** Nothing more is wanted: closes the file, ends the stream. Idempotent. */
  close(reason: unknown): Promise<void>;
}

/** What is read, and hashed, at once. */
const SLICE_BYTES = 1024 * 1024;
/** Of a file, while it is sent. */
const CHUNK_BYTES = 256 * 1024;
/** So many of them in turn: see HttpRequest. */
const CHUNKS = 3;

/** Throws InvalidError, also for a file that cannot be opened. */
export async function openSource(source: S3UploadSource): Promise<UploadPieces> {
  if (typeof source === "string") return ofBytes(Buffer.from(source));
  if (source instanceof Uint8Array) return ofBytes(source);
  if (typeof source === "object" && source !== null) {
    if ("file" in source) return ofFile(text("source.file", source.file));
    if (Symbol.asyncIterator in source || Symbol.iterator in source || "getReader" in source) return ofChunks(source);
  }
  throw new InvalidError("source", "must be bytes, a string, { file: path }, a stream or an iterable of bytes", source);
}

function ofBytes(bytes: Uint8Array): UploadPieces {
  return {
    size: bytes.length,
    isRewindable: true,
    async *cut(pieceBytes) {
      for (let number = 1; ; number++) {
        const piece = bytes.subarray((number - 1) * pieceBytes, number * pieceBytes);
        const isLast = number * pieceBytes >= bytes.length;
        const hash = nodeCrypto().createHash("sha256");
        for (let at = 0; at < piece.length; at += SLICE_BYTES) {
          hash.update(piece.subarray(at, at + SLICE_BYTES));
          if (at > 0) await undefined;
        }
        yield { number, length: piece.length, body: piece, sha256: hash.digest("hex"), isLast, release() {} };
        if (isLast) return;
      }
    },
    async close() {},
  };
}

async function ofFile(path: string): Promise<UploadPieces> {
  let file: FileHandle;
  try {
    file = await process.getBuiltinModule("node:fs/promises").open(path, "r");
  } catch (cause) {
    throw new InvalidError("source.file", "must be a file that can be read", path, { cause });
  }
  const stat = await file.stat();
  if (!stat.isFile()) {
    await file.close();
    throw new InvalidError("source.file", "must be a file, not a folder or a device", path);
  }
  const { size } = stat;
  const fill = async (into: Uint8Array, position: number): Promise<Uint8Array> => {
    for (let at = 0; at < into.length; ) {
      const { bytesRead } = await file.read(into, at, into.length - at, position + at);
      if (bytesRead === 0) throw new InvalidError("source.file", "must not become shorter while it is sent", path);
      at += bytesRead;
    }
    return into;
  };
  const unused: Buffer[][] = [];
  async function* chunks(buffers: readonly Buffer[], start: number, end: number) {
    for (let at = start, turn = 0; at < end; at += CHUNK_BYTES, turn++)
      yield await fill(buffers[turn % CHUNKS]!.subarray(0, Math.min(CHUNK_BYTES, end - at)), at);
  }
  return {
    size,
    isRewindable: true,
    async *cut(pieceBytes) {
      const slice = Buffer.allocUnsafeSlow(Math.min(SLICE_BYTES, size));
      for (let number = 1; ; number++) {
        const start = (number - 1) * pieceBytes;
        const end = Math.min(start + pieceBytes, size);
        const length = end - start;
        const hash = nodeCrypto().createHash("sha256");
        for (let at = start; at < end; at += SLICE_BYTES)
          hash.update(await fill(slice.subarray(0, Math.min(SLICE_BYTES, end - at)), at));
        const isLast = end === size;
        if (isLast && (await file.stat()).size !== size)
          throw new InvalidError("source.file", "must not change its length while it is sent", path);
        let buffers: Buffer[] | undefined;
        const open = () => {
          // Each time its own: of an attempt that failed, something may still be on its way.
          buffers = unused.pop() ?? Array.from({ length: CHUNKS }, () => Buffer.allocUnsafeSlow(CHUNK_BYTES));
          return chunks(buffers, start, end);
        };
        const release = () => {
          if (buffers) unused.push(buffers);
          buffers = undefined;
        };
        // What was read at once is there; it is the only piece, or the last.
        const body = length <= SLICE_BYTES ? slice.subarray(0, length) : { length, open };
        yield { number, length, body, sha256: hash.digest("hex"), isLast, release };
        if (isLast) return;
      }
    },
    close: () => file.close().catch(() => {}),
  };
}

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | ReadableStream<Uint8Array>;

function ofChunks(source: Chunks): UploadPieces {
  const reader = chunkReader(source);
  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const { done, value } = await reader.next();
      if (done) return undefined;
      if (!(value instanceof Uint8Array))
        throw new InvalidError("source", "must give chunks of bytes (Uint8Array)", value);
      if (value.length > 0) return value;
    }
  };
  return {
    size: undefined,
    isRewindable: false,
    async *cut(pieceBytes, heldBytes) {
      const memory = new Slices(Math.ceil(pieceBytes / SLICE_BYTES), Math.floor(heldBytes / SLICE_BYTES));
      let rest = await next();
      for (let number = 1; ; number++) {
        const slices: Uint8Array[] = [];
        const hash = nodeCrypto().createHash("sha256");
        let length = 0;
        while (rest !== undefined && length < pieceBytes) {
          const slice = await memory.take();
          let at = 0;
          const end = Math.min(SLICE_BYTES, pieceBytes - length);
          while (rest !== undefined && at < end) {
            const taken: Uint8Array = rest.subarray(0, end - at);
            slice.set(taken, at);
            at += taken.length;
            rest = taken.length < rest.length ? rest.subarray(taken.length) : await next();
          }
          const bytes = slice.subarray(0, at);
          hash.update(bytes);
          slices.push(bytes);
          length += at;
        }
        const isLast = rest === undefined;
        const release = () => memory.give(slices.splice(0));
        yield { number, length, body: joined(slices, length), sha256: hash.digest("hex"), isLast, release };
        if (isLast) return;
      }
    },
    close: reader.stop,
  };
}

function chunkReader(source: Chunks): {
  next(): Promise<IteratorResult<unknown, unknown>>;
  stop(reason: unknown): Promise<void>;
} {
  if ("getReader" in source) {
    const reader = source.getReader();
    return {
      next: async () => {
        const { done, value } = await reader.read();
        return done ? { done: true, value: undefined } : { done: false, value };
      },
      stop: (reason) => reader.cancel(reason).catch(() => {}),
    };
  }
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  return {
    next: async () => iterator.next(),
    stop: async () => {
      // A stream of Node that waits for its next chunk would make `return` wait too.
      if ("destroy" in source && typeof source.destroy === "function") source.destroy();
      else void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}

function joined(slices: readonly Uint8Array[], length: number): Uint8Array | S3Body {
  if (slices.length < 2) return slices[0] ?? new Uint8Array();
  return {
    length,
    async *open() {
      yield* slices;
    },
  };
}

/** Memory by slices, used again; whoever takes more than there may be waits until some is given back. */
class Slices {
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((slice: Uint8Array) => void)[] = [];
  #left: number;

  constructor(min: number, wanted: number) {
    this.#left = Math.max(min, wanted);
  }

  async take(): Promise<Uint8Array> {
    const free = this.#free.pop();
    if (free) return free;
    if (this.#left > 0) {
      this.#left--;
      return Buffer.allocUnsafeSlow(SLICE_BYTES);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(slices: readonly Uint8Array[]): void {
    for (const { buffer } of slices) {
      const slice = new Uint8Array(buffer);
      const first = this.#waiting.shift();
      if (first) first(slice);
      else this.#free.push(slice);
    }
  }
}
