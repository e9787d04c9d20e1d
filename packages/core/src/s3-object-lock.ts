/**
 * The verbs about object lock: what a bucket locks by default, until when a version is kept, and legal holds. It never
 * decides whether something may be deleted; the server does.
 */
import { formatInstant } from "./clock.js";
import { InvalidError, StoreError } from "./errors.js";
import { object, objectKey, oneOf } from "./options.js";
import type { HttpAnswer } from "./request.js";
import { type S3CallOptions, type S3Calls, versionQuery } from "./s3-calls.js";
import {
  type DefaultRetention,
  type ObjectLock,
  objectLockTree,
  type Retention,
  readLegalHold,
  readObjectLock,
  readRetention,
  retentionTree,
} from "./s3-documents.js";
import type { S3RequestName } from "./s3-requests.js";
import type { XmlReader } from "./xml.js";

export interface VersionOptions extends S3CallOptions {
  /** Default: the newest. */
  readonly versionId?: string | undefined;
}
export interface PutRetentionOptions extends VersionOptions {
  /** Shortens or takes off a retention in governance mode, where these keys may. */
  readonly bypassGovernance?: boolean | undefined;
}

/** What servers say when nothing was set; others say it with an empty document. */
const NOT_SET = new Set([
  "ObjectLockConfigurationNotFoundError",
  "NoSuchObjectLockConfiguration",
  "ObjectLockConfigurationNotFound",
]);

export class S3ObjectLock {
  readonly #calls: S3Calls;

  constructor(calls: S3Calls) {
    this.#calls = calls;
  }

  async configuration(options: S3CallOptions): Promise<ObjectLock> {
    try {
      return await this.#calls.read(options, { request: "getObjectLockConfiguration" }, ({ body }, xml) => {
        const { enabled, defaultRetention } = readObjectLock(xml, body);
        return { enabled, defaultRetention };
      });
    } catch (error) {
      if (isNotSet(error)) return { enabled: false };
      throw error;
    }
  }

  async setConfiguration(defaultRetention: DefaultRetention | undefined, options: S3CallOptions): Promise<void> {
    const document = await this.#calls.document("ObjectLockConfiguration", objectLockTree({ defaultRetention }));
    await this.#calls.call(options, { request: "putObjectLockConfiguration", ...document });
  }

  retention(key: string, options: VersionOptions): Promise<Retention | undefined> {
    return this.#of("getObjectRetention", key, options, ({ body }, xml) => readRetention(xml, body));
  }

  async setRetention(key: string, retention: Retention | undefined, options: PutRetentionOptions): Promise<void> {
    if (retention !== undefined) object("retention", retention);
    const until = retention === undefined ? undefined : instantOf(retention.untilMs);
    const document = await this.#calls.document("Retention", retentionTree(retention?.mode, until));
    const headers = document.headers;
    if (options.bypassGovernance) headers.push(["x-amz-bypass-governance-retention", "true"]);
    const query = versionQuery(options);
    await this.#calls.call(options, { request: "putObjectRetention", key: objectKey("key", key), query, ...document });
  }

  async legalHold(key: string, options: VersionOptions): Promise<boolean> {
    return (await this.#of("getObjectLegalHold", key, options, ({ body }, xml) => readLegalHold(xml, body))) ?? false;
  }

  async setLegalHold(key: string, hold: "on" | "off", options: VersionOptions): Promise<void> {
    const Status = oneOf("hold", hold, ["on", "off"]).toUpperCase();
    const document = await this.#calls.document("LegalHold", { Status });
    const query = versionQuery(options);
    await this.#calls.call(options, { request: "putObjectLegalHold", key: objectKey("key", key), query, ...document });
  }

  /** Undefined: nothing was set. An object that is not there is an error, for it has no answer. */
  async #of<T>(
    request: S3RequestName,
    key: string,
    options: VersionOptions,
    read: (answer: HttpAnswer, xml: XmlReader) => T,
  ): Promise<T | undefined> {
    try {
      const ask = { request, key: objectKey("key", key), query: versionQuery(options) };
      const { value } = await this.#calls.read(options, ask, (answer, xml) => ({ value: read(answer, xml) }));
      return value;
    } catch (error) {
      if (isNotSet(error)) return undefined;
      throw error;
    }
  }
}

function isNotSet(error: unknown): boolean {
  return error instanceof StoreError && NOT_SET.has(String(error.details.storeCode));
}

function instantOf(untilMs: unknown): string {
  if (typeof untilMs !== "number" || !Number.isFinite(untilMs) || untilMs <= 0 || untilMs > 8.64e15)
    throw new InvalidError("untilMs", "must be an instant in ms since 1970", untilMs);
  return formatInstant(untilMs);
}
