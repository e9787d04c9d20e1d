/** `forget` beside somebody who comes in at any moment of it: refused, or done before; where the store cannot tell, tokens rise all the same. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore, openFileStore, type Store } from "@bucketlock/core";
import { createLocks, type Lease, type Locks } from "@bucketlock/lock";
import { afterEach, expect, test } from "vitest";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function locksOn(store: Store): Locks {
  const locks = createLocks(store, { protocol: "conditional" });
  closing.push(() => locks.close({ keepStore: true }).catch(() => {}));
  return locks;
}

/** Before the request of that number, something happens. */
function interrupted(inner: Store, at: number, happens: () => Promise<void>): Store & { readonly requests: number } {
  let requests = 0;
  const before = async () => {
    if (++requests === at) await happens();
  };
  return new Proxy(inner as Store & { readonly requests: number }, {
    get(target, name) {
      if (name === "requests") return requests;
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name === "list" || name === "listVersions")
        return async function* (prefix: string, options: object) {
          await before();
          yield* target[name](prefix, options);
        };
      return async (...given: unknown[]) => {
        await before();
        return value.apply(target, given);
      };
    },
  });
}

/** As most S3 servers are: they have no DELETE under a condition. */
function withoutDeleteIf(inner: Store): Store {
  return new Proxy(inner, {
    get(target, name) {
      const value = name === "deleteIf" ? undefined : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const STORES: readonly { name: string; open: () => Promise<Store>; tells: boolean }[] = [
  { name: "memory", open: async () => createMemoryStore(), tells: true },
  {
    name: "memory, versions kept",
    open: async () => withoutDeleteIf(createMemoryStore({ versions: true })),
    tells: true,
  },
  {
    name: "file",
    open: async () => {
      const dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
      closing.push(() => rm(dir, { recursive: true, force: true }));
      return openFileStore({ dir });
    },
    tells: true,
  },
  { name: "memory, no conditional DELETE", open: async () => withoutDeleteIf(createMemoryStore()), tells: false },
];

test.each(STORES)("$name", async ({ open, tells }) => {
  const outcomes = new Set<string>();
  for (let at = 1; ; at++) {
    const inner = await open();
    const first = await locksOn(inner).lock("k").acquire();
    const tokens = [await first.token()];
    await first.release();
    let lease: Lease | undefined;
    const store = interrupted(inner, at, async () => {
      lease = await locksOn(inner).lock("k").acquire();
      tokens.push(await lease.token());
    });
    const answer = await locksOn(store)
      .lock("k")
      .forget()
      .catch((error: unknown) => error);
    if (lease === undefined) {
      expect(answer).toBe(true);
      break;
    }
    const isLost = !(await lease.verify());
    if (answer !== true) expect(answer).toMatchObject({ code: "LOCK_IN_USE" });
    if (tells) expect({ at, isLost }).toEqual({ at, isLost: false });
    outcomes.add(isLost ? "lost" : answer === true ? "forgotten before" : "refused");
    if (isLost) {
      const next = await locksOn(inner).lock("k").acquire();
      tokens.push(await next.token());
      await next.release();
    } else await lease.release();
    const last = await locksOn(inner).lock("k").acquire();
    tokens.push(await last.token());
    await last.release();
    const rising = [...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1));
    expect({ at, tokens }).toEqual({ at, tokens: rising });
    // And when nobody is there, nothing but one marker stays.
    expect(await locksOn(inner).lock("k").forget()).toBe(true);
    const left: string[] = [];
    for await (const page of inner.listVersions("")) left.push(...page.versions.map(({ key }) => key));
    expect(left).toEqual([expect.stringMatching(/^k\.lock\.token\.\d+$/)]);
  }
  expect(outcomes).toContain("refused");
  expect(outcomes.has("lost")).toBe(!tells);
});

test("who comes in right before the record goes is not forgotten, and forget says so", async () => {
  const inner = createMemoryStore();
  const other = locksOn(inner).lock("k");
  await (await other.acquire()).release();
  let lease: Lease | undefined;
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === "deleteIf")
        return async (...given: Parameters<NonNullable<Store["deleteIf"]>>) => {
          lease ??= await other.acquire();
          return target.deleteIf!(...given);
        };
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  await expect(locksOn(store).lock("k").forget()).rejects.toMatchObject({ code: "LOCK_IN_USE" });
  expect(await lease!.verify()).toBe(true);
  await lease!.release();
});
