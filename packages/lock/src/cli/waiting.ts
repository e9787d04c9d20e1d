/**
 * What is shown while a lock is waited for: who holds it and since when. Asks the store only while a person looks, and once more
 * for the last word.
 */
import { systemClock } from "@bucketlock/core";
import type { LockInfo } from "../inspect.js";
import { describeHolders } from "./describe.js";
import { showSeconds } from "./duration.js";
import { printable } from "./printable.js";
import type { Screen } from "./screen.js";

// Often enough to be true, seldom enough to cost nothing.
const LOOK_MS = 3_000;

export class Waiting {
  readonly #screen: Screen;
  readonly #key: string;
  readonly #look: (signal: AbortSignal) => Promise<LockInfo>;
  readonly #over = new AbortController();
  #begun = false;
  #seen: LockInfo | undefined;
  #seenAtMs = 0;
  #stop: () => void = () => {};
  #looking: Promise<void> | undefined;

  constructor(screen: Screen, key: string, look: (signal: AbortSignal) => Promise<LockInfo>) {
    this.#screen = screen;
    this.#key = key;
    this.#look = look;
  }

  /** Others stand before us. */
  begin(): void {
    if (this.#begun || this.#over.signal.aborted) return;
    this.#begun = true;
    const since = systemClock.monotonicMs();
    if (this.#screen.isJson || this.#screen.isWatched) this.#looking = this.#keepLooking();
    this.#stop = this.#screen.spin(() => {
      const nowMs = systemClock.monotonicMs();
      const by =
        this.#seen === undefined ? "" : `: held by ${describeHolders(later(this.#seen, nowMs - this.#seenAtMs))}`;
      return `waiting ${showSeconds(nowMs - since)} for ${printable(this.#key)}${by}`;
    });
  }

  async end(): Promise<void> {
    this.#stop();
    this.#over.abort();
    await this.#looking;
  }

  /** Who held it at the end; undefined where the store does not answer. */
  async lastLook(): Promise<LockInfo | undefined> {
    return (await this.#look(AbortSignal.timeout(LOOK_MS)).catch(() => undefined)) ?? this.#seen;
  }

  async #keepLooking(): Promise<void> {
    for (let first = true; !this.#over.signal.aborted; first = false) {
      const seen = await this.#look(this.#over.signal).catch(() => undefined);
      if (seen !== undefined) {
        this.#seen = seen;
        this.#seenAtMs = systemClock.monotonicMs();
      }
      if (first && this.#seen !== undefined)
        this.#screen.note("waiting", { key: this.#key, holders: this.#seen.holders });
      // Nobody watches JSON turn.
      if (!this.#screen.isWatched) return;
      await systemClock.sleep(LOOK_MS, { signal: this.#over.signal, unref: true }).catch(() => {});
    }
  }
}

/** What was seen, as it stands some time after: the server's clock has gone on. */
function later(info: LockInfo, ms: number): LockInfo {
  return info.serverTimeMs === undefined ? info : { ...info, serverTimeMs: info.serverTimeMs + ms };
}
