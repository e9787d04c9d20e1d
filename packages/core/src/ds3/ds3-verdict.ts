/**
 * What an answer of a Spectra appliance, or the lack of one, means. Pure: a table from status and code to a verdict, and the
 * error that comes of it. It never sends again itself. Source: the SDKs of Spectra Logic and the vendor's API reference.
 */
import { type ErrorKind, InvalidError, StoreError, show } from "../errors.js";
import type { Ds3ErrorAnswer } from "./ds3-answers.js";

/** Codes that only this module throws (docs/s3.md); all others are those of the stores. */
export const DS3_CODES = {
  /** 307 or 503: cache or drives are busy. Nothing was done; `retryAfterMs` says when to come back. */
  DS3_BUSY: "unavailable",
  /** There is no such job, or no longer. */
  DS3_NO_JOB: "invalid",
  /** The job was canceled while it was worked on. */
  DS3_JOB_CANCELED: "unavailable",
  /** What the job waits for did not become ready in time. */
  DS3_JOB_STALLED: "unavailable",
  /** An object of that name is there already (409). */
  DS3_CONFLICT: "invalid",
} as const satisfies Record<string, ErrorKind>;

const STORE_KINDS = {
  STORE_ACCESS_DENIED: "denied",
  STORE_BAD_CREDENTIALS: "denied",
  STORE_CLOCK_SKEW: "denied",
  STORE_NO_BUCKET: "denied",
  STORE_UNTRUSTED: "denied",
  STORE_BUCKET_EXISTS: "invalid",
  STORE_BUCKET_NOT_EMPTY: "invalid",
  STORE_CORRUPT_ANSWER: "corrupt",
  STORE_NOT_S3: "corrupt",
  STORE_FULL: "unavailable",
  STORE_UNAVAILABLE: "unavailable",
  STORE_TIMEOUT: "unavailable",
  STORE_UNREACHABLE: "unavailable",
  STORE_DISCONNECTED: "unavailable",
  STORE_UNCLEAR: "unknown",
  STORE_UNSUPPORTED: "unsupported",
  STORE_REFUSED: "invalid",
  STORE_CLOSED: "invalid",
} as const satisfies Record<string, ErrorKind>;
export type Ds3Code = keyof typeof DS3_CODES | keyof typeof STORE_KINDS;

/** What a request is about, as far as a 404 or 409 depends on it. */
export type Ds3Target = "service" | "bucket" | "object" | "job" | "folder";

export type Ds3Verdict =
  | { readonly verdict: "done" }
  | { readonly verdict: "absent" }
  /** `again`: it was not carried out, or does no harm when it is carried out twice. */
  | { readonly verdict: "failed"; readonly code: Ds3Code; readonly again: boolean };

const BY_CODE: Readonly<Record<string, Ds3Code>> = {
  AccessDenied: "STORE_ACCESS_DENIED",
  Forbidden: "STORE_ACCESS_DENIED",
  InvalidAccessKeyId: "STORE_BAD_CREDENTIALS",
  SignatureDoesNotMatch: "STORE_BAD_CREDENTIALS",
  InvalidSecurity: "STORE_BAD_CREDENTIALS",
  RequestTimeTooSkewed: "STORE_CLOCK_SKEW",
  NoSuchBucket: "STORE_NO_BUCKET",
  BucketAlreadyExists: "STORE_BUCKET_EXISTS",
  BucketAlreadyOwnedByYou: "STORE_BUCKET_EXISTS",
  BucketNotEmpty: "STORE_BUCKET_NOT_EMPTY",
  InsufficientSpace: "STORE_FULL",
};

/** `repeatable`: carrying it out twice is as good as once. */
export function ds3Verdict(
  status: number,
  error: Ds3ErrorAnswer | undefined,
  asked: { readonly target: Ds3Target; readonly method: string; readonly repeatable: boolean },
): Ds3Verdict {
  if (status >= 200 && status < 300) return { verdict: "done" };
  const failed = (code: Ds3Code, again = false): Ds3Verdict => ({ verdict: "failed", code, again });
  // 307 is no redirect here: "come again" (vendor's SDKs).
  if (status === 307 || status === 429 || status === 503) return failed("DS3_BUSY", true);
  const known = error && Object.hasOwn(BY_CODE, error.code) ? BY_CODE[error.code] : undefined;
  if (known !== undefined) return failed(known);
  if (status === 401 || status === 403) return failed("STORE_ACCESS_DENIED");
  if (status === 404 || status === 410) {
    if (asked.target === "job") return failed("DS3_NO_JOB");
    if (asked.target === "bucket") return failed("STORE_NO_BUCKET");
    return asked.method === "PUT" ? failed("STORE_REFUSED") : { verdict: "absent" };
  }
  if (status === 409) {
    if (asked.target === "bucket")
      return failed(asked.method === "DELETE" ? "STORE_BUCKET_NOT_EMPTY" : "STORE_BUCKET_EXISTS");
    return failed("DS3_CONFLICT");
  }
  if (status === 501 || status === 405) return failed("STORE_UNSUPPORTED");
  if (status === 507) return failed("STORE_FULL");
  if (status >= 500) return failed(asked.repeatable ? "STORE_UNAVAILABLE" : "STORE_UNCLEAR", asked.repeatable);
  return failed("STORE_REFUSED");
}

