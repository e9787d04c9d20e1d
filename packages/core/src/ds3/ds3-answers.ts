/**
 * The XML that a Spectra appliance takes and gives, read as strictly as that of S3 (xml.ts). Pure. Source: "Spectra S3 API
 * reference" 4.1 and 5.0, vendor's developer site: the pages of each operation.
 */
import { decodeEntities, list, need, text, type XmlEngine, XmlFault, type XmlNode, XmlReader } from "../xml.js";

/** A piece of an object: as much of it as is moved by one request. */
export interface Ds3Blob {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  /** Of a put: the appliance has it. Of a get: it can be fetched now. */
  readonly inCache: boolean;
}
export interface Ds3Chunk {
  readonly chunkId: string;
  readonly number: number;
  readonly blobs: readonly Ds3Blob[];
}
export interface Ds3Job {
  readonly jobId: string;
  readonly name?: string | undefined;
  readonly bucket: string;
  readonly kind: "put" | "get" | "verify";
  readonly status: "in progress" | "completed" | "canceled";
  readonly priority?: string | undefined;
  /** Bytes: of all of it, in the appliance's cache, on its final media. */
  readonly originalSize: number;
  readonly cachedSize: number;
  readonly completedSize: number;
  readonly chunks: readonly Ds3Chunk[];
}
export interface Ds3Bucket {
  readonly name: string;
  readonly createdAt?: string | undefined;
}
export interface Ds3ListedObject {
  readonly name: string;
  readonly size: number;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}
export interface Ds3Page {
  readonly objects: readonly Ds3ListedObject[];
  readonly prefixes: readonly string[];
  /** Absent: the last page. */
  readonly nextMarker?: string | undefined;
}
export interface Ds3ErrorAnswer {
  readonly code: string;
  readonly message: string;
}

const LISTS = ["Objects", "Object", "Node", "Bucket", "Job"];

export class Ds3Reader {
  readonly #xml: XmlReader;
  readonly #engine: XmlEngine;

  constructor(engine: XmlEngine) {
    this.#engine = engine;
    this.#xml = new XmlReader(engine, { attributes: true, lists: LISTS });
  }

  /** Throws XmlFault, as all of these. */
  job(body: Uint8Array): Ds3Job {
    return jobOf(this.#xml.root(body, "MasterObjectList"));
  }

  jobs(body: Uint8Array): readonly Ds3Job[] {
    return list(this.#xml.root(body, "Jobs"), "Job").map(jobOf);
  }

  buckets(body: Uint8Array): readonly Ds3Bucket[] {
    const { Buckets } = this.#xml.root(body, "ListAllMyBucketsResult");
    if (typeof Buckets !== "object" || Buckets === null) return [];
    return list(Buckets as XmlNode, "Bucket").map((node) => ({
      name: need(node, "Name"),
      createdAt: text(node, "CreationDate") || undefined,
    }));
  }

  page(body: Uint8Array): Ds3Page {
    const node = this.#xml.root(body, "ListBucketResult");
    const objects = list(node, "Contents").map((entry) => ({
      name: need(entry, "Key"),
      size: whole("Size", need(entry, "Size")),
      etag: text(entry, "ETag") || undefined,
      lastModified: text(entry, "LastModified") || undefined,
    }));
    const prefixes = list(node, "CommonPrefixes").map((entry) => need(entry, "Prefix"));
    const truncated = need(node, "IsTruncated").trim().toLowerCase();
    if (truncated !== "true") return { objects, prefixes };
    const nextMarker = text(node, "NextMarker") || objects.at(-1)?.name;
    // Without it the same page would be read for ever, or the rest silently missed.
    if (nextMarker === undefined) throw new XmlFault("incomplete", "a truncated listing carries no marker");
    return { objects, prefixes, nextMarker };
  }

  /** Of a multi-delete: what was not deleted. */
  notDeleted(body: Uint8Array): readonly { readonly name: string; readonly code: string; readonly message: string }[] {
    return list(this.#xml.root(body, "DeleteResult"), "Error").map((node) => ({
      name: need(node, "Key"),
      code: text(node, "Code") ?? "Unknown",
      message: text(node, "Message") ?? "",
    }));
  }

  /** Undefined: the body is no error of the appliance. */
  error(body: Uint8Array): Ds3ErrorAnswer | undefined {
    return body.length === 0 ? undefined : this.#xml.error(body);
  }

  /** The body of a bulk job. Names must pass fitsXml. */
  objectList(objects: readonly { readonly name: string; readonly size?: number | undefined }[]): string {
    const entries = objects.map(({ name, size }) => ({
      "@Name": name,
      ...(size === undefined ? {} : { "@Size": String(size) }),
    }));
    return this.#build({ Objects: { Object: entries } });
  }

  deleteList(names: readonly string[]): string {
    return this.#build({ Delete: { Quiet: "false", Object: names.map((Key) => ({ Key })) } });
  }

  #build(tree: object): string {
    const builder = new this.#engine.XMLBuilder({
      ignoreAttributes: false,
      attributeNamePrefix: "@",
      suppressBooleanAttributes: false,
    });
    return builder.build(tree) as string;
  }
}

const STATUSES = { IN_PROGRESS: "in progress", COMPLETED: "completed", CANCELED: "canceled" } as const;
const KINDS = { PUT: "put", GET: "get", VERIFY: "verify" } as const;

function jobOf(node: XmlNode): Ds3Job {
  return {
    jobId: attribute(node, "JobId"),
    name: optional(node, "Name"),
    bucket: attribute(node, "BucketName"),
    kind: known("RequestType", attribute(node, "RequestType"), KINDS),
    status: known("Status", attribute(node, "Status"), STATUSES),
    priority: optional(node, "Priority"),
    originalSize: size(node, "OriginalSizeInBytes"),
    cachedSize: size(node, "CachedSizeInBytes"),
    completedSize: size(node, "CompletedSizeInBytes"),
    chunks: list(node, "Objects").map((chunk) => ({
      chunkId: attribute(chunk, "ChunkId"),
      number: whole("ChunkNumber", attribute(chunk, "ChunkNumber")),
      blobs: list(chunk, "Object").map((blob) => ({
        name: attribute(blob, "Name"),
        offset: size(blob, "Offset"),
        length: size(blob, "Length"),
        inCache: optional(blob, "InCache")?.toLowerCase() === "true",
      })),
    })),
  };
}

/** In the jobs of a list these are children, everywhere else attributes. */
function optional(node: XmlNode, name: string): string | undefined {
  const value = node[`@${name}`];
  return typeof value === "string" ? decodeEntities(value) : text(node, name);
}

function attribute(node: XmlNode, name: string): string {
  const value = optional(node, name);
  if (value === undefined) throw new XmlFault("incomplete", `${name} is missing`);
  return value;
}

function size(node: XmlNode, name: string): number {
  return whole(name, attribute(node, name));
}

function whole(name: string, value: string): number {
  const number = /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isNaN(number)) throw new XmlFault("incomplete", `${name} is no number`);
  return number;
}

function known<T>(name: string, value: string, all: Readonly<Record<string, T>>): T {
  const upper = value.trim().toUpperCase();
  if (!Object.hasOwn(all, upper)) throw new XmlFault("foreign", `${name} is none that is known`);
  return all[upper]!;
}
