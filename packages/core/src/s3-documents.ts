/**
 * The documents of buckets and objects, read and written: access control, logging, versioning, location, object lock, copies.
 * Pure. What a document says that has no place here is a fault, not dropped.
 */
import { InvalidError } from "./errors.js";
import { integer, object, oneOf, text as textOption } from "./options.js";
import {
  child,
  fitsXml,
  instant,
  list,
  need,
  type Owner,
  ownerOf,
  text,
  XmlFault,
  type XmlNode,
  type XmlReader,
  type XmlTree,
} from "./xml.js";

type Content = { readonly [name: string]: XmlTree | undefined };
const XSI = "http://www.w3.org/2001/XMLSchema-instance";

// -- Access control -----------------------------------------------------------------------------------------------------

export const CANNED_ACLS = [
  "private",
  "public-read",
  "public-read-write",
  "authenticated-read",
  "aws-exec-read",
  "bucket-owner-read",
  "bucket-owner-full-control",
  "log-delivery-write",
] as const;
export type CannedAcl = (typeof CANNED_ACLS)[number];

const PERMISSIONS = ["FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"] as const;
export type Permission = (typeof PERMISSIONS)[number];

export type Grantee =
  /** An account, by its canonical id; MinIO leaves it empty. */
  | { readonly type: "user"; readonly id: string; readonly displayName?: string | undefined }
  /** Such as `http://acs.amazonaws.com/groups/global/AllUsers`. */
  | { readonly type: "group"; readonly uri: string }
  | { readonly type: "email"; readonly email: string };
export interface Grant {
  readonly grantee: Grantee;
  readonly permission: Permission;
}
export interface AccessControl {
  readonly owner: Owner;
  readonly grants: readonly Grant[];
}

/** AccessControlPolicy. Throws XmlFault. */
export function readAccessControl(xml: XmlReader, body: Uint8Array): AccessControl {
  const node = xml.root(body, "AccessControlPolicy");
  // Whoever writes back what was read must not take everybody's rights for a page that lost them.
  const grants = child(node, "AccessControlList");
  if (grants === undefined) throw new XmlFault("incomplete", "rights without <AccessControlList>");
  return { owner: ownerOf(node) ?? {}, grants: grantsOf(grants, PERMISSIONS) };
}

/** The content of an AccessControlPolicy. Throws InvalidError. */
export function accessControlTree(acl: AccessControl): Content {
  if (typeof acl.owner !== "object" || acl.owner === null)
    throw new InvalidError("owner", "must be an object with an id", acl.owner);
  const { id, displayName } = acl.owner;
  return {
    Owner: { ID: identity("owner.id", id), DisplayName: optional("owner.displayName", displayName) },
    AccessControlList: { Grant: grantTrees(acl.grants, PERMISSIONS) },
  };
}

function grantsOf<P extends string>(node: XmlNode, permissions: readonly P[]): { grantee: Grantee; permission: P }[] {
  return list(node, "Grant").map((grant) => {
    const permission = need(grant, "Permission") as P;
    if (!permissions.includes(permission)) throw new XmlFault("foreign", "a permission that S3 does not define");
    return { grantee: granteeOf(child(grant, "Grantee") ?? {}), permission };
  });
}

/** Told apart by what it holds: the attribute that says it is left out by some servers. */
function granteeOf(node: XmlNode): Grantee {
  const uri = text(node, "URI");
  if (uri) return { type: "group", uri };
  const email = text(node, "EmailAddress");
  if (email) return { type: "email", email };
  const displayName = text(node, "DisplayName");
  return { type: "user", id: text(node, "ID") ?? "", ...(displayName && { displayName }) };
}

function grantTrees<P extends string>(
  grants: readonly { readonly grantee: Grantee; readonly permission: P }[],
  permissions: readonly P[],
): readonly XmlTree[] {
  if (!Array.isArray(grants)) throw new InvalidError("grants", "must be an array", grants);
  return grants.map((grant: { readonly grantee: Grantee; readonly permission: P }) => {
    object("grants", grant);
    return {
      Grantee: { "@xmlns:xsi": XSI, ...granteeTree(grant.grantee) },
      Permission: oneOf("grants.permission", grant.permission, permissions),
    };
  });
}

function granteeTree(grantee: Grantee): { readonly [name: string]: XmlTree | undefined } & object {
  const type = oneOf("grants.grantee.type", grantee?.type, ["user", "group", "email"]);
  if (type === "group")
    return { "@xsi:type": "Group", URI: plain("grants.grantee.uri", (grantee as { uri?: string }).uri) };
  if (type === "email") {
    const email = plain("grants.grantee.email", (grantee as { email?: string }).email);
    return { "@xsi:type": "AmazonCustomerByEmail", EmailAddress: email };
  }
  const { id, displayName } = grantee as { id?: string; displayName?: string };
  return {
    "@xsi:type": "CanonicalUser",
    ID: identity("grants.grantee.id", id),
    DisplayName: optional("grants.grantee.displayName", displayName),
  };
}

