/**
 * `probe`: finds out what a store can do, by trying, and leaves no trace. Checks its options, asks the cache, and loads the
 * experiments only when they are needed; they are in probe-run.ts.
 */
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";
import { InvalidError } from "./errors.js";
import { durationMs, integer, knownOptions, objectKey, text } from "./options.js";
import type { ProbeReport } from "./probe-report.js";
import { type Random, systemRandom } from "./random.js";
import type { Store } from "./store.js";

export interface ProbeOptions {
  /** Ends the probe at its next request; what it wrote is removed first, then the signal's own reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Limit for all experiments together, in ms; removing what they wrote may take 20 000 more. Default 120 000. */
  readonly timeoutMs?: number | undefined;
  /** Where to write: a random name is put behind it. Default: none. */
  readonly prefix?: string | undefined;
  /** The same bucket by other ways (gateways, regions' endpoints): they take part in races and listings. */
  readonly endpoints?: readonly Store[] | undefined;
  /** A file that keeps reports by endpoint and bucket. One that is young enough is answered without a request. */
  readonly cache?: string | undefined;
  /** How old a kept report may be, in ms. Default 86 400 000 (a day). */
  readonly cacheMaxAgeMs?: number | undefined;
  /** Races of each kind, 1 to 1000. Default 8. */
  readonly races?: number | undefined;
  /** Writers in a race, 2 to 64. Default 16. */
  readonly racers?: number | undefined;
  /** Rounds of put, list, delete, list, 1 to 10 000. Default 24. */
  readonly listings?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

const KNOWN: readonly (keyof ProbeOptions)[] = [
  ...(["signal", "timeoutMs", "prefix", "endpoints", "cache", "cacheMaxAgeMs"] as const),
  ...(["races", "racers", "listings", "clock", "random"] as const),
];

/**
 * Tries conditional writes, listings, timestamps and rights on a store, some hundred requests, under a random prefix that is
 * emptied at the end with all its versions, also when the probe fails or is aborted.
 *
 * A report can show that a store is unfit; that it is fit is believed, not proved: no finite number of races and listings
 * could.
 *
 * @throws InvalidError for a bad option; the signal's own reason; PROBE_UNFINISHED when `timeoutMs` is over; StoreError for
 * what is no property of the store (bad credentials, no bucket, nobody answers).
 */
export async function probe(store: Store, options: ProbeOptions = {}): Promise<ProbeReport> {
  knownOptions(options, KNOWN);
  checkStore("store", store);
  const endpoints = options.endpoints ?? [];
  if (!Array.isArray(endpoints)) throw new InvalidError("endpoints", "must be an array of stores", endpoints);
  for (const one of endpoints) checkStore("endpoints", one);
  const { clock = systemClock, random = systemRandom, cache, signal } = options;
  const timeoutMs = durationMs("timeoutMs", options.timeoutMs ?? 120_000, { min: 1 });
  const maxAgeMs = durationMs("cacheMaxAgeMs", options.cacheMaxAgeMs ?? 86_400_000);
  const room = objectKey("prefix", `${options.prefix ?? ""}bucketlock-probe-${random.hex(10)}/`);
  const plan = {
    races: integer("races", options.races ?? 8, { min: 1, max: 1_000 }),
    racers: integer("racers", options.racers ?? 16, { min: 2, max: 64 }),
    listings: integer("listings", options.listings ?? 24, { min: 1, max: 10_000 }),
  };
  const file = cache === undefined ? undefined : text("cache", cache);
  signal?.throwIfAborted();

  const kept = file === undefined ? undefined : await import("./probe-cache.js");
  const key = kept?.cacheKey(store, endpoints);
  const cached = key === undefined ? undefined : await kept!.readCached(file!, key, maxAgeMs, clock);
  if (cached !== undefined) return cached;
  const { runProbe } = await import("./probe-run.js");
  const report = await runProbe({ stores: [store, ...endpoints], room, clock, random, signal, timeoutMs }, plan);
  if (key !== undefined) await kept!.writeCached(file!, key, report, random);
  return report;
}

function checkStore(option: string, value: unknown): void {
  const store = value as Partial<Store> | null | undefined;
  if (typeof store !== "object" || store === null || typeof store.put !== "function")
    throw new InvalidError(option, "must be a Store (openStore, createMemoryStore, session.store())", value);
}
