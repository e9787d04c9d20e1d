/**
 * What an answer of an S3 server, or the lack of one, means. Pure: a table from (status, S3 code, kind of request) to a
 * verdict. It never sends again itself and never guesses that a write did not happen.
 */
import type { ErrorKind } from "./errors.js";
import type { ErrorResult } from "./xml.js";

/** Every code that an S3 store throws, and what the caller must do (docs/errors.md). */
export const STORE_CODES = {
  /** 403: these keys may not do this. */
  STORE_ACCESS_DENIED: "denied",
  /** The keys are unknown, expired or sign wrongly; or their provider failed. */
  STORE_BAD_CREDENTIALS: "denied",
  /** No keys were given and none were found. Nothing was sent. */
  STORE_NO_CREDENTIALS: "denied",
  /** The bucket is not there. */
  STORE_NO_BUCKET: "denied",
  /** This host's clock is too far from the server's (403 RequestTimeTooSkewed). */
  STORE_CLOCK_SKEW: "denied",
  /** 3xx: the bucket is served elsewhere. Only another region's name is followed, once. */
  STORE_REDIRECT: "denied",
  /** The signature is for another region than the bucket's. */
  STORE_WRONG_REGION: "denied",
  /** An HTML page or foreign XML: no S3 server, or a proxy in front of it. */
  STORE_NOT_S3: "corrupt",
  /** Cut XML, a truncated listing without a token, an answer longer than it may be. */
  STORE_CORRUPT_ANSWER: "corrupt",
  /** 5xx. */
  STORE_UNAVAILABLE: "unavailable",
  /** No answer within the limit. */
  STORE_TIMEOUT: "unavailable",
  /** TLS: the server's certificate is not trusted, or it does not speak TLS. Nothing was sent. */
  STORE_UNTRUSTED: "denied",
  /** No connection: nothing was sent. */
  STORE_UNREACHABLE: "unavailable",
  /** The connection broke after the request was sent. */
  STORE_DISCONNECTED: "unavailable",
  /** 429 or 503 SlowDown. */
  STORE_THROTTLED: "unavailable",
  /** No space or quota left. */
  STORE_FULL: "unavailable",
  /** A query signature arrived after its X-Amz-Expires: certainly refused. */
  STORE_EXPIRED: "unavailable",
  /** 409 on something that must be sent once. */
  STORE_COLLISION: "unknown",
  /** The last try was refused, an earlier one may have landed. */
  STORE_UNCLEAR: "unknown",
  /** 501, 405: this server cannot do it. */
  STORE_UNSUPPORTED: "unsupported",
  /** Any other 4xx. */
  STORE_REFUSED: "invalid",
  /** 416: the object has no such bytes. */
  STORE_NO_SUCH_RANGE: "invalid",
  /** More than one answer holds; a stream has no such limit. */
  STORE_TOO_LARGE: "invalid",
  /** The object was replaced while it was read. */
  STORE_CHANGED: "contended",
  /** The bucket exists already. */
  STORE_BUCKET_EXISTS: "invalid",
  STORE_BUCKET_NOT_EMPTY: "invalid",
  /** Some of many objects could not be deleted; the error lists them. */
  STORE_NOT_DELETED: "denied",
  /** The session was closed. */
  STORE_CLOSED: "invalid",
} as const satisfies Record<string, ErrorKind>;
export type StoreCode = keyof typeof STORE_CODES;

/** What was asked, as far as the verdict depends on it. */
export interface Asked {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Is it about one object (a 404 is then about that, unless it names the bucket)? */
  readonly target: "object" | "bucket" | "service";
  readonly condition?: "absent" | "etag" | undefined;
  /** A conditional write, or one that said so: never sent again. */
  readonly once: boolean;
  /** Signed in the query with a short life. */
  readonly expires: boolean;
  /** Asked of any web server: a page may say what it likes. */
  readonly isPlain?: boolean | undefined;
}

/** What a body said. `page`: HTML. `foreign`: neither. `none`: empty, or HEAD. `cut`: XML that ends early. */
export type Said = ErrorResult | "none" | "page" | "foreign" | "cut";

export type Verdict =
  /** 2xx. */
  | { readonly verdict: "done" }
  /** The object is not there. */
  | { readonly verdict: "absent" }
  /** A condition was not met. */
  | { readonly verdict: "conflict" }
  /** May be sent again. `landed`: this try may have been carried out. `remedy`: what must happen before. */
  | { readonly verdict: "again"; readonly code: StoreCode; readonly landed: boolean; readonly remedy: Remedy }
  /** May have been carried out, and must not be sent again. */
  | { readonly verdict: "unclear"; readonly code: StoreCode }
  /** Certainly not carried out (or only read), and sending again is of no use. */
  | { readonly verdict: "refused"; readonly code: StoreCode };
