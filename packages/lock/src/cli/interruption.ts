/**
 * Signals while the command line works: before a command runs they end the waiting, then they are passed on to it, and after it
 * a second one ends everything. Installed once, for one job.
 */
import { constants } from "node:os";
import { BucketlockError } from "@bucketlock/core";
import type { Command } from "./command.js";
import { exitCodeOf } from "./exit-code.js";
import { caught, ENDING, isForwarded } from "./signals.js";

/** The reason of everything that a signal ended. */
export class InterruptedError extends BucketlockError {
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`, { code: "INTERRUPTED", kind: "invalid", details: { signal } });
    this.exitCode = exitCodeOf(null, constants.signals[signal]);
  }
}

export class Interruption {
  readonly #controller = new AbortController();
  readonly #onTerminal: boolean | undefined;
  readonly #handlers = new Map<NodeJS.Signals, () => void>();
  #command: Command | undefined;

  /** As in `caught`. */
  constructor(onTerminal: boolean | undefined) {
    this.#onTerminal = onTerminal;
    for (const signal of caught(onTerminal, constants.signals)) {
      const handler = () => this.#on(signal);
      this.#handlers.set(signal, handler);
      try {
        process.on(signal, handler);
      } catch {
        // This system does not let it be caught.
      }
    }
  }

  /** Aborts on a signal that ends a program, while no command runs. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on signals go to it; undefined: it has ended. */
  set command(command: Command | undefined) {
    this.#command = command;
  }

  /** Signals do again what they did before. */
  end(): void {
    for (const [signal, handler] of this.#handlers) process.removeListener(signal, handler);
  }

  #on(signal: NodeJS.Signals): void {
    if (this.#command !== undefined) {
      if (isForwarded(signal, this.#onTerminal ?? false)) this.#command.forward(signal);
      return;
    }
    if (!ENDING.includes(signal)) return;
    const error = new InterruptedError(signal);
    // Somebody who says it twice does not want to wait for a store.
    if (this.#controller.signal.aborted) process.exit(error.exitCode);
    this.#controller.abort(error);
  }
}
