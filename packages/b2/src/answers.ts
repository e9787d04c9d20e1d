/**
 * B2's JSON as values of ours: read, checked, nothing believed that is not there. Pure. A field that is missing or of another
 * type is an error that names it; fields we do not know are left alone.
 */
import { corrupt } from "./b2-errors.js";

/** One version of a file, a hide marker, or an unfinished large file. */
export interface B2File {
  readonly id: string;
  readonly name: string;
  /** `folder` comes from listings with a delimiter only, and has no id. */
  readonly action: "upload" | "hide" | "start" | "folder" | "copy";
  readonly size: number;
  /** 40 hex digits; undefined for large files, hide markers and unverified uploads. */
  readonly sha1: string | undefined;
  readonly contentType: string | undefined;
  readonly info: Readonly<Record<string, string>>;
  /** When the upload **began**, by the clock of the pod that took it, in epoch ms. */
  readonly uploadedMs: number;
}

export interface B2Bucket {
  readonly id: string;
  readonly name: string;
  /** Such as `allPrivate`, `allPublic`. */
  readonly type: string;
  readonly info: Readonly<Record<string, string>>;
  readonly lifecycleRules: readonly unknown[];
  /** Counts the bucket's updates; `ifRevisionIs` compares it. */
  readonly revision: number;
}

export interface B2Key {
  readonly id: string;
  readonly name: string;
  readonly capabilities: readonly string[];
  /** Undefined: every bucket. */
  readonly bucketIds: readonly string[] | undefined;
  readonly namePrefix: string | undefined;
  readonly expiresMs: number | undefined;
}

export interface B2Part {
  readonly number: number;
  readonly size: number;
  readonly sha1: string;
}

/** An account token and what came with it. */
export interface Grant {
  readonly accountId: string;
  readonly token: string;
  readonly apiUrl: string;
  readonly downloadUrl: string;
  readonly recommendedPartSize: number;
  readonly minimumPartSize: number;
  readonly capabilities: readonly string[];
  /** Undefined: every bucket. A name is undefined when that bucket is gone. */
  readonly buckets: readonly { readonly id: string; readonly name: string | undefined }[] | undefined;
  readonly namePrefix: string | undefined;
  /** When it was given, in epoch ms of this host. */
  readonly obtainedMs: number;
}

type Json = Readonly<Record<string, unknown>>;

export function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw corrupt(`${what} is no object`);
  return value as Json;
}

export function text(from: Json, field: string): string {
  const value = from[field];
  if (typeof value !== "string") throw corrupt(`${field} is missing or no text`);
  return value;
}

export function maybeText(from: Json, field: string): string | undefined {
  const value = from[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw corrupt(`${field} is no text`);
  return value;
}

function number(from: Json, field: string): number {
  const value = from[field];
  if (typeof value !== "number" || !Number.isFinite(value)) throw corrupt(`${field} is missing or no number`);
  return value;
}

export function list(from: Json, field: string): readonly unknown[] {
  const value = from[field];
  if (!Array.isArray(value)) throw corrupt(`${field} is missing or no list`);
  return value;
}

function texts(from: Json, field: string): Record<string, string> {
  const value = from[field];
  if (value === undefined || value === null) return {};
  return Object.fromEntries(Object.entries(object(value, field)).map(([name, entry]) => [name, String(entry)]));
}

const ACTIONS = ["upload", "hide", "start", "folder", "copy"] as const;

export function fileOf(value: unknown): B2File {
  const from = object(value, "a file");
  const action = maybeText(from, "action") ?? "upload";
  if (!ACTIONS.includes(action as B2File["action"])) throw corrupt(`a file has the unknown action ${action}`);
  const isFolder = action === "folder";
  return {
    id: isFolder ? "" : text(from, "fileId"),
    name: text(from, "fileName"),
    action: action as B2File["action"],
    size: typeof from.contentLength === "number" ? from.contentLength : 0,
    sha1: sha1Of(maybeText(from, "contentSha1")),
    contentType: maybeText(from, "contentType"),
    info: texts(from, "fileInfo"),
    uploadedMs: isFolder ? 0 : number(from, "uploadTimestamp"),
  };
}

/** `none` (large files, hide markers) and `unverified:...` say nothing that was checked. */
export function sha1Of(given: string | undefined): string | undefined {
  return given !== undefined && /^[0-9a-f]{40}$/i.test(given) ? given.toLowerCase() : undefined;
}

export function bucketOf(value: unknown): B2Bucket {
  const from = object(value, "a bucket");
  return {
    id: text(from, "bucketId"),
    name: text(from, "bucketName"),
    type: text(from, "bucketType"),
    info: texts(from, "bucketInfo"),
    lifecycleRules: Array.isArray(from.lifecycleRules) ? from.lifecycleRules : [],
    revision: number(from, "revision"),
  };
}

export function keyOf(value: unknown): B2Key {
  const from = object(value, "a key");
  const buckets = from.bucketIds;
  return {
    id: text(from, "applicationKeyId"),
    name: text(from, "keyName"),
    capabilities: list(from, "capabilities").map(String),
    bucketIds: Array.isArray(buckets) ? buckets.map(String) : undefined,
    namePrefix: maybeText(from, "namePrefix"),
    expiresMs: typeof from.expirationTimestamp === "number" ? from.expirationTimestamp : undefined,
  };
}

export function partOf(value: unknown): B2Part {
  const from = object(value, "a part");
  return { number: number(from, "partNumber"), size: number(from, "contentLength"), sha1: text(from, "contentSha1") };
}

/** The answer of b2_authorize_account v4. https://www.backblaze.com/apidocs/b2-authorize-account */
export function grantOf(value: unknown, obtainedMs: number): Grant {
  const from = object(value, "the authorization");
  const storage = object(object(from.apiInfo, "apiInfo").storageApi, "storageApi");
  const allowed = object(storage.allowed, "allowed");
  const { buckets } = allowed;
  return {
    accountId: text(from, "accountId"),
    token: text(from, "authorizationToken"),
    apiUrl: text(storage, "apiUrl"),
    downloadUrl: text(storage, "downloadUrl"),
    recommendedPartSize: number(storage, "recommendedPartSize"),
    minimumPartSize: number(storage, "absoluteMinimumPartSize"),
    capabilities: list(allowed, "capabilities").map(String),
    buckets: Array.isArray(buckets)
      ? buckets.map((entry) => {
          const bucket = object(entry, "an allowed bucket");
          return { id: text(bucket, "id"), name: maybeText(bucket, "name") };
        })
      : undefined,
    namePrefix: maybeText(allowed, "namePrefix") || undefined,
    obtainedMs,
  };
}
