/**
 * The errors of B2: code, kind, one sentence with the values at its end. Pure. No token, key or upload URL ever becomes part
 * of them.
 */
import { type BucketlockError, StoreError } from "@bucketlock/core";
import { show } from "@bucketlock/core/http";
import type { B2CallName } from "./b2-calls.js";
import { B2_CODES, type B2Code, capOf, type Said } from "./b2-classify.js";

const FACTS: Readonly<Partial<Record<B2Code, string>>> = {
  STORE_ACCESS_DENIED: "B2 denies this to the application key (capability, bucket or name prefix)",
  STORE_BAD_CREDENTIALS: "B2 does not accept the application key or its token",
  STORE_NO_BUCKET: "the bucket does not exist, or is not this key's",
  STORE_REDIRECT: "the server redirects elsewhere, which is never followed",
  STORE_NOT_B2: "the answer is not from B2 (a proxy, a web page or another service)",
  STORE_CORRUPT_ANSWER: "B2's answer, or the data on the way, is damaged or contradicts itself",
  STORE_UNAVAILABLE: "B2 failed",
  STORE_TIMEOUT: "B2 did not answer in time",
  STORE_UNREACHABLE: "B2 cannot be reached",
  STORE_DISCONNECTED: "the connection to B2 broke",
  STORE_THROTTLED: "B2 asks for fewer requests",
  STORE_CAP_EXCEEDED: "a cap of the B2 account is reached",
  STORE_UNSUPPORTED: "B2 does not support this",
  STORE_REFUSED: "B2 refuses this request",
  STORE_BUCKET_EXISTS: "the bucket name is taken",
  STORE_BUCKET_NOT_EMPTY: "the bucket is not empty",
  STORE_UNCLEAR: "the call may or may not have been carried out",
  STORE_CLOSED: "the session is closed",
};

/** What is known of a try that did not succeed. */
export interface Note {
  readonly status?: number | undefined;
  readonly said?: Said | undefined;
  readonly fact?: string | undefined;
  readonly serverTimeMs?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** What the call was about, for messages. */
export interface About {
  readonly call: B2CallName;
  readonly name?: string | undefined;
  readonly bucket?: string | undefined;
}

export function b2Error(about: About, code: B2Code, note: Note, tries: number): StoreError {
  const said = typeof note.said === "object" ? note.said : undefined;
  const cap = said === undefined ? undefined : capOf(said.code);
  const values = [
    about.call,
    about.name === undefined ? undefined : `name ${show(about.name)}`,
    about.bucket === undefined ? undefined : `bucket ${about.bucket}`,
    cap === undefined ? undefined : `${cap} cap`,
    note.status === undefined ? undefined : `status ${note.status}`,
    said && `${said.code}${said.message === "" ? "" : `: ${safe(said.message)}`}`,
    note.fact,
    tries > 1 ? `${tries} tries` : undefined,
  ];
  const details = {
    call: about.call,
    name: about.name,
    bucket: about.bucket,
    tries,
    status: note.status,
    storeCode: said?.code,
    cap,
    retryAfterMs: note.retryAfterMs,
  };
  return new StoreError(`${FACTS[code] ?? "B2 failed"}; ${values.filter((value) => value !== undefined).join(", ")}`, {
    code,
    kind: B2_CODES[code],
    cause: note.cause,
    details: Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)),
  });
}

/** Of kind unknown or unavailable whatever the last try met, which is then the cause: an earlier one may have landed. */
export function unclear(error: BucketlockError): BucketlockError {
  if (error.kind === "unknown") return error;
  return new StoreError(`${FACTS.STORE_UNCLEAR}; the last try: ${error.message}`, {
    code: "STORE_UNCLEAR",
    kind: "unknown",
    cause: error,
    details: error.details,
  });
}

export function corrupt(fact: string): StoreError {
  return new StoreError(`${FACTS.STORE_CORRUPT_ANSWER}; ${fact}`, { code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
}

/** B2's own words, unless they quote a token back (auth_token_limit does). */
function safe(message: string): string {
  const line = message.replace(/\s+/g, " ").trim();
  if (/auth token \S/i.test(line)) return "(withheld: it quotes a token)";
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}
