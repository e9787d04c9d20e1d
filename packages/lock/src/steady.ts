/**
 * The clock a holder judges its own lease by: it counts time that passed while the process or the machine did not run.
 * Only ever errs towards more time passed. Never use it to judge another's lease: there the plain monotonic clock errs safely.
 */
import type { Clock } from "@bucketlock/core";

// /proc/uptime moves in steps of 10 ms.
const UPTIME_STEP_MS = 50;

/**
 * Node's monotonic clock stops while the machine is suspended (CLOCK_MONOTONIC). Uptime goes on on Linux and Windows; a
 * paused virtual machine shows only as a jump of the wall clock when it wakes. A forward jump of the wall clock above
 * `jumpToleranceMs` counts as time passed, since nobody can tell it from such a pause.
 */
export class SteadyClock {
  readonly #clock: Clock;
  readonly #jumpToleranceMs: number;
  #monotonicMs: number;
  #uptimeMs: number;
  #wallMs: number;
  #missedMs = 0;

  constructor(clock: Clock, jumpToleranceMs: number) {
    this.#clock = clock;
    this.#jumpToleranceMs = jumpToleranceMs;
    this.#monotonicMs = clock.monotonicMs();
    this.#uptimeMs = clock.uptimeMs();
    this.#wallMs = clock.wallMs();
  }

  nowMs(): number {
    const monotonicMs = this.#clock.monotonicMs();
    const uptimeMs = this.#clock.uptimeMs();
    const wallMs = this.#clock.wallMs();
    const ranMs = monotonicMs - this.#monotonicMs;
    const byUptimeMs = uptimeMs - this.#uptimeMs - ranMs;
    const byWallMs = wallMs - this.#wallMs - ranMs;
    if (byUptimeMs > UPTIME_STEP_MS || byWallMs > this.#jumpToleranceMs) {
      this.#missedMs += Math.max(byUptimeMs, byWallMs, 0);
      this.#rebase(monotonicMs, uptimeMs, wallMs);
    } else if (byUptimeMs < -UPTIME_STEP_MS || byWallMs < 0) {
      // A clock that went back (or is slower) must not hide a later pause.
      this.#rebase(monotonicMs, uptimeMs, wallMs);
    }
    return monotonicMs + this.#missedMs;
  }

  #rebase(monotonicMs: number, uptimeMs: number, wallMs: number): void {
    this.#monotonicMs = monotonicMs;
    this.#uptimeMs = uptimeMs;
    this.#wallMs = wallMs;
  }
}
