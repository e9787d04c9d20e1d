/**
 * Reports kept in a file, by endpoint and bucket, so that a program that starts often need not probe often. What cannot be
 * read counts as absent and what cannot be written is given up: a cache never fails a probe, and never judges one.
 */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { type Clock, parseInstantMs } from "./clock.js";
import type { ProbeReport } from "./probe-report.js";
import type { Random } from "./random.js";
import type { Store } from "./store.js";

const FORMAT = 1;

/** Undefined: not a store whose report would hold for another process. */
export function cacheKey(store: Store, endpoints: readonly Store[]): string | undefined {
  const bucket = /^[a-z0-9]+:\/\/([^/]+)/.exec(store.name)?.[1];
  if (store.endpoint === undefined || bucket === undefined) return undefined;
  const others = endpoints.map(({ endpoint }) => endpoint ?? "?");
  // How ETags are sent is part of what was probed.
  const quotes = store.features.bareIfMatch === true ? ["bare"] : [];
  return [store.endpoint, bucket, ...quotes, ...others].join(" ");
}

/** A report that is no older than `maxAgeMs` by this host's clock, and not from its future. */
export async function readCached(
  file: string,
  key: string,
  maxAgeMs: number,
  clock: Clock,
): Promise<ProbeReport | undefined> {
  const report = (await entries(file))[key];
  const probedMs = parseInstantMs(report?.probedAt);
  if (report?.format !== FORMAT || probedMs === undefined) return undefined;
  const ageMs = clock.wallMs() - probedMs;
  return ageMs >= 0 && ageMs <= maxAgeMs ? report : undefined;
}

/** Whole or not at all, by rename; of two at once the later one's entry stays. */
export async function writeCached(file: string, key: string, report: ProbeReport, random: Random): Promise<void> {
  const all = { ...(await entries(file)), [key]: report };
  const draft = `${file}.${random.hex(6)}`;
  try {
    await writeFile(draft, `${JSON.stringify({ format: FORMAT, reports: all }, null, 2)}\n`, { mode: 0o600 });
    await rename(draft, file);
  } catch {
    await rm(draft, { force: true }).catch(() => {});
  }
}

async function entries(file: string): Promise<Record<string, ProbeReport | undefined>> {
  try {
    const read: unknown = JSON.parse(await readFile(file, "utf8"));
    const { format, reports } = read as { format?: unknown; reports?: Record<string, ProbeReport> };
    return format === FORMAT && typeof reports === "object" && reports !== null ? { ...reports } : {};
  } catch {
    return {};
  }
}
