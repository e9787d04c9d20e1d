/**
 * The exit codes of the command line: a command's own pass through unchanged, so ours lie where no command's do. Between
 * 192 (128 and the highest signal) and 200 (where systemd's own names for exit codes begin) nothing is taken. Pure.
 */
import { BucketlockError } from "@bucketlock/core";

export const EXIT = {
  done: 0,
  /** As shells and timeout(1) say it. */
  notExecutable: 126,
  notFound: 127,
  notAcquired: 193,
  lost: 194,
  store: 195,
  usage: 196,
  /** Nothing was done, on purpose: not confirmed, or protected by its age. */
  refused: 197,
  bug: 199,
} as const;

/** What each code means, for `--help` and the documentation. */
export const EXIT_MEANINGS: readonly (readonly [code: string, meaning: string])[] = [
  ["the command's", "it ran under the lock; 128 + n when signal n ended it"],
  ["126, 127", "the command could not be executed, was not found"],
  ["193", "not acquired in time (--skip-exit-code gives another)"],
  ["194", "the lease was lost, and the command ended for it"],
  ["195", "the store: not reached, refused, not fit for locks"],
  ["196", "usage: an argument or a setting"],
  ["197", "nothing was broken: not confirmed, or too young"],
  ["199", "a bug of bucketlock"],
];

/** What a shell would say of a process that ended so. */
export function exitCodeOf(code: number | null, signal: number | undefined): number {
  return signal === undefined ? (code ?? EXIT.bug) : 128 + signal;
}

export function exitCodeOfError(error: unknown): number {
  if (!(error instanceof BucketlockError)) return EXIT.bug;
  if (error.code === "COMMAND_NOT_FOUND") return EXIT.notFound;
  if (error.code === "COMMAND_NOT_EXECUTABLE") return EXIT.notExecutable;
  if (error.code === "NOT_CONFIRMED") return EXIT.refused;
  switch (error.kind) {
    case "contended":
      return EXIT.notAcquired;
    case "lost":
      return EXIT.lost;
    case "invalid":
      return EXIT.usage;
    default:
      return EXIT.store;
  }
}
