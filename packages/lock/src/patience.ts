/**
 * Waiting for work that others wait for too: a caller whose patience ends leaves, and the work goes on. Starts and ends no work.
 */

/** What the work comes to. Rejects with the signal's reason, unchanged, when that aborts first. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
