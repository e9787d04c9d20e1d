/**
 * An S3 server on the loopback: buckets in memory, by the book, signatures checked, and scripted faults. What it answers to
 * a request is in the files beside it, one noun each (routes.ts names them all); here is the server around them. A request
 * it does not know is answered 501 and kept in `unknown`; a test that cares asserts that it is empty.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { isPublic } from "./acls.js";
import { empty, type Made, missing, Refusal } from "./answers.js";
import type { Call } from "./call.js";
import { checkedSums } from "./checksums.js";
import { unchunk } from "./chunked.js";
import { applies, type ScriptedFault, send } from "./faults.js";
import type { EmulatorOptions } from "./knobs.js";
import { remove } from "./objects.js";
import { verbOf } from "./routes.js";
import { type Keys, type Verified, verify } from "./verify.js";
import { type Bucket, order, type Stored, World } from "./world.js";

export type { EmulatorOptions } from "./knobs.js";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}
type Match = string | ((seen: Seen) => boolean);

/** What a request is about, from its path (or its Host). */
interface Target {
  readonly bucket: string | undefined;
  readonly key: string | undefined;
}

export class S3Emulator {
  readonly keys: Keys;
  readonly region: string;
  /** The bucket that was there from the start. */
  readonly bucket: string;
  readonly seen: Seen[] = [];
  readonly unknown: string[] = [];
  readonly world: World;
  readonly #options: EmulatorOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #faults: { readonly match: (seen: Seen) => boolean; readonly fault: ScriptedFault; times: number }[] = [];
  #connections = 0;

  private constructor(options: EmulatorOptions) {
    this.#options = options;
    this.keys = options.keys ?? { accessKeyId: "AKEMULATOR", secretAccessKey: "s3cr3t/of+the=emulator" };
    this.region = options.region ?? "us-east-1";
    this.bucket = options.bucket ?? "test-bucket";
    this.world = new World(options, this.region);
    this.world.nowMs = this.#nowMs();
    const { versions = false, objectLock = false } = options;
    this.world.makeBucket(this.bucket, { versions, objectLock });
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
  /** Of the first bucket unless another is named, as are the next two. */
  keysStored(bucket = this.bucket): string[] {
    const there = this.world.bucket(bucket);
    return [...there.objects.keys()].filter((key) => this.world.current(there, key) !== undefined).sort();
  }
  bodyOf(key: string, bucket = this.bucket): string | undefined {
    return this.stored(key, bucket)?.body.toString();
  }
  /** The latest version, which may be a delete marker. */
  stored(key: string, bucket = this.bucket): Stored | undefined {
    return this.world.latest(this.world.bucket(bucket), key);
  }
  /** Uploads under way: what a client left behind. */
  uploads(bucket = this.bucket): string[] {
    return [...this.world.bucket(bucket).uploads.values()].map(({ key, id }) => `${key} ${id}`).sort(order);
  }

  /** The next `times` requests that match (a method, or what the function says) are answered so. */
  script(match: Match, fault: ScriptedFault, times = 1): void {
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

  #nowMs(): number {
    return Date.now() + (this.#options.clockAheadMs ?? 0);
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const seen: Seen = { method: req.method!, url: req.url!, headers: req.headers };
    this.seen.push(seen);
    const scripted = this.#faults.find(({ match, times }) => times > 0 && match(seen));
    if (scripted) scripted.times--;
    const fault = scripted?.fault;
    const close = this.#options.closeConnections === true;
    if (fault?.kind === "reply" && fault.early) {
      // The rest of the body is read and thrown away, as servers do that want to keep the connection.
      req.resume();
      send(req, res, empty(fault.status), fault, this.#nowMs(), close);
      return;
    }
    const target = this.#targetOf(req);
    const deletionsBefore = this.#deletions(target);
    const body = await this.#bodyOf(req, fault);
    if (body === undefined) return;
    const nowMs = this.#nowMs();
    const answer = () => this.#answer(req, target, body, deletionsBefore, nowMs);
    if (fault?.kind === "interleave") this.#interleave(target);
    if (fault?.kind === "twice") answer();
    send(req, res, applies(fault) ? answer() : empty(200), fault, nowMs, close);
  }

  /** Undefined: it did not come whole. */
  async #bodyOf(req: IncomingMessage, fault: ScriptedFault | undefined): Promise<Buffer | undefined> {
    const resetAfter = fault?.kind === "reset" && "afterBytes" in fault ? fault.afterBytes : undefined;
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of req) {
        chunks.push(chunk as Buffer);
        length += (chunk as Buffer).length;
        if (resetAfter === undefined || length < resetAfter) continue;
        req.socket.resetAndDestroy();
        return undefined;
      }
    } catch {
      return undefined;
    }
    return Buffer.concat(chunks);
  }

