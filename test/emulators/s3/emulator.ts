/**
 * A small S3 server on the loopback: one bucket in memory, by the book (quoted ETags, 412, 404 on If-Match of nothing),
 * signatures checked, and scripted faults. A request it does not know is answered 501 and kept in `unknown`; a test that
 * cares asserts that it is empty.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { error, type Made, marked, missing, plain, xml } from "./answers.js";
import { type ScriptedFault, send } from "./faults.js";
import { type Keys, refusal } from "./verify.js";

export interface EmulatorOptions {
  readonly keys?: Keys;
  readonly region?: string;
  readonly bucket?: string;
  /** The server's clock is ahead of the real one by this many ms. */
  readonly clockAheadMs?: number;
  readonly versions?: boolean;
  /** A page of versions begins with the one that its marker names, as versitygw's do. */
  readonly inclusiveMarkers?: boolean;
  /** `ignore`: answers 200 whatever the condition says. */
  readonly conditions?: "honour" | "ignore";
  readonly multiDelete?: boolean;
  /** LIST timestamps in whole seconds without a fraction. */
  readonly wholeSeconds?: boolean;
  /** Ends every connection after its answer, as versitygw does. */
  readonly closeConnections?: boolean;
  /** How keys in listings are encoded: `%20` or `+` for a space, or not at all. */
  readonly encoding?: "percent" | "plus" | "none";
}

interface Stored {
  readonly body: Buffer;
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly versionId: string;
  readonly isDeleteMarker: boolean;
  readonly headers: Readonly<Record<string, string>>;
}
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

export class S3Emulator {
  readonly keys: Keys;
  readonly region: string;
  readonly bucket: string;
  readonly seen: Seen[] = [];
  readonly unknown: string[] = [];
  readonly #options: EmulatorOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #objects = new Map<string, Stored[]>();
  readonly #faults: { readonly match: (seen: Seen) => boolean; readonly fault: ScriptedFault; times: number }[] = [];
  #serial = 0;
  #connections = 0;

