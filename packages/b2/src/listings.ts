/**
 * Listing files, versions, unfinished files and parts, page by page. It never ends early and never goes round in circles:
 * a failed page throws, a position that comes twice and a name that was not asked for are errors.
 */
import { InvalidError, integer } from "@bucketlock/core";
import { text as checkText, listPages, type RawPage } from "@bucketlock/core/http";
import { type B2File, fileOf, list, maybeText } from "./answers.js";
import type { B2Api } from "./b2-api.js";
import { corrupt } from "./b2-errors.js";
import type { Limit } from "./patience.js";

export interface B2ListOptions {
  /** Names that begin with it. Default: all. A key restricted to a prefix must name one inside its own. */
  readonly prefix?: string | undefined;
  /** Such as `/`: what follows it is folded into an entry of action `folder`. */
  readonly delimiter?: string | undefined;
  /** Begin here, this name **included**. */
  readonly startName?: string | undefined;
  /** Files in a page, 1 to 10 000; B2 counts each 1000 as one transaction. Default 1000. */
  readonly pageSize?: number | undefined;
}

export interface B2Page {
  readonly files: readonly B2File[];
  /** The server's clock when it answered, in epoch ms. */
  readonly serverTimeMs: number | undefined;
}

/** Where the next page begins: a name alone, or a name and an id. */
interface Position {
  readonly name: string;
  readonly id?: string | undefined;
}

const PAGE_SIZE = 1000;
const PAGE_MAX = 10_000;

export class Listings {
  readonly #api: B2Api;

  constructor(api: B2Api) {
    this.#api = api;
  }

  /** The newest visible version of each name, in byte order of the names. */
  names(bucket: string, options: B2ListOptions, limit: () => Limit): AsyncGenerator<B2Page, void, void> {
    return this.#pages("b2_list_file_names", bucket, options, limit);
  }

  /** Every version, hide marker and unfinished file: by name, the newest first. */
  versions(bucket: string, options: B2ListOptions, limit: () => Limit): AsyncGenerator<B2Page, void, void> {
    return this.#pages("b2_list_file_versions", bucket, options, limit);
  }

  /** Every version of exactly this name. Siblings that begin with it are never among them. */
  async versionsOf(bucket: string, name: string, limit: () => Limit): Promise<B2File[]> {
    const found: B2File[] = [];
    const options = { prefix: name, startName: name, pageSize: 100 };
    for await (const { files } of this.versions(bucket, options, limit)) {
      const own = files.filter((file) => file.name === name && file.action !== "folder");
      found.push(...own);
      // The name itself sorts before everything that only begins with it.
      if (own.length < files.length) break;
    }
    return found;
  }

  /** Large files that were started and neither finished nor cancelled. */
  async *unfinished(bucket: string, prefix: string, limit: () => Limit): AsyncGenerator<B2Page, void, void> {
    const read = async (position: string | undefined): Promise<RawPage<Keyed>> => {
      const answer = await this.#api.inBucket(bucket, limit(), (bucketId) =>
        this.#api.call(
          "b2_list_unfinished_large_files",
          limit(),
          () => ({ bucketId, namePrefix: prefix, maxFileCount: 100, ...(position && { startFileId: position }) }),
          { bucket },
        ),
      );
      const { json, serverTimeMs } = answer;
      const entries = list(json, "files").map((entry) => keyed(fileOf({ action: "start", ...(entry as object) })));
      return { entries, next: maybeText(json, "nextFileId"), serverTimeMs };
    };
    for await (const page of listPages(prefix, read)) yield pageOf(page);
  }

  async *#pages(
    call: "b2_list_file_names" | "b2_list_file_versions",
    bucket: string,
    options: B2ListOptions,
    limit: () => Limit,
  ): AsyncGenerator<B2Page, void, void> {
    const { prefix = "", delimiter, startName } = options;
    if (typeof prefix !== "string") throw new InvalidError("prefix", "must be a string", prefix);
    if (delimiter !== undefined) checkText("delimiter", delimiter);
    const maxFileCount = integer("pageSize", options.pageSize ?? PAGE_SIZE, { min: 1, max: PAGE_MAX });
    const read = async (position: string | undefined): Promise<RawPage<Keyed>> => {
      const from: Position | undefined =
        position === undefined ? (startName === undefined ? undefined : { name: startName }) : JSON.parse(position);
      const { json, serverTimeMs } = await this.#api.inBucket(bucket, limit(), (bucketId) =>
        this.#api.call(
          call,
          limit(),
          () => ({
            bucketId,
            maxFileCount,
            ...(prefix !== "" && { prefix }),
            ...(delimiter !== undefined && { delimiter }),
            ...(from !== undefined && { startFileName: from.name }),
            ...(from?.id !== undefined && { startFileId: from.id }),
          }),
          { bucket },
        ),
      );
      const entries = list(json, "files").map((entry) => keyed(fileOf(entry)));
      if (entries.length > maxFileCount) throw corrupt("a page is longer than was asked for");
      const name = maybeText(json, "nextFileName");
      const id = call === "b2_list_file_versions" ? maybeText(json, "nextFileId") : undefined;
      return { entries, next: name === undefined ? undefined : JSON.stringify({ name, id }), serverTimeMs };
    };
    for await (const page of listPages(prefix, read)) yield pageOf(page);
  }
}

/** `listPages` knows its entries by `key`. */
interface Keyed {
  readonly key: string;
  readonly file: B2File;
}
const keyed = (file: B2File): Keyed => ({ key: file.name, file });
const pageOf = ({ entries, serverTimeMs }: RawPage<Keyed>): B2Page => ({
  files: entries.map(({ file }) => file),
  serverTimeMs,
});
