/**
 * Cron: a job on a schedule, on one host of a fleet for each slot. Waits for slots by its host's clock and hands each to `once`,
 * which is what keeps the hosts apart. Decides only which slots are due (once-rule.ts), never whether one may run.
 */
import { BucketlockError, type Clock, InvalidError, integer, knownOptions, oneOf } from "@bucketlock/core";
import { Lock, type LockContext } from "./lock.js";
import { type OnceJob, type OnceOptions, type OnceResult, type OnceRun, runSlot } from "./once.js";
import { dueNow, onceLock } from "./once-rule.js";
import { slotsOf } from "./runs.js";
import { cronSchedule, type Schedule, slotsBetween } from "./schedule.js";
import { breathe, isPassing, patiently, type Side } from "./side-objects.js";

export interface CronOptions<T = unknown> extends Pick<OnceOptions, "guarantee" | "overlap" | "keep" | "signal"> {
  /** IANA name, such as Europe/Berlin. Default UTC. */
  readonly timezone?: string | undefined;
  /**
   * Of the slots that came due while no host ran them (none was up, or the job before took long): how many are run late besides the
   * newest, oldest first. 0 to 1000, default 0. Above 0, slots missed before the start are run too, back to the last one claimed.
   */
  readonly catchUp?: number | undefined;
  /** Told of each slot's end here, run or not. */
  readonly onResult?: ((result: OnceResult<T>) => void) | undefined;
  /** Told of each slot that failed here: what the job threw, or the store. Default: a process warning. */
  readonly onError?: ((error: unknown, slotMs: number) => void) | undefined;
}

// Timers do not count suspends, and wall clocks are set: look again at least that often.
const LOOK_AGAIN_MS = 60_000;
const FOR_LONG_MS = 2_147_483_647;
const CATCH_UP_MAX = 1000;
/** The names of its options. */
const CRON = ["timezone", "catchUp", "guarantee", "overlap", "keep", "signal", "onResult", "onError"];

/** A job that waits for its slots. Keeps the process alive until it is stopped. */
export class CronJob {
  readonly #loop: Promise<void>;
  readonly #stopping = new AbortController();
  #nextMs: number | undefined;

  /** @internal `start` answers when the job has ended. */
  constructor(
    readonly name: string,
    run: (stopping: AbortSignal, tellNext: (nextMs: number | undefined) => void) => Promise<void>,
  ) {
    this.#loop = run(this.#stopping.signal, (nextMs) => {
      this.#nextMs = nextMs;
    });
    // Told by `ended`; nobody has to listen.
    this.#loop.catch(() => {});
  }

  /** The next slot this host waits for, epoch ms; undefined while it works, and when there is none any more. */
  get nextMs(): number | undefined {
    return this.#nextMs;
  }

  /**
   * Resolves when nothing of it runs any more: stopped, or without a next slot. Rejects with the reason of the option `signal`, with
   * LOCKS_CLOSED, or with an error that no waiting mends (rights, a broken object).
   */
  get ended(): Promise<void> {
    return this.#loop;
  }

  /** No further slot begins. Resolves when a run under way here has ended, which it does in its own time. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop.catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Starts at once. Throws InvalidError. */
export function cron<T>(
  context: LockContext,
  name: string,
  schedule: string | Schedule,
  fn: OnceJob<T>,
  options: CronOptions<T> = {},
): CronJob {
  if (typeof fn !== "function") throw new InvalidError("fn", "must be a function", fn);
  knownOptions(options, CRON);
  // Asked for nothing but its checks.
  new Lock(onceLock(name), context);
  oneOf("guarantee", options.guarantee ?? "atMostOnce", ["atMostOnce", "atLeastOnce"]);
  oneOf("overlap", options.overlap ?? "queue", ["skip", "queue"]);
  integer("keep", options.keep ?? 1, { min: 1, max: 1000 });
  integer("catchUp", options.catchUp ?? 0, { min: 0, max: CATCH_UP_MAX });
  const slots =
    typeof schedule === "string" ? cronSchedule(schedule, { timezone: options.timezone }) : checkSchedule(schedule);
  const timetable = new Timetable(context, name, slots, fn, options);
  return new CronJob(name, (stopping, tellNext) => timetable.run(stopping, tellNext));
}

function checkSchedule(schedule: Schedule): Schedule {
  if (typeof schedule?.next === "function" && typeof schedule.last === "function") return schedule;
  throw new InvalidError("schedule", "must be a cron pattern, or have next and last", schedule);
}

class Timetable<T> {
  readonly #context: LockContext;
  readonly #name: string;
  readonly #schedule: Schedule;
  readonly #fn: OnceJob<T>;
  readonly #options: CronOptions<T>;
  readonly #clock: Clock;

  constructor(context: LockContext, name: string, schedule: Schedule, fn: OnceJob<T>, options: CronOptions<T>) {
    this.#context = context;
    this.#name = name;
    this.#schedule = schedule;
    this.#fn = fn;
    this.#options = options;
    this.#clock = context.settings.clock;
  }

  async run(stopping: AbortSignal, tellNext: (nextMs: number | undefined) => void): Promise<void> {
    // Closing the locks ends it too.
    const { signal: ending, done } = this.#context.begin(this.#options.signal);
    done();
    const waiting = AbortSignal.any([ending, stopping]);
    try {
      // Every slot after this one is still to be looked at, here.
      let cursorMs = await this.#begin(waiting, ending);
      for (;;) {
        const nextMs = this.#schedule.next(cursorMs);
        if (nextMs === undefined) return;
        tellNext(nextMs);
        const nowMs = this.#clock.wallMs();
        if (nextMs > nowMs) {
          await this.#clock.sleep(Math.min(nextMs - nowMs, LOOK_AGAIN_MS), { signal: waiting });
          continue;
        }
        tellNext(undefined);
        cursorMs = await this.#due(cursorMs, nowMs, waiting, ending);
      }
    } catch (error) {
      ending.throwIfAborted();
      if (!stopping.aborted) throw error;
    } finally {
      tellNext(undefined);
    }
  }

