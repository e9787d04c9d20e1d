/** Listings by pages: objects (both versions of the call) and versions; keys rolled up to prefixes; keys encoded on request. */
import { owner } from "./acls.js";
import { element, instant, type Made, missing, Refusal, xml } from "./answers.js";
import { type BucketCall, count } from "./call.js";
import type { EmulatorOptions } from "./knobs.js";
import { order, type Stored } from "./world.js";

const PAGE_MAX = 1000;

export interface Page<E> {
  readonly entries: readonly E[];
  readonly prefixes: readonly string[];
  readonly more: boolean;
  /** The last entry or prefix of the page: where the next one begins. */
  readonly last: string;
}

/** One page of what is in order; keys that go on after a delimiter are one prefix together, which counts as one entry. */
export function walk<E>(
  all: Iterable<E>,
  keyOf: (entry: E) => string,
  prefix: string,
  delimiter: string,
  max: number,
): Page<E> {
  const entries: E[] = [];
  const prefixes: string[] = [];
  let last = "";
  for (const entry of all) {
    const key = keyOf(entry);
    if (!key.startsWith(prefix)) continue;
    const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const rolled = end < 0 ? undefined : key.slice(0, end + delimiter.length);
    if (rolled !== undefined && prefixes.at(-1) === rolled) continue;
    if (entries.length + prefixes.length >= max) return { entries, prefixes, more: max > 0, last };
    last = rolled ?? key;
    if (rolled === undefined) entries.push(entry);
    else prefixes.push(rolled);
  }
  return { entries, prefixes, more: false, last };
}

export function listObjects(call: BucketCall): Made {
  const { query, world } = call;
  const isSecond = query.get("list-type") === "2";
  if (isSecond && world.options.listV2 === "refuse") return missing();
  return isSecond && world.options.listV2 !== "ignore" ? listSecond(call) : listFirst(call);
}

function listSecond(call: BucketCall): Made {
  const { bucket, query, world } = call;
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const after = token === null ? (startAfter ?? "") : positionOf(token);
  const max = count(query, "max-keys", PAGE_MAX);
  const page = objectPage(call, after, max);
  const name = (text: string) => shown(world.options, query, text);
  return xml(
    "ListBucketResult",
    element("Name", bucket.name) +
      element("Prefix", name(query.get("prefix") ?? "")) +
      (startAfter === null ? "" : element("StartAfter", name(startAfter))) +
      element("KeyCount", page.entries.length + page.prefixes.length) +
      element("MaxKeys", max) +
      rest(call, page, query.get("fetch-owner") === "true") +
      (token === null ? "" : element("ContinuationToken", token)) +
      (page.more ? element("NextContinuationToken", Buffer.from(page.last).toString("base64")) : ""),
  );
}

function listFirst(call: BucketCall): Made {
  const { bucket, query, world } = call;
  const marker = query.get("marker") ?? "";
  const max = count(query, "max-keys", PAGE_MAX);
  const page = objectPage(call, marker, max);
  const name = (text: string) => shown(world.options, query, text);
  return xml(
    "ListBucketResult",
    element("Name", bucket.name) +
      element("Prefix", name(query.get("prefix") ?? "")) +
      element("Marker", name(marker)) +
      element("MaxKeys", max) +
      rest(call, page, true) +
      // Only with a delimiter (API reference, ListObjects): else the last key is the next marker.
      (page.more && query.get("delimiter") ? element("NextMarker", name(page.last)) : ""),
  );
}

