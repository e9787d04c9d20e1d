/**
 * The listing verbs of a session: objects, by the second form of the request or, where the server has only the first, by
 * that, and versions. It remembers what the server has not; turning pages is s3-listing's.
 */
import { checkList } from "./call-checks.js";
import { InvalidError, StoreError } from "./errors.js";
import { text } from "./options.js";
import type { S3Calls } from "./s3-calls.js";
import type { InBucket } from "./s3-endpoint.js";
import {
  asOnlyVersion,
  objectPages,
  type S3ListPage,
  type S3VersionPage,
  versionPages,
  type Wanted,
} from "./s3-listing.js";
import type { ListOptions } from "./store.js";
import type { S3ListedObject, S3ListedVersion } from "./xml.js";

/** Of a listing that is walked entry by entry. The time limit counts for each page. */
export interface S3EachOptions extends ListOptions, InBucket {
  /** Only keys that sort after this one (byte order); it need not be there. */
  readonly startAfter?: string | undefined;
  /** Ask for the owner of each object, which some servers look up one by one. Default false. */
  readonly withOwner?: boolean | undefined;
}
export interface S3ListOptions extends S3EachOptions {
  /** Keys that go on behind this text (after the prefix) are not listed, but stand together as one common prefix. */
  readonly delimiter?: string | undefined;
}

export class S3List {
  readonly #calls: S3Calls;
  // What this server turned out not to have.
  #hasSecondForm = true;
  #hasVersions = true;

  constructor(calls: S3Calls) {
    this.#calls = calls;
  }

  async *objects(prefix: string, options: S3ListOptions): AsyncGenerator<S3ListPage, void, void> {
    const wanted = wantedBy(prefix, options);
    const pages = (form: 1 | 2) =>
      objectPages(prefix, wanted, form, async (query) => {
        const request = form === 2 ? "listObjects" : "listObjectsV1";
        const page = await this.#calls.read(options, { request, query }, ({ body }, xml) =>
          form === 2 ? xml.objects(body) : xml.objectsFirstForm(body),
        );
        if (page.isFirstForm) throw new FirstForm();
        return page;
      });
    let missing: unknown;
    if (this.#hasSecondForm) {
      let pagesRead = 0;
      try {
        for await (const page of pages(2)) {
          pagesRead++;
          yield page;
        }
        return;
      } catch (error) {
        // Refused outright, or taken for the first form: a server that has it does neither, and not after a page of it.
        if (pagesRead > 0 || !lacksForm(error)) throw error;
        missing = error;
      }
    }
    let pagesRead = 0;
    try {
      for await (const page of pages(1)) {
        if (pagesRead++ === 0) this.#hasSecondForm = false;
        yield page;
      }
    } catch (error) {
      // Neither form: what is wrong is something else, and the first refusal says it.
      throw pagesRead === 0 && missing instanceof StoreError && lacksForm(error) ? missing : error;
    }
  }

  async *versions(prefix: string, options: S3ListOptions): AsyncGenerator<S3VersionPage, void, void> {
    const wanted = wantedBy(prefix, options);
    if (this.#hasVersions) {
      let pagesRead = 0;
      const pages = versionPages(prefix, wanted, (query) =>
        this.#calls.read(options, { request: "listObjectVersions", query }, ({ body }, xml) => xml.versions(body)),
      );
      try {
        for await (const page of pages) {
          pagesRead++;
          yield page;
        }
        return;
      } catch (error) {
        if (pagesRead > 0 || !(error instanceof StoreError && error.code === "STORE_UNSUPPORTED")) throw error;
        this.#hasVersions = false;
      }
    }
    for await (const { objects, ...page } of this.objects(prefix, options)) {
      yield { ...page, versions: objects.map(asOnlyVersion) };
    }
  }

  async *eachObject(prefix: string, options: S3EachOptions): AsyncGenerator<S3ListedObject, void, void> {
    refuseDelimiter(options);
    for await (const { objects } of this.objects(prefix, options)) yield* objects;
  }

  async *eachVersion(prefix: string, options: S3EachOptions): AsyncGenerator<S3ListedVersion, void, void> {
    refuseDelimiter(options);
    for await (const { versions } of this.versions(prefix, options)) yield* versions;
  }
}

/** The server took the request for one of the first form. Never leaves this file. */
class FirstForm extends Error {}

function lacksForm(error: unknown): boolean {
  if (error instanceof FirstForm) return true;
  if (!(error instanceof StoreError)) return false;
  return error.code === "STORE_UNSUPPORTED" || (error.code === "STORE_REFUSED" && error.details.status === 400);
}

function wantedBy(prefix: string, options: S3ListOptions): Wanted {
  const { delimiter, startAfter, withOwner } = options;
  if (delimiter !== undefined) text("delimiter", delimiter);
  if (startAfter !== undefined) text("startAfter", startAfter);
  if (withOwner !== undefined && typeof withOwner !== "boolean")
    throw new InvalidError("withOwner", "must be true or false", withOwner);
  return { pageSize: checkList(prefix, options), delimiter, startAfter, withOwner };
}

/** Common prefixes have no place in a walk over entries, and leaving them out unsaid would lose keys. */
function refuseDelimiter(options: S3ListOptions): void {
  if (options.delimiter !== undefined)
    throw new InvalidError(
      "delimiter",
      "must not be given here (listObjects and listObjectVersions take it)",
      options.delimiter,
    );
}
