/**
 * Turning the pages of a listing until its end. It never ends early and never goes round in circles: a position that comes
 * twice and a key that was not asked for are errors. It sends nothing itself: how to read a page is handed in.
 */
import { StoreError, show } from "./errors.js";
import type { ListedObject, ListedVersion, ListPage, VersionPage } from "./store.js";
import type { Pair } from "./uri.js";
import type { ObjectsResult, VersionsResult } from "./xml.js";

/** One page, for the query that says where it begins and how long it may be. */
export type ReadPage<R> = (query: readonly Pair[]) => Promise<R & { readonly serverTimeMs: number | undefined }>;

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

export async function* objectPages(
  prefix: string,
  pageSize: number,
  read: ReadPage<ObjectsResult>,
): AsyncGenerator<ListPage, void, void> {
  const pages = listPages(prefix, async (token) => {
    const query: Pair[] = [
      ["prefix", prefix],
      ["max-keys", String(pageSize)],
    ];
    if (token !== undefined) query.push(["continuation-token", token]);
    const { objects, nextToken, serverTimeMs } = await read(query);
    return { entries: objects, next: nextToken, serverTimeMs };
  });
  for await (const { entries, serverTimeMs } of pages) yield { objects: entries, serverTimeMs };
}

export async function* versionPages(
  prefix: string,
  pageSize: number,
  read: ReadPage<VersionsResult>,
): AsyncGenerator<VersionPage, void, void> {
  const track = new Track(prefix);
  const id = ({ key, versionId }: ListedVersion) => JSON.stringify([key, versionId]);
  let before: ReadonlySet<string> = new Set();
  // versitygw gives the last entry of a page again as the first of the next. Then one more is asked for, without which
  // pages of one entry would never get on.
  let repeated = 0;
  for (let from: VersionsResult["next"]; ; ) {
    const query: Pair[] = [
      ["prefix", prefix],
      ["max-keys", String(pageSize + repeated)],
    ];
    if (from !== undefined) query.push(["key-marker", from.key]);
    if (from?.versionId !== undefined) query.push(["version-id-marker", from.versionId]);
    const { versions: shown, next, serverTimeMs } = await read(query);
    track.check(shown);
    const known = before;
    const versions = shown.filter((version) => !known.has(id(version)));
    const isFirstRepeat = repeated === 0 && versions.length < shown.length;
    if (isFirstRepeat) {
      repeated = 1;
      if (versions.length === 0 && next !== undefined) continue;
    }
    yield { versions, serverTimeMs };
    if (next === undefined) return;
    track.goTo(JSON.stringify(next));
    before = new Set(shown.map(id));
    from = next;
  }
}

/** What an object looks like where there are no versions. */
export function asOnlyVersion({ key, lastModifiedMs }: ListedObject): ListedVersion {
  return { key, isLatest: true, isDeleteMarker: false, lastModifiedMs };
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

  goTo(position: string): void {
    if (this.#seen.has(position))
      throw corrupt(`the listing came back to a page it gave before; prefix ${show(this.#prefix)}`);
    this.#seen.add(position);
  }
}

function corrupt(message: string): StoreError {
  return new StoreError(message, { code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
}
