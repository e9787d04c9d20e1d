/**
 * What a client says of a server's answers, made comparable: ids numbered in the order they appear, dates named so, request
 * ids and owners gone. Compares nothing itself.
 */

/** One run of a script against one server. */
export class Answers {
  readonly #names = new Map<string, string>();
  readonly #bucket: string;

  constructor(bucket: string) {
    this.#bucket = bucket;
  }

  /** `kind` and a number, the same for the same id. */
  named(kind: string, id: string): string {
    if (id === "null") return id;
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const count = [...this.#names.values()].filter((name) => name.startsWith(kind)).length;
    const name = `${kind}${count + 1}`;
    this.#names.set(id, name);
    return name;
  }

  /** Throws nothing: an error is an answer. */
  async of(work: () => Promise<unknown>): Promise<unknown> {
    try {
      return this.plain(await work());
    } catch (error) {
      const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
      if ($metadata?.httpStatusCode === undefined) throw error;
      // It has no body that could name it.
      if ($metadata.httpStatusCode === 304) return "304";
      return `${$metadata.httpStatusCode} ${name}`;
    }
  }

  plain(value: unknown, name = ""): unknown {
    if (value === undefined || value === null) return undefined;
    if (value instanceof Date) return "date";
    if (value instanceof Uint8Array) return Buffer.from(value).toString();
    if (Array.isArray(value)) return value.map((one) => this.plain(one));
    if (typeof value === "string") return this.#text(value, name);
    if (typeof value !== "object") return value;
    const plain: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(value)) {
      if (DROPPED.has(key)) continue;
      const made = this.plain(inner, key);
      if (made !== undefined && made !== "") plain[key] = made;
    }
    return plain;
  }

  #text(text: string, name: string): string {
    if (/VersionId(?:Marker)?$/.test(name)) return text === "" ? "" : this.named("v", text);
    if (/UploadId(?:Marker)?$/.test(name)) return text === "" ? "" : this.named("upload", text);
    return text.replaceAll(this.#bucket, "BUCKET");
  }
}

/** Of one server and one moment, or of what a server adds on its own. */
const DROPPED = new Set([
  "$metadata",
  "Owner",
  "Initiator",
  "Location",
  "RequestCharged",
  "ServerSideEncryption",
  "NextContinuationToken",
  "ContinuationToken",
  "StorageClass",
  "AcceptRanges",
  "ExpiresString",
  "BucketArn",
]);