// -- Logging ------------------------------------------------------------------------------------------------------------

const LOG_PERMISSIONS = ["FULL_CONTROL", "READ", "WRITE"] as const;
export interface BucketLogging {
  /** Where the logs go. */
  readonly bucket: string;
  /** What their keys begin with. May be empty. */
  readonly prefix: string;
  readonly grants?: readonly { readonly grantee: Grantee; readonly permission: (typeof LOG_PERMISSIONS)[number] }[];
}

/** BucketLoggingStatus; undefined: off. Throws XmlFault. */
export function readLogging(xml: XmlReader, body: Uint8Array): BucketLogging | undefined {
  const enabled = child(xml.root(body, "BucketLoggingStatus"), "LoggingEnabled");
  if (enabled === undefined) return undefined;
  const grants = grantsOf(child(enabled, "TargetGrants") ?? {}, LOG_PERMISSIONS);
  const target = { bucket: need(enabled, "TargetBucket"), prefix: text(enabled, "TargetPrefix") ?? "" };
  return grants.length === 0 ? target : { ...target, grants };
}

export function loggingTree(logging: BucketLogging | undefined): Content {
  if (logging === undefined) return {};
  const { bucket, prefix, grants } = object("logging", logging) as BucketLogging;
  return {
    LoggingEnabled: {
      TargetBucket: plain("logging.bucket", bucket),
      TargetPrefix: prefix === "" ? "" : plain("logging.prefix", prefix),
      TargetGrants: grants && { Grant: grantTrees(grants, LOG_PERMISSIONS) },
    },
  };
}

// -- Buckets ------------------------------------------------------------------------------------------------------------

/** `never`: not once switched on. */
export type Versioning = "enabled" | "suspended" | "never";

/** VersioningConfiguration. Throws XmlFault. */
export function readVersioning(xml: XmlReader, body: Uint8Array): Versioning {
  const status = text(xml.root(body, "VersioningConfiguration"), "Status");
  if (status === "Enabled") return "enabled";
  if (status === "Suspended") return "suspended";
  if (!status) return "never";
  throw new XmlFault("foreign", "a state of versioning that S3 does not define");
}

/** LocationConstraint: empty means us-east-1, `EU` is what eu-west-1 was called. Throws XmlFault. */
export function readLocation(xml: XmlReader, body: Uint8Array): string {
  const location = xml.rootText(body, "LocationConstraint").trim();
  return location === "" ? "us-east-1" : location === "EU" ? "eu-west-1" : location;
}

export interface BucketEntry {
  readonly name: string;
  readonly createdMs: number;
  /** Where the server says it. */
  readonly region?: string | undefined;
}

/** ListAllMyBucketsResult. Throws XmlFault. */
export function readBuckets(
  xml: XmlReader,
  body: Uint8Array,
): { buckets: BucketEntry[]; owner: Owner | undefined; nextToken: string | undefined } {
  const node = xml.root(body, "ListAllMyBucketsResult");
  const buckets = list(child(node, "Buckets") ?? {}, "Bucket").map((entry) => ({
    name: need(entry, "Name"),
    createdMs: instant(entry, "CreationDate"),
    region: text(entry, "BucketRegion") || undefined,
  }));
  return { buckets, owner: ownerOf(node), nextToken: text(node, "ContinuationToken") || undefined };
}

// -- Object lock --------------------------------------------------------------------------------------------------------

/** `governance`: who has the right may still delete. `compliance`: nobody, the account's root included. */
export type RetentionMode = "governance" | "compliance";
/** How long each new version is kept, unless its writer says otherwise: `days` or `years`, one of them. */
export interface DefaultRetention {
  readonly mode: RetentionMode;
  readonly days?: number | undefined;
  readonly years?: number | undefined;
}
export interface ObjectLock {
  readonly enabled: boolean;
  readonly defaultRetention?: DefaultRetention | undefined;
}
export interface Retention {
  readonly mode: RetentionMode;
  /** Epoch ms. */
  readonly untilMs: number;
}

