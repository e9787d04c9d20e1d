/** In which ways the emulator can be another server than the book's. Data only. */
import type { Keys } from "./verify.js";

export interface EmulatorOptions {
  readonly keys?: Keys;
  readonly region?: string;
  /** Made at the start. */
  readonly bucket?: string;
  /** The server's clock is ahead of the real one by this many ms. */
  readonly clockAheadMs?: number;
  /** The bucket keeps versions from the start. */
  readonly versions?: boolean;
  /** The bucket is made with Object Lock, and so with versions. */
  readonly objectLock?: boolean;
  /** `refuse`: listing versions is answered 501, as on servers that have none. */
  readonly listVersions?: "honour" | "refuse";
  /** A page of versions begins with the one that its marker names, as versitygw's do. */
  readonly inclusiveMarkers?: boolean;
  /** `ignore`: answers 200 whatever the condition says. */
  readonly conditions?: "honour" | "ignore";
  /** `ignore`: as nearly all servers but AWS. */
  readonly conditionalDelete?: "honour" | "ignore";
  readonly multiDelete?: boolean;
  /** LIST of version 2: refused with 501, or answered as version 1. */
  readonly listV2?: "honour" | "refuse" | "ignore";
  /** LIST timestamps in whole seconds without a fraction. */
  readonly wholeSeconds?: boolean;
  /** Ends every connection after its answer, as versitygw does. */
  readonly closeConnections?: boolean;
  /** How keys in listings are encoded where that is asked for: `%20` or `+` for a space, or not at all. */
  readonly encoding?: "percent" | "plus" | "none";
  /** How a signature for another region than the bucket's is answered. */
  readonly wrongRegion?: 400 | 301 | 307;
  /** `refuse`: bodies with trailing checksums are answered 501, as older servers do. */
  readonly trailers?: "honour" | "refuse";
  /** Every part but the last is at least this long. Default: 5 MiB. */
  readonly partMinBytes?: number;
  /** A longer source is copied by parts only. Default: 5 GiB. */
  readonly copyMaxBytes?: number;
  /** `<bucket>.<domain>` in the Host header names the bucket. */
  readonly domain?: string;
}
