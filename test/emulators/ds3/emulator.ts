/**
 * A small Spectra appliance on the loopback, as far as this project speaks to one: buckets and objects in memory, bulk jobs
 * with chunks and pieces, a cache that is not always ready, signatures of version 2 checked, and scripted faults. Made from
 * the vendor's API reference; nobody has compared it with an appliance.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { crc32 } from "node:zlib";
import { type Ds3Keys, refusalV2 } from "./verify.js";

export interface Ds3EmulatorOptions {
  /** Pieces are at most so long. Default 1000 bytes. */
  readonly pieceBytes?: number;
  /** Default 3. */
  readonly piecesPerChunk?: number;
  /** Chunks that are ready at once. Default 2. */
  readonly chunksReady?: number;
  /** Every so many-th question for ready chunks is answered "none yet". 0: never. */
  readonly notReadyEvery?: number;
  readonly clockAheadMs?: number;
  /** What a get says of its bytes. */
  readonly checksum?: "md5" | "crc32";
}
export type Ds3Fault =
  /** Answered so, and not carried out. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** Carried out, the answer never sent. */
  | { readonly kind: "lost" }
  /** The body ends early. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** A whole answer with so many bytes less. */
  | { readonly kind: "short"; readonly bytes: number }
  /** The body has other bytes. */
  | { readonly kind: "damaged" };

interface Piece {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  body: Buffer | undefined;
  sent: boolean;
}
interface Job {
  readonly id: string;
  readonly bucket: string;
  readonly kind: "PUT" | "GET";
  readonly name: string;
  readonly chunks: Piece[][];
  status: "IN_PROGRESS" | "COMPLETED" | "CANCELED";
  asked: number;
}
export interface Ds3Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
}

export class Ds3Emulator {
  readonly keys: Ds3Keys = { accessKey: "DS3ACCESS", secretKey: "ds3/s3cr3t+key=" };
  readonly seen: Ds3Seen[] = [];
  readonly unknown: string[] = [];
  readonly jobs = new Map<string, Job>();
  readonly #options: Ds3EmulatorOptions;
  readonly #buckets = new Map<string, Map<string, { body: Buffer; metadata: Record<string, string> }>>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #faults: { match: (seen: Ds3Seen) => boolean; fault: Ds3Fault; times: number }[] = [];
  #serial = 0;