function rest({ query, world }: BucketCall, page: Page<Stored>, withOwner: boolean): string {
  const { options } = world;
  const name = (text: string) => shown(options, query, text);
  const delimiter = query.get("delimiter");
  const entries = page.entries.map(
    ({ key, etag, lastModifiedMs, body }) =>
      `<Contents>${element("Key", name(key))}${element("LastModified", instant(lastModifiedMs, options.wholeSeconds))}${element("ETag", etag)}${element("Size", body.length)}${withOwner ? owner() : ""}<StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const prefixes = page.prefixes.map((prefix) => `<CommonPrefixes>${element("Prefix", name(prefix))}</CommonPrefixes>`);
  return (
    (delimiter ? element("Delimiter", name(delimiter)) : "") +
    encodingType(options, query) +
    element("IsTruncated", page.more) +
    entries.join("") +
    prefixes.join("")
  );
}

function objectPage({ bucket, query, world }: BucketCall, after: string, max: number): Page<Stored> {
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const keys = world.sortedKeys(bucket);
  // What was rolled up to the prefix that the last page ended with is behind us.
  const isRolled = delimiter !== "" && after.endsWith(delimiter) && after.length > prefix.length;
  function* left(): Generator<Stored> {
    for (let at = firstAfter(keys, after < prefix ? prefix : after, after < prefix); at < keys.length; at++) {
      const key = keys[at]!;
      if (!key.startsWith(prefix)) return;
      if (isRolled && key.startsWith(after)) continue;
      const stored = world.current(bucket, key);
      if (stored !== undefined) yield stored;
    }
  }
  return walk(left(), ({ key }) => key, prefix, delimiter, max);
}

/** The first index whose key is behind `position`, or at it with `inclusive`. */
function firstAfter(keys: readonly string[], position: string, inclusive: boolean): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const compared = order(keys[middle]!, position);
    if (compared < 0 || (compared === 0 && !inclusive)) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function listVersions({ bucket, query, world }: BucketCall): Made {
  const { options } = world;
  if (options.listVersions === "refuse") return missing();
  const all = world
    .sortedKeys(bucket)
    .flatMap((key) =>
      [...bucket.objects.get(key)!].reverse().map((stored, index) => ({ key, stored, isLatest: index === 0 })),
    );
  const marker = query.get("key-marker") ?? "";
  const idMarker = query.get("version-id-marker");
  if (idMarker !== null && marker === "")
    throw new Refusal(400, "InvalidArgument", "A version-id marker cannot be specified without a key marker.");
  let left = all;
  if (idMarker !== null && idMarker !== "") {
    const at = all.findIndex(({ key, stored }) => key === marker && stored.versionId === idMarker);
    left = all.slice(at + (options.inclusiveMarkers ? 0 : 1));
  } else if (marker !== "") left = all.filter(({ key }) => order(key, marker) > (options.inclusiveMarkers ? -1 : 0));
  const delimiter = query.get("delimiter") ?? "";
  const prefix = query.get("prefix") ?? "";
  if (delimiter !== "" && marker.endsWith(delimiter) && marker.length > prefix.length)
    left = left.filter(({ key }) => !key.startsWith(marker));
  const max = count(query, "max-keys", PAGE_MAX);
  const page = walk(left, ({ key }) => key, prefix, delimiter, max);
  const name = (text: string) => shown(options, query, text);
  const entries = page.entries.map(({ key, stored, isLatest }) => {
    const about = `${element("Key", name(key))}${element("VersionId", stored.versionId)}${element("IsLatest", isLatest)}${element("LastModified", instant(stored.lastModifiedMs, options.wholeSeconds))}`;
    return stored.isDeleteMarker
      ? `<DeleteMarker>${about}${owner()}</DeleteMarker>`
      : `<Version>${about}${element("ETag", stored.etag)}${element("Size", stored.body.length)}${owner()}<StorageClass>STANDARD</StorageClass></Version>`;
  });
  const last = page.entries.at(-1);
  const next =
    last !== undefined && last.key === page.last
      ? element("NextKeyMarker", name(last.key)) + element("NextVersionIdMarker", last.stored.versionId)
      : element("NextKeyMarker", name(page.last));
  return xml(
    "ListVersionsResult",
    element("Name", bucket.name) +
      element("Prefix", name(prefix)) +
      element("KeyMarker", name(marker)) +
      element("VersionIdMarker", idMarker ?? "") +
      element("MaxKeys", max) +
      (delimiter === "" ? "" : element("Delimiter", name(delimiter))) +
      encodingType(options, query) +
      element("IsTruncated", page.more) +
      (page.more ? next : "") +
      entries.join("") +
      page.prefixes.map((one) => `<CommonPrefixes>${element("Prefix", name(one))}</CommonPrefixes>`).join(""),
  );
}

function positionOf(token: string): string {
  const position = Buffer.from(token, "base64").toString();
  if (Buffer.from(position).toString("base64") !== token)
    throw new Refusal(400, "InvalidArgument", "The continuation token provided is incorrect");
  return position;
}

const isEncoded = (query: URLSearchParams) => query.get("encoding-type") === "url";

export function encodingType(options: EmulatorOptions, query: URLSearchParams): string {
  if (!isEncoded(query)) return "";
  return options.encoding === "none" ? "<EncodingType></EncodingType>" : "<EncodingType>url</EncodingType>";
}

export function shown(options: EmulatorOptions, query: URLSearchParams, key: string): string {
  if (!isEncoded(query) || options.encoding === "none") return key;
  const encoded = encodeURIComponent(key);
  return options.encoding === "plus" ? encoded.replaceAll("%20", "+") : encoded;
}
