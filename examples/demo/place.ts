/**
 * Where the demo's processes meet: a temporary directory, or the store that the command line names. Finds out beforehand
 * whether it can be used, and leaves nothing of this run in it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openStore, type Store } from "@bucketlock/lock";
import { reportKey, type Shared } from "./conversation.js";
import type { DemoOptions } from "./options.js";

const LEASE_MS = 2_000;
const PROBE_LIMIT_MS = 10_000;

export class Place {
  readonly shared: Shared;
  readonly store: Store;
  readonly #directory: string | undefined;

  private constructor(shared: Shared, store: Store, directory: string | undefined) {
    this.shared = shared;
    this.store = store;
    this.#directory = directory;
  }

  /** Throws what the store throws when it cannot be used: nothing is left behind then. */
  static async open(options: DemoOptions): Promise<Place> {
    const directory = options.store === undefined ? await mkdtemp(join(tmpdir(), "bucketlock-demo-")) : undefined;
    const shared: Shared = {
      store: options.store ?? pathToFileURL(directory!).href,
      s3: options.store?.startsWith("s3:")
        ? {
            ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
            ...(options.region === undefined ? {} : { region: options.region }),
          }
        : undefined,
      prefix: `demo-${Date.now().toString(36)}-${process.pid}/`,
      leaseMs: LEASE_MS,
    };
    let store: Store | undefined;
    try {
      store = openStore(shared.store, { s3: shared.s3 });
      // Asked here, so that a wrong key or a missing bucket is said once and not by every process.
      for await (const _ of store.list(shared.prefix, { timeoutMs: PROBE_LIMIT_MS }));
      return new Place(shared, store, directory);
    } catch (error) {
      await store?.close();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** In words. */
  get what(): string {
    return this.#directory === undefined ? this.store.name : `a temporary directory (${this.#directory})`;
  }

  async readReport(): Promise<number> {
    const report = await this.store.get(reportKey(this.shared));
    return report.found ? Number(Buffer.from(report.body).toString()) : 0;
  }

  removeReport(): Promise<unknown> {
    return this.store.delete({ key: reportKey(this.shared) });
  }

  /** The keys of this run that are there now. */
  async leftovers(): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of this.store.list(this.shared.prefix)) keys.push(...page.objects.map(({ key }) => key));
    return keys;
  }

  /** Whatever happened: nothing of this run stays. Throws when the store can no longer be reached. */
  async close(): Promise<void> {
    try {
      if (this.#directory === undefined) {
        const keys = await this.leftovers();
        if (keys.length > 0) await this.store.deleteMany(keys.map((key) => ({ key })));
      }
    } finally {
      await this.store.close();
      if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true, maxRetries: 10 });
    }
  }
}
