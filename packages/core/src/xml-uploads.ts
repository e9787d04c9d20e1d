/**
 * What S3 says about multipart uploads, from the elements of its answers. Pure. A page that says there is more without saying
 * where, or sends round in circles, is a fault.
 */
import { parseInstantMs } from "./clock.js";
import { decodePercent, type Pair } from "./uri.js";
import { list, need, text, XmlFault, type XmlNode } from "./xml.js";

export interface PartsPage {
  readonly parts: readonly {
    readonly number: number;
    readonly etag: string;
    readonly size: number;
    readonly lastModifiedMs: number | undefined;
  }[];
  readonly next: string | undefined;
}

/** `before`: the marker this page was asked for with. */
export function partsPage(node: XmlNode, before: string): PartsPage {
  const parts = list(node, "Part").map((entry) => ({
    number: whole(entry, "PartNumber"),
    etag: need(entry, "ETag"),
    size: whole(entry, "Size"),
    lastModifiedMs: parseInstantMs(text(entry, "LastModified")),
  }));
  if (!isTruncated(node)) return { parts, next: undefined };
  const next = whole(node, "NextPartNumberMarker");
  if (next <= Number(before)) throw new XmlFault("incomplete", "a truncated list of parts does not go on");
  return { parts, next: String(next) };
}

export interface UploadsPage {
  readonly uploads: readonly {
    readonly key: string;
    readonly uploadId: string;
    readonly initiatedMs: number | undefined;
  }[];
  /** The query for the next page. */
  readonly next: Pair[] | undefined;
}

/** `before`: the query this page was asked for with, as JSON. */
export function uploadsPage(node: XmlNode, before: string): UploadsPage {
  const said = text(node, "EncodingType")?.trim().toLowerCase();
  const isCeph = said === undefined && isEncodedByCeph(node);
  const isEncoded = said === "url" || isCeph;
  const decode = (key: string) => {
    const decoded = isEncoded ? decodePercent(key, true) : key;
    if (decoded === undefined) throw new XmlFault("incomplete", "a key is not percent-encoded as announced");
    return decoded;
  };
  const uploads = list(node, "Upload").map((entry) => ({
    key: decode(need(entry, "Key")),
    uploadId: need(entry, "UploadId"),
    initiatedMs: parseInstantMs(text(entry, "Initiated")),
  }));
  if (!isTruncated(node)) return { uploads, next: undefined };
  const next: Pair[] = [
    ["key-marker", isCeph ? need(node, "NextKeyMarker") : decode(need(node, "NextKeyMarker"))],
    ["upload-id-marker", need(node, "NextUploadIdMarker")],
  ];
  if (JSON.stringify(next) === before) throw new XmlFault("incomplete", "a truncated list of uploads does not go on");
  return { uploads, next };
}

/**
 * Ceph RGW encodes the keys as it was asked to, but does not say so, and leaves the marker as it is: that is how the last key
 * tells. Its ids begin with `2~`. versitygw says nothing either, and encodes nothing.
 */
function isEncodedByCeph(node: XmlNode): boolean {
  const entries = list(node, "Upload");
  const last = entries.at(-1);
  if (last === undefined || !entries.every((entry) => need(entry, "UploadId").startsWith("2~"))) return false;
  const marker = text(node, "NextKeyMarker");
  return marker !== undefined && decodePercent(need(last, "Key"), false) === marker;
}

/** MinIO leaves it out of a list of uploads that is complete. */
function isTruncated(node: XmlNode): boolean {
  return text(node, "IsTruncated")?.trim() === "true";
}

function whole(node: XmlNode, name: string): number {
  const value = need(node, name).trim();
  if (!/^\d{1,15}$/.test(value)) throw new XmlFault("incomplete", `<${name}> is no number`);
  return Number(value);
}
