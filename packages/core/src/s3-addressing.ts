/**
 * Where a request goes and as who: endpoint, region and signature, made anew for each try. Keeps what answers teach: the server's
 * clock, and the region of a bucket that is elsewhere. It sends nothing, and follows nobody's address: only a region's name is
 * believed, never a host.
 */
import type { Clock } from "./clock.js";
import type { CredentialSource } from "./credentials.js";
import type { S3Endpoint } from "./s3-endpoint.js";
import type { Note } from "./s3-errors.js";
import type { Addressed, Addressing, S3Ask } from "./s3-exchange.js";
import { S3_REQUESTS } from "./s3-requests.js";
import { type HostTime, ServerClock } from "./server-clock.js";
import { EMPTY_SHA256, Signer, type SigningCredentials, sha256Hex, UNSIGNED_PAYLOAD } from "./sigv4.js";
import { canonicalQuery, type Pair } from "./uri.js";

export interface S3AddressingParts {
  readonly endpoint: S3Endpoint;
  readonly credentials: CredentialSource;
  readonly clock: Clock;
}

// X-Amz-Date is cut to whole seconds, and the estimate of the server's clock is off by up to its own uncertainty.
const DATE_STEP_MS = 1_000;
const EXPIRES_MAX_S = 604_800;
/** Buckets whose region is remembered. */
const REGIONS_MAX = 1_000;

export class S3Addressing implements Addressing {
  readonly movesMax = 1;
  readonly #parts: S3AddressingParts;
  readonly #serverClock = new ServerClock();
  /** By region: nearly always one. */
  readonly #signers = new Map<string, Signer>();
  /** Of buckets that turned out to be elsewhere. */
  readonly #regions = new Map<string, string>();

  constructor(parts: S3AddressingParts) {
    this.#parts = parts;
  }

  /** The server's clock as well as it is known, in epoch ms; the host's own until the first answer. */
  serverNowMs(): number {
    return this.#serverTimeAt(this.#now());
  }

  #serverTimeAt(now: HostTime): number {
    return now.wallMs + (this.#serverClock.estimate(now)?.offsetMs ?? 0);
  }

  observe(serverTimeMs: number, sentAt: HostTime): void {
    this.#serverClock.observe(serverTimeMs, sentAt, this.#now());
  }

