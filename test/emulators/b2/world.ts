/**
 * The state of the emulator: buckets, versions, upload and read tokens, and how they are shown. It checks no rights and reads no
 * request.
 */
import { Bucket, checkFileId, makeFileId, md5, sha1, type Version } from "./files.js";
import type { Key, Keys } from "./keys.js";
import type { Knobs } from "./knobs.js";
import { bad, Refusal } from "./refusal.js";

export interface UploadToken {
  readonly bucketId: string;
  /** Of a large file's parts. */
  readonly fileId: string | undefined;
  readonly pod: number;
  readonly key: Key;
  busy: boolean;
  uses: number;
}
export interface ReadToken {
  readonly bucketId: string;
  readonly prefix: string;
  readonly expiresMs: number;
}

export type Fields = Readonly<Record<string, unknown>>;

export class World {
  readonly buckets = new Map<string, Bucket>();
  readonly files = new Map<string, Version>();
  readonly uploadTokens = new Map<string, UploadToken>();
  readonly readTokens = new Map<string, ReadToken>();
  serial = 0;

  constructor(
    readonly keys: Keys,
    readonly knobs: Knobs,
    readonly nowMs: () => number,
    readonly origin: () => string,
  ) {}

  get asOfMs(): number | undefined {
    return this.knobs.staleListMs > 0 ? this.nowMs() - this.knobs.staleListMs : undefined;
  }

  bucket(id: unknown): Bucket {
    const bucket = typeof id === "string" ? this.buckets.get(id) : undefined;
    if (bucket === undefined) throw bad(`Invalid bucketId: ${id}`, "bad_bucket_id");
    return bucket;
  }

  bucketNamed(name: string): Bucket | undefined {
    return [...this.buckets.values()].find((bucket) => bucket.name === name);
  }

  makeBucket(name: unknown, type: unknown, more: Fields = {}): Bucket {
    if (typeof name !== "string" || !/^[A-Za-z0-9-]{6,63}$/.test(name) || /^b2-/i.test(name))
      throw bad(`illegal bucket name: ${name}`, "invalid_bucket_name");
    if (type !== "allPrivate" && type !== "allPublic") throw bad(`invalid bucket type: ${type}`);
    if ([...this.buckets.values()].some((bucket) => bucket.name.toLowerCase() === name.toLowerCase()))
      throw bad("Bucket name is already in use.", "duplicate_bucket_name");
    const id = `e73ede99${String(++this.serial).padStart(16, "0")}`;
    const info = (more.bucketInfo ?? {}) as Record<string, string>;
    const rules = (more.lifecycleRules ?? []) as unknown[];
    const bucket = new Bucket(id, name, type, info, rules, (more.corsRules ?? []) as unknown[]);
    this.buckets.set(id, bucket);
    return bucket;
  }

  file(id: unknown): Version {
    const version = this.files.get(checkFileId(id));
    if (version === undefined) throw new Refusal(404, "not_found", `file_state_none: ${id}`);
    return version;
  }

  /** A version that is there from now on. `stampMs`: of whatever clock. */
  add(bucket: Bucket, from: Omit<Version, "id" | "bucketId" | "serial" | "landedMs" | "parts">, pod = 0): Version {
    const serial = ++this.serial;
    const id = makeFileId(bucket.id, serial, from.stampMs, pod);
    const version: Version = { ...from, id, bucketId: bucket.id, serial, landedMs: this.nowMs(), parts: new Map() };
    bucket.add(version);
    this.files.set(id, version);
    return version;
  }

  remove(version: Version): void {
    this.buckets.get(version.bucketId)?.remove(version, this.nowMs());
    this.files.delete(version.id);
  }

