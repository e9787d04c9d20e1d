/**
 * The state of the emulator: buckets, the versions of their objects, and uploads under way. It reads no request and knows
 * no rights.
 */
import { createHash } from "node:crypto";
import { Refusal } from "./answers.js";
import type { Checksums } from "./checksums.js";
import type { EmulatorOptions } from "./knobs.js";

export interface Retention {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  readonly untilMs: number;
}

export interface Stored {
  readonly key: string;
  readonly body: Buffer;
  readonly etag: string;
  readonly lastModifiedMs: number;
  /** `null` where the bucket kept no versions when it was written. */
  readonly versionId: string;
  readonly isDeleteMarker: boolean;
  /** What comes back with it: content headers and x-amz-meta-. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksums: Checksums;
  /** Lengths of the parts it was made of. */
  readonly parts?: readonly number[] | undefined;
  acl: Acl;
  retention?: Retention | undefined;
  legalHold?: boolean | undefined;
}

export interface Grant {
  /** A canonical id, or the URI of a group. */
  readonly grantee: string;
  readonly permission: string;
}
export type Acl = readonly Grant[];

export interface Part {
  readonly number: number;
  readonly body: Buffer;
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly checksums: Checksums;
}
export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly initiatedMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly acl: Acl;
  readonly retention?: Retention | undefined;
  readonly legalHold?: boolean | undefined;
  readonly checksumType?: string | undefined;
  readonly parts: Map<number, Part>;
}

export interface Bucket {
  readonly name: string;
  readonly region: string;
  readonly createdMs: number;
  versioning: "Enabled" | "Suspended" | undefined;
  objectLock: { readonly rule?: { readonly mode: Retention["mode"]; readonly days: number } | undefined } | undefined;
  /** As it was sent: the rule, for GET. */
  objectLockXml: string;
  acl: Acl;
  /** Inside of LoggingEnabled, as it was sent. */
  logging: string | undefined;
  /** Oldest first. */
  readonly objects: Map<string, Stored[]>;
  readonly uploads: Map<string, Upload>;
  /** How many times each key was deleted: a condition under way meanwhile is a conflict. */
  readonly deletions: Map<string, number>;
}

export const OWNER = { id: "e".repeat(64), name: "emulator" } as const;
export const FULL_CONTROL: Acl = [{ grantee: OWNER.id, permission: "FULL_CONTROL" }];

export class World {
  readonly buckets = new Map<string, Bucket>();
  nowMs = 0;
  #serial = 0;
  readonly #sorted = new WeakMap<Bucket, string[]>();

  constructor(
    readonly options: EmulatorOptions,
    readonly region: string,
  ) {}

  bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (bucket === undefined)
      throw new Refusal(404, "NoSuchBucket", "The specified bucket does not exist", { BucketName: name });
    return bucket;
  }

  makeBucket(name: string, more: { region?: string; versions?: boolean; objectLock?: boolean; acl?: Acl }): Bucket {
    const bucket: Bucket = {
      name,
      region: more.region ?? this.region,
      createdMs: this.nowMs,
      versioning: more.versions || more.objectLock ? "Enabled" : undefined,
      objectLock: more.objectLock ? {} : undefined,
      objectLockXml: "",
      acl: more.acl ?? FULL_CONTROL,
      logging: undefined,
      objects: new Map(),
      uploads: new Map(),
      deletions: new Map(),
    };
    this.buckets.set(name, bucket);
    return bucket;
  }

  /** Unique and, of one kind, in the order they were given. */
  id(kind: string): string {
    return `${kind}${++this.#serial}`;
  }

  latest(bucket: Bucket, key: string): Stored | undefined {
    return bucket.objects.get(key)?.at(-1);
  }

  /** The latest version unless that is a delete marker. */
  current(bucket: Bucket, key: string): Stored | undefined {
    const latest = this.latest(bucket, key);
    return latest?.isDeleteMarker ? undefined : latest;
  }

  /** Keys with any version, in byte order. */
  sortedKeys(bucket: Bucket): readonly string[] {
    let sorted = this.#sorted.get(bucket);
    if (sorted === undefined) {
      sorted = [...bucket.objects.keys()].sort(order);
      this.#sorted.set(bucket, sorted);
    }
    return sorted;
  }

  add(bucket: Bucket, key: string, what: Omit<Stored, "key" | "versionId" | "lastModifiedMs">): Stored {
    const versionId = bucket.versioning === "Enabled" ? this.id("v") : "null";
    const stored: Stored = { ...what, key, versionId, lastModifiedMs: this.nowMs };
    const before = bucket.objects.get(key);
    if (before === undefined) this.#sorted.delete(bucket);
    // A version `null` is replaced by the next one of that name.
    const kept = (before ?? []).filter((old) => old.versionId !== versionId);
    bucket.objects.set(key, [...kept, stored]);
    return stored;
  }

  remove(bucket: Bucket, key: string, versionId: string): Stored | undefined {
    const all = bucket.objects.get(key) ?? [];
    const removed = all.find((stored) => stored.versionId === versionId);
    if (removed === undefined) return undefined;
    const left = all.filter((stored) => stored !== removed);
    if (left.length > 0) bucket.objects.set(key, left);
    else {
      bucket.objects.delete(key);
      this.#sorted.delete(bucket);
    }
    return removed;
  }
}

/** In the byte order of UTF-8. */
export function order(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function md5(body: Buffer): string {
  return createHash("md5").update(body).digest("hex");
}
