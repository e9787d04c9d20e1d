/**
 * The verbs about buckets: there or not, where, whose, who may do what, logging and versions. It decides nothing about what
 * their documents mean (s3-documents).
 */
import { InvalidError, StoreError } from "./errors.js";
import { objectKey, oneOf } from "./options.js";
import { type Described, type S3CallOptions, type S3Calls, versionQuery } from "./s3-calls.js";
import {
  type AccessControl,
  accessControlTree,
  type BucketEntry,
  type BucketLogging,
  CANNED_ACLS,
  type CannedAcl,
  loggingTree,
  readAccessControl,
  readBuckets,
  readLocation,
  readLogging,
  readVersioning,
  type Versioning,
} from "./s3-documents.js";
import type { S3Endpoint } from "./s3-endpoint.js";
import type { Answer } from "./store.js";
import type { Pair } from "./uri.js";
import type { Owner } from "./xml.js";

export interface CreateBucketOptions extends S3CallOptions {
  /** Such as `eu-west-1`. Default: the session's region, on AWS only. `us-east-1` is said by saying nothing. */
  readonly location?: string | undefined;
  /** Its objects can be locked. Switches versions on too, for ever. */
  readonly objectLock?: boolean | undefined;
  readonly acl?: CannedAcl | undefined;
}
export interface BucketsAnswer extends Answer {
  /** Of these keys, by name. */
  readonly buckets: readonly BucketEntry[];
  readonly owner?: Owner | undefined;
}
export interface AclAnswer extends Answer, AccessControl {
  /** As the server gave it. */
  readonly document: string;
}
/** A ready-made list by its name, grants, or the XML document itself. */
export type NewAcl = CannedAcl | AccessControl | { readonly document: string };

export class S3Buckets {
  readonly #calls: S3Calls;
  readonly #endpoint: S3Endpoint;

  constructor(calls: S3Calls, endpoint: S3Endpoint) {
    this.#calls = calls;
    this.#endpoint = endpoint;
  }

  async create(options: CreateBucketOptions): Promise<void> {
    const { acl, objectLock } = options;
    const headers: Pair[] = [];
    if (acl !== undefined) headers.push(["x-amz-acl", oneOf("acl", acl, CANNED_ACLS)]);
    if (objectLock) headers.push(["x-amz-bucket-object-lock-enabled", "true"]);
    const { isAws, region } = this.#endpoint;
    const location = options.location ?? (isAws ? region : "us-east-1");
    // AWS refuses the document for us-east-1, other servers take none for their only region.
    if (location === "us-east-1") await this.#calls.call(options, { request: "createBucket", headers });
    else {
      if (!/^[A-Za-z0-9-]{1,64}$/.test(location))
        throw new InvalidError("location", "must be of letters, digits and -, such as eu-west-1", location);
      const document = await this.#calls.document("CreateBucketConfiguration", { LocationConstraint: location });
      const all = [...headers, ...document.headers];
      await this.#calls.call(options, { request: "createBucket", headers: all, body: document.body });
    }
  }

