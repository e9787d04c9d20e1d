/**
 * What every command of the command line works with: its settings with where they come from, the screen, and the locks they
 * lead to. Opens nothing before it is asked.
 */
import { BucketlockError, type ProbeReport, type Store } from "@bucketlock/core";
import { recordKey } from "../conditional/record.js";
import type { OnEvent } from "../events.js";
// By the door of the package: then the program and the library share one file of `dist`.
import { createLocks, type Locks } from "../index.js";
import type { LocksOptions, Protocol } from "../settings.js";
import { readConfigFile } from "./config-file.js";
import { type LeasePlan, leasePlan } from "./lease-plan.js";
import { probedFor } from "./probed.js";
import { Screen } from "./screen.js";
import { type Resolved, resolveSettings, retold } from "./settings.js";
import { openStoreByUrl } from "./store-url.js";

export type Flags = Readonly<Record<string, unknown>>;

/** What is decided before any command runs. */
export interface Home {
  /** Where guard.js lies. */
  readonly guardFile: string;
}

export class Context {
  readonly screen: Screen;
  readonly flags: Flags;
  readonly home: Home;
  readonly configPath: string | undefined;
  readonly settings: Resolved;

  private constructor(flags: Flags, home: Home, file: Awaited<ReturnType<typeof readConfigFile>>) {
    this.screen = new Screen(flags.json === true);
    this.flags = flags;
    this.home = home;
    this.configPath = file?.path;
    // `--no-wait` is no duration.
    const values = { ...flags, wait: flags.wait === false ? undefined : flags.wait };
    this.settings = resolveSettings({ flags: values, env: process.env, file });
  }

  /** Reads the configuration. Throws InvalidError, CONFIG_UNREADABLE. */
  static async open(flags: Flags, home: Home): Promise<Context> {
    const named = flags.config ?? (process.env.BUCKETLOCK_CONFIG || undefined);
    return new Context(flags, home, await readConfigFile(named as string | undefined, process.cwd()));
  }

  get plan(): LeasePlan {
    const { lease, grace } = this.settings;
    return leasePlan(lease.value, grace.value);
  }

  /** `url`: another than the settings'. */
  async openStore(url?: string): Promise<Store> {
    if (url !== undefined) return openStoreByUrl(url);
    try {
      return await openStoreByUrl(this.settings.store.value);
    } catch (error) {
      throw retold(error, this.settings);
    }
  }

  /** Locks of which the command line holds some: they end with `close`, and the store with them. */
  async openLocks(onEvent: OnEvent, signal: AbortSignal): Promise<Locks> {
    const { leaseMs, marginMs } = this.plan;
    const store = await this.openStore();
    const protocol = this.settings.protocol.value as Protocol;
    try {
      const probed = protocol === "conditional" ? await probedFor(store, signal) : undefined;
      return this.#locks(store, { ...this.#options(protocol, probed), leaseMs, marginMs, onEvent });
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Throws what `openLocks` would for a setting that the library refuses. Asks the store nothing. */
  checkSettings(store: Store): void {
    const { leaseMs, marginMs } = this.plan;
    this.#locks(store, { ...this.#options(this.settings.protocol.value as Protocol, undefined), leaseMs, marginMs });
  }

  /** For looking at one lock: by the protocol whose objects are there, unless one is named. `writes`: and for changing it. */
  async lookAt(key: string, store: Store, signal: AbortSignal, writes = false): Promise<Locks> {
    const { protocol, lease } = this.settings;
    const found =
      protocol.from !== "default"
        ? (protocol.value as Protocol)
        : (await store.head(recordKey(key), { signal })).found
          ? "conditional"
          : "two-object";
    const probed = found === "conditional" && writes ? await probedFor(store, signal) : undefined;
    return this.#locks(store, { ...this.#options(found, probed), leaseMs: lease.value });
  }

  #locks(store: Store, options: LocksOptions): Locks {
    try {
      return createLocks(store, options);
    } catch (error) {
      throw retold(error, this.settings);
    }
  }

  #options(protocol: Protocol, probed: ProbeReport | undefined): LocksOptions {
    const { settle, label, requestTimeout, wait } = this.settings;
    return {
      protocol,
      probed,
      settleMs: settle.value,
      waitMs: wait.value,
      ...(label.value === undefined ? {} : { label: label.value }),
      ...(requestTimeout.value === undefined ? {} : { requestTimeoutMs: requestTimeout.value }),
    };
  }
}

/** What stands behind `--`. */
export function commandOf(words: readonly string[]): readonly [string, ...string[]] {
  const [first, ...rest] = words;
  if (first === undefined) throw noCommand();
  return [first, ...rest];
}

export function noCommand(): BucketlockError {
  const message = "the command to run is missing: it stands after --, as in: run deploy -- ./deploy.sh";
  return new BucketlockError(message, { code: "USAGE", kind: "invalid" });
}