  /** Everything that has come due, oldest first. Answers up to where that is. */
  async #due(cursorMs: number, nowMs: number, waiting: AbortSignal, ending: AbortSignal): Promise<number> {
    const { catchUp = 0, overlap } = this.#options;
    const lastMs = this.#schedule.last(nowMs) ?? nowMs;
    for (;;) {
      // What nobody has claimed is owed, although it was due before this host looked; but what was left out stays left out.
      const owes = catchUp > 0 && overlap !== "skip";
      const markMs = owes ? await this.#mark(waiting) : undefined;
      const fromMs = Math.min(cursorMs, markMs ?? cursorMs);
      let isOutdated = false;
      for (const slotMs of dueNow(slotsBetween(this.#schedule, fromMs, nowMs), catchUp).run) {
        waiting.throwIfAborted();
        const ended = await this.#slot(slotMs, owes && markMs === undefined, waiting, ending);
        isOutdated = ended === "outdated";
        if (isOutdated) break;
        cursorMs = Math.max(cursorMs, slotMs);
        // What came due during our own run is left out.
        if (ended === "ran" && overlap === "skip") return this.#schedule.last(this.#clock.wallMs()) ?? lastMs;
      }
      if (!isOutdated) return Math.max(cursorMs, lastMs);
    }
  }

  /** From which slot on this host looks; and slots whose runners died when nobody waited for them. */
  async #begin(waiting: AbortSignal, ending: AbortSignal): Promise<number> {
    const { guarantee, catchUp = 0 } = this.#options;
    const nowMs = this.#clock.wallMs();
    if (guarantee === "atLeastOnce") {
      for (const slotMs of await this.#unfinished(waiting)) await this.#slot(slotMs, false, waiting, ending);
    }
    const markMs = catchUp > 0 ? await this.#mark(waiting) : undefined;
    return Math.min(markMs ?? nowMs - 1, nowMs - 1);
  }

  async #mark(waiting: AbortSignal): Promise<number | undefined> {
    const slots = await this.#untilAnswered(waiting, (side) => slotsOf(side, this.#name));
    return slots.at(-1)?.slotMs;
  }

  async #unfinished(waiting: AbortSignal): Promise<number[]> {
    const slots = await this.#untilAnswered(waiting, (side) => slotsOf(side, this.#name));
    return slots.filter(({ ended }) => ended.length === 0).map(({ slotMs }) => slotMs);
  }

  /** One slot, through every passing fault of the store. */
  async #slot(slotMs: number, first: boolean, waiting: AbortSignal, ending: AbortSignal): Promise<SlotEnd> {
    for (;;) {
      // The wait ends when the job is stopped; a run under way goes on.
      const wait = new AbortController();
      const onStop = () => wait.abort(waiting.reason);
      waiting.addEventListener("abort", onStop, { once: true });
      let began = false;
      let failed: { error: unknown } | undefined;
      const run = (given: OnceRun) => {
        began = true;
        return this.#fn(given);
      };
      // A slot that is claimed here is run here.
      const onClaim = () => waiting.removeEventListener("abort", onStop);
      try {
        waiting.throwIfAborted();
        const { guarantee, overlap, keep } = this.#options;
        const options = {
          guarantee,
          overlap,
          keep,
          waitMs: FOR_LONG_MS,
          signal: AbortSignal.any([ending, wait.signal]),
        };
        const result = await runSlot(this.#context, this.#name, slotMs, run, options, { first, onClaim });
        if (result === "outdated") return result;
        if (!result.ran && result.reason === "busy") continue;
        this.#tell(() => this.#options.onResult?.(result));
        return result.ran ? "ran" : "left";
      } catch (error) {
        failed = { error };
      } finally {
        waiting.removeEventListener("abort", onStop);
      }
      if (!began) waiting.throwIfAborted();
      ending.throwIfAborted();
      if (began || !isWorthAnotherTry(failed.error)) {
        this.#failed(failed.error, slotMs);
        return began ? "ran" : "left";
      }
      await breathe({ store: this.#context.store, settings: this.#context.settings, signal: waiting });
    }
  }

  async #untilAnswered<A>(signal: AbortSignal, ask: (side: Side) => Promise<A>): Promise<A> {
    const { gate, settings } = this.#context;
    for (;;) {
      try {
        const side: Side = { store: gate.ready ?? (await gate.open(signal)), settings, signal };
        return await patiently(side, () => ask(side));
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
      }
    }
  }

  #failed(error: unknown, slotMs: number): void {
    const { onError } = this.#options;
    if (onError === undefined) process.emitWarning(error instanceof Error ? error : String(error));
    else this.#tell(() => onError(error, slotMs));
  }

  /** A listener's mistake must not end the job. */
  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }
}

/** What came of a slot here; "outdated": others began while we thought that nobody had. */
type SlotEnd = "ran" | "left" | "outdated";

/** Nothing ran: the store had trouble, or the line was lost. */
function isWorthAnotherTry(error: unknown): boolean {
  return (
    isPassing(error) || (error instanceof BucketlockError && (error.kind === "lost" || error.kind === "contended"))
  );
}
