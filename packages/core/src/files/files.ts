/**
 * Local files to and from buckets by name, as the Storage of the Python library `s3` 0.1.3: every call succeeds or throws.
 * It makes no request by itself: all of it is a few verbs of a session, which it closes only if it opened it.
 */
import { InvalidError, StoreError, show } from "../errors.js";
import { namesAndValues, text } from "../options.js";
import type { S3Metadata } from "../s3-copy.js";
import { S3Session, type S3SessionOptions } from "../s3-session.js";
import type { CallOptions } from "../store.js";
import { type FilesConfig, filesConfig, sessionOptionsOf } from "./files-config.js";

/** A key in the default bucket, or in the one it names. */
export type S3Name = string | { readonly key: string; readonly bucket?: string | undefined };

export interface FilesWriteOptions extends CallOptions {
  /**
   * Of the request, such as `x-amz-acl`. Those that begin with `x-amz-meta-` become the file's metadata; `content-type`,
   * `cache-control`, `content-disposition`, `content-encoding`, `content-language` and `expires` are kept with it.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What is kept with a file, names without `x-amz-meta-`. */
export type FileMetadata = Readonly<Record<string, string>>;
export interface FileFacts {
  readonly metadata: FileMetadata;
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModifiedMs: number | undefined;
  readonly contentType: string | undefined;
}

/**
 * Of a session, or of a configuration as `filesConfig` describes it; `options` are then those of the session beside it.
 * Nothing is sent. Throws InvalidError naming the setting.
 */
export function openFiles(
  from: S3Session | FilesConfig | { readonly s3: FilesConfig },
  options: Partial<S3SessionOptions> = {},
): Files {
  if (from instanceof S3Session) return new Files(from, false);
  return new Files(new S3Session({ ...options, ...sessionOptionsOf(filesConfig(from)) }), true);
}

/** Of a YAML file with the settings below `s3:`. Throws InvalidError, also for a file that cannot be read. */
export async function openFilesFromConfig(path: string, options: Partial<S3SessionOptions> = {}): Promise<Files> {
  const { readFile } = await import("node:fs/promises");
  const source = await readFile(text("path", path), "utf8").catch((cause: unknown) => {
    throw new InvalidError("path", "must be a readable file", path, { cause });
  });
  const { LineCounter, parseDocument } = await import("yaml");
  const lineCounter = new LineCounter();
  // Its own messages quote the file.
  const document = parseDocument(source, { prettyErrors: false, lineCounter });
  const [error] = document.errors;
  if (error !== undefined)
    throw new InvalidError("path", `must be YAML (line ${lineCounter.linePos(error.pos[0]).line} is not)`, path);
  return openFiles(document.toJS() as FilesConfig, options);
}

const META = "x-amz-meta-";
/** What is kept with a file beside its metadata and type; every other header is only of its request. */
const KEPT = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

export class Files {
  readonly session: S3Session;
  readonly #owned: boolean;

  constructor(session: S3Session, owned: boolean) {
    this.session = session;
    this.#owned = owned;
  }

  /** Where a name says no bucket. */
  get defaultBucket(): string | undefined {
    return this.session.bucket;
  }

  /**
   * Downloads into another file beside `localPath`, then renames: under that name there is the old file or the whole new
   * one. Throws StoreError STORE_NO_OBJECT where there is nothing of that name.
   */
  async read(name: S3Name, localPath: string, options: CallOptions = {}): Promise<FileFacts> {
    const { key, bucket } = this.#place("name", name);
    const answer = await this.session.download(key, localPath, { ...options, bucket });
    if (!answer.found) throw missing(bucket, key);
    return factsOf(answer);
  }

  /** Uploads a file, in parts where it is large. What it replaces goes with its metadata. */
  async write(localPath: string, name: S3Name, options: FilesWriteOptions = {}): Promise<void> {
    const { key, bucket } = this.#place("name", name);
    const { kept, request } = split(options.headers);
    const headers = { ...kept.headers, ...request };
    const call = { ...withoutHeaders(options), ...kept, bucket, headers };
    const answer = await this.session.upload(key, { file: localPath }, call);
    settled(answer, bucket, key);
  }

  /**
   * Within the server. The metadata of the source goes along unless `headers` has metadata, which then replaces all of it;
   * what else is kept with a file goes along unless it is named. Throws StoreError STORE_NO_OBJECT.
   */
  async copy(source: S3Name, target: S3Name, options: FilesWriteOptions = {}): Promise<void> {
    const from = this.#place("source", source);
    const to = this.#place("target", target);
    const { kept, request } = split(options.headers);
    const call = { ...withoutHeaders(options), bucket: to.bucket, headers: request };
    if (Object.keys(kept).length === 0) {
      settled(await this.session.copyObject(from, to.key, call), from.bucket, from.key);
      return;
    }
    const head = await this.session.headObject(from.key, { ...withoutHeaders(options), bucket: from.bucket });
    if (!head.found) throw missing(from.bucket, from.key);
    const had = KEPT.flatMap((name) => (head.headers[name] === undefined ? [] : [[name, head.headers[name]] as const]));
    const replace: S3Metadata = {
      metadata: kept.metadata ?? head.metadata,
      contentType: kept.contentType ?? head.contentType,
      headers: { ...Object.fromEntries(had), ...kept.headers },
    };
    // Not of something that was written between the two requests.
    const copied = await this.session.copyObject(from, to.key, { ...call, replace, sourceEtag: head.etag });
    settled(copied, from.bucket, from.key);
  }

