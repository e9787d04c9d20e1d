/**
 * The store port: what this project asks of an object store, as types.
 * It decides nothing, does no I/O and imports nothing of ours but its own words. Every store (memory, file, S3, B2)
 * is an implementation; the published conformance suite (`@bucketlock/core/testing`) is the exact meaning.
 *
 * Instants are milliseconds since the Unix epoch and end in `...Ms`, as do durations.
 */

/** What every call takes. */
export interface CallOptions {
  /** Ends the call at once, at any stage. The signal's own reason is thrown unchanged. */
  readonly signal?: AbortSignal | undefined;
  /** Limit for the whole call, all its tries included, in ms. Default: the store's own (10 000). */
  readonly timeoutMs?: number | undefined;
}

/** What every answer carries. */
export interface Answer {
  /** The server's own clock when it answered (HTTP `Date`, RFC 9110 6.6.1: steps of a second, up to 1 s behind). */
  readonly serverTimeMs?: number | undefined;
}

/** A write happens only if the key is absent (`"absent"`: If-None-Match: *) or still has this ETag (If-Match). RFC 9110 13.1. */
export type Condition = { readonly absent: true } | { readonly etag: string };

export interface PutOptions extends CallOptions {
  /** Without it the write is unconditional. */
  readonly condition?: Condition | undefined;
  /** Small strings kept with the object. Names in lower case, `[a-z0-9-]+`; values printable ASCII. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Default: application/octet-stream. */
  readonly contentType?: string | undefined;
  /**
   * Send at most once: no retry whatever happens. A write whose repetition would lie needs it (a conditional write
   * always has it; a ticket is "written once").
   */
  readonly once?: boolean | undefined;
  /**
   * The store refuses the request when it arrives later than this after it was sent, where the store can do that
   * (S3: query signature with X-Amz-Expires, whole seconds, at least 1). Others ignore it. A bound on ghosts, no promise.
   */
  readonly validForMs?: number | undefined;
}

/**
 * The three outcomes of a write. `unknown`: it may have landed, or may land later; code as if both.
 * What is definitely refused for another reason (rights, missing bucket) is thrown, not an outcome.
 */
export type PutAnswer = PutStored | PutConflict | PutUnknown;
export interface PutStored extends Answer {
  readonly outcome: "stored";
  /** As the store gives it, quotes included where it sends them; opaque. */
  readonly etag?: string | undefined;
  readonly lastModifiedMs?: number | undefined;
  readonly versionId?: string | undefined;
}
export interface PutConflict extends Answer {
  readonly outcome: "conflict";
}
export interface PutUnknown extends Answer {
  readonly outcome: "unknown";
  /** Why it is unknown: a `BucketlockError` of kind unknown or unavailable. */
  readonly cause: unknown;
}

/** Facts of one stored object. */
export interface ObjectFacts {
  readonly etag?: string | undefined;
  readonly lastModifiedMs?: number | undefined;
  readonly versionId?: string | undefined;
  readonly size?: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}
/** An absent object is an answer, not an error. */
export type HeadAnswer = (Answer & ObjectFacts & { readonly found: true }) | (Answer & { readonly found: false });
export type GetAnswer =
  /** `unchanged`: it has the ETag of `unlessEtag` still; `body` is empty then, and other facts may be missing. */
  | (Answer & ObjectFacts & { readonly found: true; readonly body: Uint8Array; readonly unchanged?: true })
  | (Answer & { readonly found: false });

export interface GetOptions extends CallOptions {
  /** The body is wanted only if the object no longer has this ETag (If-None-Match, RFC 9110 13.1.2). Then the answer may be `unchanged`. */
  readonly unlessEtag?: string | undefined;
}

export interface ListOptions extends CallOptions {
  /** At most this many objects a page, 1 to 1000. Default 1000. */
  readonly pageSize?: number | undefined;
}
export interface ListedObject {
  readonly key: string;
  readonly etag?: string | undefined;
  /** Does not change while the object is not rewritten. */
  readonly lastModifiedMs: number;
  readonly size: number;
}
export interface ListPage extends Answer {
  readonly objects: readonly ListedObject[];
}
export interface ListedVersion {
  readonly key: string;
  /** Absent where the store keeps no versions. */
  readonly versionId?: string | undefined;
  readonly isLatest: boolean;
  /** A delete marker (B2: hide marker) is a version too, and stays behind unless it is deleted by its id. */
  readonly isDeleteMarker: boolean;
  readonly lastModifiedMs: number;
}
export interface VersionPage extends Answer {
  readonly versions: readonly ListedVersion[];
}

