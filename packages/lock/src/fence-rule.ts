/**
 * What a fenced write may do, from what stands in the store. Pure: no request, no clock, no chance.
 * Decides between writing, refusing and "that was my own write"; never reads or writes anything.
 */
import { BucketlockError, type Condition } from "@bucketlock/core";

/** How every name of ours begins. */
export const OURS = "fencing-";
/** Metadata of a fenced object: its writer's token, and an id unique to the write, by which an unclear one is found again. */
export const TOKEN = "fencing-token";
export const WRITE = "fencing-write";
/** There if the body begins with a line of ours (`stampLine`). */
export const STAMP = "fencing-stamp";

/** Where the mark that makes each write unique is kept. */
export type Stamp = "metadata" | "body";

// 64 bits: what every language and database can hold.
const TOKEN_MAX = 2n ** 63n - 1n;

/** A later holder wrote the object: this write came too late. Nothing was changed by it. Stop touching what the lock guards. */
export class FencedError extends BucketlockError {
  constructor(key: string, token: bigint, seen: bigint, mayHaveLanded: boolean) {
    super(`a later holder wrote the object (its token ${seen}, ours ${token}); our write is refused: ${key}`, {
      code: "FENCED",
      kind: "lost",
      details: { key, token, seen, mayHaveLanded },
    });
  }
}

/** What a HEAD or GET showed. */
export interface Seen {
  readonly found: boolean;
  /** 0 for an object that nobody fenced. */
  readonly token: bigint;
  readonly writeId: string | undefined;
  readonly etag: string | undefined;
}

export const ABSENT: Seen = { found: false, token: 0n, writeId: undefined, etag: undefined };

/** One fenced write, from its first look to its end. */
export interface Writing {
  readonly key: string;
  readonly token: bigint;
  /** Ids of the tries so far. Even one that was told of a conflict may have landed: a proxy may have sent it twice. */
  readonly sent: readonly string[];
  /** The outcome of one of them was unclear: it may have landed, or may land yet. */
  readonly unclear: boolean;
  /** The caller's own condition: the object is still what it read. Undefined: no condition. */
  readonly basedOn: Seen | undefined;
}

export type Decision =
  /** An earlier try of ours is what stands there. */
  | { readonly do: "done" }
  | { readonly do: "write"; readonly condition: Condition | undefined }
  | { readonly do: "refuse"; readonly error: BucketlockError };

/** What to do with an object that looks like this. `condition` is undefined where the ETag is not told. */
export function decide(writing: Writing, seen: Seen): Decision {
  const { key, token, sent, unclear, basedOn } = writing;
  if (seen.writeId !== undefined && sent.includes(seen.writeId)) return { do: "done" };
  // An equal token is our own, or a shared holder's of the same time.
  if (seen.token > token) return { do: "refuse", error: new FencedError(key, token, seen.token, unclear) };
  if (basedOn !== undefined && !isSame(basedOn, seen)) {
    const error = new BucketlockError(`the object is not what the write was made from; read it again: ${key}`, {
      code: "OBJECT_CHANGED",
      kind: "contended",
      details: { key, token, seen: seen.token, mayHaveLanded: unclear },
    });
    return { do: "refuse", error };
  }
  return { do: "write", condition: conditionOf(seen) };
}

/** By write id where there is one: on S3 the ETag is the MD5 of the body and misses what only the metadata tells. */
function isSame(a: Seen, b: Seen): boolean {
  return a.found === b.found && a.token === b.token && a.writeId === b.writeId && a.etag === b.etag;
}

function conditionOf(seen: Seen): Condition | undefined {
  if (!seen.found) return { absent: true };
  return seen.etag === undefined ? undefined : { etag: seen.etag };
}

/** The fence of an object as its metadata tells. Throws FENCE_CORRUPT for a token that is none: a person must look. */
export function seenOf(key: string, etag: string | undefined, metadata: Readonly<Record<string, string>>): Seen {
  const text = metadata[TOKEN];
  if (text === undefined) return { found: true, token: 0n, writeId: undefined, etag };
  if (!/^(0|[1-9]\d{0,18})$/.test(text) || BigInt(text) > TOKEN_MAX) throw corrupt(key, `${TOKEN} is no token`);
  return { found: true, token: BigInt(text), writeId: metadata[WRITE], etag };
}

export function stampLine(token: bigint, writeId: string): string {
  return `bucketlock-fence ${token} ${writeId}\n`;
}

/** The body as its writer gave it. */
export function unstamped(key: string, body: Uint8Array, metadata: Readonly<Record<string, string>>): Uint8Array {
  if (metadata[STAMP] !== "body") return body;
  const line = new TextEncoder().encode(stampLine(BigInt(metadata[TOKEN] ?? "0"), metadata[WRITE] ?? ""));
  if (line.some((byte, at) => body[at] !== byte)) throw corrupt(key, "its body does not begin with its fence");
  return body.slice(line.length);
}

function corrupt(key: string, why: string): BucketlockError {
  return new BucketlockError(`the object is not what a fenced write leaves (${why}): ${key}`, {
    code: "FENCE_CORRUPT",
    kind: "corrupt",
    details: { key, why },
  });
}
