/**
 * What requests cost at the vendors' list prices (2026), and which vendor serves a host. A table, no I/O; taxes, free
 * tiers, storage and traffic are left out.
 */

export type Vendor = "aws" | "r2" | "tigris" | "b2" | "gcs" | "digitalocean" | "hetzner" | "wasabi" | "unknown";

/** USD for 1,000 requests. A multi-delete counts as one DELETE; a failed conditional request is billed like any other. */
export interface Prices {
  readonly put: number;
  readonly list: number;
  /** GET and HEAD. */
  readonly get: number;
  readonly delete: number;
}

const FREE: Prices = { put: 0, list: 0, get: 0, delete: 0 };
const AWS: Prices = { put: 0.005, list: 0.005, get: 0.0004, delete: 0 };

const PRICES: Readonly<Record<Vendor, Prices | undefined>> = {
  aws: AWS,
  r2: { put: 0.0045, list: 0.0045, get: 0.00036, delete: 0 },
  tigris: { put: 0.005, list: 0.005, get: 0.0005, delete: 0 },
  b2: { put: 0, list: 0.004, get: 0.0004, delete: 0 },
  // About as AWS; its classes A and B are cut a little differently.
  gcs: AWS,
  digitalocean: FREE,
  hetzner: FREE,
  // Each object is billed for 90 days, however short its life: not in here.
  wasabi: FREE,
  unknown: undefined,
};

const HOSTS: readonly (readonly [RegExp, Vendor])[] = [
  [/(?:^|\.)amazonaws\.com(?:\.cn)?$/, "aws"],
  [/(?:^|\.)r2\.cloudflarestorage\.com$/, "r2"],
  [/(?:^|\.)(?:fly\.storage\.tigris\.dev|t3\.storage\.dev|tigrisfiles\.io)$/, "tigris"],
  [/(?:^|\.)backblazeb2\.com$/, "b2"],
  [/(?:^|\.)storage\.googleapis\.com$/, "gcs"],
  [/(?:^|\.)digitaloceanspaces\.com$/, "digitalocean"],
  [/(?:^|\.)your-objectstorage\.com$/, "hetzner"],
  [/(?:^|\.)wasabisys\.com$/, "wasabi"],
];

/** By the endpoint's host; a server of one's own, or none, is `unknown`. */
export function vendorOf(endpoint: string | undefined): Vendor {
  const host = /^[a-z]+:\/\/([^/:?#]+)/i.exec(endpoint ?? "")?.[1]?.toLowerCase() ?? "";
  return HOSTS.find(([pattern]) => pattern.test(host))?.[1] ?? "unknown";
}

/** Requests of one acquisition and its release. */
export type RequestCounts = Readonly<Record<keyof Prices, number>>;

/** USD for 1,000 times these requests; undefined where the prices are not known. */
export function costOf(counts: RequestCounts, vendor: Vendor): number | undefined {
  const prices = PRICES[vendor];
  if (prices === undefined) return undefined;
  const usd =
    counts.put * prices.put + counts.list * prices.list + counts.get * prices.get + counts.delete * prices.delete;
  // Sums of binary fractions: a millionth of a dollar is more than enough.
  return Math.round(usd * 1e6) / 1e6;
}
