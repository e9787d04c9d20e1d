/**
 * A flowing object into a local file: under another name in the same folder first, then on disk, then renamed. A file under the
 * final name is always a whole one; a failure leaves nothing behind but what was there before. It asks the server for nothing.
 */
import type { FileHandle } from "node:fs/promises";
import { StoreError } from "./errors.js";
import type { S3ObjectFacts } from "./object-facts.js";
import type { S3StreamAnswer } from "./object-stream.js";
import { text } from "./options.js";
import type { Random } from "./random.js";
import type { S3Absent } from "./s3-objects.js";
import type { Answer } from "./store.js";

export type S3DownloadAnswer =
  | (Answer & S3ObjectFacts & { readonly found: true; readonly unchanged?: true })
  | S3Absent;

/** Throws what the stream throws; StoreError FILE_NOT_WRITTEN with the system's own error when the file cannot be written. */
export async function downloadTo(
  path: string,
  random: Random,
  open: () => Promise<S3StreamAnswer>,
): Promise<S3DownloadAnswer> {
  text("path", path);
  const answer = await open();
  if (!answer.found) return answer;
  const { body, ...facts } = answer;
  if (facts.unchanged) return facts;
  const fs = process.getBuiltinModule("node:fs/promises");
  const { dirname, join, basename } = process.getBuiltinModule("node:path");
  const part = join(dirname(path), `.${basename(path).slice(0, 200)}.${random.hex(6)}.part`);
  // Whoever leaves a stream early breaks it: which came first tells what was wrong.
  let unwritten: { readonly cause: unknown } | undefined;
  const onDisk = <T>(work: Promise<T>): Promise<T> =>
    work.catch((cause: unknown) => {
      unwritten ??= { cause };
      throw cause;
    });
  body.once("error", () => {});
  try {
    const file = await onDisk(fs.open(part, "wx"));
    try {
      // An await for each chunk would cost more than the writing.
      for await (const chunks of batches(body)) await onDisk(writeAll(file, chunks));
      await onDisk(file.sync());
    } finally {
      await onDisk(file.close());
    }
    await onDisk(fs.rename(part, path));
    return facts;
  } catch (error) {
    body.destroy();
    await fs.rm(part, { force: true }).catch(() => {});
    if (unwritten === undefined) throw error;
    throw new StoreError(`the file could not be written; ${path}`, {
      code: "FILE_NOT_WRITTEN",
      kind: "unavailable",
      cause: unwritten.cause,
      details: { path },
    });
  }
}

/** A disk that runs full takes a part of what it is given and calls that success; only the next write fails. */
async function writeAll(file: FileHandle, given: readonly Uint8Array[]): Promise<void> {
  for (let chunks = given; chunks.length > 0; ) {
    let { bytesWritten: taken } = await file.writev(chunks);
    if (taken === 0) throw new Error("nothing more could be written");
    let whole = 0;
    while (whole < chunks.length && taken >= chunks[whole]!.length) taken -= chunks[whole++]!.length;
    chunks = chunks.slice(whole);
    if (taken > 0) chunks = [chunks[0]!.subarray(taken), ...chunks.slice(1)];
  }
}

/** What lies ready, at once. */
async function* batches(body: AsyncIterable<Uint8Array> & { readonly readableLength: number }) {
  let held: Uint8Array[] = [];
  for await (const chunk of body) {
    held.push(chunk);
    if (body.readableLength > 0 && held.length < 16) continue;
    yield held;
    held = [];
  }
  if (held.length > 0) yield held;
}
