/** The bench's arithmetic, pure: percentiles of samples and ratios of medians. Never throws samples away. */

export interface Summary {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
}

/** The smallest sample that at least `share` of all samples do not exceed (nearest rank). NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Of an even number of samples the mean of the middle two. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? Number.NaN)) / 2 : upper;
}

export function summarize(samples: readonly number[]): Summary {
  return {
    n: samples.length,
    p50: median(samples),
    p99: percentile(samples, 0.99),
    min: samples.reduce((least, sample) => Math.min(least, sample), Number.POSITIVE_INFINITY),
    max: samples.reduce((most, sample) => Math.max(most, sample), Number.NEGATIVE_INFINITY),
  };
}

/** Ours over the baseline, by their medians: a few slow outliers on either side do not decide. */
export function ratio(ours: Summary, baseline: Summary): number {
  return ours.p50 / baseline.p50;
}

/** Fills two lists of samples in turns (A B B A ...), so that drift of the machine or the server hits both alike. */
export class Pairs {
  readonly ours: number[] = [];
  readonly raw: number[] = [];
  #turn = 0;

  async measure(ours: () => Promise<unknown>, raw: () => Promise<unknown>): Promise<void> {
    const first = this.#turn++ % 2 === 0;
    if (first) this.raw.push(await timed(raw));
    this.ours.push(await timed(ours));
    if (!first) this.raw.push(await timed(raw));
  }

  /** Forgets the warm-up. */
  clear(): void {
    this.ours.length = 0;
    this.raw.length = 0;
  }
}

/** Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}
