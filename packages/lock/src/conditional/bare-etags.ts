/**
 * A store whose ETags go without their quotes in conditions, for servers that honour only that form (Ceph RGW). It changes
 * nothing else; that it is needed was found by a probe.
 */
import type {
  CallOptions,
  Condition,
  DeleteTarget,
  GetOptions,
  ListOptions,
  PutOptions,
  Store,
} from "@bucketlock/core";
import type { EtagForm } from "./probed.js";

export function withForm(store: Store, form: EtagForm): Store {
  return form.bareInWrites || form.bareInReads ? new BareEtags(store, form) : store;
}

class BareEtags implements Store {
  readonly name: string;
  readonly endpoint: string | undefined;
  readonly planDelete?: NonNullable<Store["planDelete"]>;
  readonly planPut?: NonNullable<Store["planPut"]>;
  readonly #inner: Store;
  readonly #form: EtagForm;

  constructor(inner: Store, form: EtagForm) {
    this.name = inner.name;
    this.endpoint = inner.endpoint;
    this.#inner = inner;
    this.#form = form;
    // There only where the inner store has it.
    if (inner.planDelete !== undefined) this.planDelete = (targets) => inner.planDelete?.(targets);
    if (inner.planPut !== undefined)
      this.planPut = (key, body, etag) => inner.planPut?.(key, body, form.bareInWrites ? bare(etag) : etag);
  }

  get features() {
    return this.#inner.features;
  }

  put(key: string, body: Uint8Array | string, options: PutOptions = {}) {
    const { condition } = options;
    if (condition === undefined || !this.#form.bareInWrites) return this.#inner.put(key, body, options);
    return this.#inner.put(key, body, { ...options, condition: bareCondition(condition) });
  }

  get(key: string, options: GetOptions = {}) {
    const { unlessEtag } = options;
    if (unlessEtag === undefined || !this.#form.bareInReads) return this.#inner.get(key, options);
    return this.#inner.get(key, { ...options, unlessEtag: bare(unlessEtag) });
  }

  head(key: string, options?: CallOptions) {
    return this.#inner.head(key, options);
  }

  list(prefix: string, options?: ListOptions) {
    return this.#inner.list(prefix, options);
  }

  listVersions(prefix: string, options?: ListOptions) {
    return this.#inner.listVersions(prefix, options);
  }

  delete(target: DeleteTarget, options?: CallOptions) {
    return this.#inner.delete(target, options);
  }

  deleteMany(targets: readonly DeleteTarget[], options?: CallOptions) {
    return this.#inner.deleteMany(targets, options);
  }

  close() {
    return this.#inner.close();
  }
}

function bareCondition(condition: Condition): Condition {
  return "etag" in condition ? { etag: bare(condition.etag) } : condition;
}

function bare(etag: string): string {
  return etag.replace(/^"(.*)"$/, "$1");
}
