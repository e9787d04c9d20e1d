/**
 * What is uploaded, in pieces of one size: bytes, text, a file, or chunks as they come. Hashes while it reads, so that no piece
 * is gone through twice and the event loop is never held for long. Keeps no piece: whoever took it gives its memory back.
 */
import type { FileHandle } from "node:fs/promises";
import { nodeCrypto } from "./builtin.js";
import { InvalidError } from "./errors.js";
import { text } from "./options.js";

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
  readonly bytes: Uint8Array;
  /** Hex. */
  readonly sha256: string;
  readonly isLast: boolean;
  /** The bytes are not needed any more, and may change from now on. */
  release(): void;
}

export interface UploadPieces {
  /** Undefined: not known before the end. */
  readonly size: number | undefined;
  /** Can be read again. */
  readonly isRewindable: boolean;
  /** Once. The next one is read when it is asked for. An empty source has one empty piece. */
  cut(pieceBytes: number): AsyncGenerator<UploadPiece, void, void>;
  /** Nothing more is wanted: closes the file, ends the stream. Idempotent. */
  close(reason: unknown): Promise<void>;
}

// What is read, and hashed, at once.
const SLICE_BYTES = 1024 * 1024;

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
        yield { number, bytes: piece, sha256: hash.digest("hex"), isLast, release() {} };
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
  const read = async (into: Uint8Array, at: number, position: number): Promise<number> => {
    const { bytesRead } = await file.read(into, at, Math.min(SLICE_BYTES, into.length - at), position);
    return bytesRead;
  };
  return {
    size,
    isRewindable: true,
    async *cut(pieceBytes) {
      const pool = new Pool(Math.min(pieceBytes, size));
      for (let number = 1; ; number++) {
        const start = (number - 1) * pieceBytes;
        const buffer = pool.take();
        const bytes = buffer.subarray(0, Math.min(pieceBytes, size - start));
        const hash = nodeCrypto().createHash("sha256");
        for (let at = 0; at < bytes.length; ) {
          const got = await read(bytes, at, start + at);
          if (got === 0) throw new InvalidError("source.file", "must not become shorter while it is sent", path);
          hash.update(bytes.subarray(at, at + got));
          at += got;
        }
        const isLast = start + bytes.length >= size;
        if (isLast && (await file.stat()).size !== size)
          throw new InvalidError("source.file", "must not change its length while it is sent", path);
        yield { number, bytes, sha256: hash.digest("hex"), isLast, release: () => pool.give(buffer) };
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
    async *cut(pieceBytes) {
      const pool = new Pool(pieceBytes);
      let rest = await next();
      for (let number = 1; ; number++) {
        // Small ones are most: memory for a whole piece only when there is more than a little.
        let buffer = rest === undefined || rest.length > SLICE_BYTES ? pool.take() : Buffer.alloc(SLICE_BYTES);
        const hash = nodeCrypto().createHash("sha256");
        let length = 0;
        while (rest !== undefined && length < pieceBytes) {
          const taken: Uint8Array = rest.subarray(0, Math.min(SLICE_BYTES, pieceBytes - length));
          if (length + taken.length > buffer.length) {
            const larger = pool.take();
            buffer.copy(larger, 0, 0, length);
            buffer = larger;
          }
          buffer.set(taken, length);
          hash.update(taken);
          length += taken.length;
          rest = taken.length < rest.length ? rest.subarray(taken.length) : await next();
        }
        const isLast = rest === undefined;
        const kept = buffer;
        const bytes = kept.subarray(0, length);
        yield { number, bytes, sha256: hash.digest("hex"), isLast, release: () => pool.give(kept) };
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

/** Memory for pieces, used again: what a large upload takes does not depend on when garbage is collected. */
class Pool {
  readonly #bytes: number;
  readonly #free: Buffer[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  give(buffer: Buffer): void {
    if (buffer.length === this.#bytes) this.#free.push(buffer);
  }
}
