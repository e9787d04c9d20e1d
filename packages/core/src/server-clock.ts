/**
 * What the server's clock shows, from the `Date` of its answers. Pure: every reading is handed in. It keeps the interval
 * in which the difference (server less host) must lie and intersects it with each answer; it never trusts an estimate
 * across a step of the host's own clock.
 */

/** One moment on both of the host's clocks. */
export interface HostTime {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

// `Date` has steps of 1 s, and some servers refresh it late (measured: up to 1.8 s behind).
const DATE_STEP_MS = 2_000;
// Quartz drifts by less than this; a step of NTP or a suspend is seen as a step below.
const DRIFT = 200e-6;
const HOST_STEP_MS = 500;

interface Known {
  readonly lowMs: number;
  readonly highMs: number;
  readonly at: HostTime;
}

export class ServerClock {
  #known: Known | undefined;

  /** An answer with `dateMs` in its `Date`, asked for at `sent` and received at `received`. */
  observe(dateMs: number, sent: HostTime, received: HostTime): void {
    // The server read its clock between both moments, and `Date` is at most a step behind it.
    const lowMs = dateMs - received.wallMs;
    const highMs = dateMs + DATE_STEP_MS - sent.wallMs;
    // The host's clock was set while the answer was under way: this reading says nothing.
    if (stepped(sent, received)) {
      this.#known = undefined;
      return;
    }
    const known = this.#at(received);
    const low = Math.max(lowMs, known?.lowMs ?? Number.NEGATIVE_INFINITY);
    const high = Math.min(highMs, known?.highMs ?? Number.POSITIVE_INFINITY);
    // Contradiction: one of the clocks was set, or another node answers. The latest word counts.
    this.#known = low <= high ? { lowMs: low, highMs: high, at: received } : { lowMs, highMs, at: received };
  }

  /** Server less host in ms, and how far off that may be; undefined as long as nothing is known. */
  estimate(now: HostTime): { readonly offsetMs: number; readonly uncertaintyMs: number } | undefined {
    const known = this.#at(now);
    if (known === undefined) return undefined;
    // `Date` is usually less than a second behind: the true value lies near the lower end.
    const offsetMs = known.lowMs + Math.min((known.highMs - known.lowMs) / 2, 500);
    return { offsetMs, uncertaintyMs: Math.max(known.highMs - offsetMs, offsetMs - known.lowMs) };
  }

  #at(now: HostTime): Known | undefined {
    const known = this.#known;
    if (known === undefined || stepped(known.at, now)) return undefined;
    const drift = Math.max(now.monotonicMs - known.at.monotonicMs, 0) * DRIFT;
    return { lowMs: known.lowMs - drift, highMs: known.highMs + drift, at: now };
  }
}

/** The wall clock moved otherwise than the monotonic one: it was set, or the machine slept. */
function stepped(from: HostTime, to: HostTime): boolean {
  const elapsedMs = to.monotonicMs - from.monotonicMs;
  return Math.abs(to.wallMs - from.wallMs - elapsedMs) > HOST_STEP_MS + Math.abs(elapsedMs) * DRIFT;
}