/** ObjectLockConfiguration. Throws XmlFault. */
export function readObjectLock(xml: XmlReader, body: Uint8Array): ObjectLock {
  const node = xml.root(body, "ObjectLockConfiguration");
  const enabled = isOn(node, "ObjectLockEnabled", "Enabled", "Disabled");
  const rule = child(child(node, "Rule") ?? {}, "DefaultRetention");
  if (rule === undefined) return { enabled };
  const [days, years] = ["Days", "Years"].map((name) => count(rule, name));
  if (!days && !years) throw new XmlFault("incomplete", "a default retention without <Days> or <Years>");
  return { enabled, defaultRetention: { mode: modeOf(rule), ...(years ? { years } : { days }) } };
}

export function objectLockTree(lock: Omit<ObjectLock, "enabled">): Content {
  const { defaultRetention } = lock;
  if (defaultRetention === undefined) return { ObjectLockEnabled: "Enabled" };
  const { mode, days, years } = object("defaultRetention", defaultRetention) as DefaultRetention;
  if ((days === undefined) === (years === undefined))
    throw new InvalidError("defaultRetention", "must have days or years, one of them", defaultRetention);
  const period =
    days === undefined ? { Years: countOption("years", years, 100) } : { Days: countOption("days", days, 36_500) };
  return { ObjectLockEnabled: "Enabled", Rule: { DefaultRetention: { Mode: modeTree(mode), ...period } } };
}

/** Retention. Throws XmlFault. */
export function readRetention(xml: XmlReader, body: Uint8Array): Retention | undefined {
  // versitygw names it as AWS names the type.
  const node = xml.root(body, "Retention", "ObjectLockRetention");
  const isThere = text(node, "Mode") || text(node, "RetainUntilDate");
  return isThere ? { mode: modeOf(node), untilMs: instant(node, "RetainUntilDate") } : undefined;
}

/** `until` is an instant of ISO 8601. Without one: the retention is taken off. */
export function retentionTree(mode: RetentionMode | undefined, until: string | undefined): Content {
  return mode === undefined ? {} : { Mode: modeTree(mode), RetainUntilDate: until };
}

/** LegalHold. Throws XmlFault. */
export function readLegalHold(xml: XmlReader, body: Uint8Array): boolean {
  return isOn(xml.root(body, "LegalHold"), "Status", "ON", "OFF");
}

/** Absent or empty is off; what is neither word may mean anything. */
function isOn(node: XmlNode, name: string, on: string, off: string): boolean {
  const said = text(node, name) || off;
  if (said !== on && said !== off) throw new XmlFault("foreign", `<${name}> is neither ${on} nor ${off}`);
  return said === on;
}

function modeOf(node: XmlNode): RetentionMode {
  const mode = need(node, "Mode").toLowerCase();
  if (mode !== "governance" && mode !== "compliance") throw new XmlFault("foreign", "a mode that S3 does not define");
  return mode;
}

export function modeTree(mode: RetentionMode): string {
  return oneOf("mode", mode, ["governance", "compliance"]).toUpperCase();
}

function count(node: XmlNode, name: string): number | undefined {
  const value = text(node, name)?.trim();
  if (!value) return undefined;
  if (!/^\d{1,6}$/.test(value)) throw new XmlFault("incomplete", `<${name}> is no number`);
  return Number(value);
}

// -- Copies -------------------------------------------------------------------------------------------------------------

/** CopyObjectResult or CopyPartResult. Throws XmlFault. */
export function readCopy(
  xml: XmlReader,
  body: Uint8Array,
  root: "CopyObjectResult" | "CopyPartResult",
): { etag: string; lastModifiedMs: number | undefined } {
  const node = xml.root(body, root);
  return { etag: quoted(need(node, "ETag")), lastModifiedMs: text(node, "LastModified") ? instant(node) : undefined };
}

/** CompleteMultipartUploadResult. RGW gives an empty ETag. Throws XmlFault. */
export function readComplete(xml: XmlReader, body: Uint8Array): string | undefined {
  const etag = need(xml.root(body, "CompleteMultipartUploadResult"), "ETag");
  return etag === "" ? undefined : quoted(etag);
}

/** As headers and listings give it: RGW leaves the quotes out here. */
function quoted(etag: string): string {
  return /^(?:W\/)?".*"$/.test(etag) ? etag : `"${etag}"`;
}

// -- Options ------------------------------------------------------------------------------------------------------------

function plain(option: string, value: unknown): string {
  const given = textOption(option, value);
  if (!fitsXml(given)) throw new InvalidError(option, "must be text that XML can carry", given);
  return given;
}

/** Empty where MinIO had it empty: what was read can be written. */
function identity(option: string, value: unknown): string | undefined {
  return value === "" ? "" : optional(option, value);
}

function optional(option: string, value: unknown): string | undefined {
  return value === undefined ? undefined : plain(option, value);
}

function countOption(option: string, value: unknown, max: number): number {
  return integer(`defaultRetention.${option}`, value, { min: 1, max });
}