/** `place`: another region, which the answer may name. */
export type Remedy = "wait" | "clock" | "credentials" | "place";

type Rule = StoreCode | "again" | "throttled" | "clock" | "late" | "credentials" | "gone" | "condition" | "collision";

/** By S3 error code, wherever it appears: also inside a 200 (CopyObject, DeleteObjects) and with the odd status. */
const BY_S3_CODE: Readonly<Record<string, Rule>> = {
  AccessDenied: "STORE_ACCESS_DENIED",
  AllAccessDisabled: "STORE_ACCESS_DENIED",
  AccountProblem: "STORE_ACCESS_DENIED",
  UnauthorizedAccess: "STORE_ACCESS_DENIED",
  InvalidAccessKeyId: "STORE_BAD_CREDENTIALS",
  SignatureDoesNotMatch: "STORE_BAD_CREDENTIALS",
  InvalidToken: "credentials",
  ExpiredToken: "credentials",
  TokenRefreshRequired: "credentials",
  InvalidSecurity: "STORE_BAD_CREDENTIALS",
  XAdminUserNotFound: "STORE_BAD_CREDENTIALS",
  NotSignedUp: "STORE_BAD_CREDENTIALS",
  RequestTimeTooSkewed: "clock",
  RequestExpired: "clock",
  NoSuchBucket: "STORE_NO_BUCKET",
  InvalidBucketName: "STORE_REFUSED",
  NoSuchKey: "gone",
  NoSuchVersion: "gone",
  NoSuchUpload: "gone",
  NotFound: "gone",
  PreconditionFailed: "condition",
  ConditionalRequestConflict: "collision",
  OperationAborted: "collision",
  AuthorizationHeaderMalformed: "STORE_WRONG_REGION",
  IllegalLocationConstraintException: "STORE_WRONG_REGION",
  PermanentRedirect: "STORE_REDIRECT",
  TemporaryRedirect: "STORE_REDIRECT",
  SlowDown: "throttled",
  SlowDownRead: "throttled",
  SlowDownWrite: "throttled",
  TooManyRequests: "throttled",
  Throttling: "throttled",
  ThrottlingException: "throttled",
  RequestLimitExceeded: "throttled",
  BandwidthLimitExceeded: "throttled",
  ServiceUnavailable: "again",
  InternalError: "again",
  InternalServerError: "again",
  RequestTimeout: "again",
  ServerBusy: "again",
  InvalidRange: "STORE_NO_SUCH_RANGE",
  NotImplemented: "STORE_UNSUPPORTED",
  MethodNotAllowed: "STORE_UNSUPPORTED",
  QuotaExceeded: "STORE_FULL",
  InsufficientStorage: "STORE_FULL",
  XMinioStorageFull: "STORE_FULL",
  BucketAlreadyExists: "STORE_BUCKET_EXISTS",
  BucketAlreadyOwnedByYou: "STORE_BUCKET_EXISTS",
  BucketNotEmpty: "STORE_BUCKET_NOT_EMPTY",
  XMinioAdminBucketQuotaExceeded: "STORE_FULL",
  // A 409 that is no collision: the bucket is not made for it, or `a` is there and the key is `a/b` (versitygw, MinIO).
  InvalidBucketState: "STORE_REFUSED",
  ObjectParentIsFile: "STORE_REFUSED",
  XMinioObjectExistsAsDirectory: "STORE_REFUSED",
  // A 403 that is no want of rights: the object is in an archive, and must be restored first.
  InvalidObjectState: "STORE_REFUSED",
};

/** By status, when no known code came with it. */
function byStatus(status: number, isNamed: boolean): Rule {
  if (status >= 300 && status < 400) return "STORE_REDIRECT";
  if (status === 401) return "STORE_BAD_CREDENTIALS";
  if (status === 403) return "STORE_ACCESS_DENIED";
  // An unknown code with a 404 is not about the object: versitygw says 404 XAdminUserNotFound for unknown keys.
  if (status === 404) return isNamed ? "STORE_REFUSED" : "gone";
  if (status === 405 || status === 501) return "STORE_UNSUPPORTED";
  if (status === 408) return "again";
  if (status === 409) return "collision";
  if (status === 412) return "condition";
  if (status === 416) return "STORE_NO_SUCH_RANGE";
  if (status === 429) return "throttled";
  if (status === 507) return "STORE_FULL";
  return status >= 500 ? "again" : "STORE_REFUSED";
}

