/**
 * Other schedulers' ways to ask: node-cron's run coordinator, and the slot of a schedule that keeps its own time (croner,
 * setInterval). They keep the time; `once` keeps the hosts apart. Imports no scheduler.
 */
import { InvalidError, knownOptions, parseInstantMs } from "@bucketlock/core";
import type { LockContext } from "./lock.js";
import { ONCE, type OnceOptions, once } from "./once.js";

export interface RunCoordinatorOptions extends OnceOptions {
  /** Stands before the task's key in the job's name, such as `jobs/`. Default: none. */
  readonly prefix?: string | undefined;
}

/** What node-cron (4.5 and later) asks of the option `runCoordinator`. */
export interface RunCoordinator {
  /** `key`: `<prefix of the task>:<slot, ISO 8601>`. True: run it here. */
  shouldRun(key: string, ttlMs: number): Promise<boolean>;
  onComplete(key: string): Promise<void>;
}

/**
 * A coordinator for node-cron tasks with `distributed: true`: each slot runs on one host. The job's name is the task's key with
 * `prefix` before it. node-cron tells that a run has ended, not how, and cannot be told of a lost lease: each end is recorded as `ok`.
 * For the job's own signal, call `locks.once` instead.
 */
export function runCoordinator(context: LockContext, options: RunCoordinatorOptions = {}): RunCoordinator {
  knownOptions(options, ["prefix", ...ONCE]);
  const { prefix = "", ...onceOptions } = options;
  const running = new Map<string, { end(): void; readonly ended: Promise<unknown> }>();
  return {
    async shouldRun(key) {
      const { name, slotMs } = parse(key);
      let end = () => {};
      const untilEnd = new Promise<void>((resolve) => {
        end = resolve;
      });
      return new Promise<boolean>((resolve, reject) => {
        const ended = once(
          context,
          `${prefix}${name}`,
          slotMs,
          ({ signal }) => {
            running.set(key, { end, ended });
            resolve(true);
            // A lost lease ends our part; the task itself cannot be reached.
            signal.addEventListener("abort", end, { once: true });
            return untilEnd;
          },
          onceOptions,
        );
        // After `true` a failure is the coordinator's own: the task runs on.
        ended.then(() => resolve(false), reject);
      });
    },
    async onComplete(key) {
      const run = running.get(key);
      running.delete(key);
      run?.end();
      await run?.ended;
    },
  };
}

/** `<name>:<instant>`; the instant has colons of its own. */
function parse(key: string): { name: string; slotMs: number } {
  const match = /^(.+):(\d{4}-\d{2}-\d{2}T[\d:.]+Z)$/.exec(key);
  const slotMs = parseInstantMs(match?.[2]);
  if (match === null || slotMs === undefined) throw new InvalidError("key", "must be <name>:<ISO 8601 instant>", key);
  return { name: match[1]!, slotMs };
}