  shown(version: Version, action: string = version.action): object {
    const isHide = version.action === "hide";
    return {
      accountId: this.keys.accountId,
      action,
      bucketId: version.bucketId,
      contentLength: version.action === "start" ? 0 : version.body.length,
      contentMd5: isHide || version.action === "start" || version.sha1 === "none" ? null : md5(version.body),
      contentSha1: version.sha1,
      contentType: version.contentType,
      fileId: version.id,
      fileInfo: version.info,
      fileName: version.name,
      fileRetention: { isClientAuthorizedToRead: true, value: { mode: null, retainUntilTimestamp: null } },
      legalHold: { isClientAuthorizedToRead: true, value: null },
      replicationStatus: null,
      serverSideEncryption: { algorithm: null, mode: null },
      uploadTimestamp: version.stampMs,
    };
  }

  bucketShown(bucket: Bucket): object {
    return {
      accountId: this.keys.accountId,
      bucketId: bucket.id,
      bucketInfo: bucket.info,
      bucketName: bucket.name,
      bucketType: bucket.type,
      corsRules: bucket.corsRules,
      defaultServerSideEncryption: { isClientAuthorizedToRead: true, value: { algorithm: null, mode: null } },
      fileLockConfiguration: {
        isClientAuthorizedToRead: true,
        value: { defaultRetention: { mode: null, period: null }, isFileLockEnabled: false },
      },
      lifecycleRules: bucket.lifecycleRules,
      options: ["s3"],
      replicationConfiguration: { isClientAuthorizedToRead: true, value: null },
      revision: bucket.revision,
    };
  }

  keyShown(key: Key, version: number): object {
    const common = {
      accountId: this.keys.accountId,
      applicationKeyId: key.id,
      capabilities: key.capabilities,
      expirationTimestamp: key.expiresMs ?? null,
      keyName: key.name,
      namePrefix: key.namePrefix ?? null,
      options: ["s3"],
    };
    return version >= 4
      ? { ...common, bucketIds: key.bucketIds ?? null }
      : { ...common, bucketId: key.bucketIds?.[0] ?? null };
  }

  uploadUrl(key: Key, bucketId: string, fileId: string | undefined): object {
    const serial = ++this.serial;
    const pod = serial % this.knobs.podClocksMs.length;
    const token = `4_${key.id}_${serial}_${fileId === undefined ? "upld" : "part"}_${Math.random().toString(36).slice(2)}`;
    this.uploadTokens.set(token, { bucketId, fileId, pod, key, busy: false, uses: 0 });
    const call = fileId === undefined ? "b2_upload_file" : "b2_upload_part";
    const uploadUrl = `${this.origin()}/b2api/v4/${call}/${fileId ?? bucketId}/c00${pod}_v000${serial}`;
    return { uploadUrl, authorizationToken: token, ...(fileId === undefined ? { bucketId } : { fileId }) };
  }
}

/** `bytes=0-9` as B2 takes it in copies. */
export function rangeOf(text: unknown, length: number): readonly [number, number] {
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(String(text)) ?? [];
  const from = Number(start);
  const to = end === undefined || end === "" ? length - 1 : Math.min(Number(end), length - 1);
  if (start === undefined || from >= length || from > to)
    throw new Refusal(416, "range_not_satisfiable", "The Range in the request is outside the size of the file.");
  return [from, to];
}

export function addPart(world: World, large: Version, number: number, body: Buffer): object {
  if (!Number.isInteger(number) || number < 1 || number > 10_000) throw bad(`Part number out of range: ${number}`);
  const part = { number, body, sha1: sha1(body), stampMs: world.nowMs() };
  large.parts.set(number, part);
  return {
    fileId: large.id,
    partNumber: number,
    contentLength: body.length,
    contentSha1: part.sha1,
    contentMd5: md5(body),
    uploadTimestamp: part.stampMs,
  };
}

/** `b2/x-auto`: by the ending, for the few that tests need. */
export function typed(given: string, name: string): string {
  if (given !== "b2/x-auto") return given;
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? "";
  return { txt: "text/plain", json: "application/json", html: "text/html" }[ending] ?? "application/octet-stream";
}
