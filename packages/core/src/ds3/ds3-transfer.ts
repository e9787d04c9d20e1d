/**
 * Folders and lists of files to and from an appliance: which object is which file, what is read, what is checked. The jobs
 * themselves are run by ds3-run; it makes no request itself (ds3-client) and touches no file itself (ds3-local).
 */
import { InvalidError } from "../errors.js";
import { filesBelow } from "../jobs/local-files.js";
import { oneOf, text } from "../options.js";
import { HttpFault } from "../request.js";
import type { Ds3Blob } from "./ds3-answers.js";
import { DS3_CHECKSUMS, type Ds3Checksum, runningChecksum } from "./ds3-checksum.js";
import type { Ds3Client } from "./ds3-client.js";
import { piecesOf } from "./ds3-flow.js";
import { type Ds3Source, makeFolder, PartFile, readPiece, type SizedSource, withSize } from "./ds3-local.js";
import { Ds3Run, type Ds3TransferOptions, type Ds3Transferred, type Hands } from "./ds3-run.js";
import { ds3Error, localParts } from "./ds3-verdict.js";

export type { Ds3Source } from "./ds3-local.js";
export type { Ds3TransferEvent, Ds3TransferOptions, Ds3Transferred } from "./ds3-run.js";

export interface Ds3PutAllOptions extends Ds3TransferOptions {
  /** Put before every name. */
  readonly prefix?: string | undefined;
  /** Pieces of at most so many bytes. Default: the appliance's (100 GB). */
  readonly maxUploadBytes?: number | undefined;
  /** Sent with every piece, which is read twice for it. It must be the kind of the bucket's data policy. */
  readonly checksum?: Ds3Checksum | undefined;
}
export interface Ds3GetAllOptions extends Ds3TransferOptions {
  /** Only names that begin so. Default: everything in the bucket. */
  readonly prefix?: string | undefined;
  /** Exactly these instead. */
  readonly names?: readonly string[] | undefined;
  /** The local name of an object, relative to the folder. Default: its own. */
  readonly localName?: ((name: string) => string) | undefined;
}

export async function putAll(
  client: Ds3Client,
  hands: Hands,
  bucket: string,
  given: string | readonly Ds3Source[],
  options: Ds3PutAllOptions,
): Promise<Ds3Transferred> {
  const run = new Ds3Run(client, hands, bucket, options);
  const { checksum, maxUploadBytes } = options;
  if (checksum !== undefined) oneOf("checksum", checksum, DS3_CHECKSUMS);
  const listed = typeof given === "string" ? await folderSources(text("sources", given), options.signal) : given;
  const sources: SizedSource[] = [];
  for (const source of listed) {
    const name = `${options.prefix ?? ""}${source.name}`;
    sources.push(await withSize({ ...source, name }));
  }
  const byName = new Map(sources.map((source) => [source.name, source]));
  if (byName.size < sources.length) throw new InvalidError("sources", "must name each object once", sources);
  for (const batch of run.batches(sources)) {
    const job = await run.patiently(undefined, () =>
      client.startPut(bucket, batch, { ...run.jobOptions(), maxUploadBytes }),
    );
    await run.job(job, async (blob, call) => {
      const { path } = byName.get(blob.name) ?? {};
      const pieces = () => (path === undefined ? none() : readPiece(path, blob.offset, blob.length));
      const sum = checksum && { kind: checksum, value: await checksumOf(pieces(), checksum) };
      const body = { length: blob.length, open: pieces };
      await client.putObject(bucket, blob.name, body, { ...call, job: job.jobId, offset: blob.offset, checksum: sum });
    });
  }
  return run.result();
}

export async function getAll(
  client: Ds3Client,
  hands: Hands,
  bucket: string,
  folder: string,
  options: Ds3GetAllOptions,
): Promise<Ds3Transferred> {
  const run = new Ds3Run(client, hands, bucket, options);
  text("folder", folder);
  const { join } = process.getBuiltinModule("node:path");
  const names = options.names ?? (await run.listed(options.prefix));
  const local = (name: string) => join(folder, ...localParts(options.localName?.(name) ?? name));
  // All of them, before anything is asked for.
  const paths = new Map(names.map((name) => [name, local(name)]));
  await makeFolder(folder);
  for (const name of names) if (name.endsWith("/")) await makeFolder(paths.get(name)!);
  const files = names.filter((name) => !name.endsWith("/"));
  for (const batch of run.batches(files)) {
    const job = await run.patiently(undefined, () => client.startGet(bucket, batch, run.jobOptions()));
    const blobs = job.chunks.flatMap((chunk) => chunk.blobs);
    const mark = hands.random.hex(6);
    const parts = new Map(
      batch.map((name) => {
        const offsets = blobs.filter((blob) => blob.name === name).map(({ offset }) => offset);
        if (offsets.length === 0)
          throw ds3Error("STORE_CORRUPT_ANSWER", `job ${job.jobId}`, { fact: `it lacks ${name}` });
        return [name, new PartFile(paths.get(name)!, offsets, mark)];
      }),
    );
    try {
      await run.job(job, async (blob, call) => {
        const answer = await client.openObject(bucket, blob.name, { ...call, job: job.jobId, offset: blob.offset });
        if (answer === undefined) throw ds3Error("STORE_REFUSED", `GET ${blob.name}`, { status: 404 });
        const part = parts.get(blob.name);
        if (part === undefined)
          throw ds3Error("STORE_CORRUPT_ANSWER", `GET ${blob.name}`, { fact: "nobody asked for it" });
        await part.write(blob.offset, checkedPieces(answer, blob));
      });
    } finally {
      for (const part of parts.values()) await part.drop();
    }
  }
  return run.result();
}

async function folderSources(folder: string, signal: AbortSignal | undefined): Promise<readonly Ds3Source[]> {
  const found = await filesBelow(folder, signal);
  return found.map(({ name, path, isFolder }) => (isFolder ? { name: `${name}/` } : { name, path }));
}

async function* none(): AsyncGenerator<Uint8Array, void, void> {}

async function checksumOf(pieces: AsyncIterable<Uint8Array>, kind: Ds3Checksum): Promise<string> {
  const running = runningChecksum(kind);
  for await (const piece of pieces) running.update(piece);
  return running.end();
}

/** The pieces, and at their end an error where they are not what was announced. */
async function* checkedPieces(answer: Awaited<ReturnType<Ds3Client["openObject"]>> & object, blob: Ds3Blob) {
  const kind = DS3_CHECKSUMS.find((one) => answer.header(`content-${one}`) !== undefined);
  const running = kind && runningChecksum(kind);
  let bytes = 0;
  try {
    for await (const piece of piecesOf(answer)) {
      bytes += piece.length;
      running?.update(piece);
      yield piece;
    }
  } catch (fault) {
    if (!(fault instanceof HttpFault)) throw fault;
    throw ds3Error("STORE_DISCONNECTED", `GET ${blob.name}`, { fact: fault.message, cause: fault.cause });
  }
  const wrong = bytes !== blob.length ? `${bytes} bytes instead of ${blob.length}` : undefined;
  const differs =
    wrong ?? (kind && running!.end() !== answer.header(`content-${kind}`) ? `another ${kind}` : undefined);
  if (differs !== undefined) throw ds3Error("STORE_CORRUPT_ANSWER", `GET ${blob.name}`, { fact: `it has ${differs}` });
}
