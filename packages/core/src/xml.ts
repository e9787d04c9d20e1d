/**
 * The XML answers of S3, read strictly: a cut, foreign or ambiguous document is a fault, never half an answer. The parser
 * (fast-xml-parser) is handed in, so that it is loaded only when an answer has to be read. Its habits that would lose
 * data are off: values stay text (`00123` is a key), nothing is trimmed, entities are decoded here (its own decoder
 * stops after 1000 of them, which one page of quoted ETags exceeds), and documents are validated first because it lets
 * truncated ones pass. Never opens an entity of the document's own: DOCTYPE is refused.
 */
import { compareKeys } from "./byte-order.js";
import { parseInstantMs } from "./clock.js";
import type { ListedObject, ListedVersion } from "./store.js";
import { decodePercent } from "./uri.js";

export type XmlEngine = Pick<typeof import("fast-xml-parser"), "XMLParser" | "XMLValidator">;

/** `cut`: ends early or is not well formed. `html`: a web page. `foreign`: something else than was asked for. `incomplete`: lacks what S3 always says. */
export type XmlFaultWhy = "cut" | "html" | "foreign" | "incomplete";

/** Why a document was not understood. Inside this package only: it becomes a StoreError. */
export class XmlFault extends Error {
  readonly why: XmlFaultWhy;
  constructor(why: XmlFaultWhy, message: string) {
    super(message);
    this.why = why;
  }
}

export interface ObjectsResult {
  readonly objects: readonly ListedObject[];
  /** Absent: this was the last page. */
  readonly nextToken?: string | undefined;
}
export interface VersionsResult {
  readonly versions: readonly ListedVersion[];
  readonly next?: { readonly key: string; readonly versionId?: string | undefined } | undefined;
}
export interface DeleteResult {
  readonly deleted: readonly { readonly key: string; readonly versionId?: string | undefined }[];
  readonly failed: readonly { key: string; versionId?: string | undefined; code: string; message: string }[];
}
export interface ErrorResult {
  readonly code: string;
  readonly message: string;
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly requestId?: string | undefined;
}

type Node = { readonly [name: string]: unknown };
const LISTS = new Set(["Contents", "CommonPrefixes", "Version", "DeleteMarker", "Deleted"]);
const HTML = /^\s*(?:<!--[\s\S]*?-->\s*)?<(?:!doctype\s+html|html)[\s>]/i;

export class XmlReader {
  readonly #parser: InstanceType<XmlEngine["XMLParser"]>;
  readonly #validate: XmlEngine["XMLValidator"]["validate"];

