/**
 * The signal that a run gets: aborts with the first of several others while the run lasts, and never after. What ends once the
 * run is over (locks that are closed) is no business of whatever still holds the signal.
 */

export interface RunSignal {
  readonly signal: AbortSignal;
  /** The run is over. */
  over(): void;
}

export function runSignal(sources: readonly AbortSignal[]): RunSignal {
  const ending = new AbortController();
  const ended = sources.find(({ aborted }) => aborted);
  if (ended !== undefined) ending.abort(ended.reason);
  const passes = sources.map((source) => {
    const pass = () => ending.abort(source.reason);
    source.addEventListener("abort", pass, { once: true });
    return () => source.removeEventListener("abort", pass);
  });
  return {
    signal: ending.signal,
    over() {
      for (const stop of passes) stop();
    },
  };
}