  /** `exists` false is an answer; that it could not be found out, or that there is no such bucket, is an error. */
  async exists(
    name: S3Name,
    options: CallOptions = {},
  ): Promise<{ readonly exists: false } | ({ readonly exists: true } & FileFacts)> {
    const { key, bucket } = this.#place("name", name);
    const head = await this.session.headObject(key, { ...options, bucket });
    if (head.found) return { exists: true, ...factsOf(head) };
    // A HEAD has no body to say whether the object or the bucket is missing. Who may not ask for the bucket is not told.
    const hasBucket = await this.session.headBucket({ ...options, bucket }).catch((error: unknown) => {
      if (error instanceof StoreError && error.code === "STORE_ACCESS_DENIED") return true;
      throw error;
    });
    if (hasBucket) return { exists: false };
    throw new StoreError(`the bucket does not exist; bucket ${bucket}`, {
      code: "STORE_NO_BUCKET",
      kind: "denied",
      details: { key, bucket },
    });
  }

  /**
   * The metadata of `headers` instead of what there was; without any, all of it stays and only what else is named changes.
   * By a copy onto itself, never over what another wrote meanwhile. Throws StoreError STORE_NO_OBJECT, STORE_CHANGED.
   */
  async updateMetadata(
    name: S3Name,
    headers: Readonly<Record<string, string>>,
    options: CallOptions = {},
  ): Promise<void> {
    const { key, bucket } = this.#place("name", name);
    const { kept, request } = split(headers);
    settled(await this.session.updateMetadata(key, kept, { ...options, bucket, headers: request }), bucket, key);
  }

  /** Deleting what is not there succeeds. */
  async delete(name: S3Name, options: CallOptions = {}): Promise<void> {
    const { key, bucket } = this.#place("name", name);
    await this.session.deleteObject({ key }, { ...options, bucket });
  }

  /** Closes the session if it was opened from a configuration. Idempotent. */
  async close(): Promise<void> {
    if (this.#owned) await this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #place(option: string, name: S3Name): { readonly key: string; readonly bucket: string } {
    if (typeof name !== "string" && (typeof name !== "object" || name === null))
      throw new InvalidError(option, "must be a key, or { bucket, key }", name);
    const { key, bucket } = typeof name === "string" ? { key: name, bucket: undefined } : name;
    const where = bucket ?? this.session.bucket;
    if (where === undefined)
      throw new InvalidError(
        option,
        "must name a bucket, for there is no default bucket",
        typeof key === "string" ? key : name,
      );
    return { key: text(`${option}.key`, key), bucket: where };
  }
}

/** What is kept with a file, only what is said of it, and what is only of the request. */
function split(given: Readonly<Record<string, string>> = {}): {
  readonly kept: S3Metadata;
  readonly request: Readonly<Record<string, string>>;
} {
  const entries = namesAndValues("headers", given).map(([name, value]) => [name.toLowerCase(), value] as const);
  const some = (those: readonly (readonly [string, string])[]) =>
    those.length === 0 ? undefined : Object.fromEntries(those);
  const metadata = some(
    entries.filter(([name]) => name.startsWith(META)).map(([name, value]) => [name.slice(META.length), value]),
  );
  const contentType = entries.find(([name]) => name === "content-type")?.[1];
  const headers = some(entries.filter(([name]) => KEPT.includes(name)));
  const isKept = (name: string) => name.startsWith(META) || name === "content-type" || KEPT.includes(name);
  return {
    kept: {
      ...(metadata && { metadata }),
      ...(contentType !== undefined && { contentType }),
      ...(headers && { headers }),
    },
    request: Object.fromEntries(entries.filter(([name]) => !isKept(name))),
  };
}

function withoutHeaders({ signal, timeoutMs }: FilesWriteOptions): CallOptions {
  return { signal, timeoutMs };
}

function factsOf(answer: Partial<FileFacts>): FileFacts {
  const { metadata = {}, size, etag, lastModifiedMs, contentType } = answer;
  return { metadata, size, etag, lastModifiedMs, contentType };
}

/** Throws for every outcome but one. */
function settled(
  answer:
    | { readonly outcome: "stored" | "absent" | "conflict" }
    | { readonly outcome: "unknown"; readonly cause: unknown },
  bucket: string,
  key: string,
): void {
  if (answer.outcome === "stored") return;
  if (answer.outcome === "unknown") throw answer.cause;
  if (answer.outcome === "absent") throw missing(bucket, key);
  throw new StoreError(`another wrote the object meanwhile; key ${show(key)}, bucket ${bucket}`, {
    code: "STORE_CHANGED",
    kind: "contended",
    details: { key, bucket },
  });
}

function missing(bucket: string, key: string): StoreError {
  return new StoreError(`there is no such object; key ${show(key)}, bucket ${bucket}`, {
    code: "STORE_NO_OBJECT",
    kind: "invalid",
    details: { key, bucket },
  });
}
