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

export type XmlEngine = Pick<typeof import("fast-xml-parser"), "XMLParser" | "XMLValidator" | "XMLBuilder">;

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

export interface Owner {
  readonly id?: string | undefined;
  readonly displayName?: string | undefined;
}
/** An object as a listing of S3 shows it. */
export interface S3ListedObject extends ListedObject {
  /** Such as STANDARD or GLACIER, where the server says it. */
  readonly storageClass?: string | undefined;
  /** Where it was asked for and the server tells. */
  readonly owner?: Owner | undefined;
}
/** A version, or a delete marker, which has neither ETag nor size. */
export interface S3ListedVersion extends ListedVersion {
  readonly etag?: string | undefined;
  readonly size?: number | undefined;
  readonly storageClass?: string | undefined;
  readonly owner?: Owner | undefined;
}
export interface ObjectsResult {
  readonly objects: readonly S3ListedObject[];
  /** What keys have in common up to the delimiter, where one was asked for. */
  readonly prefixes: readonly string[];
  /** Absent: this was the last page. */
  readonly nextToken?: string | undefined;
  /** The answer is of the first form (ListObjects), although the second was asked for. */
  readonly isFirstForm?: boolean | undefined;
}
export interface VersionsResult {
  readonly versions: readonly S3ListedVersion[];
  readonly prefixes: readonly string[];
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

/** An element: its children by name. Read with the functions below, which fault what is not as said. */
export type XmlNode = { readonly [name: string]: unknown };
/** An element to be written: text, its children by name in their order (`@name`: an attribute), or several of one name. */
export type XmlTree = string | boolean | number | { readonly [name: string]: XmlTree | undefined } | readonly XmlTree[];
const LISTS = new Set(["Contents", "CommonPrefixes", "Version", "DeleteMarker", "Deleted", "Grant"]);
const LIST_PATHS = new Set([
  "DeleteResult.Error",
  "ListAllMyBucketsResult.Buckets.Bucket",
  "ListPartsResult.Part",
  "ListMultipartUploadsResult.Upload",
]);
const S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
const HTML = /^\s*(?:<!--[\s\S]*?-->\s*)?<(?:!doctype\s+html|html)[\s>]/i;

export class XmlReader {
  readonly #parser: InstanceType<XmlEngine["XMLParser"]>;
  readonly #builder: InstanceType<XmlEngine["XMLBuilder"]>;
  readonly #validate: XmlEngine["XMLValidator"]["validate"];

