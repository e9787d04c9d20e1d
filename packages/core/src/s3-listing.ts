/**
 * Turning the pages of a listing until its end. It never ends early and never goes round in circles: a position that comes
 * twice and a key that was not asked for are errors.
 */
import { StoreError, show } from "./errors.js";

export interface RawPage<E> {
  readonly entries: readonly E[];
  /** Where the next page begins; undefined: this is the last one. */
  readonly next?: string | undefined;
  readonly serverTimeMs: number | undefined;
}

export async function* listPages<E extends { readonly key: string }>(
  prefix: string,
  read: (position: string | undefined) => Promise<RawPage<E>>,
): AsyncGenerator<RawPage<E>, void, void> {
  const seen = new Set<string>();
  for (let position: string | undefined; ; ) {
    const page = await read(position);
    const stray = page.entries.find(({ key }) => !key.startsWith(prefix));
    if (stray !== undefined)
      throw corrupt(`the listing shows a key outside its prefix; key ${show(stray.key)}, prefix ${show(prefix)}`);
    yield page;
    if (page.next === undefined) return;
    if (seen.has(page.next)) throw corrupt(`the listing came back to a page it gave before; prefix ${show(prefix)}`);
    seen.add(page.next);
    position = page.next;
  }
}

function corrupt(message: string): StoreError {
  return new StoreError(message, { code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
}
