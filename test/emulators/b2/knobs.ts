/**
 * What can be turned on the emulator, and what it counts. A knob stands for one thing that the real service does or may do
 * (design notes, "Emulator"); all off, it is a well-behaved B2.
 */

/** USD per 1000 calls. https://www.backblaze.com/cloud-storage/transaction-pricing */
export const PRICE_PER_1000 = { A: 0, B: 0.0004, C: 0.004 } as const;
export type PriceClass = keyof typeof PRICE_PER_1000;

const CLASS_B = /^b2_(?:get_file_info|download_file_by_(?:name|id))$/;
const CLASS_A =
  /^b2_(?:upload_(?:file|part)|get_upload_(?:part_)?url|(?:start|finish|cancel)_large_file|delete_file_version|hide_file)$/;

export function classOf(call: string): PriceClass {
  return CLASS_A.test(call) ? "A" : CLASS_B.test(call) ? "B" : "C";
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  /** Such as `b2_upload_file`; downloads by path too. */
  readonly call: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export type Fault =
  /** Answered so instead; with `apply` the request is carried out first. */
  | {
      readonly kind: "reply";
      readonly status: number;
      readonly code?: string;
      readonly message?: string;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly apply?: boolean;
    }
  /** The connection is reset before anything was done, or after. */
  | { readonly kind: "reset"; readonly apply: boolean }
  /** No answer ever. */
  | { readonly kind: "hang"; readonly apply: boolean }
  /** Begun at once, carried out and answered when `until` is over. */
  | { readonly kind: "hold"; readonly until: Promise<void> };

export interface Knobs {
  /** `uploadTimestamp` is when the upload began (as B2 does) or when it was done. */
  stampAt: "begin" | "end";
  /** Clock of each upload pod against the emulator's, in ms; uploads go round the pods. */
  podClocksMs: readonly number[];
  /** Longest time between the end of an upload's body and its being visible, in ms; evenly spread. The answer comes after. */
  commitDelayMs: number;
  /** Share of requests whose connection is reset before they are carried out. */
  dropBefore: number;
  /** Share of requests that are carried out, and then the connection is reset. */
  dropAfter: number;
  /** Listings show the state of this many ms ago (0: strong). */
  staleListMs: number;
  /** Life of an account token, in ms. */
  tokenMs: number;
  /** An account token is refused after this many uses; 0: never. */
  tokenUses: number;
  /** Uploads an URL takes before it is called expired; 0: any number. */
  urlUses: number;
  /** Share of requests answered 429 with this Retry-After in s. */
  throttleShare: number;
  retryAfterS: number;
  /** Share of uploads answered 503 before they are carried out. */
  busyShare: number;
  /** Smallest part but the last, in bytes. */
  minimumPartSize: number;
  recommendedPartSize: number;
}

export const CALM: Knobs = {
  stampAt: "begin",
  podClocksMs: [0, 0, 0],
  commitDelayMs: 0,
  dropBefore: 0,
  dropAfter: 0,
  staleListMs: 0,
  tokenMs: 24 * 3_600_000,
  tokenUses: 0,
  urlUses: 0,
  throttleShare: 0,
  retryAfterS: 0,
  busyShare: 0,
  minimumPartSize: 5_000_000,
  recommendedPartSize: 100_000_000,
};

/** Calls by name, since the last `clear`. Listings count once for each 1000 entries that may be returned. */
export class Costs {
  readonly #counts = new Map<string, number>();

  count(call: string, times: number): void {
    this.#counts.set(call, (this.#counts.get(call) ?? 0) + times);
  }
  clear(): void {
    this.#counts.clear();
  }
  get calls(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  get classes(): Readonly<Record<PriceClass, number>> {
    const sums = { A: 0, B: 0, C: 0 };
    for (const [call, times] of this.#counts) sums[classOf(call)] += times;
    return sums;
  }
  get usd(): number {
    const { B, C } = this.classes;
    return (B * PRICE_PER_1000.B + C * PRICE_PER_1000.C) / 1000;
  }
}