  constructor(engine: XmlEngine) {
    this.#validate = (text) => engine.XMLValidator.validate(text);
    this.#parser = new engine.XMLParser({
      ignoreAttributes: true,
      ignoreDeclaration: true,
      ignorePiTags: true,
      parseTagValue: false,
      trimValues: false,
      processEntities: false,
      isArray: (name, path) => LISTS.has(name) || path === "DeleteResult.Error",
    });
  }

  /** ListObjectsV2. Throws XmlFault. */
  objects(body: Uint8Array): ObjectsResult {
    const node = this.#root(body, "ListBucketResult");
    const decode = keyDecoder(node);
    const objects = list(node, "Contents").map((entry) => ({
      key: decode(need(entry, "Key")),
      etag: text(entry, "ETag"),
      lastModifiedMs: instant(entry),
      size: size(entry),
    }));
    if (!truncated(node)) return { objects };
    const nextToken = text(node, "NextContinuationToken");
    // Without this check the same page would be read for ever, or the rest silently missed.
    if (!nextToken) throw new XmlFault("incomplete", "a truncated listing carries no continuation token");
    return { objects, nextToken };
  }

  /** ListObjectVersions. Versions and markers of a page in byte order of the keys, newest first. Throws XmlFault. */
  versions(body: Uint8Array): VersionsResult {
    const node = this.#root(body, "ListVersionsResult");
    const decode = keyDecoder(node);
    const read = (isDeleteMarker: boolean) => (entry: Node) => ({
      key: decode(need(entry, "Key")),
      versionId: text(entry, "VersionId") || undefined,
      isLatest: need(entry, "IsLatest") === "true",
      isDeleteMarker,
      lastModifiedMs: instant(entry),
    });
    const versions = [...list(node, "Version").map(read(false)), ...list(node, "DeleteMarker").map(read(true))];
    // The two kinds come interleaved and are read apart; the newest of a key is the one that says so, for times may tie.
    versions.sort(
      (a, b) =>
        compareKeys(a.key, b.key) || Number(b.isLatest) - Number(a.isLatest) || b.lastModifiedMs - a.lastModifiedMs,
    );
    if (!truncated(node)) return { versions };
    const marker = text(node, "NextKeyMarker");
    if (!marker) throw new XmlFault("incomplete", "a truncated listing of versions carries no key marker");
    // RGW leaves the marker as it is while it encodes the keys: a wrongly decoded one would skip or repeat entries. The
    // marker is the last key of the page, so the page itself tells which of the two it is.
    const last = versions.at(-1)?.key;
    const key = marker === last ? marker : decode(marker);
    return { versions, next: { key, versionId: text(node, "NextVersionIdMarker") || undefined } };
  }

  /** DeleteObjects. Throws XmlFault. */
  deleted(body: Uint8Array): DeleteResult {
    const node = this.#root(body, "DeleteResult");
    const target = (entry: Node) => ({ key: need(entry, "Key"), versionId: text(entry, "VersionId") || undefined });
    return {
      deleted: list(node, "Deleted").map(target),
      failed: list(node, "Error").map((entry) => ({
        ...target(entry),
        code: text(entry, "Code") ?? "Unknown",
        message: text(entry, "Message") ?? "",
      })),
    };
  }

  /** An `<Error>` document; undefined when the body is another S3 document. Throws XmlFault when it is none at all. */
  error(body: Uint8Array): ErrorResult | undefined {
    const [name, node] = this.#document(body);
    if (name !== "Error") return undefined;
    return {
      code: need(node, "Code"),
      message: text(node, "Message") ?? "",
      region: text(node, "Region") || undefined,
      endpoint: text(node, "Endpoint") || undefined,
      requestId: text(node, "RequestId") || undefined,
    };
  }

  #root(body: Uint8Array, want: string): Node {
    const [name, node] = this.#document(body);
    if (name !== want) throw new XmlFault("foreign", `the root element is <${name.slice(0, 40)}> instead of <${want}>`);
    return node;
  }

  #document(body: Uint8Array): [name: string, node: Node] {
    const source = utf8(body);
    if (HTML.test(source)) throw new XmlFault("html", "an HTML page came instead of XML");
    if (!/^\s*</.test(source)) {
      if (source.trim() === "") throw new XmlFault("cut", "the XML document is empty");
      throw new XmlFault("foreign", "the body is no XML");
    }
    // A literal `<!` in a value is always escaped, so this finds DOCTYPE (entities, file access) and CDATA only.
    if (/<!(?!--)/.test(source)) throw new XmlFault("foreign", "a DOCTYPE or CDATA section, which S3 never sends");
    if (this.#validate(source) !== true) throw new XmlFault("cut", "the XML is cut or not well formed");
    let parsed: Node;
    try {
      parsed = this.#parser.parse(source) as Node;
    } catch {
      throw new XmlFault("cut", "the XML cannot be parsed");
    }
    const names = Object.keys(parsed).filter((name) => name !== "#text");
    const name = names[0];
    if (name === undefined || names.length !== 1) throw new XmlFault("cut", "the XML has no single root element");
    const closed = new RegExp(
      `(?:</${escapeRegExp(name)}\\s*>|<${escapeRegExp(name)}(?:\\s[^>]*)?/>)\\s*(?:<!--[\\s\\S]*-->\\s*)?$`,
    );
    if (!closed.test(source.slice(-400)) && !closed.test(source))
      throw new XmlFault("cut", `the closing tag of <${name.slice(0, 40)}> is missing`);
    const node = parsed[name];
    return [name, typeof node === "object" && node !== null && !Array.isArray(node) ? (node as Node) : {}];
  }
}