export interface DeleteTarget {
  readonly key: string;
  /** Removes exactly this version, for good. Without it: the object (on a versioned bucket, a delete marker is laid). */
  readonly versionId?: string | undefined;
}
export interface DeleteAnswer extends Answer {}
export interface DeleteFailure extends DeleteTarget {
  /** The store's own code, for people. */
  readonly code: string;
  readonly message: string;
}
export interface DeleteManyAnswer extends Answer {
  /** Every target that could not be deleted. Missing ones are no failure. Empty: all are gone. */
  readonly failed: readonly DeleteFailure[];
}

/**
 * Deletes that another process can carry out without our credentials or our sockets: what a dying process hands to its
 * child. Plain JSON. `http`: signed URLs, valid for a minute or so. `file`: a file store's directory and the keys.
 */
export type DeletePlan =
  | { readonly kind: "http"; readonly urls: readonly string[] }
  | { readonly kind: "file"; readonly dir: string; readonly keys: readonly string[] };

/** A conditional write that another process can carry out for us, as above: once, under the ETag it names. */
export type PutPlan =
  | {
      readonly kind: "http-put";
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    }
  | {
      readonly kind: "file-put";
      readonly dir: string;
      readonly key: string;
      readonly etag: string;
      readonly body: string;
    };

export interface StoreFeatures {
  /** `unknown`: only a probe can tell (every S3 endpoint: some answer 200 and ignore the condition). */
  readonly conditionalWrites: "yes" | "no" | "unknown";
  readonly versions: "yes" | "no" | "unknown";
  /** The coarsest step of `lastModifiedMs` in a LIST, in ms. */
  readonly timestampStepMs: number;
  /** `deleteMany` is one request. Otherwise it is a few deletes in parallel. */
  readonly deleteMany: boolean;
  /** If-Match is sent without the ETag's quotes (S3SessionOptions.bareIfMatch). Absent: as given. */
  readonly bareIfMatch?: boolean | undefined;
}

/** The three outcomes of a conditional delete; as with a write, `unknown` may have happened. */
export type DeleteIfAnswer = Answer & { readonly outcome: "deleted" | "conflict" | "unknown" };

/** An object store. Keys are strings of 1 to 1024 UTF-8 bytes. No method ever starts anything that outlives `close`. */
export interface Store {
  /** For messages and logs, such as `s3://bucket/prefix` or `file:/var/lib/x`. Never holds a secret. */
  readonly name: string;
  /** Scheme, host and port of the server, where there is one. Never holds a secret. */
  readonly endpoint?: string | undefined;
  readonly features: StoreFeatures;
  put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<PutAnswer>;
  get(key: string, options?: GetOptions): Promise<GetAnswer>;
  head(key: string, options?: CallOptions): Promise<HeadAnswer>;
  /** In byte order of the keys. Any failing page throws: an iteration that ends normally is the whole listing. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ListPage>;
  /** Every version and marker, where the store keeps them; else the objects, without version ids. */
  listVersions(prefix: string, options?: ListOptions): AsyncIterable<VersionPage>;
  /** Deleting what is not there succeeds. */
  delete(target: DeleteTarget, options?: CallOptions): Promise<DeleteAnswer>;
  deleteMany(targets: readonly DeleteTarget[], options?: CallOptions): Promise<DeleteManyAnswer>;
  /**
   * Deletes only what still has this ETag (If-Match on DELETE; AWS S3 since September 2025). There only where it can be
   * asked for; most servers ignore the condition and delete, so nothing here relies on it: a probe tells.
   */
  deleteIf?(key: string, etag: string, options?: CallOptions): Promise<DeleteIfAnswer>;
  /**
   * Synchronous: at the end of a process nothing else runs. `undefined`: not possible now (no credentials yet), or never
   * (a memory store).
   */
  planDelete?(targets: readonly DeleteTarget[]): DeletePlan | undefined;
  /** As `planDelete`, for a text (JSON) that replaces the object while it has that ETag still. */
  planPut?(key: string, body: string, etag: string): PutPlan | undefined;
  /** Ends sockets and timers. Idempotent. */
  close(): Promise<void>;
}