  /** Throws InvalidError when no bucket is named where one is meant. */
  placeOf({ request, bucket, region }: Pick<S3Ask, "request" | "bucket" | "region">): S3Endpoint {
    const { endpoint } = this.#parts;
    const place = S3_REQUESTS[request].target === "service" ? endpoint.service() : endpoint.of(bucket);
    const known = region ?? (place.bucket === undefined ? undefined : this.#regions.get(place.bucket));
    return known === undefined ? place : place.inRegion(known);
  }

  signerFor({ region }: S3Endpoint): Signer {
    let signer = this.#signers.get(region);
    if (signer === undefined) {
      signer = new Signer({ region, service: "s3" });
      this.#signers.set(region, signer);
    }
    return signer;
  }

  prepare(ask: S3Ask, remainingMs: () => number): Promise<Addressed | undefined> | Addressed {
    const at = this.#now();
    const credentials = this.#parts.credentials.fresh(this.#serverTimeAt(at));
    if (credentials !== undefined) return this.#sign(ask, credentials, at);
    return this.keys(ask.signal, remainingMs()).then((keys) => keys && this.#sign(ask, keys, this.#now()));
  }

  renew(): boolean {
    const { credentials } = this.#parts;
    credentials.forget();
    return credentials.renewable;
  }

  /** The region in the answer, where it is another than was asked. */
  moved(ask: S3Ask, { said, region: header }: Note): S3Ask | undefined {
    const error = typeof said === "object" ? said : undefined;
    const region = error?.region ?? header ?? /expecting '([A-Za-z0-9-]+)'/.exec(error?.message ?? "")?.[1];
    if (region === undefined || !/^[A-Za-z0-9-]{1,64}$/.test(region)) return undefined;
    return region === this.placeOf(ask).region ? undefined : { ...ask, region };
  }

  arrived(ask: S3Ask): void {
    const { region } = ask;
    const { bucket } = this.placeOf(ask);
    if (region === undefined || bucket === undefined) return;
    if (this.#regions.size >= REGIONS_MAX) this.#regions.clear();
    this.#regions.set(bucket, region);
  }

  /** Keys to sign with. Undefined: the limit passed while their provider thought about it. */
  async keys(signal: AbortSignal | undefined, remainingMs: number): Promise<SigningCredentials | undefined> {
    const { credentials, clock } = this.#parts;
    const resolving = credentials.resolve(this.serverNowMs());
    if (!credentials.renewable) return resolving;
    let stop = () => {};
    let onAbort = () => {};
    try {
      return await Promise.race([
        resolving,
        new Promise<undefined>((resolve, reject) => {
          stop = clock.after(remainingMs, () => resolve(undefined));
          onAbort = () => reject(signal!.reason);
          signal?.addEventListener("abort", onAbort, { once: true });
        }),
      ]);
    } finally {
      stop();
      signal?.removeEventListener("abort", onAbort);
      // When the race was lost, a late failure of the provider is nobody's.
      resolving.catch(() => {});
    }
  }

  #sign(ask: S3Ask, credentials: SigningCredentials, at: HostTime): Addressed {
    const place = this.placeOf(ask);
    const { origin } = place;
    const signer = this.signerFor(place);
    const shape = S3_REQUESTS[ask.request];
    const path = place.path(shape.target === "object" ? ask.key! : undefined);
    const query = ask.query === undefined ? shape.query : [...shape.query, ...ask.query];
    const headers: Pair[] = [["host", place.host]];
    if (ask.headers !== undefined) headers.push(...ask.headers);
    if (ask.condition) {
      headers.push("absent" in ask.condition ? ["if-none-match", "*"] : ["if-match", ask.condition.etag]);
    }
    const estimate = this.#serverClock.estimate(at);
    const nowMs = at.wallMs + (estimate?.offsetMs ?? 0);
    // Before the first answer the server's clock is unknown, and a short life could be over before it begins: the header
    // form (15 minutes) is used then.
    if (ask.validForMs !== undefined && estimate !== undefined) {
      const allowedMs = ask.validForMs + DATE_STEP_MS + Math.min(estimate.uncertaintyMs, DATE_STEP_MS);
      const expiresS = Math.min(Math.max(Math.ceil(allowedMs / 1000), 1), EXPIRES_MAX_S);
      const request = { method: shape.method, path, query, headers, payloadHash: UNSIGNED_PAYLOAD };
      const signed = signer.signQuery(request, credentials, nowMs, expiresS);
      return { origin, at, path: `${path}?${signed}`, headers: framed(headers, ask) };
    }
    const search = canonicalQuery(query);
    const request = { method: shape.method, path, query, headers, payloadHash: payloadHash(ask) };
    const signed = signer.signHeaders(request, credentials, nowMs, search);
    return { origin, at, path: search === "" ? path : `${path}?${search}`, headers: framed(signed, ask) };
  }

  #now(): HostTime {
    const { clock } = this.#parts;
    return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
  }
}

function payloadHash({ body, bodySha256 }: S3Ask): string {
  if (bodySha256 !== undefined) return bodySha256;
  if (body === undefined) return EMPTY_SHA256;
  if (!(body instanceof Uint8Array)) throw new Error("a body that is not in memory comes with its SHA-256");
  return sha256Hex(body);
}

/** Of bytes, whoever sends them knows the length. */
function framed(headers: readonly Pair[], { body }: S3Ask): readonly Pair[] {
  if (body === undefined || body instanceof Uint8Array) return headers;
  return [...headers, ["content-length", String(body.length)]];
}