/** The verdict on an answer whose headers came. A 2xx with an `<Error>` inside is no success. */
export function classify(status: number, said: Said, asked: Asked): Verdict {
  const error = typeof said === "object" ? said : undefined;
  // Not modified (RFC 9110 15.4.5): the answer to an If-None-Match, which only a read of ours carries.
  if (status === 304 && !changes(asked) && asked.target === "object") return { verdict: "done" };
  if (status >= 200 && status < 300 && error === undefined) {
    if (said === "page") return changes(asked) ? unclear("STORE_NOT_S3") : refused("STORE_NOT_S3");
    return { verdict: "done" };
  }
  // A web page with a 404 says nothing about an object: taking it for "absent" would hand a held lock to the next.
  const opaque =
    !asked.isPlain && (said === "page" || said === "foreign" || (said === "none" && asked.method !== "HEAD"));
  if (opaque && said !== "none" && status >= 400 && status < 500 && ![408, 409, 429].includes(status))
    return refused("STORE_NOT_S3");
  const known = error && Object.hasOwn(BY_S3_CODE, error.code) ? BY_S3_CODE[error.code] : undefined;
  const rule = known ?? (status >= 200 && status < 300 ? "again" : byStatus(status, error !== undefined));
  // MinIO and AWS: 403 AccessDenied "Request has expired" for a query signature that came late.
  const late = asked.expires && error !== undefined && /\bexpired\b/i.test(error.message) && status === 403;
  return apply(late ? "late" : rule, status, asked, opaque);
}

function apply(rule: Rule, status: number, asked: Asked, opaque: boolean): Verdict {
  switch (rule) {
    case "again":
      // RequestTimeout (400): the server did not get the whole body.
      return again("STORE_UNAVAILABLE", asked, mayHaveLanded(status), "wait");
    case "throttled":
      // 503 may come from a proxy after the request went through; 429 is an admission check.
      return again("STORE_THROTTLED", asked, mayHaveLanded(status), "wait");
    case "clock":
      return again("STORE_CLOCK_SKEW", asked, false, "clock");
    case "late":
      return again("STORE_EXPIRED", asked, false, "clock");
    case "credentials":
      return again("STORE_BAD_CREDENTIALS", asked, false, "credentials");
    case "collision":
      return again("STORE_COLLISION", asked, true, "wait");
    case "STORE_WRONG_REGION":
    case "STORE_REDIRECT":
      return again(rule, asked, false, "place");
    case "gone":
      return gone(asked, opaque);
    case "condition":
      return asked.condition === undefined ? refused("STORE_REFUSED") : { verdict: "conflict" };
    default:
      return refused(rule);
  }
}

/** A 4xx is a refusal, but for 409, which some stores also give to the request that won. */
function mayHaveLanded(status: number): boolean {
  return status < 400 || status === 409 || status >= 500;
}

function gone(asked: Asked, opaque: boolean): Verdict {
  if (opaque) return refused("STORE_NOT_S3");
  if (asked.target === "bucket") return refused("STORE_NO_BUCKET");
  if (asked.method === "PUT") return asked.condition === "etag" ? { verdict: "conflict" } : refused("STORE_REFUSED");
  return { verdict: "absent" };
}

/** Why there was no answer at all. */
export interface Silence {
  /** Was anything sent? False is proven, true is "perhaps". */
  readonly sent: boolean;
  readonly why: "timeout" | "unreachable" | "untrusted" | "disconnected" | "too long";
}

export function classifySilence(silence: Silence, asked: Asked): Verdict {
  if (silence.why === "too long")
    return changes(asked) ? unclear("STORE_CORRUPT_ANSWER") : refused("STORE_CORRUPT_ANSWER");
  // Asking again does not mend a certificate.
  if (silence.why === "untrusted") return refused("STORE_UNTRUSTED");
  const code: StoreCode =
    silence.why === "timeout" ? "STORE_TIMEOUT" : silence.sent ? "STORE_DISCONNECTED" : "STORE_UNREACHABLE";
  return again(code, asked, silence.sent, "wait");
}

/** A body that could not be read after a 2xx. Reading again may help where it was cut, never where it is something else. */
export function classifyUnreadable(why: "cut" | "html" | "foreign" | "incomplete", asked: Asked): Verdict {
  if (why === "cut") return again("STORE_CORRUPT_ANSWER", asked, changes(asked), "wait");
  return refused(why === "incomplete" ? "STORE_CORRUPT_ANSWER" : "STORE_NOT_S3");
}

function changes(asked: Asked): boolean {
  return asked.method !== "GET" && asked.method !== "HEAD";
}

function again(code: StoreCode, asked: Asked, landed: boolean, remedy: Remedy): Verdict {
  const changed = landed && changes(asked);
  if (asked.once) return changed ? unclear(code) : refused(code);
  return { verdict: "again", code, landed: changed, remedy };
}

function unclear(code: StoreCode): Verdict {
  return { verdict: "unclear", code };
}

function refused(code: StoreCode): Verdict {
  return { verdict: "refused", code };
}