  private constructor(options: EmulatorOptions) {
    this.#options = options;
    this.keys = options.keys ?? { accessKeyId: "AKEMULATOR", secretAccessKey: "s3cr3t/of+the=emulator" };
    this.region = options.region ?? "us-east-1";
    this.bucket = options.bucket ?? "test-bucket";
    this.#server = createServer((req, res) => void this.#serve(req, res));
    this.#server.on("connection", (socket) => {
      this.#connections++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  static async start(options: EmulatorOptions = {}): Promise<S3Emulator> {
    const emulator = new S3Emulator(options);
    await new Promise<void>((resolve) => emulator.#server.listen(0, "127.0.0.1", resolve));
    return emulator;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  get openSockets(): number {
    return this.#sockets.size;
  }
  /** How many connections were ever made. */
  get connections(): number {
    return this.#connections;
  }
  keysStored(): string[] {
    return [...this.#objects.keys()].filter((key) => !this.#latest(key)?.isDeleteMarker).sort();
  }
  bodyOf(key: string): string | undefined {
    return this.#latest(key)?.body.toString();
  }

  /** The next `times` requests that match are answered so. */
  script(match: string | ((seen: Seen) => boolean), fault: ScriptedFault, times = 1): void {
    const matches = typeof match === "string" ? (seen: Seen) => seen.method === match : match;
    this.#faults.push({ match: matches, fault, times });
  }

  /** Resolves when no connection is open. */
  async idle(): Promise<void> {
    for (const socket of this.#sockets) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of req) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    const seen: Seen = { method: req.method!, url: req.url!, headers: req.headers };
    this.seen.push(seen);
    const nowMs = Date.now() + (this.#options.clockAheadMs ?? 0);
    const scripted = this.#faults.find(({ match, times }) => times > 0 && match(seen));
    if (scripted) scripted.times--;
    const fault = scripted?.fault;
    const applies =
      fault === undefined || (fault.kind === "reply" ? fault.apply === true : "apply" in fault ? fault.apply : true);
    const made = applies ? this.#answer(req, body, nowMs) : { status: 200, body: "", headers: {} };
    send(req, res, made, fault, nowMs, this.#options.closeConnections === true);
  }

  #answer(req: IncomingMessage, body: Buffer, nowMs: number): Made {
    const refused = refusal(req, body, this.keys, this.region, nowMs);
    if (refused) return error(refused.status, refused.code, refused.message);
    const url = new URL(req.url!, "http://x");
    const [, bucket, rawKey] = /^\/([^/?]+)(?:\/([^?]*))?/.exec(req.url!) ?? [];
    if (bucket === undefined) return this.#notKnown(req);
    if (bucket !== this.bucket) return error(404, "NoSuchBucket", "The specified bucket does not exist");
    const key = rawKey === undefined || rawKey === "" ? undefined : decodeURIComponent(rawKey);
    const versionId = url.searchParams.get("versionId") ?? undefined;
    if (key === undefined) return this.#onBucket(req, url, body, nowMs);
    if (req.method === "PUT") return this.#put(req, key, body, nowMs);
    if (req.method === "GET" || req.method === "HEAD") return this.#get(key, versionId);
    if (req.method === "DELETE") return this.#delete(key, versionId, nowMs);
    return this.#notKnown(req);
  }

  #onBucket(req: IncomingMessage, url: URL, body: Buffer, nowMs: number): Made {
    const query = url.searchParams;
    if (req.method === "HEAD") return { status: 200, body: "", headers: {} };
    if (req.method === "PUT") return error(409, "BucketAlreadyOwnedByYou", "yours already");
    if (req.method === "DELETE")
      return this.#objects.size === 0
        ? { status: 204, body: "", headers: {} }
        : error(409, "BucketNotEmpty", "not empty");
    if (req.method === "GET" && query.get("list-type") === "2") return this.#list(query);
    if (req.method === "GET" && query.has("versions")) return this.#listVersions(query);
    if (req.method === "POST" && query.has("delete")) return this.#multiDelete(req, body, nowMs);
    return this.#notKnown(req);
  }

  #notKnown(req: IncomingMessage): Made {
    this.unknown.push(`${req.method} ${req.url}`);
    return missing();
  }

  #latest(key: string): Stored | undefined {
    return this.#objects.get(key)?.at(-1);
  }

  #put(req: IncomingMessage, key: string, body: Buffer, nowMs: number): Made {
    const latest = this.#latest(key);
    const existing = latest?.isDeleteMarker ? undefined : latest;
    if (this.#options.conditions !== "ignore") {
      if (req.headers["if-none-match"] === "*" && existing) return error(412, "PreconditionFailed", "exists");
      const match = req.headers["if-match"];
      if (match !== undefined && !existing) return error(404, "NoSuchKey", "The specified key does not exist.");
      if (match !== undefined && existing!.etag !== match) return error(412, "PreconditionFailed", "changed");
    }
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(req.headers))
      if (name.startsWith("x-amz-meta-") || name === "content-type") headers[name] = String(value);
    const stored = this.#add(key, { body, headers, isDeleteMarker: false }, nowMs);
    return { status: 200, body: "", headers: { etag: stored.etag, ...this.#versionHeader(stored) } };
  }

  #add(key: string, what: Pick<Stored, "body" | "headers" | "isDeleteMarker">, nowMs: number): Stored {
    const etag = `"${createHash("md5").update(what.body).digest("hex")}"`;
    const versionId = this.#options.versions ? `v${++this.#serial}` : "null";
    const stored: Stored = { ...what, etag, versionId, lastModifiedMs: nowMs };
    this.#objects.set(key, this.#options.versions ? [...(this.#objects.get(key) ?? []), stored] : [stored]);
    return stored;
  }

  #versionHeader(stored: Stored): Record<string, string> {
    return this.#options.versions ? { "x-amz-version-id": stored.versionId } : {};
  }

  #get(key: string, versionId: string | undefined): Made {
    const stored =
      versionId === undefined ? this.#latest(key) : this.#objects.get(key)?.find((v) => v.versionId === versionId);
    if (stored === undefined || stored.isDeleteMarker)
      return error(404, versionId ? "NoSuchVersion" : "NoSuchKey", "not there");
    const lastModified = new Date(stored.lastModifiedMs).toUTCString();
    return {
      status: 200,
      body: stored.body,
      headers: { ...stored.headers, ...this.#versionHeader(stored), etag: stored.etag, "last-modified": lastModified },
    };
  }

