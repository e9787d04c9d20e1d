/** Object Lock: a bucket's default, and what protects one version from deletion (S3 user guide, "Object Lock"). */
import { element, empty, instant, type Made, Refusal, xml } from "./answers.js";
import type { BucketCall, Call, ObjectCall } from "./call.js";
import { child, malformed, readDocument, textOf } from "./documents.js";
import { versionOf } from "./objects.js";
import type { Bucket, Retention, Stored } from "./world.js";

const DAY_MS = 86_400_000;

export function getObjectLock({ bucket }: BucketCall): Made {
  if (bucket.objectLock === undefined)
    throw new Refusal(
      404,
      "ObjectLockConfigurationNotFoundError",
      "Object Lock configuration does not exist for this bucket",
    );
  return xml("ObjectLockConfiguration", `<ObjectLockEnabled>Enabled</ObjectLockEnabled>${bucket.objectLockXml}`);
}

export function putObjectLock({ bucket, body }: BucketCall): Made {
  const document = readDocument(body, "ObjectLockConfiguration");
  if (bucket.versioning !== "Enabled")
    throw new Refusal(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply Object Lock");
  const retention = child(child(document, "Rule"), "DefaultRetention");
  if (retention === undefined) {
    bucket.objectLock = {};
    bucket.objectLockXml = "";
    return empty(200);
  }
  const mode = modeOf(textOf(retention, "Mode"));
  const days = textOf(retention, "Days");
  const years = textOf(retention, "Years");
  const length = Number(days ?? years);
  if ((days === undefined) === (years === undefined)) throw malformed();
  if (!Number.isInteger(length) || length < 1)
    throw new Refusal(400, "InvalidArgument", "Default retention period must be a positive integer value");
  bucket.objectLock = { rule: { mode, days: days === undefined ? length * 365 : length } };
  const period = days === undefined ? element("Years", length) : element("Days", length);
  bucket.objectLockXml = `<Rule><DefaultRetention>${element("Mode", mode)}${period}</DefaultRetention></Rule>`;
  return empty(200);
}

/** What a new version gets: from its own headers, else from the bucket. */
export function lockOf({ world, bucket, headers }: BucketCall): Pick<Stored, "retention" | "legalHold"> {
  const mode = headers["x-amz-object-lock-mode"];
  const until = headers["x-amz-object-lock-retain-until-date"];
  const hold = headers["x-amz-object-lock-legal-hold"];
  if (bucket.objectLock === undefined) {
    if (mode !== undefined || until !== undefined || hold !== undefined)
      throw new Refusal(400, "InvalidRequest", "Bucket is missing Object Lock Configuration");
    return {};
  }
  if ((mode === undefined) !== (until === undefined))
    throw new Refusal(
      400,
      "InvalidArgument",
      "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
    );
  if (hold !== undefined && hold !== "ON" && hold !== "OFF")
    throw new Refusal(400, "InvalidArgument", "Legal Hold must be either of 'ON' or 'OFF'");
  const { rule } = bucket.objectLock;
  const retention =
    mode !== undefined
      ? { mode: modeOf(mode), untilMs: futureOf(until, world.nowMs) }
      : rule && { mode: rule.mode, untilMs: world.nowMs + rule.days * DAY_MS };
  return { retention, legalHold: hold === undefined ? undefined : hold === "ON" };
}

/** Throws 403 while the version is protected. */
export function refuseLocked(stored: Stored | undefined, call: Call): void {
  const { retention, legalHold } = stored ?? {};
  const isRetained = retention !== undefined && retention.untilMs > call.world.nowMs;
  if (legalHold || (isRetained && !(retention.mode === "GOVERNANCE" && bypasses(call)))) throw protectedByLock();
}

export function getRetention(call: ObjectCall): Made {
  const { retention } = lockable(call);
  if (retention === undefined) throw noLock();
  return xml("Retention", element("Mode", retention.mode) + element("RetainUntilDate", instant(retention.untilMs)));
}

export function putRetention(call: ObjectCall): Made {
  const stored = lockable(call);
  const document = readDocument(call.body, "Retention");
  const mode = textOf(document, "Mode");
  const until = textOf(document, "RetainUntilDate");
  const next: Retention | undefined =
    mode === undefined && until === undefined
      ? undefined
      : { mode: modeOf(mode), untilMs: futureOf(until, call.world.nowMs) };
  const before = stored.retention;
  if (before !== undefined && before.untilMs > call.world.nowMs) {
    const isWeaker = next === undefined || next.untilMs < before.untilMs || next.mode !== before.mode;
    const isBound = before.mode === "COMPLIANCE" ? next?.mode !== "COMPLIANCE" || isWeaker : !bypasses(call);
    if (isWeaker && isBound) throw protectedByLock();
  }
  stored.retention = next;
  return empty(200);
}

export function getLegalHold(call: ObjectCall): Made {
  const { legalHold } = lockable(call);
  if (legalHold === undefined) throw noLock();
  return xml("LegalHold", element("Status", legalHold ? "ON" : "OFF"));
}

export function putLegalHold(call: ObjectCall): Made {
  const stored = lockable(call);
  const status = textOf(readDocument(call.body, "LegalHold"), "Status");
  if (status !== "ON" && status !== "OFF") throw malformed();
  stored.legalHold = status === "ON";
  return empty(200);
}

/** As headers of GET and HEAD. */
export function lockHeaders({ retention, legalHold }: Stored): Record<string, string> {
  return {
    ...(retention && {
      "x-amz-object-lock-mode": retention.mode,
      "x-amz-object-lock-retain-until-date": instant(retention.untilMs),
    }),
    ...(legalHold !== undefined && { "x-amz-object-lock-legal-hold": legalHold ? "ON" : "OFF" }),
  };
}

/** A bucket with Object Lock keeps versions for good. */
export function refuseSuspension(bucket: Bucket, status: string | undefined): void {
  if (bucket.objectLock !== undefined && status === "Suspended")
    throw new Refusal(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket");
}

function lockable(call: ObjectCall): Stored {
  if (call.bucket.objectLock === undefined)
    throw new Refusal(400, "InvalidRequest", "Bucket is missing Object Lock Configuration");
  return versionOf(call);
}

function bypasses(call: Call): boolean {
  return call.headers["x-amz-bypass-governance-retention"]?.toLowerCase() === "true";
}

function modeOf(mode: string | undefined): Retention["mode"] {
  if (mode !== "GOVERNANCE" && mode !== "COMPLIANCE") throw malformed();
  return mode;
}

function futureOf(until: string | undefined, nowMs: number): number {
  const ms = Date.parse(until ?? "");
  if (Number.isNaN(ms)) throw malformed();
  if (ms <= nowMs) throw new Refusal(400, "InvalidArgument", "The retain until date must be in the future!");
  return ms;
}

function protectedByLock(): Refusal {
  return new Refusal(403, "AccessDenied", "Access Denied because object protected by object lock.");
}

function noLock(): Refusal {
  return new Refusal(
    404,
    "NoSuchObjectLockConfiguration",
    "The specified object does not have a ObjectLock configuration",
  );
}
