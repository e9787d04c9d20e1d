/**
 * One machine with one process: its clocks, its timers, and what can happen to it. It is the `Clock` that the real locks
 * run on. Drift stays within the margin of a lease (see faults.ts); nothing here knows about locks.
 */
import type { Clock, SleepOptions } from "@bucketlock/core";
import type { World } from "./world.js";

const EPOCH_MS = 1_700_000_000_000;

export interface HostOptions {
  readonly name: string;
  /** Local ms per true ms, of all its clocks. */
  readonly rate: number;
  readonly wallOffsetMs: number;
}

export type Pause =
  /** SIGSTOP: every clock goes on, nothing of the process runs. */
  | "freeze"
  /** The machine sleeps: monotonic stands still, uptime and wall clock go on. */
  | "suspend"
  /** Its virtual machine is paused: monotonic and uptime stand still, the wall clock jumps when it wakes. */
  | "hold";

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
}

export class Host implements Clock {
  readonly name: string;
  readonly #world: World;
  readonly #rate: number;
  readonly #bootMs: number;
  readonly #wallOffsetMs: number;
  #jumpedMs = 0;
  /** Local time that the monotonic clock, and the uptime, did not count. */
  #monotonicMissedMs = 0;
  #uptimeMissedMs = 0;
  #paused: { readonly how: Pause; readonly sinceMs: number } | undefined;
  #crashed = false;
  readonly #timers = new Set<Timer>();
  readonly #sleepers = new Set<(error: unknown) => void>();
  #buried = false;
  /** What came due, and what came in, during a pause. */
  readonly #dueBacklog: (() => void)[] = [];
  readonly #socketBacklog: (() => void)[] = [];
  /** True intervals in which nothing of it ran. */
  readonly pauses: { readonly fromMs: number; toMs: number }[] = [];

  constructor(world: World, options: HostOptions) {
    this.#world = world;
    this.name = options.name;
    this.#rate = options.rate;
    this.#wallOffsetMs = options.wallOffsetMs;
    this.#bootMs = world.nowMs;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  get paused(): boolean {
    return this.#paused !== undefined;
  }

  get timers(): number {
    return this.#timers.size;
  }

  monotonicMs(): number {
    const held = this.#paused === undefined || this.#paused.how === "freeze" ? 0 : this.#sincePauseMs();
    return this.#localMs() - this.#monotonicMissedMs - held;
  }

  uptimeMs(): number {
    const held = this.#paused?.how === "hold" ? this.#sincePauseMs() : 0;
    // Everybody's machine has been up for a while; the process is new.
    return 5_000_000 + this.#localMs() - this.#uptimeMissedMs - held;
  }

  wallMs(): number {
    return EPOCH_MS + this.#bootMs + this.#wallOffsetMs + this.#jumpedMs + this.#localMs();
  }

  sleep(ms: number, options: SleepOptions = {}): Promise<void> {
    const { signal } = options;
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.#buried) return reject(new Error("the world ended"));
      const onAbort = () => {
        cancel();
        this.#sleepers.delete(reject);
        reject(signal!.reason);
      };
      const cancel = this.after(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        this.#sleepers.delete(reject);
        resolve();
      });
      this.#sleepers.add(reject);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  after(ms: number, fire: () => void): () => void {
    if (!Number.isFinite(ms)) this.#world.violate(`${this.name} set a timer of ${ms} ms`);
    const timer = { dueMs: this.monotonicMs() + Math.max(ms, 0), fire };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => this.#timers.delete(timer);
  }

  /** Runs it now, after the pause, or never: how timers and answers reach the process. */
  deliver(from: "timer" | "socket", run: () => void): void {
    if (this.#crashed) return;
    if (this.#paused !== undefined) (from === "timer" ? this.#dueBacklog : this.#socketBacklog).push(run);
    else run();
  }

  /** Local ms as true ms. */
  trueMs(localMs: number): number {
    return localMs / this.#rate;
  }

  pause(how: Pause, ms: number): void {
    if (this.#crashed || this.#paused !== undefined) return;
    const world = this.#world;
    world.count(how);
    world.tell(this.name, () => `-- ${how} for ${ms.toFixed(0)} ms`);
    this.#paused = { how, sinceMs: world.nowMs };
    const interval = { fromMs: world.nowMs, toMs: Number.POSITIVE_INFINITY };
    this.pauses.push(interval);
    world.in(ms, () => {
      if (this.#crashed) return;
      const missedMs = this.#sincePauseMs();
      if (how !== "freeze") this.#monotonicMissedMs += missedMs;
      if (how === "hold") this.#uptimeMissedMs += missedMs;
      this.#paused = undefined;
      interval.toMs = world.nowMs;
      world.tell(this.name, () => `-- runs again after ${how}`);
      // An event loop that wakes looks at timers or at sockets first, depending on where it stood.
      const order = world.random.float() < 0.5 ? (["timer", "socket"] as const) : (["socket", "timer"] as const);
      for (const from of order) {
        const backlog = from === "timer" ? this.#dueBacklog : this.#socketBacklog;
        for (const run of backlog.splice(0)) world.in(0, () => this.deliver(from, run));
      }
    });
  }

  /** The wall clock is set, by a person or by NTP. */
  jump(ms: number): void {
    if (this.#crashed) return;
    this.#world.count("jump");
    this.#world.tell(this.name, () => `-- wall clock jumps ${ms.toFixed(0)} ms`);
    this.#jumpedMs += ms;
  }

  /** Nothing of it ever runs again. What it sent is on its way. */
  crash(): void {
    if (this.#crashed) return;
    this.#world.count("crash");
    this.#world.tell(this.name, () => "-- crashes");
    this.#crashed = true;
    this.#paused = undefined;
    this.#dueBacklog.length = 0;
    this.#socketBacklog.length = 0;
    this.pauses.push({ fromMs: this.#world.nowMs, toMs: Number.POSITIVE_INFINITY });
  }

  /** The world ends: whoever of it still sleeps hears so. */
  bury(): void {
    this.#buried = true;
    for (const wake of this.#sleepers) wake(new Error("the world ended"));
    this.#sleepers.clear();
  }

  /** True if nothing of it could run at some instant of the interval. */
  stoodStill(fromMs: number, toMs: number): boolean {
    return this.pauses.some((pause) => pause.fromMs <= toMs && pause.toMs >= fromMs);
  }

  #arm(timer: Timer): void {
    // Timers are late, never early.
    const lateMs = this.#world.random.float() * (this.#world.random.float() < 0.02 ? 20 : 1);
    this.#world.in(this.trueMs(Math.max(timer.dueMs - this.monotonicMs(), 0)) + lateMs, () => {
      if (!this.#timers.has(timer)) return;
      this.deliver("timer", () => {
        if (!this.#timers.has(timer)) return;
        // A pause stopped the clock it waits for.
        if (this.monotonicMs() < timer.dueMs - 1e-6) return this.#arm(timer);
        this.#timers.delete(timer);
        timer.fire();
      });
    });
  }

  #localMs(): number {
    return (this.#world.nowMs - this.#bootMs) * this.#rate;
  }

  #sincePauseMs(): number {
    return this.#paused === undefined ? 0 : (this.#world.nowMs - this.#paused.sinceMs) * this.#rate;
  }
}