  #delete(key: string, versionId: string | undefined, nowMs: number): Made {
    if (versionId !== undefined) {
      const left = (this.#objects.get(key) ?? []).filter((stored) => stored.versionId !== versionId);
      if (left.length === 0) this.#objects.delete(key);
      else this.#objects.set(key, left);
    } else if (this.#options.versions)
      this.#add(key, { body: Buffer.alloc(0), headers: {}, isDeleteMarker: true }, nowMs);
    else this.#objects.delete(key);
    return { status: 204, body: "", headers: {} };
  }

  #multiDelete(req: IncomingMessage, body: Buffer, nowMs: number): Made {
    if (this.#options.multiDelete === false) return missing();
    if (req.headers["content-md5"] !== createHash("md5").update(body).digest("base64"))
      return error(400, "InvalidDigest", "Content-MD5");
    const entries = [...body.toString().matchAll(/<Object>(.*?)<\/Object>/gs)];
    if (entries.length > 1000) return error(400, "MalformedXML", "more than 1000 keys");
    const answers = entries.map(([, entry]) => {
      const key = /<Key>(.*?)<\/Key>/s.exec(entry!)![1]!;
      const version = /<VersionId>(.*?)<\/VersionId>/s.exec(entry!)?.[1];
      if (plain(key).startsWith("locked/"))
        return `<Error><Key>${key}</Key><Code>AccessDenied</Code><Message>no</Message></Error>`;
      this.#delete(plain(key), version, nowMs);
      return `<Deleted><Key>${key}</Key>${version ? `<VersionId>${version}</VersionId>` : ""}</Deleted>`;
    });
    return xml("DeleteResult", answers.join(""));
  }

  #list(query: URLSearchParams): Made {
    const prefix = query.get("prefix") ?? "";
    const max = Number(query.get("max-keys") ?? 1000);
    const token = query.get("continuation-token");
    const after = token === null ? undefined : Buffer.from(token, "base64").toString();
    const keys = this.#sorted().filter(
      (key) =>
        key.startsWith(prefix) && !this.#latest(key)!.isDeleteMarker && (after === undefined || order(key, after) > 0),
    );
    const page = keys.slice(0, max);
    const more = keys.length > max;
    const entries = page.map((key) => {
      const { etag, lastModifiedMs, body } = this.#latest(key)!;
      return `<Contents><Key>${this.#shown(key)}</Key><LastModified>${this.#time(lastModifiedMs)}</LastModified><ETag>${marked(etag)}</ETag><Size>${body.length}</Size></Contents>`;
    });
    const next = more
      ? `<NextContinuationToken>${Buffer.from(page.at(-1)!).toString("base64")}</NextContinuationToken>`
      : "";
    return xml(
      "ListBucketResult",
      `${this.#encodingType()}<IsTruncated>${more}</IsTruncated>${next}${entries.join("")}`,
    );
  }

  #listVersions(query: URLSearchParams): Made {
    if (!this.#options.versions) return missing();
    const prefix = query.get("prefix") ?? "";
    const max = Number(query.get("max-keys") ?? 1000);
    const all = this.#sorted()
      .filter((key) => key.startsWith(prefix))
      .flatMap((key) =>
        [...this.#objects.get(key)!].reverse().map((stored, index) => ({ key, stored, isLatest: index === 0 })),
      );
    const marker = query.get("key-marker");
    const from =
      marker === null
        ? 0
        : all.findIndex(({ key, stored }) => key === marker && stored.versionId === query.get("version-id-marker")) +
          (this.#options.inclusiveMarkers ? 0 : 1);
    const page = all.slice(from, from + max);
    const more = all.length > from + max;
    const entries = page.map(({ key, stored, isLatest }) => {
      const tag = stored.isDeleteMarker ? "DeleteMarker" : "Version";
      return `<${tag}><Key>${this.#shown(key)}</Key><VersionId>${stored.versionId}</VersionId><IsLatest>${isLatest}</IsLatest><LastModified>${this.#time(stored.lastModifiedMs)}</LastModified></${tag}>`;
    });
    const last = page.at(-1);
    const next = more
      ? `<NextKeyMarker>${this.#shown(last!.key)}</NextKeyMarker><NextVersionIdMarker>${last!.stored.versionId}</NextVersionIdMarker>`
      : "";
    return xml(
      "ListVersionsResult",
      `${this.#encodingType()}<IsTruncated>${more}</IsTruncated>${next}${entries.join("")}`,
    );
  }

  #sorted(): string[] {
    return [...this.#objects.keys()].sort(order);
  }

  #time(ms: number): string {
    const iso = new Date(ms).toISOString();
    return this.#options.wholeSeconds ? iso.replace(/\.\d+Z/, "Z") : iso;
  }

  #encodingType(): string {
    return this.#options.encoding === "none" ? "<EncodingType></EncodingType>" : "<EncodingType>url</EncodingType>";
  }

  #shown(key: string): string {
    if (this.#options.encoding === "none") return marked(key);
    const encoded = encodeURIComponent(key);
    return this.#options.encoding === "plus" ? encoded.replaceAll("%20", "+") : encoded;
  }
}

function order(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
