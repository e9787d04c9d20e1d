/**
 * The clock a holder judges its own lease by: it counts time that passed while the process or the machine did not run.
 * Only ever errs towards more time passed. Never use it to judge another's lease: there the plain monotonic clock errs safely.
 */
import type { Clock } from "@bucketlock/core";

// /proc/uptime moves in steps of 10 ms.
const UPTIME_STEP_MS = 50;
// Reading the uptime is a system call or a file; the other two clocks cost nothing. While both say that next to no time passed, it is not
// asked: a pause would have to be hidden by a wall clock that was set back by the same time, to these few ms, at that very moment.
const UNASKED_MS = 20;
const AGREES_MS = 2;

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
  /** At the last look at all three. */
  #lookedMs: number;
  #lookedWallMs: number;

  constructor(clock: Clock, jumpToleranceMs: number) {
    this.#clock = clock;
    this.#jumpToleranceMs = jumpToleranceMs;
    this.#monotonicMs = clock.monotonicMs();
    this.#uptimeMs = clock.uptimeMs();
    this.#wallMs = clock.wallMs();
    this.#lookedMs = this.#monotonicMs;
    this.#lookedWallMs = this.#wallMs;
  }

  nowMs(): number {
    const monotonicMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    const sinceMs = monotonicMs - this.#lookedMs;
    if (sinceMs < UNASKED_MS && Math.abs(wallMs - this.#lookedWallMs - sinceMs) < AGREES_MS)
      return monotonicMs + this.#missedMs;
    this.#lookedMs = monotonicMs;
    this.#lookedWallMs = wallMs;
    const uptimeMs = this.#clock.uptimeMs();
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
