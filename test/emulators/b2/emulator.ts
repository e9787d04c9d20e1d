/**
 * A small Backblaze B2 on the loopback: the native API, versions 1 to 4, in memory; rights, versions, upload URLs and test
 * modes as the service has them; every knob of knobs.ts. It knows nothing of this project's client. A request that it does not
 * know is refused and kept in `unknown`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { carryOut } from "./calls.js";
import { CALL_NAMES } from "./fields.js";
import { type Key, Keys } from "./keys.js";
import { CALM, Costs, type Fault, type Knobs, type Seen } from "./knobs.js";
import { bad, json, type Made, Refusal, refusalAnswer } from "./refusal.js";
import { beginUpload, downloadById, downloadByName, type Upload } from "./transfer.js";
import { World } from "./world.js";

export interface B2EmulatorOptions {
  readonly knobs?: Partial<Knobs> | undefined;
  /** Chance for the knobs. Default Math.random. */
  readonly chance?: (() => number) | undefined;
  /** Epoch ms. Default: the system's. */
  readonly nowMs?: (() => number) | undefined;
  /** Default: any free one. */
  readonly port?: number | undefined;
}

export class B2Emulator {
  readonly keyId = "0123456789ab";
  readonly key = "K00master-key-of-the-emulator";
  readonly knobs: Knobs;
  readonly costs = new Costs();
  readonly seen: Seen[] = [];
  readonly unknown: string[] = [];
  readonly world: World;
  readonly #keys: Keys;
  readonly #chance: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #script: { readonly matches: (seen: Seen) => boolean; readonly fault: Fault; times: number }[] = [];
  #turn = 0;

