/**
 * A store around a store: every request goes through one function, whatever its verb. Decides nothing itself.
 * A page of a listing is a request of its own, as it is on a real store.
 */
import type {
  CallOptions,
  DeleteAnswer,
  DeleteManyAnswer,
  DeleteTarget,
  GetAnswer,
  GetOptions,
  HeadAnswer,
  ListOptions,
  ListPage,
  PutAnswer,
  PutOptions,
  Store,
  StoreFeatures,
  VersionPage,
} from "../store.js";

export type StoreVerb = "put" | "get" | "head" | "list" | "listVersions" | "delete" | "deleteMany";

/** One request, as a store would see it. */
export interface StoreCall {
  readonly verb: StoreVerb;
  /** The key, or the prefix of a listing; of `deleteMany` the first key. */
  readonly key: string;
  /** Every key of a `deleteMany`; else `key` alone. */
  readonly keys: readonly string[];
  /** Of a listing: 0 for its first page. */
  readonly page: number;
}

/** Makes the request by `run`, once, never or several times. `options` are the caller's; `run` may be given others. */
export type Around = <T>(
  call: StoreCall,
  options: CallOptions,
  run: (options: CallOptions) => Promise<T>,
) => Promise<T>;

export class InterceptedStore implements Store {
  readonly name: string;
  readonly features: StoreFeatures;
  readonly endpoint?: string;
  /** There only where the inner store has it. */
  readonly planDelete?: NonNullable<Store["planDelete"]>;
  readonly planPut?: NonNullable<Store["planPut"]>;
  readonly deleteIf?: NonNullable<Store["deleteIf"]>;
  readonly #inner: Store;
  readonly #around: Around;

  constructor(inner: Store, around: Around) {
    this.name = inner.name;
    this.features = inner.features;
    this.#inner = inner;
    this.#around = around;
    if (inner.endpoint !== undefined) this.endpoint = inner.endpoint;
    const deleteIf = inner.deleteIf?.bind(inner);
    if (deleteIf !== undefined) {
      this.deleteIf = (key, etag, options = {}) =>
        around(call("delete", [key]), options, (changed) => deleteIf(key, etag, changed));
    }
    if (inner.planDelete !== undefined) this.planDelete = (targets) => inner.planDelete?.(targets);
    if (inner.planPut !== undefined) this.planPut = (key, body, etag) => inner.planPut?.(key, body, etag);
  }

  put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<PutAnswer> {
    return this.#around(call("put", [key]), options, (changed) =>
      this.#inner.put(key, body, { ...options, ...changed }),
    );
  }

  get(key: string, options: GetOptions = {}): Promise<GetAnswer> {
    return this.#around(call("get", [key]), options, (changed) => this.#inner.get(key, { ...options, ...changed }));
  }

  head(key: string, options: CallOptions = {}): Promise<HeadAnswer> {
    return this.#around(call("head", [key]), options, (changed) => this.#inner.head(key, changed));
  }

  list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage> {
    return this.#pages("list", prefix, options, () => this.#inner.list(prefix, options));
  }

  listVersions(prefix: string, options: ListOptions = {}): AsyncGenerator<VersionPage> {
    return this.#pages("listVersions", prefix, options, () => this.#inner.listVersions(prefix, options));
  }

  delete(target: DeleteTarget, options: CallOptions = {}): Promise<DeleteAnswer> {
    return this.#around(call("delete", [target.key]), options, (changed) => this.#inner.delete(target, changed));
  }

  deleteMany(targets: readonly DeleteTarget[], options: CallOptions = {}): Promise<DeleteManyAnswer> {
    const keys = targets.map((target) => target.key);
    return this.#around(call("deleteMany", keys), options, (changed) => this.#inner.deleteMany(targets, changed));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async *#pages<Page>(
    verb: StoreVerb,
    prefix: string,
    options: ListOptions,
    open: () => AsyncIterable<Page>,
  ): AsyncGenerator<Page> {
    const pages = open()[Symbol.asyncIterator]();
    try {
      let result = await this.#around(call(verb, [prefix], 0), options, () => pages.next());
      for (let page = 1; !result.done; page++) {
        yield result.value;
        // Whether there is another request is known only by making it: it is made first and then passed through.
        const made = await outcome(pages.next());
        if ("value" in made && made.value.done) return;
        result = await this.#around(call(verb, [prefix], page), options, async () => {
          if ("error" in made) throw made.error;
          return made.value;
        });
      }
    } finally {
      await pages.return?.();
    }
  }
}

function call(verb: StoreVerb, keys: readonly string[], page = 0): StoreCall {
  return { verb, key: keys[0] ?? "", keys, page };
}

function outcome<T>(promise: Promise<T>): Promise<{ readonly value: T } | { readonly error: unknown }> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}
