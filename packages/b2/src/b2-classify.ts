/**
 * What an answer of B2, or the lack of one, means. Pure: a table from (status, B2 code, kind of call) to a verdict. It never
 * sends again itself and never guesses that a write did not happen.
 *
 * Rules: https://www.backblaze.com/docs/cloud-storage-integration-checklist ("Uploading files", "Error handling") and the
 * error tables of each call's page.
 */
import type { ErrorKind, StoreCode } from "@bucketlock/core";
import { STORE_CODES } from "@bucketlock/core";

/** Every code that B2 throws: those of every store, and two of its own. */
export const B2_CODES = {
  ...STORE_CODES,
  /** 403: a cap of the account is reached; which one is in `details.cap`. A person must raise it. */
  STORE_CAP_EXCEEDED: "denied",
  /** The answer is a web page or no JSON where JSON is due: no B2 server, or a proxy in front of it. */
  STORE_NOT_B2: "corrupt",
} as const satisfies Record<string, ErrorKind>;
export type B2Code = StoreCode | "STORE_CAP_EXCEEDED" | "STORE_NOT_B2";

/** What was asked, as far as the verdict depends on it. */
export interface Asked {
  readonly kind: "authorize" | "api" | "upload" | "download";
  readonly isHead: boolean;
  /** Something is written or removed. */
  readonly changes: boolean;
}

/** What a body said. `page`: HTML. `foreign`: neither. `none`: empty, or HEAD. */
export type Said = { readonly code: string; readonly message: string } | "none" | "page" | "foreign";

/** What must happen before another try. `url`: another upload URL; `token`: a fresh account token. */
export type Remedy = "wait" | "token" | "url";

export type Verdict =
  | { readonly verdict: "done" }
  /** What was asked for is not there (or is gone already). */
  | { readonly verdict: "absent" }
  /** `ifRevisionIs` was not met. */
  | { readonly verdict: "conflict" }
  /** May be sent again. `landed`: this try may have been carried out. */
  | { readonly verdict: "again"; readonly code: B2Code; readonly landed: boolean; readonly remedy: Remedy }
  | { readonly verdict: "refused"; readonly code: B2Code };

/** 400 and 404 codes that say "it is not there". */
const GONE = new Set(["file_not_present", "no_such_file", "not_found", "already_hidden"]);

const BY_CODE: Readonly<Record<string, B2Code>> = {
  duplicate_bucket_name: "STORE_BUCKET_EXISTS",
  bad_bucket_id: "STORE_NO_BUCKET",
  invalid_bucket_id: "STORE_NO_BUCKET",
  cannot_delete_non_empty_bucket: "STORE_BUCKET_NOT_EMPTY",
  unsupported: "STORE_UNSUPPORTED",
  method_not_allowed: "STORE_UNSUPPORTED",
  access_denied: "STORE_ACCESS_DENIED",
};

/** `storage_cap_exceeded`, `download_cap_exceeded`, `transaction_cap_exceeded`, and plain `cap_exceeded`. */
export function capOf(code: string): string | undefined {
  return (
    /^(?:(storage|download|transaction)_)?cap_exceeded$/.exec(code)?.[1] ??
    (code === "cap_exceeded" ? "an account" : undefined)
  );
}

/** The verdict on an answer whose headers came. */
export function classify(status: number, said: Said, asked: Asked): Verdict {
  if (status >= 200 && status < 300) return { verdict: "done" };
  if (status >= 300 && status < 400) return refused("STORE_REDIRECT");
  const code = typeof said === "object" ? said.code : "";
  const message = typeof said === "object" ? said.message : "";
  if (status === 429) return again("STORE_THROTTLED", false, "wait");
  if (status >= 500) return again("STORE_UNAVAILABLE", asked.changes, asked.kind === "upload" ? "url" : "wait");
  // 408: the server did not get the whole body.
  if (status === 408) return again("STORE_TIMEOUT", false, asked.kind === "upload" ? "url" : "wait");
  if (status === 401) return unauthorized(code, asked);
  // A web page with a 4xx says nothing about an object: taking it for "absent" would hand a held lock to the next.
  if (said === "page" || said === "foreign") return refused("STORE_NOT_B2");
  if (capOf(code) !== undefined) return refused("STORE_CAP_EXCEEDED");
  if (status === 403) return refused("STORE_ACCESS_DENIED");
  if (status === 404) return notFound(code, message, asked);
  if (status === 409) return { verdict: "conflict" };
  if (status === 400 && asked.kind === "upload") return badUpload(code, message);
  if (GONE.has(code)) return { verdict: "absent" };
  return refused(Object.hasOwn(BY_CODE, code) ? BY_CODE[code]! : "STORE_REFUSED");
}

/** The three kinds of 401 that a fresh token mends: expired, bad, and one without a code (HEAD has no body). */
function unauthorized(code: string, asked: Asked): Verdict {
  if (asked.kind === "authorize") return refused("STORE_BAD_CREDENTIALS");
  if (code === "expired_auth_token" || code === "bad_auth_token" || code === "")
    return again("STORE_BAD_CREDENTIALS", false, asked.kind === "upload" ? "url" : "token");
  return refused("STORE_ACCESS_DENIED");
}

function notFound(code: string, message: string, asked: Asked): Verdict {
  // At its beginning only: further on it may be part of a file's name.
  if (/^bucket\b/i.test(message)) return refused("STORE_NO_BUCKET");
  if (asked.kind === "download" && (asked.isHead || GONE.has(code))) return { verdict: "absent" };
  if (asked.kind === "api" && GONE.has(code)) return { verdict: "absent" };
  return refused(asked.isHead || code !== "" ? "STORE_REFUSED" : "STORE_NOT_B2");
}

function badUpload(code: string, message: string): Verdict {
  // Another upload is using this URL: https://www.backblaze.com/apidocs/b2-get-upload-url
  if (code === "auth_token_limit") return again("STORE_REFUSED", false, "url");
  // Damaged on the way: the server kept nothing.
  if (/\bsha-?1\b|checksum/i.test(message)) return again("STORE_CORRUPT_ANSWER", false, "url");
  return refused(Object.hasOwn(BY_CODE, code) ? BY_CODE[code]! : "STORE_REFUSED");
}

/** Why there was no answer at all. `sent`: false is proven, true is "perhaps". */
export function classifySilence(
  silence: {
    readonly why: "timeout" | "unreachable" | "untrusted" | "disconnected" | "too long" | "closed";
    readonly sent: boolean;
  },
  asked: Asked,
): Verdict {
  const landed = silence.sent && asked.changes;
  const remedy = asked.kind === "upload" ? "url" : "wait";
  switch (silence.why) {
    case "closed":
      return refused("STORE_CLOSED");
    case "too long":
      return refused("STORE_CORRUPT_ANSWER");
    case "untrusted":
      return refused("STORE_UNTRUSTED");
    case "timeout":
      return again("STORE_TIMEOUT", landed, remedy);
    default:
      return again(silence.sent ? "STORE_DISCONNECTED" : "STORE_UNREACHABLE", landed, remedy);
  }
}

function again(code: B2Code, landed: boolean, remedy: Remedy): Verdict {
  return { verdict: "again", code, landed, remedy };
}

function refused(code: B2Code): Verdict {
  return { verdict: "refused", code };
}
