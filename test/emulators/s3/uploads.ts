/** Uploads by parts: create, part, list parts, list uploads, complete, abort. */
import { createHash } from "node:crypto";
import { aclOfHeaders, owner } from "./acls.js";
import { element, empty, instant, type Made, Refusal, xml } from "./answers.js";
import { type BucketCall, count, type ObjectCall } from "./call.js";
import { ALGORITHMS, type Checksums, checksum, sumElements, sumHeaders } from "./checksums.js";
import { malformed, readDocument, textOf } from "./documents.js";
import { encodingType, shown, walk } from "./listings.js";
import { lockOf } from "./locks.js";
import { conditions, keptHeaders, refuseLongKey, versionHeader } from "./objects.js";
import { FULL_CONTROL, md5, order, type Part, type Upload } from "./world.js";

const PART_MIN_BYTES = 5 * 1024 * 1024;
const PARTS_MAX = 10_000;

export function createUpload(call: ObjectCall): Made {
  const { world, bucket, key, headers } = call;
  refuseLongKey(key);
  const upload: Upload = {
    id: world.id("upload"),
    key,
    initiatedMs: world.nowMs,
    headers: keptHeaders(headers),
    acl: aclOfHeaders(headers) ?? FULL_CONTROL,
    checksumType: headers["x-amz-checksum-type"],
    parts: new Map(),
    ...lockOf(call),
  };
  bucket.uploads.set(upload.id, upload);
  const algorithm = headers["x-amz-checksum-algorithm"];
  return xml(
    "InitiateMultipartUploadResult",
    element("Bucket", bucket.name) + element("Key", key) + element("UploadId", upload.id),
    algorithm === undefined ? {} : { "x-amz-checksum-algorithm": algorithm },
  );
}

export function putPart(call: ObjectCall): Made {
  const part = addPart(call, call.body, call.checksums);
  return empty(200, { etag: part.etag, ...partSums(part.checksums) });
}

export function addPart(call: ObjectCall, body: Buffer, checksums: Checksums): Part {
  const upload = uploadOf(call);
  const text = call.query.get("partNumber") ?? "";
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > PARTS_MAX)
    throw new Refusal(400, "InvalidArgument", `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`);
  const part: Part = { number, body, etag: `"${md5(body)}"`, lastModifiedMs: call.world.nowMs, checksums };
  upload.parts.set(number, part);
  return part;
}

export function listParts(call: ObjectCall): Made {
  const { bucket, key, query, world } = call;
  const upload = uploadOf(call);
  const after = count(query, "part-number-marker", PARTS_MAX) * (query.has("part-number-marker") ? 1 : 0);
  const max = count(query, "max-parts", 1000);
  const all = [...upload.parts.values()].sort((a, b) => a.number - b.number).filter(({ number }) => number > after);
  const page = all.slice(0, max);
  const parts = page.map(
    ({ number, etag, lastModifiedMs, body, checksums }) =>
      `<Part>${element("PartNumber", number)}${element("LastModified", instant(lastModifiedMs, world.options.wholeSeconds))}${element("ETag", etag)}${element("Size", body.length)}${sumElements(checksums)}</Part>`,
  );
  const more = all.length > page.length;
  return xml(
    "ListPartsResult",
    element("Bucket", bucket.name) +
      element("Key", key) +
      element("UploadId", upload.id) +
      owner("Initiator") +
      owner() +
      element("StorageClass", "STANDARD") +
      element("PartNumberMarker", after) +
      element("NextPartNumberMarker", page.at(-1)?.number ?? 0) +
      element("MaxParts", max) +
      element("IsTruncated", more) +
      parts.join(""),
  );
}

export function listUploads(call: BucketCall): Made {
  const { bucket, query, world } = call;
  const all = [...bucket.uploads.values()].sort(
    (a, b) => order(a.key, b.key) || a.initiatedMs - b.initiatedMs || a.id.localeCompare(b.id, "en", { numeric: true }),
  );
  const marker = query.get("key-marker") ?? "";
  const idMarker = query.get("upload-id-marker") ?? "";
  const at = idMarker === "" ? -1 : all.findIndex(({ key, id }) => key === marker && id === idMarker);
  const left = at >= 0 ? all.slice(at + 1) : all.filter(({ key }) => marker === "" || order(key, marker) > 0);
  const max = count(query, "max-uploads", 1000);
  const page = walk(left, ({ key }) => key, query.get("prefix") ?? "", query.get("delimiter") ?? "", max);
  const name = (text: string) => shown(world.options, query, text);
  const uploads = page.entries.map(
    ({ id, key, initiatedMs }) =>
      `<Upload>${element("Key", name(key))}${element("UploadId", id)}${owner("Initiator")}${owner()}${element("StorageClass", "STANDARD")}${element("Initiated", instant(initiatedMs, world.options.wholeSeconds))}</Upload>`,
  );
  const last = page.entries.at(-1);
  const next =
    page.more && last !== undefined
      ? element("NextKeyMarker", name(last.key)) + element("NextUploadIdMarker", last.id)
      : "";
  return xml(
    "ListMultipartUploadsResult",
    element("Bucket", bucket.name) +
      encodingType(world.options, query) +
      element("KeyMarker", name(marker)) +
      element("UploadIdMarker", idMarker) +
      next +
      element("Prefix", name(query.get("prefix") ?? "")) +
      element("MaxUploads", max) +
      element("IsTruncated", page.more) +
      uploads.join("") +
      page.prefixes.map((prefix) => `<CommonPrefixes>${element("Prefix", name(prefix))}</CommonPrefixes>`).join(""),
  );
}