  private constructor(options: B2EmulatorOptions) {
    this.knobs = { ...CALM, ...options.knobs };
    this.#chance = options.chance ?? Math.random;
    this.#keys = new Keys(this.keyId, this.key);
    this.world = new World(this.#keys, this.knobs, options.nowMs ?? (() => Date.now()), () => this.endpoint);
    this.#server = createServer((req, res) => void this.#serve(req, res));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  static async start(options: B2EmulatorOptions = {}): Promise<B2Emulator> {
    const emulator = new B2Emulator(options);
    await new Promise<void>((resolve) => emulator.#server.listen(options.port ?? 0, "127.0.0.1", resolve));
    return emulator;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  get openSockets(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** A bucket without a request. Answers its id. */
  makeBucket(name: string, type: "allPrivate" | "allPublic" = "allPrivate"): string {
    return this.world.makeBucket(name, type).id;
  }
  makeKey(from: Partial<Omit<Key, "id" | "secret">>): Key {
    const { name = "made", capabilities = [], bucketIds, namePrefix, expiresMs } = from;
    return this.#keys.create({ name, capabilities, bucketIds, namePrefix, expiresMs });
  }
  expireTokens(): void {
    this.#keys.expireAll();
  }
  /** Every version in every bucket, hide markers too: `bucket/name action`. */
  get stored(): string[] {
    return [...this.world.buckets.values()]
      .flatMap((bucket) => bucket.all.map(({ name, action }) => `${bucket.name}/${name} ${action}`))
      .sort();
  }

  /** The next `times` requests that match are answered so. */
  script(match: string | ((seen: Seen) => boolean), fault: Fault, times = 1): void {
    const matches = typeof match === "string" ? (seen: Seen) => seen.call === match : match;
    this.#script.push({ matches, fault, times });
  }
  clearScript(): void {
    this.#script.length = 0;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url!, "http://x");
    const [, versionText, apiCall] = /^\/b2api\/v(\d)\/(\w+)/.exec(url.pathname) ?? [];
    const call = apiCall ?? (url.pathname.startsWith("/file/") ? "b2_download_file_by_name" : "unknown");
    const version = Number(versionText ?? 4);
    const seen: Seen = { method: req.method!, url: req.url!, call, headers: req.headers };
    this.seen.push(seen);
    const fault = this.#faultFor(seen);
    let upload: Upload | undefined;
    let made: Made;
    try {
      const isUpload = call === "b2_upload_file" || call === "b2_upload_part";
      const skips = fault !== undefined && fault.kind !== "hold" && !fault.apply;
      if (isUpload && !skips) upload = beginUpload(this.world, req.headers, call === "b2_upload_part", url.pathname);
      const body = await read(req);
      if (body === undefined) return;
      if (fault?.kind === "hold") await fault.until;
      if (skips) made = json({});
      else {
        this.#testModes(req, call);
        this.costs.count(call, this.#transactions(call, body));
        made = upload ? await upload.finish(body) : this.#answer(req, url, call, version, body);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // Whatever was not read of the body yet must go, or the client would wait to send it.
      req.resume();
      made = refusalAnswer(error);
    } finally {
      upload?.release();
    }
    send(req, res, made, fault);
  }

  #faultFor(seen: Seen): Fault | undefined {
    const scripted = this.#script.find(({ matches, times }) => times > 0 && matches(seen));
    if (scripted !== undefined) {
      scripted.times--;
      return scripted.fault;
    }
    const { dropBefore, dropAfter, throttleShare, retryAfterS, busyShare } = this.knobs;
    const roll = this.#chance();
    let from = 0;
    const falls = (share: number): boolean => {
      const hit = roll >= from && roll < from + share;
      from += share;
      return hit;
    };
    if (falls(dropBefore)) return { kind: "reset", apply: false };
    if (falls(dropAfter)) return { kind: "reset", apply: true };
    if (falls(throttleShare)) {
      const headers = { "retry-after": String(retryAfterS) };
      return { kind: "reply", status: 429, code: "too_many_requests", message: "slow down", headers };
    }
    if (seen.call === "b2_upload_file" && falls(busyShare))
      return { kind: "reply", status: 503, code: "service_unavailable", message: "no tomes available" };
    return undefined;
  }

  /** https://www.backblaze.com/docs/cloud-storage-integration-checklist ("Testing your integration") */
  #testModes(req: IncomingMessage, call: string): void {
    const mode = req.headers["x-bz-test-mode"];
    const turn = ++this.#turn;
    if (mode === "fail_some_uploads" && /^b2_upload_/.test(call) && turn % 3 === 0)
      throw new Refusal(503, "service_unavailable", "X-Bz-Test-Mode: fail_some_uploads");
    const takesToken = !/^b2_(?:upload_|authorize)/.test(call);
    if (mode === "expire_some_account_authorization_tokens" && takesToken && turn % 3 === 0)
      throw new Refusal(401, "expired_auth_token", "X-Bz-Test-Mode: expire_some_account_authorization_tokens");
    if (mode === "force_cap_exceeded" && /^b2_(?:upload_|start_|copy_|create_|get_upload)/.test(call))
      throw new Refusal(403, "cap_exceeded", "X-Bz-Test-Mode: force_cap_exceeded");
  }

  #transactions(call: string, body: Buffer): number {
    const [, count] = /"maxFileCount":\s*(\d+)/.exec(call.startsWith("b2_list_file_") ? body.toString() : "") ?? [];
    return Math.max(1, Math.ceil(Number(count ?? 1) / 1000));
  }

  #answer(req: IncomingMessage, url: URL, call: string, version: number, body: Buffer): Made {
    const { authorization } = req.headers;
    const nowMs = this.world.nowMs();
    if (call === "b2_authorize_account") return json(this.#authorize(authorization, version, nowMs));
    if (call === "b2_download_file_by_name")
      return downloadByName(this.world, url.pathname, req.headers, url.searchParams);
    if (call === "b2_download_file_by_id") return downloadById(this.world, req.headers, url.searchParams);
    if (!CALL_NAMES.includes(call) || (req.method !== "POST" && req.method !== "GET")) {
      this.unknown.push(`${req.method} ${req.url}`);
      throw bad(`Bad path: ${url.pathname}`);
    }
    const token = this.#keys.check(authorization, nowMs, this.knobs.tokenUses);
    return json(carryOut(this.world, call, fieldsOf(req, url, call, body), token));
  }

  #authorize(basic: string | undefined, version: number, nowMs: number): object {
    const { token, key } = this.#keys.authorize(basic, version, nowMs, this.knobs.tokenMs);
    const { recommendedPartSize, minimumPartSize } = this.knobs;
    const common = { accountId: this.#keys.accountId, authorizationToken: token };
    const urls = { apiUrl: this.endpoint, downloadUrl: this.endpoint, s3ApiUrl: "http://127.0.0.1:1" };
    const sizes = { recommendedPartSize, absoluteMinimumPartSize: minimumPartSize };
    const rights = { capabilities: key.capabilities, namePrefix: key.namePrefix ?? null };
    const nameOf = (id: string) => this.world.buckets.get(id)?.name ?? null;
    if (version < 4) {
      const bucketId = key.bucketIds?.[0] ?? null;
      const bucketName = bucketId === null ? null : nameOf(bucketId);
      const flat = { ...urls, ...sizes, minimumPartSize: recommendedPartSize };
      if (version < 3) return { ...common, ...flat, allowed: { ...rights, bucketId, bucketName } };
      return {
        ...common,
        apiInfo: { storageApi: { ...flat, ...rights, bucketId, bucketName, infoType: "storageApi" } },
      };
    }
    const buckets = key.bucketIds === undefined ? null : key.bucketIds.map((id) => ({ id, name: nameOf(id) }));
    const storageApi = { ...urls, ...sizes, allowed: { ...rights, buckets }, infoType: "storageApi" };
    return {
      ...common,
      apiInfo: { storageApi, groupsApi: { capabilities: [], infoType: "groupsApi" } },
      applicationKeyExpirationTimestamp: key.expiresMs ?? null,
    };
  }
}

async function read(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of req) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

/** POST with JSON; the calls that only read also GET with a query. */
function fieldsOf(req: IncomingMessage, url: URL, call: string, body: Buffer): Record<string, unknown> {
  if (req.method === "GET") {
    if (!/^b2_(?:list|get)_/.test(call)) throw new Refusal(405, "method_not_allowed", "only POST is supported");
    const numbers = new Set([
      "maxFileCount",
      "maxKeyCount",
      "maxPartCount",
      "startPartNumber",
      "validDurationInSeconds",
    ]);
    return Object.fromEntries(
      [...url.searchParams].map(([name, value]) => [name, numbers.has(name) ? Number(value) : value]),
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw bad("Bad JSON", "bad_json");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("Bad JSON", "bad_json");
  return value as Record<string, unknown>;
}

function send(req: IncomingMessage, res: ServerResponse, made: Made, fault: Fault | undefined): void {
  if (fault?.kind === "hang") return;
  if (fault?.kind === "reset") {
    req.socket.resetAndDestroy();
    return;
  }
  let { status, body, headers } = made;
  if (fault?.kind === "reply") {
    status = fault.status;
    body = fault.body ?? JSON.stringify({ status, code: fault.code ?? "", message: fault.message ?? "" });
    headers = { "content-type": "application/json;charset=UTF-8", ...fault.headers };
  }
  const bytes = Buffer.from(body as string);
  res.writeHead(status, { date: new Date().toUTCString(), "content-length": bytes.length, ...headers });
  // HEAD has no body: an error's code is lost too.
  res.end(req.method === "HEAD" ? undefined : bytes);
}
