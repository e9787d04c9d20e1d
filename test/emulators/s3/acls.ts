/** Access control lists of buckets and objects: canned, as grant headers, as documents. */
import { element, empty, type Made, marked, Refusal } from "./answers.js";
import type { Call } from "./call.js";
import { child, malformed, readDocument, textOf } from "./documents.js";
import { type Acl, FULL_CONTROL, type Grant, OWNER } from "./world.js";

const GROUPS = "http://acs.amazonaws.com/groups";
const ALL = `${GROUPS}/global/AllUsers`;
const SIGNED_IN = `${GROUPS}/global/AuthenticatedUsers`;
const LOG = `${GROUPS}/s3/LogDelivery`;
const CANNED: Readonly<Record<string, Acl>> = {
  private: [],
  "public-read": [{ grantee: ALL, permission: "READ" }],
  "public-read-write": [
    { grantee: ALL, permission: "READ" },
    { grantee: ALL, permission: "WRITE" },
  ],
  "authenticated-read": [{ grantee: SIGNED_IN, permission: "READ" }],
  "log-delivery-write": [
    { grantee: LOG, permission: "WRITE" },
    { grantee: LOG, permission: "READ_ACP" },
  ],
  // One account here: it owns bucket and object.
  "bucket-owner-read": [],
  "bucket-owner-full-control": [],
};
const PERMISSIONS = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"];

/** From x-amz-acl or x-amz-grant-*; undefined: neither was sent. */
export function aclOfHeaders(headers: Call["headers"]): Acl | undefined {
  const canned = headers["x-amz-acl"];
  const grants = PERMISSIONS.flatMap((permission): Grant[] => {
    const header = headers[`x-amz-grant-${permission.toLowerCase().replace("_", "-")}`];
    return [...(header ?? "").matchAll(/(?:id|uri|emailAddress)="?([^",\s]+)"?/g)].map(([, grantee]) => ({
      grantee: grantee!,
      permission,
    }));
  });
  if (canned === undefined) return grants.length > 0 ? grants : undefined;
  if (grants.length > 0)
    throw new Refusal(400, "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed");
  const known = CANNED[canned];
  if (known === undefined) throw new Refusal(400, "InvalidArgument", `x-amz-acl: ${canned}`);
  return [...FULL_CONTROL, ...known];
}

export function getAcl(acl: Acl): Made {
  const grants = acl.map(({ grantee, permission }) => {
    const isGroup = grantee.startsWith("http");
    const who = isGroup
      ? element("URI", grantee)
      : `${element("ID", grantee)}${grantee === OWNER.id ? element("DisplayName", OWNER.name) : ""}`;
    const type = isGroup ? "Group" : "CanonicalUser";
    return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="${type}">${who}</Grantee>${element("Permission", permission)}</Grant>`;
  });
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${owner()}<AccessControlList>${grants.join("")}</AccessControlList></AccessControlPolicy>`;
  return { status: 200, body, headers: { "content-type": "application/xml" } };
}

/** `owned`: what has the list. */
export function putAcl(call: Call, owned: { acl: Acl }): Made {
  const header = aclOfHeaders(call.headers);
  if (call.body.length === 0) {
    if (header === undefined)
      throw new Refusal(400, "MissingSecurityHeader", "Your request was missing a required header", {
        MissingHeaderName: "x-amz-acl",
      });
    owned.acl = header;
    return empty(200);
  }
  if (header !== undefined) throw new Refusal(400, "UnexpectedContent", "This request does not support content");
  const policy = readDocument(call.body, "AccessControlPolicy");
  if (textOf(child(policy, "Owner"), "ID") !== OWNER.id)
    throw new Refusal(400, "MalformedACLError", "The owner is not this account");
  owned.acl = (child(policy, "AccessControlList")?.children ?? []).map((grant) => {
    const permission = textOf(grant, "Permission");
    const grantee = child(grant, "Grantee");
    const who = textOf(grantee, "ID") ?? textOf(grantee, "URI") ?? textOf(grantee, "EmailAddress");
    if (who === undefined || permission === undefined || !PERMISSIONS.includes(permission)) throw malformed();
    return { grantee: who, permission };
  });
  return empty(200);
}

/** May anybody read? */
export function isPublic(acl: Acl): boolean {
  return acl.some(({ grantee, permission }) => grantee === ALL && ["READ", "FULL_CONTROL"].includes(permission));
}

export function owner(name = "Owner"): string {
  return `<${name}><ID>${OWNER.id}</ID><DisplayName>${marked(OWNER.name)}</DisplayName></${name}>`;
}