export function abortUpload(call: ObjectCall): Made {
  call.bucket.uploads.delete(uploadOf(call).id);
  return empty(204);
}

export function completeUpload(call: ObjectCall): Made {
  const { world, bucket, key } = call;
  const upload = uploadOf(call);
  const wanted = readDocument(call.body, "CompleteMultipartUpload").children.filter(({ name }) => name === "Part");
  if (wanted.length === 0) throw malformed();
  const parts: Part[] = [];
  for (const entry of wanted) {
    const number = Number(textOf(entry, "PartNumber"));
    const etag = textOf(entry, "ETag")?.trim().replaceAll('"', "");
    const part = upload.parts.get(number);
    const isOther = ALGORITHMS.some((algorithm) => {
      const said = textOf(entry, `Checksum${algorithm.toUpperCase()}`);
      return said !== undefined && part?.checksums[algorithm] !== said;
    });
    if (part === undefined || part.etag !== `"${etag}"` || isOther)
      throw new Refusal(
        400,
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
        { UploadId: upload.id, PartNumber: String(number) },
      );
    if (parts.length > 0 && parts.at(-1)!.number >= number)
      throw new Refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.");
    parts.push(part);
  }
  const min = world.options.partMinBytes ?? PART_MIN_BYTES;
  const small = parts.slice(0, -1).find(({ body }) => body.length < min);
  if (small !== undefined)
    throw new Refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", {
      ProposedSize: String(small.body.length),
      MinSizeAllowed: String(min),
      PartNumber: String(small.number),
    });
  conditions(call);
  const body = Buffer.concat(parts.map((part) => part.body));
  const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag.slice(1, -1), "hex")));
  const etag = `"${createHash("md5").update(digests).digest("hex")}-${parts.length}"`;
  const checksums = wholeSums(parts, body, upload.checksumType === "FULL_OBJECT");
  const stored = world.add(bucket, key, {
    body,
    etag,
    isDeleteMarker: false,
    headers: upload.headers,
    checksums,
    parts: parts.map((part) => part.body.length),
    acl: upload.acl,
    retention: upload.retention,
    legalHold: upload.legalHold,
  });
  bucket.uploads.delete(upload.id);
  return xml(
    "CompleteMultipartUploadResult",
    element("Location", `http://${call.headers.host}/${bucket.name}/${encodeURIComponent(key)}`) +
      element("Bucket", bucket.name) +
      element("Key", key) +
      element("ETag", etag) +
      sumElements(checksums),
    versionHeader(call, stored),
  );
}

/** Of an algorithm that every part has: the sum of the parts' sums and their number, or the sum of the whole. */
function wholeSums(parts: readonly Part[], body: Buffer, isWhole: boolean): Checksums {
  const sums: Record<string, string> = {};
  for (const algorithm of ALGORITHMS) {
    const each = parts.map((part) => part.checksums[algorithm]);
    if (each.some((sum) => sum === undefined)) continue;
    const joined = Buffer.concat(each.map((sum) => Buffer.from(sum!, "base64")));
    sums[algorithm] =
      isWhole || algorithm === "crc64nvme"
        ? checksum(algorithm, body)
        : `${checksum(algorithm, joined)}-${parts.length}`;
  }
  return sums;
}

function partSums(sums: Checksums): Record<string, string> {
  const { "x-amz-checksum-type": _type, ...rest } = sumHeaders(sums, false);
  return rest;
}

function uploadOf({ bucket, key, query }: ObjectCall): Upload {
  const id = query.get("uploadId") ?? "";
  const upload = bucket.uploads.get(id);
  if (upload === undefined || upload.key !== key)
    throw new Refusal(
      404,
      "NoSuchUpload",
      "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
      { UploadId: id },
    );
  return upload;
}