  private constructor(options: Ds3EmulatorOptions) {
    this.#options = options;
    this.#server = createServer((req, res) => void this.#serve(req, res));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
    });
  }

  static async start(options: Ds3EmulatorOptions = {}): Promise<Ds3Emulator> {
    const emulator = new Ds3Emulator(options);
    await new Promise<void>((resolve) => emulator.#server.listen(0, "127.0.0.1", resolve));
    return emulator;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  get openSockets(): number {
    return this.#sockets.size;
  }
  stored(bucket: string): Record<string, string> {
    const objects = this.#buckets.get(bucket) ?? new Map();
    return Object.fromEntries([...objects].map(([name, { body }]) => [name, body.toString()]));
  }
  put(bucket: string, name: string, body: string | Buffer): void {
    const objects = this.#buckets.get(bucket) ?? new Map();
    this.#buckets.set(bucket, objects.set(name, { body: Buffer.from(body), metadata: {} }));
  }
  script(match: (seen: Ds3Seen) => boolean, fault: Ds3Fault, times = 1): void {
    this.#faults.push({ match, fault, times });
  }
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
    const url = new URL(req.url!, "http://x");
    const path = decodeURIComponent(req.url!.split("?")[0]!);
    const seen: Ds3Seen = { method: req.method!, path, query: url.searchParams, headers: req.headers };
    this.seen.push(seen);
    const scripted = this.#faults.find(({ match, times }) => times > 0 && match(seen));
    if (scripted) scripted.times--;
    const fault = scripted?.fault;
    if (fault?.kind === "status") return void res.writeHead(fault.status, fault.headers).end(fault.body);
    const refused = refusalV2(req, this.keys, Date.now() + (this.#options.clockAheadMs ?? 0));
    const made = refused
      ? error(refused.status, refused.code, refused.message)
      : this.#answer(seen, Buffer.concat(chunks));
    if (fault?.kind === "lost") return void req.socket.destroy();
    const whole = Buffer.from(made.body);
    const body = fault?.kind === "short" ? whole.subarray(fault.bytes) : whole;
    res.writeHead(made.status, { ...made.headers, "content-length": body.length });
    if (req.method === "HEAD") return void res.end();
    if (fault?.kind === "cut") return void res.write(body.subarray(0, fault.bytes), () => req.socket.destroy());
    if (fault?.kind === "damaged") body[0] = body[0]! ^ 1;
    res.end(body);
  }

  #answer(seen: Ds3Seen, body: Buffer): Made {
    const { method, path, query } = seen;
    const [, rest, kind, id = ""] = /^\/(_rest_)\/(\w+)(?:\/(.*))?$/.exec(path) ?? [];
    if (rest !== undefined) return this.#rest(seen, kind!, id, body);
    const [, bucket, name] = /^\/([^/]*)(?:\/(.+))?$/s.exec(path) ?? [];
    if (!bucket) return method === "GET" ? this.#service() : this.#notKnown(seen);
    if (name === undefined) return this.#onBucket(seen, bucket, body);
    const objects = this.#buckets.get(bucket);
    if (objects === undefined) return error(404, "NoSuchBucket", "no such bucket");
    const job = query.get("job");
    if (method === "PUT")
      return job === null ? this.#putObject(seen, objects, name, body) : this.#putPiece(seen, job, name, body);
    const found = objects.get(name);
    if (method === "DELETE") {
      objects.delete(name);
      return found ? empty(204) : error(404, "NoSuchKey", "no such object");
    }
    if (found === undefined) return error(404, "NoSuchKey", "no such object");
    const metadata = Object.fromEntries(
      Object.entries(found.metadata).map(([key, value]) => [`x-amz-meta-${key}`, value]),
    );
    if (method === "HEAD") return { status: 200, body: found.body, headers: metadata };
    if (method !== "GET") return this.#notKnown(seen);
    if (job === null) return { status: 200, body: found.body, headers: { ...metadata, ...this.#sum(found.body) } };
    const piece = this.#piece(job, name, Number(query.get("offset")));
    if (piece === undefined) return error(404, "NotFound", "no such piece in this job");
    piece.sent = true;
    const part = found.body.subarray(piece.offset, piece.offset + piece.length);
    this.#settle(this.jobs.get(job)!);
    return { status: 200, body: part, headers: this.#sum(part) };
  }

  #sum(body: Buffer): Record<string, string> {
    const { checksum } = this.#options;
    return checksum === undefined ? {} : { [`content-${checksum}`]: checksumOf(checksum, body) };
  }

  #service(): Made {
    const buckets = [...this.#buckets.keys()].map(
      (name) => `<Bucket><Name>${name}</Name><CreationDate>2026-11-21T00:00:00.000Z</CreationDate></Bucket>`,
    );
    return xml(
      `<ListAllMyBucketsResult><Owner><ID>me</ID></Owner><Buckets>${buckets.join("")}</Buckets></ListAllMyBucketsResult>`,
    );
  }

  #onBucket(seen: Ds3Seen, bucket: string, body: Buffer): Made {
    const { method, query } = seen;
    const objects = this.#buckets.get(bucket);
    if (method === "PUT") {
      if (objects !== undefined) return error(409, "BucketAlreadyExists", "yours already");
      this.#buckets.set(bucket, new Map());
      return empty(200);
    }
    if (objects === undefined) return error(404, "NoSuchBucket", "no such bucket");
    if (method === "HEAD") return empty(200);
    if (method === "DELETE") {
      if (objects.size > 0) return error(409, "BucketNotEmpty", "not empty");
      this.#buckets.delete(bucket);
      return empty(204);
    }
    if (method === "POST" && query.has("delete")) {
      const names = [...body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)].map(([, name]) => plain(name!));
      const failed = names.filter((name) => !objects.delete(name));
      const errors = failed.map(
        (name) => `<Error><Key>${marked(name)}</Key><Code>NoSuchKey</Code><Message>gone</Message></Error>`,
      );
      return xml(`<DeleteResult>${errors.join("")}</DeleteResult>`);
    }
    if (method !== "GET") return this.#notKnown(seen);
    const all = [...objects.keys()].sort().filter((name) => name.startsWith(query.get("prefix") ?? ""));
    const after = all.filter((name) => name > (query.get("marker") ?? ""));
    const page = after.slice(0, Number(query.get("max-keys") ?? 1000));
    const contents = page.map(
      (name) =>
        `<Contents><Key>${marked(name)}</Key><Size>${objects.get(name)!.body.length}</Size><ETag>"e"</ETag><LastModified>2026-11-21T00:00:00.000Z</LastModified></Contents>`,
    );
    const isMore = after.length > page.length;
    const next = isMore ? `<NextMarker>${marked(page.at(-1)!)}</NextMarker>` : "";
    return xml(`<ListBucketResult><IsTruncated>${isMore}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`);
  }

  #rest(seen: Ds3Seen, kind: string, id: string, body: Buffer): Made {
    const { method, query } = seen;
    const operation = query.get("operation")?.toLowerCase();
    if (kind === "bucket" && method === "PUT" && operation?.startsWith("start_bulk_"))
      return this.#start(id, operation === "start_bulk_put" ? "PUT" : "GET", query, body);
    if (kind === "bucket" && method === "DELETE" && query.has("force"))
      return this.#buckets.delete(id) ? empty(204) : error(404, "NoSuchBucket", "no such bucket");
    if (kind === "folder" && method === "DELETE" && query.has("recursive")) {
      const objects = this.#buckets.get(query.get("bucket_id") ?? "");
      const names = [...(objects?.keys() ?? [])].filter((name) => name.startsWith(`${id}/`));
      for (const name of names) objects!.delete(name);
      return names.length > 0 ? empty(204) : error(404, "NotFound", "no such folder");
    }
    if (kind === "job" && id === "" && method === "GET") {
      const all = [...this.jobs.values()].map((job) => `<Job ${facts(job)}/>`);
      return xml(`<Jobs>${all.join("")}</Jobs>`);
    }
    const job = this.jobs.get(kind === "job" ? id : (query.get("job") ?? ""));
    if (job === undefined) return error(404, "NotFound", "no such job");
    if (kind === "job" && method === "GET") return xml(document(job, job.chunks));
    if (kind === "job" && method === "DELETE") {
      job.status = "CANCELED";
      return empty(204);
    }
    if (kind === "job_chunk" && method === "GET") return this.#ready(job);
    return this.#notKnown(seen);
  }

  #start(bucket: string, kind: "PUT" | "GET", query: URLSearchParams, body: Buffer): Made {
    const objects = this.#buckets.get(bucket);
    if (objects === undefined) return error(404, "NoSuchBucket", "no such bucket");
    const { pieceBytes = 1000, piecesPerChunk = 3 } = this.#options;
    const most = Number(query.get("max_upload_size") ?? pieceBytes);
    const pieces: Piece[] = [];
    for (const [, inside] of body.toString().matchAll(/<Object ([^>]*?)\/?>/g)) {
      const attribute = (name: string) => plain(new RegExp(`\\b${name}="([^"]*)"`).exec(inside!)?.[1] ?? "");
      const name = attribute("Name");
      if (kind === "GET" && !objects.has(name)) return error(404, "NotFound", `no object ${name}`);
      if (kind === "PUT" && objects.has(name)) return error(409, "ObjectAlreadyExists", `there is ${name}`);
      const size = kind === "PUT" ? Number(attribute("Size")) : objects.get(name)!.body.length;
      for (let offset = 0; offset === 0 || offset < size; offset += most)
        pieces.push({ name, offset, length: Math.min(most, size - offset), body: undefined, sent: false });
    }
    const chunks: Piece[][] = [];
    for (let at = 0; at < pieces.length; at += piecesPerChunk) chunks.push(pieces.slice(at, at + piecesPerChunk));
    const id = `job-${++this.#serial}`;
    const job: Job = { id, bucket, kind, name: query.get("name") ?? "", chunks, status: "IN_PROGRESS", asked: 0 };
    this.jobs.set(id, job);
    return xml(document(job, job.chunks));
  }

  #ready(job: Job): Made {
    const { chunksReady = 2, notReadyEvery = 0 } = this.#options;
    job.asked++;
    const open = job.chunks.filter((chunk) => chunk.some((piece) => !isDone(job, piece)));
    const none = notReadyEvery > 0 && job.asked % notReadyEvery === 0 && open.length > 0;
    const made = xml(document(job, none ? [] : open.slice(0, chunksReady)));
    return none ? { ...made, headers: { ...made.headers, "retry-after": "7" } } : made;
  }

  #piece(job: string, name: string, offset: number): Piece | undefined {
    return this.jobs
      .get(job)
      ?.chunks.flat()
      .find((piece) => piece.name === name && piece.offset === offset);
  }

  #putObject(seen: Ds3Seen, objects: Map<string, unknown>, name: string, body: Buffer): Made {
    if (objects.has(name)) return error(409, "ObjectAlreadyExists", "there is one");
    const metadata = Object.entries(seen.headers).flatMap(([header, value]) =>
      header.startsWith("x-amz-meta-") ? [[header.slice(11), String(value)]] : [],
    );
    objects.set(name, { body, metadata: Object.fromEntries(metadata) });
    return empty(200);
  }

  #putPiece(seen: Ds3Seen, id: string, name: string, body: Buffer): Made {
    const job = this.jobs.get(id);
    const piece = this.#piece(id, name, Number(seen.query.get("offset")));
    if (job === undefined || piece === undefined) return error(404, "NotFound", "no such piece in this job");
    if (piece.body !== undefined) return error(409, "ObjectAlreadyExists", "this piece is here");
    if (body.length !== piece.length) return error(400, "InvalidRequest", "another length than was planned");
    for (const kind of ["md5", "crc32", "sha256", "sha512"] as const) {
      const said = seen.headers[`content-${kind}`];
      if (said !== undefined && said !== checksumOf(kind, body)) return error(400, "BadDigest", `another ${kind}`);
    }
    piece.body = body;
    const pieces = job.chunks.flat().filter((other) => other.name === name);
    if (pieces.every((other) => other.body !== undefined))
      this.put(job.bucket, name, Buffer.concat(pieces.map((other) => other.body!)));
    this.#settle(job);
    return empty(200);
  }

  #settle(job: Job): void {
    if (job.chunks.flat().every((piece) => isDone(job, piece))) job.status = "COMPLETED";
  }

  #notKnown(seen: Ds3Seen): Made {
    this.unknown.push(`${seen.method} ${seen.path}?${seen.query}`);
    return error(501, "NotImplemented", "not known here");
  }
}