  /** `attributes`: those of elements are read too, as children named `@name`. `lists`: more names that always make a list. */
  constructor(
    engine: XmlEngine,
    { attributes = false, lists = [] }: { readonly attributes?: boolean; readonly lists?: readonly string[] } = {},
  ) {
    this.#validate = (text) => engine.XMLValidator.validate(text);
    this.#parser = new engine.XMLParser({
      ignoreAttributes: !attributes,
      attributeNamePrefix: "@",
      parseAttributeValue: false,
      ignoreDeclaration: true,
      ignorePiTags: true,
      parseTagValue: false,
      trimValues: false,
      processEntities: false,
      isArray: (name, path) => LISTS.has(name) || lists.includes(name) || LIST_PATHS.has(String(path)),
    });
    this.#builder = new engine.XMLBuilder({
      ignoreAttributes: false,
      attributeNamePrefix: "@",
      // `<ID></ID>`, never `<ID/>`: some servers read only the long form.
      suppressEmptyNode: false,
      suppressBooleanAttributes: false,
    });
  }

  /** ListObjectsV2. Throws XmlFault. */
  objects(body: Uint8Array): ObjectsResult {
    const node = this.root(body, "ListBucketResult");
    const page = objectsOf(node);
    const nextToken = text(node, "NextContinuationToken");
    // Answers of the first form have markers, those of the second have none; a server that knows only the first ignores
    // `list-type` and answers so.
    const isSecondForm = nextToken || ["KeyCount", "ContinuationToken"].some((name) => Object.hasOwn(node, name));
    const isFirstForm = ["Marker", "NextMarker"].some((name) => Object.hasOwn(node, name));
    if (!isSecondForm && isFirstForm) return { ...page, isFirstForm: true };
    if (!truncated(node)) return page;
    // Without this check the same page would be read for ever, or the rest silently missed.
    if (!nextToken) throw new XmlFault("incomplete", "a truncated listing carries no continuation token");
    return { ...page, nextToken };
  }

  /** ListObjects, the first form: `nextToken` is the marker of the next page. Throws XmlFault. */
  objectsFirstForm(body: Uint8Array): ObjectsResult {
    const node = this.root(body, "ListBucketResult");
    const page = objectsOf(node);
    if (!truncated(node)) return page;
    // Given only where a delimiter was asked for (S3 API reference, ListObjects): else it is the last key.
    const last = [...page.objects.map(({ key }) => key), ...page.prefixes].sort(compareKeys).at(-1);
    const marker = text(node, "NextMarker") || last;
    if (!marker) throw new XmlFault("incomplete", "a truncated listing has neither a marker nor an entry");
    return { ...page, nextToken: marker === last ? marker : keyDecoder(node)(marker) };
  }

  /** ListObjectVersions. Versions and markers of a page in byte order of the keys, newest first. Throws XmlFault. */
  versions(body: Uint8Array): VersionsResult {
    const node = this.root(body, "ListVersionsResult");
    const decode = keyDecoder(node);
    const read = (isDeleteMarker: boolean) => (entry: XmlNode) => ({
      key: decode(need(entry, "Key")),
      versionId: text(entry, "VersionId") || undefined,
      isLatest: need(entry, "IsLatest") === "true",
      isDeleteMarker,
      lastModifiedMs: instant(entry),
      ...(isDeleteMarker ? {} : sizeAndEtag(entry)),
      ...classAndOwner(entry),
    });
    const prefixes = prefixesOf(node, decode);
    const versions = [...list(node, "Version").map(read(false)), ...list(node, "DeleteMarker").map(read(true))];
    // The two kinds come interleaved and are read apart; the newest of a key is the one that says so, for times may tie.
    versions.sort(
      (a, b) =>
        compareKeys(a.key, b.key) || Number(b.isLatest) - Number(a.isLatest) || b.lastModifiedMs - a.lastModifiedMs,
    );
    if (!truncated(node)) return { versions, prefixes };
    const marker = text(node, "NextKeyMarker");
    if (!marker) throw new XmlFault("incomplete", "a truncated listing of versions carries no key marker");
    // RGW leaves the marker as it is while it encodes the keys: a wrongly decoded one would skip or repeat entries. The
    // marker is the last key of the page, so the page itself tells which of the two it is.
    const isOnPage = marker === versions.at(-1)?.key || prefixes.includes(marker);
    const key = isOnPage ? marker : decode(marker);
    return { versions, prefixes, next: { key, versionId: text(node, "NextVersionIdMarker") || undefined } };
  }

  /** DeleteObjects. Throws XmlFault. */
  deleted(body: Uint8Array): DeleteResult {
    const node = this.root(body, "DeleteResult");
    const target = (entry: XmlNode) => ({ key: need(entry, "Key"), versionId: text(entry, "VersionId") || undefined });
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

  /** The root element, which must have this name, or the other. Throws XmlFault. */
  root(body: Uint8Array, want: string, or = want): XmlNode {
    const [name, node] = this.#document(body);
    if (name !== want && name !== or)
      throw new XmlFault("foreign", `the root element is <${name.slice(0, 40)}> instead of <${want}>`);
    return node;
  }

  /** What stands in a root element that holds text only. Throws XmlFault. */
  rootText(body: Uint8Array, want: string): string {
    const [name, , value] = this.#document(body);
    if (name !== want) throw new XmlFault("foreign", `the root element is <${name.slice(0, 40)}> instead of <${want}>`);
    return decodeEntities(value);
  }

  /** A request's body. Its text must pass fitsXml. */
  write(root: string, content: { readonly [name: string]: XmlTree | undefined }): Uint8Array {
    const tree = { [root]: { "@xmlns": S3_NAMESPACE, ...content } };
    return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${this.#builder.build(tree)}`);
  }

  #document(body: Uint8Array): [name: string, node: XmlNode, text: string] {
    const source = utf8(body);
    if (HTML.test(source)) throw new XmlFault("html", "an HTML page came instead of XML");
    if (!/^\s*</.test(source)) {
      if (source.trim() === "") throw new XmlFault("cut", "the XML document is empty");
      throw new XmlFault("foreign", "the body is no XML");
    }
    // A literal `<!` in a value is always escaped, so this finds DOCTYPE (entities, file access) and CDATA only.
    if (/<!(?!--)/.test(source)) throw new XmlFault("foreign", "a DOCTYPE or CDATA section, which S3 never sends");
    if (this.#validate(source) !== true) throw new XmlFault("cut", "the XML is cut or not well formed");
    let parsed: XmlNode;
    try {
      parsed = this.#parser.parse(source) as XmlNode;
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
    if (typeof node === "string") return [name, {}, node];
    return [name, typeof node === "object" && node !== null && !Array.isArray(node) ? (node as XmlNode) : {}, ""];
  }
}

/** Can XML 1.0 carry this text there and back? Control characters and U+FFFE, U+FFFF cannot (XML 1.0, 2.2); carriage returns change. */
export function fitsXml(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return !/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/.test(value) && value.isWellFormed();
}

/** The content of a DeleteObjects request; every key must pass fitsXml. `quiet`: only what failed is answered. */
export function deleteTree(
  targets: readonly { readonly key: string; readonly versionId?: string | undefined }[],
  quiet: boolean,
): { readonly [name: string]: XmlTree } {
  const entries = targets.map(({ key, versionId }) => ({ Key: key, ...(versionId && { VersionId: versionId }) }));
  return { Quiet: quiet, Object: entries };
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
export function decodeEntities(written: string): string {
  if (!written.includes("&")) return written;
  // Of every ETag, and most often the only one.
  const value = written.replaceAll("&quot;", '"');
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

/** The one plain value of a child, entities decoded; undefined when there is no such child. */
export function text(node: XmlNode, name: string): string | undefined {
  const value = Object.hasOwn(node, name) ? node[name] : undefined;
  if (value === undefined) return undefined;
  if (typeof value === "string") return decodeEntities(value);
  throw new XmlFault("foreign", `<${name}> is not one plain value`);
}

/** As `text`, but it must be there. */
export function need(node: XmlNode, name: string): string {
  const value = text(node, name);
  if (value === undefined) throw new XmlFault("incomplete", `<${name}> is missing`);
  return value;
}

/** The children of a name that always makes a list. */
export function list(node: XmlNode, name: string): readonly XmlNode[] {
  const value = Object.hasOwn(node, name) ? node[name] : undefined;
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((entry) => typeof entry !== "object" || entry === null))
    throw new XmlFault("incomplete", `<${name}> is empty`);
  return value as XmlNode[];
}

function truncated(node: XmlNode): boolean {
  const value = need(node, "IsTruncated").trim();
  if (value !== "true" && value !== "false")
    throw new XmlFault("incomplete", "<IsTruncated> is neither true nor false");
  return value === "true";
}

// Only an instant with a zone is one: without it JavaScript would read local time. Fraction none, ms or µs.
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/** Epoch ms. */
export function instant(node: XmlNode, name = "LastModified"): number {
  const value = need(node, name).trim();
  const ms = INSTANT.test(value) ? parseInstantMs(value) : undefined;
  if (ms === undefined) throw new XmlFault("incomplete", `<${name}> is no instant`);
  return ms;
}

/** The one child element of this name; undefined when there is none, an empty one is {}. */
export function child(node: XmlNode, name: string): XmlNode | undefined {
  const value = Object.hasOwn(node, name) ? node[name] : undefined;
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.trim() === "") return {};
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as XmlNode;
  throw new XmlFault("foreign", `<${name}> is not one element`);
}

export function ownerOf(node: XmlNode): Owner | undefined {
  const owner = child(node, "Owner");
  const id = owner && (text(owner, "ID") || undefined);
  const displayName = owner && (text(owner, "DisplayName") || undefined);
  return id === undefined && displayName === undefined ? undefined : { id, displayName };
}

function objectsOf(node: XmlNode): { objects: readonly S3ListedObject[]; prefixes: readonly string[] } {
  const decode = keyDecoder(node);
  const objects = list(node, "Contents").map((entry) => ({
    key: decode(need(entry, "Key")),
    etag: text(entry, "ETag"),
    lastModifiedMs: instant(entry),
    size: size(entry),
    ...classAndOwner(entry),
  }));
  return { objects, prefixes: prefixesOf(node, decode) };
}

function prefixesOf(node: XmlNode, decode: (key: string) => string): string[] {
  return list(node, "CommonPrefixes").map((entry) => decode(need(entry, "Prefix")));
}

function classAndOwner(node: XmlNode): Pick<S3ListedObject, "storageClass" | "owner"> {
  const storageClass = text(node, "StorageClass");
  const owner = ownerOf(node);
  return { ...(storageClass && { storageClass }), ...(owner && { owner }) };
}

function sizeAndEtag(node: XmlNode): Pick<S3ListedVersion, "size" | "etag"> {
  const etag = text(node, "ETag");
  return { ...(etag && { etag }), ...(Object.hasOwn(node, "Size") && { size: size(node) }) };
}

function size(node: XmlNode): number {
  const value = need(node, "Size").trim();
  if (!/^\d{1,15}$/.test(value)) throw new XmlFault("incomplete", "<Size> is no number");
  return Number(value);
}

/** Keys are percent-encoded only where the answer says so: versitygw ignores the request for it. Space as `%20` (RGW) or `+` (MinIO). */
function keyDecoder(node: XmlNode): (key: string) => string {
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
