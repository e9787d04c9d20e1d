/**
 * Reading without a key: files of a public bucket, or of a private one with a download authorization. Reads by name and by id
 * (ids: public buckets only); it can list nothing and write nothing.
 */
import { type CallOptions, type Clock, durationMs, type Random, systemClock, systemRandom } from "@bucketlock/core";
import {
  CALL_TIMEOUT_MS,
  type ConnectionOptions,
  checkCall,
  connectionSettings,
  Origins,
  text,
} from "@bucketlock/core/http";
import { endpointAddress } from "./addresses.js";
import { type B2Event, B2Exchange } from "./b2-exchange.js";
import {
  type B2GetAnswer,
  type B2HeadAnswer,
  type B2Range,
  type B2Stream,
  type B2Which,
  Downloads,
  getAnswer,
  headAnswer,
} from "./downloads.js";
import { bucketName } from "./file-name.js";
import type { Limit } from "./patience.js";

export interface B2ReaderOptions extends ConnectionOptions {
  /** Such as `https://f005.backblazeb2.com`: `downloadUrl` of `session.allowed()`, or of a file's public address. */
  readonly downloadUrl: string;
  readonly bucket: string;
  /** From `session.downloadAuthorization`. Default: none, for public buckets. */
  readonly token?: string | undefined;
  /** Limit of a call that brings none, its tries included, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly onEvent?: ((event: B2Event) => void) | undefined;
}

/** Throws InvalidError naming the option. Nothing is sent before the first call. */
export function openB2Reader(options: B2ReaderOptions): B2Reader {
  return new B2Reader(options);
}

export class B2Reader {
  readonly #origins: Origins;
  readonly #downloads: Downloads;
  readonly #timeoutMs: number;

  constructor(options: B2ReaderOptions) {
    const { clock = systemClock, random = systemRandom, onEvent } = options;
    const download = endpointAddress("downloadUrl", options.downloadUrl);
    const token = options.token === undefined ? undefined : text("token", options.token);
    this.#timeoutMs = durationMs("timeoutMs", options.timeoutMs ?? CALL_TIMEOUT_MS, { min: 1 });
    this.#origins = new Origins({ clock, ...connectionSettings(options), connectMs: 3_000 });
    const parts = { origins: this.#origins, clock, random, headersMs: 5_000, maxTries: 5, headers: [], onEvent };
    // A token that is called old cannot be renewed here: the second try says so.
    const reader = async () => ({ download, token, refused() {} });
    this.#downloads = new Downloads(new B2Exchange(parts), bucketName(options.bucket), reader);
  }

  async head(which: B2Which, options: CallOptions = {}): Promise<B2HeadAnswer> {
    return headAnswer(await this.#downloads.head(which, this.#limit(options)));
  }

  async get(
    which: B2Which,
    options: CallOptions & { readonly range?: B2Range | undefined } = {},
  ): Promise<B2GetAnswer> {
    return getAnswer(await this.#downloads.get(which, options.range, this.#limit(options)));
  }

  /** In pieces of 8 MiB by the version's id. Undefined: not there. */
  async stream(
    which: B2Which,
    options: CallOptions & { readonly range?: B2Range | undefined } = {},
  ): Promise<B2Stream | undefined> {
    return this.#downloads.stream(which, options.range, () => this.#limit(options));
  }

  close(): Promise<void> {
    return this.#origins.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #limit(options: CallOptions): Limit {
    checkCall(options);
    return { signal: options.signal, timeoutMs: options.timeoutMs ?? this.#timeoutMs };
  }
}