interface Made {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers: Record<string, string>;
}

const isDone = (job: Job, piece: Piece) => (job.kind === "PUT" ? piece.body !== undefined : piece.sent);

function facts(job: Job): string {
  const size = job.chunks.flat().reduce((sum, { length }) => sum + length, 0);
  const cached = job.chunks.flat().reduce((sum, piece) => sum + (isDone(job, piece) ? piece.length : 0), 0);
  return `Aggregating="false" BucketName="${marked(job.bucket)}" CachedSizeInBytes="${cached}" CompletedSizeInBytes="0" JobId="${job.id}" Name="${marked(job.name)}" OriginalSizeInBytes="${size}" Priority="NORMAL" RequestType="${job.kind}" Status="${job.status}"`;
}

function document(job: Job, chunks: readonly Piece[][]): string {
  const inside = chunks.map((pieces) => {
    const objects = pieces.map(
      (piece) =>
        `<Object Id="x" InCache="${job.kind === "GET" || piece.body !== undefined}" Latest="true" Length="${piece.length}" Name="${marked(piece.name)}" Offset="${piece.offset}" Version="1"/>`,
    );
    return `<Objects ChunkId="${job.id}-${job.chunks.indexOf(pieces)}" ChunkNumber="${job.chunks.indexOf(pieces)}" NodeId="n">${objects.join("")}</Objects>`;
  });
  return `<MasterObjectList ${facts(job)}><Nodes><Node EndPoint="127.0.0.1" Id="n"/></Nodes>${inside.join("")}</MasterObjectList>`;
}

function checksumOf(kind: "md5" | "crc32" | "sha256" | "sha512", body: Buffer): string {
  if (kind !== "crc32") return createHash(kind).update(body).digest("base64");
  return Buffer.from(crc32(body).toString(16).padStart(8, "0"), "hex").toString("base64");
}

function xml(body: string): Made {
  return {
    status: 200,
    body: `<?xml version="1.0" encoding="UTF-8"?>${body}`,
    headers: { "content-type": "application/xml" },
  };
}
function empty(status: number): Made {
  return { status, body: "", headers: {} };
}
function error(status: number, code: string, message: string): Made {
  return {
    ...xml(
      `<Error><Code>${code}</Code><HttpErrorCode>${status}</HttpErrorCode><Message>${marked(message)}</Message></Error>`,
    ),
    status,
  };
}
function marked(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
function plain(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");
}
