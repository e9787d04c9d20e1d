/**
 * Stores with one known defect each, over a sound one. Each defect changes one answer or one effect and nothing else, so
 * that what the probe finds is that.
 */
import {
  type CallOptions,
  type DeleteIfAnswer,
  type DeleteTarget,
  type GetOptions,
  type ListOptions,
  type ListPage,
  type PutAnswer,
  type PutOptions,
  type Store,
  StoreError,
} from "@bucketlock/core";

/** A store of which some methods are others. */
export function changed(inner: Store, changes: Partial<Store>): Store {
  return {
    name: inner.name,
    features: inner.features,
    put: (key, body, options) => inner.put(key, body, options),
    get: (key, options) => inner.get(key, options),
    head: (key, options) => inner.head(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    listVersions: (prefix, options) => inner.listVersions(prefix, options),
    delete: (target, options) => inner.delete(target, options),
    deleteMany: (targets, options) => inner.deleteMany(targets, options),
    close: () => inner.close(),
    ...changes,
  };
}

const later = () => new Promise<void>((resolve) => setImmediate(resolve));
type Body = Uint8Array | string;

export function ignoresConditions(inner: Store): Store {
  return changed(inner, { put: (key, body, options) => inner.put(key, body, { ...options, condition: undefined }) });
}

/** Looks, and writes a moment later: sound one by one. */
export function looksThenWrites(inner: Store): Store {
  return changed(inner, {
    async put(key, body, options = {}) {
      const { condition, ...rest } = options;
      const now = await inner.head(key);
      await later();
      const meets =
        condition === undefined || ("absent" in condition ? !now.found : now.found && now.etag === condition.etag);
      return meets ? inner.put(key, body, rest) : { outcome: "conflict" };
    },
  });
}

/** What the inner store answers to a conditional write, changed. */
export function answersInstead(inner: Store, change: (answer: PutAnswer) => PutAnswer): Store {
  return changed(inner, {
    put: async (key, body, options) => {
      const answer = await inner.put(key, body, options);
      return options?.condition === undefined ? answer : change(answer);
    },
  });
}

export function fault(code: string, kind: "unavailable" | "denied" | "unsupported" | "invalid"): StoreError {
  return new StoreError(`fake: ${code}`, { code, kind });
}

/** Says conflict, and writes all the same. */
export function writesOnConflict(inner: Store): Store {
  return changed(inner, {
    async put(key, body, options) {
      const answer = await inner.put(key, body, options);
      if (answer.outcome === "conflict") await inner.put(key, body);
      return answer;
    },
  });
}

/** If-Match is compared with the ETag's text between its quotes. */
export function wantsBareEtags(inner: Store): Store {
  return changed(inner, {
    put(key: string, body: Body, options: PutOptions = {}) {
      const { condition } = options;
      if (condition === undefined || "absent" in condition) return inner.put(key, body, options);
      const etag = condition.etag.startsWith('"') ? "never" : `"${condition.etag}"`;
      return inner.put(key, body, { ...options, condition: { etag } });
    },
    get: (key: string, options: GetOptions = {}) =>
      inner.get(key, { ...options, ...(options.unlessEtag && { unlessEtag: `"${options.unlessEtag}"` }) }),
  });
}

/** If-Match on what is not there creates it. */
export function replaceCreates(inner: Store): Store {
  return changed(inner, {
    async put(key, body, options = {}) {
      const isReplace = options.condition !== undefined && "etag" in options.condition;
      if (isReplace && !(await inner.head(key)).found) return inner.put(key, body);
      return inner.put(key, body, options);
    },
  });
}

/** Every listing is changed page by page. */
export function lists(inner: Store, change: (page: ListPage, listing: number) => ListPage | Promise<ListPage>): Store {
  let listings = 0;
  return changed(inner, {
    async *list(prefix: string, options?: ListOptions) {
      const listing = listings++;
      for await (const page of inner.list(prefix, options)) yield await change(page, listing);
    },
  });
}

/** A finished PUT shows only from the second listing on. */
export function listsNewLate(inner: Store): Store {
  const seen = new Set<string>();
  return lists(inner, (page) => {
    const objects = page.objects.filter(({ key }) => seen.has(key));
    for (const { key } of page.objects) seen.add(key);
    return { ...page, objects };
  });
}

/** A finished DELETE shows only from the second listing on. */
export function listsDeletedOnce(inner: Store): Store {
  let before: ListPage["objects"] = [];
  return lists(inner, (page) => {
    const now = page.objects;
    const objects = [...now, ...before.filter((old) => !now.some(({ key }) => key === old.key))];
    before = now;
    return { ...page, objects };
  });
}

/** These keys may not do some verbs. */
export function forbids(inner: Store, ...verbs: (keyof Store)[]): Store {
  const no = () => {
    throw fault("STORE_ACCESS_DENIED", "denied");
  };
  const entries = verbs.map((verb) => [
    verb,
    verb === "list" || verb === "listVersions"
      ? // biome-ignore lint/correctness/useYield: it ends before its first page.
        async function* () {
          no();
        }
      : async () => no(),
  ]);
  return changed(inner, Object.fromEntries(entries));
}

/** With a conditional DELETE that looks at its condition, or does not. */
export function deletesIf(inner: Store, honours: boolean): Store {
  return changed(inner, {
    async deleteIf(key: string, etag: string, options?: CallOptions): Promise<DeleteIfAnswer> {
      const now = await inner.head(key);
      if (honours && now.found && now.etag !== etag) return { outcome: "conflict" };
      await inner.delete({ key }, options);
      return { outcome: "deleted" };
    },
  });
}

/** A multi-delete that reports every key as deleted and deletes none. */
export function forgetsMultiDelete(inner: Store): Store {
  return changed(inner, { deleteMany: async () => ({ failed: [] }) });
}

export function failsMultiDelete(inner: Store): Store {
  return changed(inner, {
    deleteMany: async (targets: readonly DeleteTarget[]) => ({
      failed: targets.map(({ key }) => ({ key, code: "InternalError", message: "fake" })),
    }),
  });
}

/**
 * One of several ways to a bucket: it knows only what was written through itself. Sound alone, not beside another.
 */
export function gateway(inner: Store): Store {
  const own = new Map<string, string | undefined>();
  return changed(inner, {
    async put(key, body, options = {}) {
      const { condition, ...rest } = options;
      // What it has not seen it takes from the bucket, once; the rest of the time it believes itself.
      if (!own.has(key)) {
        const now = await inner.head(key);
        if (!own.has(key)) own.set(key, now.found ? now.etag : undefined);
      }
      const etag = own.get(key);
      const meets = condition === undefined || ("absent" in condition ? etag === undefined : etag === condition.etag);
      if (!meets) return { outcome: "conflict" };
      own.set(key, "being written");
      const answer = await inner.put(key, body, rest);
      if (answer.outcome === "stored") own.set(key, answer.etag);
      return answer;
    },
    async delete(target, options) {
      own.delete(target.key);
      return inner.delete(target, options);
    },
  });
}
