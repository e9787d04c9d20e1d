/** Buckets and what is set on them: create, list, delete, location, versioning, logging. */
import { aclOfHeaders, owner } from "./acls.js";
import { element, empty, instant, type Made, Refusal, xml } from "./answers.js";
import { type BucketCall, type Call, count } from "./call.js";
import { child, malformed, readDocument, textOf } from "./documents.js";
import { refuseSuspension } from "./locks.js";
import { order } from "./world.js";

const NAME = /^(?!xn--|\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]$/;

export function listBuckets({ world, query }: Call): Made {
  const prefix = query.get("prefix") ?? "";
  const token = query.get("continuation-token") ?? "";
  const max = count(query, "max-buckets", 10_000);
  const all = [...world.buckets.values()]
    .filter(({ name }) => name.startsWith(prefix) && name > token)
    .sort((a, b) => order(a.name, b.name));
  const page = all.slice(0, max);
  const entries = page.map(
    ({ name, createdMs, region }) =>
      `<Bucket>${element("Name", name)}${element("CreationDate", instant(createdMs))}${query.has("max-buckets") ? element("BucketRegion", region) : ""}</Bucket>`,
  );
  const next = all.length > page.length ? element("ContinuationToken", page.at(-1)!.name) : "";
  return xml("ListAllMyBucketsResult", `${owner()}<Buckets>${entries.join("")}</Buckets>${next}`);
}

export function createBucket({ world, headers, body }: Call, name: string): Made {
  if (!NAME.test(name)) throw new Refusal(400, "InvalidBucketName", "The specified bucket is not valid.");
  const constraint =
    body.length === 0 ? undefined : textOf(readDocument(body, "CreateBucketConfiguration"), "LocationConstraint");
  // Only the first region makes buckets for others (API reference, CreateBucket).
  if (constraint !== undefined && constraint !== world.region && world.region !== "us-east-1")
    throw new Refusal(
      400,
      "IllegalLocationConstraintException",
      `The ${constraint} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    );
  if (world.buckets.has(name))
    throw new Refusal(
      409,
      "BucketAlreadyOwnedByYou",
      "Your previous request to create the named bucket succeeded and you already own it.",
      { BucketName: name },
    );
  const region = constraint || undefined;
  const objectLock = headers["x-amz-bucket-object-lock-enabled"]?.toLowerCase() === "true";
  const acl = aclOfHeaders(headers);
  world.makeBucket(name, { ...(region && { region }), ...(acl && { acl }), objectLock });
  return empty(200, { location: `/${name}` });
}

export function deleteBucket({ world, bucket }: BucketCall): Made {
  // Uploads under way do not keep it; versions and delete markers do.
  if (bucket.objects.size > 0)
    throw new Refusal(409, "BucketNotEmpty", "The bucket you tried to delete is not empty", {
      BucketName: bucket.name,
    });
  world.buckets.delete(bucket.name);
  return empty(204);
}

export function headBucket({ bucket }: BucketCall): Made {
  return empty(200, { "x-amz-bucket-region": bucket.region, "content-type": "application/xml" });
}

export function getLocation({ bucket }: BucketCall): Made {
  // The first region has no name (API reference, GetBucketLocation).
  return xml("LocationConstraint", bucket.region === "us-east-1" ? "" : bucket.region);
}

export function getVersioning({ bucket }: BucketCall): Made {
  return xml("VersioningConfiguration", bucket.versioning ? element("Status", bucket.versioning) : "");
}

export function putVersioning({ bucket, body }: BucketCall): Made {
  const status = textOf(readDocument(body, "VersioningConfiguration"), "Status");
  if (status !== "Enabled" && status !== "Suspended")
    throw new Refusal(400, "IllegalVersioningConfigurationException", "The versioning configuration is not valid");
  refuseSuspension(bucket, status);
  bucket.versioning = status;
  return empty(200);
}

export function getLogging({ bucket }: BucketCall): Made {
  return xml(
    "BucketLoggingStatus",
    bucket.logging === undefined ? "" : `<LoggingEnabled>${bucket.logging}</LoggingEnabled>`,
  );
}

export function putLogging({ world, bucket, body }: BucketCall): Made {
  const enabled = child(readDocument(body, "BucketLoggingStatus"), "LoggingEnabled");
  if (enabled !== undefined) {
    const target = textOf(enabled, "TargetBucket");
    if (target === undefined || child(enabled, "TargetPrefix") === undefined) throw malformed();
    if (!world.buckets.has(target))
      throw new Refusal(400, "InvalidTargetBucketForLogging", "The target bucket for logging does not exist");
  }
  bucket.logging = enabled?.raw;
  return empty(200);
}
