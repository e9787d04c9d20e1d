/**
 * Waiting for work that several callers share, each with a limit and a signal of its own. Giving up ends the waiting only,
 * never the work.
 */
import type { Clock } from "@bucketlock/core";

/** What one call may take. */
export interface Limit {
  readonly signal?: AbortSignal | undefined;
  /** For everything, tries included, in ms. */
  readonly timeoutMs: number;
}

/** `undefined`: the limit passed. Throws the signal's own reason, or what the work throws. */
export async function within<T>(work: Promise<T>, clock: Clock, limit: Limit): Promise<T | undefined> {
  const { signal, timeoutMs } = limit;
  signal?.throwIfAborted();
  let stop = () => {};
  let onAbort = () => {};
  try {
    return await Promise.race([
      work,
      new Promise<undefined>((resolve, reject) => {
        stop = clock.after(timeoutMs, () => resolve(undefined));
        onAbort = () => reject(signal!.reason);
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
    ]);
  } finally {
    stop();
    signal?.removeEventListener("abort", onAbort);
    // When the race was lost, a late failure of the work is nobody's.
    work.catch(() => {});
  }
}
