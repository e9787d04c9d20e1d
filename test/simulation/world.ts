/**
 * Virtual time: one queue of events in the order of the true time, one seeded source of chance, one log.
 * Between two events every microtask runs dry, so a run depends on the seed alone: no real timer, clock or socket takes part.
 */
import { SeededRandom } from "@bucketlock/core/testing";

interface Event {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

export class World {
  readonly random: SeededRandom;
  /** Faults by kind, for the floors that an empty simulation fails. */
  readonly counts = new Map<string, number>();
  /** What the code under test or an actor did that it never may. */
  readonly violations: string[] = [];
  /** Undefined unless the log is wanted. */
  readonly log: string[] | undefined;
  /** What its ending does to those who still wait is nobody's fault. */
  over = false;
  #nowMs = 0;
  #sequence = 0;
  /** A binary heap. */
  readonly #queue: Event[] = [];

  constructor(seed: number, wantsLog: boolean) {
    this.random = new SeededRandom(seed);
    this.log = wantsLog ? [] : undefined;
  }

  /** True time, in ms since the world began. Nobody in it can read this. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get pending(): number {
    return this.#queue.length;
  }

  at(atMs: number, run: () => void): void {
    this.#push({ atMs: Math.max(atMs, this.#nowMs), sequence: this.#sequence++, run });
  }

  in(ms: number, run: () => void): void {
    this.at(this.#nowMs + ms, run);
  }

  count(kind: string, by = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + by);
  }

  /** `text` is a function, for most runs keep no log. */
  tell(who: string, text: () => string): void {
    this.log?.push(`${this.#nowMs.toFixed(3).padStart(12)} ${who.padEnd(6)} ${text()}`);
  }

  violate(what: string): void {
    if (this.over) return;
    this.violations.push(what);
    this.tell("WORLD", () => `VIOLATION ${what}`);
  }

  /** Runs events until `done`, until none is left, or until the limit. True: `done`. */
  async run(done: () => boolean, limitMs: number): Promise<boolean> {
    await drained();
    while (!done()) {
      const next = this.#queue[0];
      if (next === undefined || next.atMs > limitMs) return false;
      this.#pop();
      this.#nowMs = next.atMs;
      next.run();
      await drained();
    }
    return true;
  }

  #push(event: Event): void {
    const queue = this.#queue;
    let at = queue.length;
    queue.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(event, queue[up]!)) break;
      queue[at] = queue[up]!;
      at = up;
    }
    queue[at] = event;
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop()!;
    if (queue.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= queue.length) break;
      if (down + 1 < queue.length && before(queue[down + 1]!, queue[down]!)) down++;
      if (!before(queue[down]!, last)) break;
      queue[at] = queue[down]!;
      at = down;
    }
    queue[at] = last;
  }
}

/** Ties go to the one set first. */
function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** Awaited from a microtask: Node runs next ticks only when the microtask queue is empty. */
const drained = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