  #answer(req: IncomingMessage, target: Target | undefined, body: Buffer, deletions: number, nowMs: number): Made {
    this.world.nowMs = nowMs;
    try {
      if (target === undefined) throw new Refusal(400, "InvalidURI", "Couldn't parse the specified URI.");
      return this.#carryOut(req, target, body, deletions, nowMs);
    } catch (refusal) {
      if (refusal instanceof Refusal) return refusal.made;
      throw refusal;
    }
  }

  #carryOut(req: IncomingMessage, target: Target, raw: Buffer, deletionsBefore: number, nowMs: number): Made {
    const bucket = target.bucket === undefined ? undefined : this.world.buckets.get(target.bucket);
    const region = bucket?.region ?? this.region;
    const verified = verify(req, raw, this.keys, { region, wrongRegion: this.#options.wrongRegion ?? 400 }, nowMs);
    if (verified === "anonymous") this.#refuseStranger(req, bucket, target.key);
    const { body, headers } = this.#plain(req, raw, verified);
    const query = new URL(req.url!, "http://x").searchParams;
    const call: Call = {
      world: this.world,
      method: req.method!,
      query,
      headers,
      body,
      checksums: checkedSums(headers, body),
      deletionsBefore,
    };
    const verb = verbOf(req.method!, query, target.bucket, target.key);
    if (verb !== undefined) return verb(call);
    this.unknown.push(`${req.method} ${req.url}`);
    return missing();
  }

  /** The body without its chunks; the headers with its trailers. */
  #plain(req: IncomingMessage, raw: Buffer, verified: Verified | "anonymous"): Pick<Call, "body" | "headers"> {
    const headers = req.headers as Record<string, string | undefined>;
    if (verified === "anonymous") return { body: raw, headers };
    const isTrailing = verified.payload.endsWith("-TRAILER");
    if (isTrailing && this.#options.trailers === "refuse")
      throw new Refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented");
    const plain = unchunk(verified.payload, raw, headers, verified.seal);
    return plain === undefined
      ? { body: raw, headers }
      : { body: plain.body, headers: { ...headers, ...plain.trailers } };
  }

  /** Without a signature: what is public may be read. */
  #refuseStranger(req: IncomingMessage, bucket: Bucket | undefined, key: string | undefined): void {
    const isRead = req.method === "GET" || req.method === "HEAD";
    const versionId = new URL(req.url!, "http://x").searchParams.get("versionId");
    const versions = key === undefined ? undefined : bucket?.objects.get(key);
    const stored = versionId === null ? versions?.at(-1) : versions?.find((one) => one.versionId === versionId);
    if (isRead && bucket !== undefined && (isPublic(bucket.acl) || (stored !== undefined && isPublic(stored.acl))))
      return;
    throw new Refusal(403, "AccessDenied", "Access Denied");
  }

  #targetOf(req: IncomingMessage): Target | undefined {
    const { domain } = this.#options;
    const host = (req.headers.host ?? "").replace(/:\d+$/, "");
    const own = domain !== undefined && host.endsWith(`.${domain}`) ? host.slice(0, -domain.length - 1) : undefined;
    const path = req.url!.split("?")[0]!;
    const [, first, rest] = (own === undefined ? /^\/([^/]*)(?:\/(.*))?$/s : /^\/()(.*)$/s).exec(path) ?? [];
    try {
      return {
        bucket: own ?? (first || undefined),
        key: rest === undefined || rest === "" ? undefined : decodeURIComponent(rest),
      };
    } catch {
      return undefined;
    }
  }

  #deletions(target: Target | undefined): number {
    if (target?.bucket === undefined || target.key === undefined) return 0;
    return this.world.buckets.get(target.bucket)?.deletions.get(target.key) ?? 0;
  }

  #interleave(target: Target | undefined): void {
    const bucket = this.world.buckets.get(target?.bucket ?? "");
    if (bucket === undefined || target?.key === undefined) return;
    const call = { world: this.world, method: "DELETE", query: new URLSearchParams(), headers: {} };
    const rest = { body: Buffer.alloc(0), checksums: {}, deletionsBefore: 0 };
    remove({ ...call, ...rest, bucket }, target.key, undefined);
  }
}
