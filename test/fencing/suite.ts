/** What fenced writes must do on every store, written once: the token kept and read back, a lower one refused, a late write that lands late. */

import type { Store } from "@bucketlock/core";
import { FaultyStore } from "@bucketlock/core/testing";
import { createLocks, FencedError, type FenceOptions, type FencingLease, fence } from "@bucketlock/lock";
import { describe, expect, it } from "vitest";

export interface FencingSuite {
  readonly name: string;
  /** Every call: a key prefix of its own. */
  readonly open: () => Promise<{ readonly store: Store; readonly prefix: string }>;
  /** The store's conditional writes hold, whatever its features say. */
  readonly conditional: boolean;
}

const leaseOf = (token: bigint): FencingLease => ({
  token: async () => token,
  throwIfLost() {},
  signal: new AbortController().signal,
});
const text = (read: { found: boolean; body?: Uint8Array }) => new TextDecoder().decode(read.body);

export function fencingSuite({ name, open, conditional }: FencingSuite): void {
  const guarded = conditional ? "conditional" : "checked";

  describe.each(["metadata", "body"] as const)(`fenced writes on ${name}, stamp in the %s`, (stamp) => {
    const options: FenceOptions = { conditional, stamp };

    it("keep the token, the body and the user's metadata; refuse a lower token", async () => {
      const { store, prefix } = await open();
      const key = `${prefix}${stamp}/a b/ü.json`;
      const body = new Uint8Array([0, 255, 10, 13]);
      const five = fence(store, leaseOf(5n), options);
      expect(await five.get(key)).toEqual({ found: false, token: 0n });
      expect(await five.put(key, body, { metadata: { colour: "red" } })).toMatchObject({ token: 5n, guarded });
      const read = await five.get(key);
      expect(read).toMatchObject({ found: true, token: 5n, metadata: { colour: "red" } });
      expect(read.found && [...read.body]).toEqual([...body]);
      await expect(fence(store, leaseOf(4n), options).put(key, "late")).rejects.toBeInstanceOf(FencedError);
      expect(await five.put(key, "again", { basedOn: read })).toMatchObject({ guarded });
      await expect(five.put(key, "once more", { basedOn: read })).rejects.toMatchObject({ code: "OBJECT_CHANGED" });
      const six = fence(store, leaseOf(6n), options);
      await six.put(key, "six");
      expect(text(await six.get(key))).toBe("six");
      expect(await six.get(key)).toMatchObject({ token: 6n });
    });

    it.runIf(conditional)("refuse a late write where it lands, on a new object and on an old one", async () => {
      const { store, prefix } = await open();
      for (const before of ["nothing", "something"]) {
        const key = `${prefix}${stamp}/late/${before}`;
        if (before === "something") await store.put(key, before);
        let first = true;
        const act = () => fence(store, leaseOf(9n), options).put(key, "later holder");
        // Held up past its look, and past the later holder's write.
        const slow = new Proxy(store, {
          get(target, property) {
            if (property === "put")
              return async (...call: Parameters<Store["put"]>) => {
                if (first) {
                  first = false;
                  await act();
                }
                return target.put(...call);
              };
            const value = Reflect.get(target, property, target) as unknown;
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
        await expect(fence(slow, leaseOf(8n), options).put(key, "late")).rejects.toMatchObject({ code: "FENCED" });
        expect(text(await fence(store, leaseOf(9n)).get(key))).toBe("later holder");
      }
    });

    it("read an unclear write back", async () => {
      const { store, prefix } = await open();
      let lost = 1;
      const lossy = new FaultyStore(store, {
        plan: ({ verb }) => (verb === "put" && lost-- > 0 ? { lost: "answer" } : undefined),
      });
      const key = `${prefix}${stamp}/unclear`;
      expect(await fence(lossy, leaseOf(3n), options).put(key, "x")).toMatchObject({ token: 3n, guarded });
      expect(await fence(store, leaseOf(3n), options).get(key)).toMatchObject({ found: true, token: 3n });
    });
  });

  it(`tokens on ${name} rise, a broken holder is told, and the lock's prefix keeps one marker`, async () => {
    const { store, prefix } = await open();
    const locks = createLocks(store, { leaseMs: 10_000 });
    const lock = locks.lock(`${prefix}tokens`);
    const tokens: bigint[] = [];
    for (let round = 0; round < 2; round++) await lock.run(async (lease) => tokens.push(await lease.token()));
    const broken = await lock.acquire();
    await lock.breakLock({ olderThanMs: 0 });
    const heir = await lock.acquire();
    await expect(broken.token()).rejects.toMatchObject({ code: "LEASE_LOST" });
    tokens.push(await heir.token());
    expect(tokens[0]).toBeGreaterThan(0n);
    expect(tokens[1]).toBeGreaterThan(tokens[0]!);
    expect(tokens[2]).toBeGreaterThan(tokens[1]!);
    await heir.release();
    const keys: string[] = [];
    for await (const page of store.list(`${prefix}tokens.lock.`)) keys.push(...page.objects.map(({ key }) => key));
    expect(keys).toEqual([`${prefix}tokens.lock.token.${tokens[2]}`]);
    await locks.close({ keepStore: true }).catch(() => {});
  });
}
