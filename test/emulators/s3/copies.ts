/** Copying on the server: a whole object, or a range of one as a part of an upload. */
import { aclOfHeaders } from "./acls.js";
import { element, instant, type Made, Refusal, xml } from "./answers.js";
import type { ObjectCall } from "./call.js";
import { sumElements } from "./checksums.js";
import { readCondition } from "./conditions.js";
import { lockOf } from "./locks.js";
import { conditions, findVersion, keptHeaders, refuseLongKey, versionHeader } from "./objects.js";
import { addPart } from "./uploads.js";
import { FULL_CONTROL, md5, type Stored } from "./world.js";

const COPY_MAX_BYTES = 5 * 1024 ** 3;

export function copyObject(call: ObjectCall): Made {
  const { world, bucket, key, headers } = call;
  refuseLongKey(key);
  const { source, isSelf, isNamed } = sourceOf(call);
  const directive = headers["x-amz-metadata-directive"] ?? "COPY";
  if (directive !== "COPY" && directive !== "REPLACE")
    throw new Refusal(400, "InvalidArgument", "Unknown metadata directive.");
  if (isSelf && !isNamed && directive === "COPY" && headers["x-amz-storage-class"] === undefined)
    throw new Refusal(
      400,
      "InvalidRequest",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  if (source.body.length > (world.options.copyMaxBytes ?? COPY_MAX_BYTES))
    throw new Refusal(400, "InvalidRequest", "The specified copy source is larger than the maximum allowable size");
  conditions(call);
  const stored = world.add(bucket, key, {
    body: source.body,
    // Whatever parts the source had: the copy is made in one.
    etag: `"${md5(source.body)}"`,
    isDeleteMarker: false,
    headers: directive === "COPY" ? source.headers : keptHeaders(headers),
    checksums: source.parts === undefined ? source.checksums : {},
    acl: aclOfHeaders(headers) ?? FULL_CONTROL,
    ...lockOf(call),
  });
  const { wholeSeconds } = world.options;
  return xml(
    "CopyObjectResult",
    element("LastModified", instant(stored.lastModifiedMs, wholeSeconds)) +
      element("ETag", stored.etag) +
      sumElements(stored.checksums),
    { ...versionHeader(call, stored), ...sourceHeader(source) },
  );
}

export function copyPart(call: ObjectCall): Made {
  const { source } = sourceOf(call);
  const range = call.headers["x-amz-copy-source-range"];
  let { body } = source;
  if (range !== undefined) {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    if (first === undefined)
      throw new Refusal(
        400,
        "InvalidArgument",
        "The x-amz-copy-source-range value must be of the form bytes=first-last",
      );
    if (Number(last) < Number(first) || Number(last) >= body.length)
      throw new Refusal(
        400,
        "InvalidArgument",
        `Range specified is not valid for source object of size: ${body.length}`,
      );
    body = body.subarray(Number(first), Number(last) + 1);
  }
  const part = addPart(call, body, {});
  const { wholeSeconds } = call.world.options;
  return xml(
    "CopyPartResult",
    element("LastModified", instant(part.lastModifiedMs, wholeSeconds)) + element("ETag", part.etag),
    sourceHeader(source),
  );
}

function sourceOf({ world, bucket, key, headers }: ObjectCall): {
  source: Stored;
  isSelf: boolean;
  isNamed: boolean;
} {
  const raw = headers["x-amz-copy-source"]!;
  const [path, search] = raw.split("?") as [string, string?];
  let plain: string;
  try {
    plain = decodeURIComponent(path.replaceAll("+", "%20"));
  } catch {
    throw invalid();
  }
  const [, name, from] = /^\/?([^/]+)\/(.+)$/s.exec(plain) ?? [];
  if (name === undefined || from === undefined) throw invalid();
  const versionId = new URLSearchParams(search).get("versionId") ?? undefined;
  const there = world.bucket(name);
  const latest = world.latest(there, from);
  const source = findVersion(latest, there.objects.get(from), versionId);
  readCondition(headers, source, "x-amz-copy-source-");
  return { source, isSelf: there === bucket && from === key, isNamed: versionId !== undefined && source !== latest };
}

function sourceHeader({ versionId }: Stored): Record<string, string> {
  return versionId === "null" ? {} : { "x-amz-copy-source-version-id": versionId };
}

function invalid(): Refusal {
  return new Refusal(
    400,
    "InvalidArgument",
    "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
  );
}
