/**
 * The command that runs under a lock, as a process: starts it with our own files as its own, passes signals on, ends it with all
 * that descends from it. Decides nothing about when.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";
import { BucketlockError, type Clock, systemClock } from "@bucketlock/core";
import { anyAlive, forward, killAll, type Offspring } from "./offspring.js";

export interface Ended {
  readonly code: number | null;
  readonly signal: number | undefined;
}

const LOOK_MS = 50;

/** Reading from a terminal is for its foreground group, and so is Ctrl-C: at one, a command must stay in ours. */
export function isOnTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd));
}

export class Command {
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #offspring: Offspring;

  constructor(mark: string, onTerminal: boolean, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#offspring = { pid: undefined, group: !onTerminal, mark };
  }

  get offspring(): Offspring {
    return this.#offspring;
  }

  /** Resolves when it runs. Throws COMMAND_NOT_FOUND and COMMAND_NOT_EXECUTABLE. The answer's promise: its end. */
  async start(
    argv: readonly [string, ...string[]],
    env: NodeJS.ProcessEnv,
  ): Promise<{ readonly ended: Promise<Ended> }> {
    const [file, ...args] = argv;
    const child = spawn(file, args, { stdio: "inherit", env, detached: this.#offspring.group });
    this.#child = child;
    const ended = new Promise<Ended>((resolve) => {
      child.once("exit", (code, signal) => {
        resolve({ code, signal: signal === null ? undefined : constants.signals[signal] });
      });
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (cause: NodeJS.ErrnoException) => reject(cannotStart(file, cause)));
    });
    this.#offspring = { ...this.#offspring, pid: child.pid };
    return { ended };
  }

  /** To its whole group, or at a terminal to each of its processes. */
  forward(signal: NodeJS.Signals): void {
    if (this.#child !== undefined) forward(this.#offspring, signal);
  }

  /** TERM, and after `graceMs` KILL, to everything that descends from it. Resolves when that is done. */
  async end(graceMs: number): Promise<void> {
    const killAtMs = this.#clock.monotonicMs() + graceMs;
    killAll(this.#offspring, "SIGTERM");
    // A stopped process would see it only when it goes on.
    killAll(this.#offspring, "SIGCONT");
    while (anyAlive(this.#offspring)) {
      const leftMs = killAtMs - this.#clock.monotonicMs();
      if (leftMs <= 0) return killAll(this.#offspring, "SIGKILL");
      await this.#clock.sleep(Math.min(LOOK_MS, leftMs));
    }
  }
}

function cannotStart(file: string, cause: NodeJS.ErrnoException): BucketlockError {
  const found = cause.code !== "ENOENT";
  return new BucketlockError(`the command ${found ? "cannot be executed" : "was not found"}: ${file}`, {
    code: found ? "COMMAND_NOT_EXECUTABLE" : "COMMAND_NOT_FOUND",
    kind: "invalid",
    cause,
  });
}