/** Can XML 1.0 carry this text there and back? Control characters and U+FFFE, U+FFFF cannot (XML 1.0, 2.2); carriage returns change. */
export function fitsXml(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return !/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/.test(value) && value.isWellFormed();
}

/** Escaped for element content. */
export function escapeXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The body of a DeleteObjects request; every key must pass fitsXml. Not quiet: each target's answer is wanted. */
export function deleteDocument(targets: readonly { key: string; versionId?: string | undefined }[]): string {
  const entries = targets.map(({ key, versionId }) => {
    const version = versionId === undefined ? "" : `<VersionId>${escapeXml(versionId)}</VersionId>`;
    return `<Object><Key>${escapeXml(key)}</Key>${version}</Object>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>false</Quiet>${entries.join("")}</Delete>`;
}

function utf8(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new XmlFault("cut", "the body is not UTF-8");
  }
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The five entities of XML 1.0 and character references. Anything else is a fault. */
export function decodeEntities(value: string): string {
  if (!value.includes("&")) return value;
  return value.replace(/&([^;&]{0,10});?/g, (whole, name: string) => {
    const known = NAMED[name];
    if (known !== undefined && whole.endsWith(";")) return known;
    const number = /^#(?:x([0-9a-f]{1,6})|([0-9]{1,7}))$/i.exec(name);
    const point = number ? Number.parseInt(number[1] ?? number[2]!, number[1] ? 16 : 10) : -1;
    if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) || !whole.endsWith(";"))
      throw new XmlFault("foreign", "an entity that XML does not define");
    return String.fromCodePoint(point);
  });
}

function text(node: Node, name: string): string | undefined {
  const value = Object.hasOwn(node, name) ? node[name] : undefined;
  if (value === undefined) return undefined;
  if (typeof value === "string") return decodeEntities(value);
  throw new XmlFault("foreign", `<${name}> is not one plain value`);
}

function need(node: Node, name: string): string {
  const value = text(node, name);
  if (value === undefined) throw new XmlFault("incomplete", `<${name}> is missing`);
  return value;
}

function list(node: Node, name: string): readonly Node[] {
  const value = Object.hasOwn(node, name) ? node[name] : undefined;
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((entry) => typeof entry !== "object" || entry === null))
    throw new XmlFault("incomplete", `<${name}> is empty`);
  return value as Node[];
}

function truncated(node: Node): boolean {
  const value = need(node, "IsTruncated").trim();
  if (value !== "true" && value !== "false")
    throw new XmlFault("incomplete", "<IsTruncated> is neither true nor false");
  return value === "true";
}

// Only an instant with a zone is one: without it JavaScript would read local time. Fraction none, ms or µs.
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

function instant(node: Node): number {
  const value = need(node, "LastModified").trim();
  const ms = INSTANT.test(value) ? parseInstantMs(value) : undefined;
  if (ms === undefined) throw new XmlFault("incomplete", "<LastModified> is no instant");
  return ms;
}

function size(node: Node): number {
  const value = need(node, "Size").trim();
  if (!/^\d{1,15}$/.test(value)) throw new XmlFault("incomplete", "<Size> is no number");
  return Number(value);
}

/** Keys are percent-encoded only where the answer says so: versitygw ignores the request for it. Space as `%20` (RGW) or `+` (MinIO). */
function keyDecoder(node: Node): (key: string) => string {
  if (text(node, "EncodingType")?.trim().toLowerCase() !== "url") return (key) => key;
  return (key) => {
    const decoded = decodePercent(key, true);
    if (decoded === undefined) throw new XmlFault("incomplete", "a key is not percent-encoded as announced");
    return decoded;
  };
}

function escapeRegExp(value: string): string {
  return value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
