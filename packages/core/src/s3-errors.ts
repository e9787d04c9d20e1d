/**
 * The errors of an S3 store: code, kind, one sentence with the values at its end. Pure. Nothing of a request's headers or
 * query string ever becomes part of them, and a server's own words only where they do not quote the request back.
 */
import { type Said, STORE_CODES, type StoreCode } from "./classify.js";
import { StoreError, show } from "./errors.js";
import type { S3RequestName } from "./s3-requests.js";

const FACTS: Readonly<Record<StoreCode, string>> = {
  STORE_ACCESS_DENIED: "the store denies access with these keys",
  STORE_BAD_CREDENTIALS: "the store does not accept these credentials",
  STORE_NO_CREDENTIALS: "there are no credentials",
  STORE_NO_BUCKET: "the bucket does not exist",
  STORE_CLOCK_SKEW: "this host's clock is too far from the store's",
  STORE_REDIRECT: "the store redirects elsewhere, and does not name a region",
  STORE_WRONG_REGION: "the region is not the bucket's",
  STORE_NOT_S3: "the answer is not from an S3 store (a proxy, a web page or another service)",
  STORE_CORRUPT_ANSWER: "the store's answer is cut or contradicts itself",
  STORE_UNAVAILABLE: "the store failed",
  STORE_TIMEOUT: "the store did not answer in time",
  STORE_UNTRUSTED: "the connection to the store cannot be trusted",
  STORE_UNREACHABLE: "the store cannot be reached",
  STORE_DISCONNECTED: "the connection to the store broke",
  STORE_THROTTLED: "the store asks for fewer requests",
  STORE_FULL: "the store is full",
  STORE_EXPIRED: "the request reached the store too late and was refused",
  STORE_COLLISION: "another request on the same object was under way",
  STORE_UNSUPPORTED: "the store does not support this request",
  STORE_REFUSED: "the store refuses this request",
  STORE_NO_SUCH_RANGE: "the object has no such bytes",
  STORE_TOO_LARGE: "the object is too large to be held in memory (streamObject, download and ranges are for it)",
  STORE_CHANGED: "the object was replaced while it was read",
  STORE_BUCKET_EXISTS: "the bucket exists already",
  STORE_BUCKET_NOT_EMPTY: "the bucket is not empty",
  STORE_NOT_DELETED: "not everything could be deleted",
  STORE_UNCLEAR: "the write may or may not have been carried out",
  STORE_CLOSED: "the session is closed",
};

/** What is known of a try that did not succeed. */
export interface Note {
  readonly status?: number | undefined;
  readonly said?: Said | undefined;
  readonly requestId?: string | undefined;
  readonly region?: string | undefined;
  readonly location?: string | undefined;
  readonly fact?: string | undefined;
  readonly serverTimeMs?: number | undefined;
  /** Server less host, in ms. */
  readonly skewMs?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Where it was sent. */
export interface ErrorPlace {
  readonly bucket?: string | undefined;
  readonly origin: string;
}

export function storeError(
  ask: { readonly request: S3RequestName; readonly key?: string | undefined },
  endpoint: ErrorPlace,
  code: StoreCode,
  note: Note,
  tries: number,
): StoreError {
  const error = typeof note.said === "object" ? note.said : undefined;
  const { status } = note;
  const region = error?.region ?? note.region;
  const where = error?.endpoint ?? hostOf(note.location);
  const skewMs = code === "STORE_CLOCK_SKEW" ? note.skewMs : undefined;
  const said = error && `${error.code}${error.message === "" ? "" : `: ${safe(error.message)}`}`;
  const values = [
    ask.request,
    ask.key === undefined ? undefined : `key ${show(ask.key)}`,
    endpoint.bucket === undefined ? `at ${endpoint.origin}` : `bucket ${endpoint.bucket} at ${endpoint.origin}`,
    status === undefined ? undefined : `status ${status}`,
    said,
    note.fact,
    region === undefined ? undefined : `region ${region}`,
    where === undefined ? undefined : `endpoint ${where}`,
    skewMs === undefined ? undefined : `server less host ${Math.round(skewMs / 1000)} s`,
  ];
  const details = {
    request: ask.request,
    bucket: endpoint.bucket,
    tries,
    key: ask.key,
    status,
    storeCode: error?.code,
    requestId: note.requestId ?? error?.requestId,
    region,
    endpoint: where,
    skewMs,
    retryAfterMs: note.retryAfterMs,
  };
  return new StoreError(`${FACTS[code]}; ${values.filter((value) => value !== undefined).join(", ")}`, {
    code,
    kind: STORE_CODES[code],
    cause: note.cause,
    details: Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)),
  });
}

/** For the outcome `unknown`: of kind unknown or unavailable whatever the last try met, which is then the cause. */
export function unclear(error: StoreError): StoreError {
  if (error.kind === "unknown" || error.kind === "unavailable") return error;
  const { details } = error;
  return new StoreError(FACTS.STORE_UNCLEAR, {
    code: "STORE_UNCLEAR",
    kind: "unknown",
    cause: error,
    details,
  });
}

/** A location's host only: its query may be signed. */
function hostOf(location: string | undefined): string | undefined {
  if (location === undefined) return undefined;
  return /^https?:\/\/(?:[^/?#@]*@)?([^/?#@]+)/i.exec(location)?.[1];
}

/** A server's own words, unless they quote a signed request back. */
function safe(message: string): string {
  const line = message.replace(/\s+/g, " ").trim();
  if (/x-amz-|aws4-|signature=|credential=/i.test(line)) return "(withheld: it quotes the request)";
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}
