/**
 * Turning the pages of a listing until its end. It never ends early and never goes round in circles: a position that comes
 * twice and a key that was not asked for are errors. It sends nothing itself: how to read a page is handed in.
 */
import { compareKeys } from "./byte-order.js";
import { StoreError, show } from "./errors.js";
import type { Answer, ListedVersion } from "./store.js";
import type { Pair } from "./uri.js";
import type { ObjectsResult, S3ListedObject, S3ListedVersion, VersionsResult } from "./xml.js";

/** One page, for the query that says where it begins and how long it may be. */
export type ReadPage<R> = (query: readonly Pair[]) => Promise<R & { readonly serverTimeMs: number | undefined }>;

export interface S3ListPage extends Answer {
  readonly objects: readonly S3ListedObject[];
  /** Common prefixes: where a delimiter was asked for, what stands for all keys that go on behind it. */
  readonly prefixes: readonly string[];
  readonly isLast: boolean;
}
export interface S3VersionPage extends Answer {
  readonly versions: readonly S3ListedVersion[];
  readonly prefixes: readonly string[];
  readonly isLast: boolean;
}

export interface RawPage<E> {
  readonly entries: readonly E[];
  /** Where the next page begins; undefined: this is the last one. */
  readonly next?: string | undefined;
  readonly serverTimeMs: number | undefined;
}

/** Every page of any listing whose positions are text. */
export async function* listPages<E extends { readonly key: string }>(
  prefix: string,
  read: (position: string | undefined) => Promise<RawPage<E>>,
): AsyncGenerator<RawPage<E>, void, void> {
  const track = new Track(prefix);
  for (let position: string | undefined; ; ) {
    const page = await read(position);
    track.check(page.entries);
    yield page;
    if (page.next === undefined) return;
    track.goTo(page.next);
    position = page.next;
  }
}

/** What a listing of S3 is asked for, beside its prefix. */
export interface Wanted {
  readonly pageSize: number;
  readonly delimiter?: string | undefined;
  readonly startAfter?: string | undefined;
  readonly withOwner?: boolean | undefined;
}

/** `form`: ListObjectsV2 (2), or ListObjects (1), whose positions are keys. */
export async function* objectPages(
  prefix: string,
  wanted: Wanted,
  form: 1 | 2,
  read: ReadPage<ObjectsResult>,
): AsyncGenerator<S3ListPage, void, void> {
  const track = new Track(prefix);
  for (let position: string | undefined; ; ) {
    const query = common(prefix, wanted, wanted.pageSize);
    if (form === 2 && wanted.withOwner) query.push(["fetch-owner", "true"]);
    if (position !== undefined) query.push([form === 2 ? "continuation-token" : "marker", position]);
    else if (wanted.startAfter !== undefined) query.push([form === 2 ? "start-after" : "marker", wanted.startAfter]);
    const { objects, prefixes, nextToken, serverTimeMs } = await read(query);
    track.check(objects);
    track.checkPrefixes(prefixes);
    yield { objects, prefixes, isLast: nextToken === undefined, serverTimeMs };
    if (nextToken === undefined) return;
    track.goTo(nextToken);
    position = nextToken;
  }
}

export async function* versionPages(
  prefix: string,
  wanted: Wanted,
  read: ReadPage<VersionsResult>,
): AsyncGenerator<S3VersionPage, void, void> {
  const { startAfter, pageSize } = wanted;
  const track = new Track(prefix);
  const id = ({ key, versionId }: ListedVersion) => JSON.stringify([key, versionId]);
  let before: ReadonlySet<string> = new Set();
  // versitygw gives the last entry of a page again as the first of the next. Then one more is asked for, without which
  // pages of one entry would never get on.
  let repeated = 0;
  for (let from: VersionsResult["next"] = startAfter === undefined ? undefined : { key: startAfter }; ; ) {
    const query = common(prefix, wanted, pageSize + repeated);
    if (from !== undefined) query.push(["key-marker", from.key]);
    if (from?.versionId !== undefined) query.push(["version-id-marker", from.versionId]);
    const { versions: shown, prefixes: shownPrefixes, next, serverTimeMs } = await read(query);
    track.check(shown);
    track.checkPrefixes(shownPrefixes);
    const known = before;
    const isLater = ({ key }: ListedVersion) => startAfter === undefined || compareKeys(key, startAfter) > 0;
    const versions = shown.filter((version) => !known.has(id(version)) && isLater(version));
    const prefixes = shownPrefixes.filter((shownPrefix) => !known.has(shownPrefix));
    const isFirstRepeat = repeated === 0 && versions.length < shown.length;
    if (isFirstRepeat) {
      repeated = 1;
      if (versions.length === 0 && next !== undefined) continue;
    }
    yield { versions, prefixes, isLast: next === undefined, serverTimeMs };
    if (next === undefined) return;
    track.goTo(JSON.stringify(next));
    before = new Set([...shown.map(id), ...shownPrefixes]);
    from = next;
  }
}

function common(prefix: string, { delimiter }: Wanted, size: number): Pair[] {
  const query: Pair[] = [
    ["prefix", prefix],
    ["max-keys", String(size)],
  ];
  if (delimiter !== undefined) query.push(["delimiter", delimiter]);
  return query;
}

/** What an object looks like where there are no versions. */
export function asOnlyVersion(object: S3ListedObject): S3ListedVersion {
  return { ...object, isLatest: true, isDeleteMarker: false };
}

/** Where a listing has been. */
class Track {
  readonly #prefix: string;
  readonly #seen = new Set<string>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  check(entries: readonly { readonly key: string }[]): void {
    const stray = entries.find(({ key }) => !key.startsWith(this.#prefix));
    if (stray === undefined) return;
    throw corrupt(`the listing shows a key outside its prefix; key ${show(stray.key)}, prefix ${show(this.#prefix)}`);
  }

  checkPrefixes(prefixes: readonly string[]): void {
    this.check(prefixes.map((key) => ({ key })));
  }

  goTo(position: string): void {
    if (this.#seen.has(position))
      throw corrupt(`the listing came back to a page it gave before; prefix ${show(this.#prefix)}`);
    this.#seen.add(position);
  }
}

function corrupt(message: string): StoreError {
  return new StoreError(message, { code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
}