const FACTS: Readonly<Partial<Record<Ds3Code, string>>> = {
  DS3_BUSY: "the appliance is busy",
  DS3_NO_JOB: "there is no such job",
  DS3_JOB_CANCELED: "the job was canceled",
  DS3_JOB_STALLED: "the appliance made nothing ready in time",
  DS3_CONFLICT: "an object of that name is there already",
  STORE_ACCESS_DENIED: "the appliance denies access with these keys",
  STORE_BAD_CREDENTIALS: "the appliance does not accept these keys",
  STORE_NO_BUCKET: "the bucket does not exist",
  STORE_BUCKET_EXISTS: "the bucket exists already",
  STORE_BUCKET_NOT_EMPTY: "the bucket is not empty",
  STORE_UNCLEAR: "the request may or may not have been carried out",
  STORE_CORRUPT_ANSWER: "what came is cut or is not what was announced",
  STORE_NOT_S3: "the answer is not from an appliance (a proxy, a web page or another service)",
  STORE_TIMEOUT: "the appliance did not answer in time",
  STORE_UNREACHABLE: "the appliance cannot be reached",
  STORE_UNTRUSTED: "the connection to the appliance cannot be trusted",
  STORE_DISCONNECTED: "the connection to the appliance broke",
  STORE_CLOSED: "the client is closed",
};

/** `what` names the request: its verb and what it is about, nothing of its query. */
export function ds3Error(
  code: Ds3Code,
  what: string,
  note: {
    readonly status?: number | undefined;
    readonly error?: Ds3ErrorAnswer | undefined;
    readonly fact?: string | undefined;
    readonly retryAfterMs?: number | undefined;
    readonly cause?: unknown;
  } = {},
): StoreError {
  const { status, error, fact, retryAfterMs, cause } = note;
  const message = error && `${error.code}${error.message === "" ? "" : `: ${error.message.slice(0, 200)}`}`;
  const values = [what, status === undefined ? undefined : `status ${status}`, message, fact];
  const kinds: Readonly<Record<Ds3Code, ErrorKind>> = { ...DS3_CODES, ...STORE_KINDS };
  return new StoreError(
    `${FACTS[code] ?? "the appliance refuses this request"}; ${values.filter((value) => value !== undefined).join(", ")}`,
    {
      code,
      kind: kinds[code],
      cause,
      details: Object.fromEntries(
        Object.entries({ status, ds3Code: error?.code, retryAfterMs }).filter(([, value]) => value !== undefined),
      ),
    },
  );
}

export interface Ds3Failure {
  readonly name: string;
  readonly offset: number;
  readonly error: unknown;
}

/** Some objects of a job did not go through; `failures` names each, with why. */
export class Ds3TransferError extends StoreError {
  readonly failures: readonly Ds3Failure[];
  readonly jobId: string;

  constructor(jobId: string, failures: readonly Ds3Failure[]) {
    const first = failures[0]!;
    const kind = first.error instanceof StoreError ? first.error.kind : "unavailable";
    super(`${failures.length} pieces of job ${jobId} failed, the first of ${show(first.name)}`, {
      code: "DS3_TRANSFER_FAILED",
      kind,
      cause: first.error,
      details: { jobId, names: [...new Set(failures.map(({ name }) => name))] },
    });
    this.jobId = jobId;
    this.failures = failures;
  }
}

/** The name as a path below a folder, in parts. Throws InvalidError for one that would lead out of it. */
export function localParts(name: string): readonly string[] {
  const parts = name.split("/").filter((part) => part !== "");
  const bad = parts.length === 0 || parts.some((part) => part === "." || part === ".." || /[\0\\:]/.test(part));
  if (bad || name.startsWith("/"))
    throw new InvalidError("name", "must be a relative path below the folder, without '..', ':' and '\\'", name);
  return parts;
}
