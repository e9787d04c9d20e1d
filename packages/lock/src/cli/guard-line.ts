/**
 * The wrapper's end of its guard (guard.js): starts it, tells it whom to watch and until when, starts it again when it was
 * killed. Never blocks on it, and keeps nothing alive for it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { type Clock, systemClock } from "@bucketlock/core";
import { hostMonotonicMs } from "@bucketlock/core/http";
import type { Offspring } from "./offspring.js";

// Somebody who kills it that often wants it dead.
const STARTS_MAX = 5;

/** As guard.js reads them. */
interface Orders {
  readonly watch?: Offspring;
  readonly graceMs?: number;
  /** Null: no such time. */
  readonly until?: { readonly monotonicMs: number; readonly uptimeMs: number } | null;
}

export class GuardLine {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #onGone: () => void;
  #process: ChildProcess | undefined;
  #starts = 0;
  #over = false;
  /** The latest of each order, for a guard that has to be started again. */
  #orders: Orders = {};
  #watching: (() => void) | undefined;

  /** `file`: guard.js. `onGone`: it cannot be kept running. Starts it. */
  constructor(file: string, onGone: () => void, clock: Clock = systemClock) {
    this.#file = file;
    this.#onGone = onGone;
    this.#clock = clock;
    this.#start();
  }

  /** Resolves when it watches: whatever happens to this process from then on, the offspring is ended. */
  watch(offspring: Offspring, graceMs: number): Promise<void> {
    const watching = new Promise<void>((resolve) => {
      this.#watching = resolve;
    });
    // Nothing else may keep the event loop alive just now: timers of a lease do not.
    (this.#process?.stdout as unknown as { ref(): void } | undefined)?.ref();
    this.#tell({ watch: offspring, graceMs });
    return watching;
  }

  /** Everything must be dead `leftMs` from now, unless told otherwise before. Undefined: no such time. */
  until(leftMs: number | undefined): void {
    const at = { monotonicMs: hostMonotonicMs() + (leftMs ?? 0), uptimeMs: this.#clock.uptimeMs() + (leftMs ?? 0) };
    this.#tell({ until: leftMs === undefined ? null : at });
  }

  /** The offspring has ended: the guard goes. */
  done(): void {
    this.#over = true;
    this.#process?.stdin?.write(`${JSON.stringify({ done: true })}\n`);
    this.#process?.stdin?.end();
  }

  #tell(orders: Orders): void {
    this.#orders = { ...this.#orders, ...orders };
    this.#process?.stdin?.write(`${JSON.stringify(orders)}\n`);
  }

  #start(): void {
    this.#starts += 1;
    const known = Object.keys(this.#orders).length > 0 ? [JSON.stringify(this.#orders)] : [];
    const guard = spawn(process.execPath, [this.#file, ...known], {
      // Nothing of the user's own: who waits for a pipe to close must not wait for the guard.
      stdio: ["pipe", "pipe", "ignore"],
      cwd: "/",
      // A session of its own, so that what the terminal or a supervisor sends to the group does not reach it. No mark either.
      detached: true,
      env: process.env.PATH === undefined ? {} : { PATH: process.env.PATH },
      windowsHide: true,
    });
    this.#process = guard;
    guard.unref();
    (guard.stdin as unknown as { unref(): void }).unref();
    (guard.stdout as unknown as { unref(): void }).unref();
    guard.stdin!.on("error", () => {});
    guard.on("error", () => this.#ended());
    guard.on("exit", () => this.#ended());
    guard.stdout!.on("data", () => {
      this.#watching?.();
      this.#watching = undefined;
      (guard.stdout as unknown as { unref(): void }).unref();
    });
  }

  #ended(): void {
    if (this.#over) return;
    if (this.#starts < STARTS_MAX) {
      this.#start();
      return;
    }
    this.#over = true;
    this.#watching?.();
    this.#onGone();
  }
}