  async exists(options: S3CallOptions): Promise<boolean> {
    try {
      await this.#calls.call(options, { request: "headBucket" });
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === "STORE_NO_BUCKET") return false;
      throw error;
    }
  }

  async delete(options: S3CallOptions): Promise<void> {
    await this.#calls.call(options, { request: "deleteBucket" });
  }

  async list(options: S3CallOptions): Promise<BucketsAnswer> {
    const buckets: BucketEntry[] = [];
    const seen = new Set<string>();
    const left = this.#calls.sharing(options);
    for (let token: string | undefined; ; ) {
      const query: Pair[] = token === undefined ? [] : [["continuation-token", token]];
      const page = await this.#calls.read(left(), { request: "listBuckets", query }, ({ body }, xml) =>
        readBuckets(xml, body),
      );
      buckets.push(...page.buckets);
      if (page.nextToken === undefined) return { buckets, owner: page.owner, serverTimeMs: page.serverTimeMs };
      if (seen.has(page.nextToken))
        throw new StoreError("the listing of buckets came back to a page it gave before", {
          code: "STORE_CORRUPT_ANSWER",
          kind: "corrupt",
        });
      seen.add(page.nextToken);
      token = page.nextToken;
    }
  }

  async location(options: S3CallOptions): Promise<string> {
    const { location } = await this.#calls.read(options, { request: "getBucketLocation" }, ({ body }, xml) => ({
      location: readLocation(xml, body),
    }));
    return location;
  }

  async versioning(options: S3CallOptions): Promise<Versioning> {
    const { state } = await this.#calls.read(options, { request: "getBucketVersioning" }, ({ body }, xml) => ({
      state: readVersioning(xml, body),
    }));
    return state;
  }

  async setVersioning(state: "enabled" | "suspended", options: S3CallOptions): Promise<void> {
    const Status = oneOf("state", state, ["enabled", "suspended"]) === "enabled" ? "Enabled" : "Suspended";
    await this.#put(options, { request: "putBucketVersioning" }, "VersioningConfiguration", { Status });
  }

  async logging(options: S3CallOptions): Promise<BucketLogging | undefined> {
    const { logging } = await this.#calls.read(options, { request: "getBucketLogging" }, ({ body }, xml) => ({
      logging: readLogging(xml, body),
    }));
    return logging;
  }

  async setLogging(logging: BucketLogging | undefined, options: S3CallOptions): Promise<void> {
    await this.#put(options, { request: "putBucketLogging" }, "BucketLoggingStatus", loggingTree(logging));
  }

  bucketAcl(options: S3CallOptions): Promise<AclAnswer> {
    return this.#acl(options, { request: "getBucketAcl" });
  }

  setBucketAcl(acl: NewAcl, options: S3CallOptions): Promise<void> {
    return this.#setAcl(options, { request: "putBucketAcl" }, acl);
  }

  objectAcl(key: string, options: S3CallOptions & { readonly versionId?: string | undefined }): Promise<AclAnswer> {
    const query = versionQuery(options);
    return this.#acl(options, { request: "getObjectAcl", key: objectKey("key", key), query });
  }

  setObjectAcl(
    key: string,
    acl: NewAcl,
    options: S3CallOptions & { readonly versionId?: string | undefined },
  ): Promise<void> {
    const query = versionQuery(options);
    return this.#setAcl(options, { request: "putObjectAcl", key: objectKey("key", key), query }, acl);
  }

  #acl(options: S3CallOptions, ask: Described): Promise<AclAnswer> {
    return this.#calls.read(options, ask, ({ body }, xml) => ({
      ...readAccessControl(xml, body),
      document: Buffer.from(body).toString("utf8"),
    }));
  }

  async #setAcl(options: S3CallOptions, ask: Described, acl: NewAcl): Promise<void> {
    if (typeof acl === "string") {
      const headers: Pair[] = [["x-amz-acl", oneOf("acl", acl, CANNED_ACLS)]];
      await this.#calls.call(options, { ...ask, headers });
    } else if (typeof acl !== "object" || acl === null) {
      throw new InvalidError("acl", "must be a canned one, { owner, grants } or { document }", acl);
    } else if ("document" in acl && typeof acl.document === "string" && !("grants" in acl)) {
      const body = Buffer.from(acl.document);
      await this.#calls.call(options, { ...ask, body, headers: this.#calls.documentHeaders(body) });
    } else if ("grants" in acl) await this.#put(options, ask, "AccessControlPolicy", accessControlTree(acl));
    else throw new InvalidError("acl", "must be a canned one, { owner, grants } or { document }", acl);
  }

  async #put(
    options: S3CallOptions,
    ask: Described,
    root: string,
    content: Parameters<S3Calls["document"]>[1],
  ): Promise<void> {
    await this.#calls.call(options, { ...ask, ...(await this.#calls.document(root, content)) });
  }
}
