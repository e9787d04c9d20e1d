/**
 * The settings of a set of locks: defaults, ranges and relations. Pure; never changes what it is given.
 */
import {
  type Clock,
  durationMs,
  InvalidError,
  knownOptions,
  oneOf,
  type ProbeReport,
  type Random,
  type Store,
  systemClock,
  systemRandom,
} from "@bucketlock/core";
import { checkProbed } from "./conditional/probed.js";
import type { OnEvent } from "./events.js";

export type Protocol = "two-object" | "conditional";

export interface LocksOptions {
  /**
   * `two-object` (default) needs nothing but PUT, GET, LIST and DELETE. `conditional` needs conditional writes that are atomic: fewer
   * requests, one record per lock. It must be asked for, and every client of a lock must use the same.
   */
  readonly protocol?: Protocol | undefined;
  /**
   * The report of a probe of this bucket, for `conditional`: it is believed, and nothing is probed. Without it, a store of which only a
   * probe can tell (every S3 endpoint) is probed once, before the first acquire; a bucket that fails is refused with PROTOCOL_UNSAFE.
   */
  readonly probed?: ProbeReport | undefined;
  /** How long a lease lasts without renewal, in ms: how long others wait after a crash. 300 to 86 400 000. Default 30 000. */
  readonly leaseMs?: number | undefined;
  /** How often a lease is renewed, in ms. Default leaseMs / 3. renewEveryMs + marginMs must be below leaseMs. */
  readonly renewEveryMs?: number | undefined;
  /** The lease is given up this long before it ends, in ms: covers slow timers and clocks of different speed. Default leaseMs / 10. */
  readonly marginMs?: number | undefined;
  /** How long `acquire` and `run` wait unless told, in ms. Default 60 000. */
  readonly waitMs?: number | undefined;
  /** First and longest pause between two looks while waiting, in ms. Who is next in line begins with a quarter of the first. Default 20 and 1000. */
  readonly pollMinMs?: number | undefined;
  readonly pollMaxMs?: number | undefined;
  /** Extra pause and look before a claim, in ms. 1000 when Python s3func clients share the lock or the store's listing may lag. Default 0. */
  readonly settleMs?: number | undefined;
  /** How long our own objects may take to show in a listing, in ms. At most leaseMs - marginMs. Default 10 000, at most half the lease. */
  readonly visibilityTimeoutMs?: number | undefined;
  /** Allowance for the clocks of the store's nodes when a ticket is judged by the store's time alone, in ms. At least 1000. Default 10 000. */
  readonly clockSkewMs?: number | undefined;
  /** Foreign tickets (s3func's have no lease) count as dead after this, in ms. Default: never. */
  readonly breakAfterMs?: number | undefined;
  /** Limit for one request to the store, its retries included, in ms. Default 10 000, at most leaseMs. */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * How many acquires of one process may hold a lock one after the other before the other hosts have their turn, the first included.
   * Default 8. 0 or 1: none; every acquire stands in the store's line by itself.
   */
  readonly localTurns?: number | undefined;
  /** How long after the store's grant a lease is passed on within the process, and shared ones are joined, in ms. Default 1000. */
  readonly localMs?: number | undefined;
  /** Who we are, for people who look: printable ASCII, at most 200 characters. Default host:pid. */
  readonly label?: string | undefined;
  /** Release everything on SIGINT and SIGTERM; `true` or the signals. The program's own handlers run as ever. Default false. */
  readonly releaseOnSignal?: boolean | readonly NodeJS.Signals[] | undefined;
  readonly onEvent?: OnEvent | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

export interface Settings {
  readonly protocol: Protocol;
  readonly probed: ProbeReport | undefined;
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  readonly marginMs: number;
  readonly waitMs: number;
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  readonly settleMs: number;
  readonly visibilityTimeoutMs: number;
  readonly clockSkewMs: number;
  readonly stepMs: number;
  readonly breakAfterMs: number | undefined;
  readonly requestTimeoutMs: number;
  readonly localTurns: number;
  readonly localMs: number;
  readonly label: string;
  readonly signals: readonly NodeJS.Signals[];
  readonly onEvent: OnEvent | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

const KNOWN: readonly (keyof LocksOptions)[] = [
  "protocol",
  "probed",
  "leaseMs",
  "renewEveryMs",
  "marginMs",
  "waitMs",
  "pollMinMs",
  "pollMaxMs",
  "settleMs",
  "visibilityTimeoutMs",
  "clockSkewMs",
  "breakAfterMs",
  "requestTimeoutMs",
  "localTurns",
  "localMs",
  "label",
  "releaseOnSignal",
  "onEvent",
  "clock",
  "random",
];

/** Throws InvalidError naming the option, the rule and what came; a misspelt option too. */
export function settle(options: LocksOptions, store: Store, defaultLabel: string): Settings {
  knownOptions(options, KNOWN);
  const leaseMs = Math.floor(durationMs("leaseMs", options.leaseMs ?? 30_000, { min: 300, max: 86_400_000 }));
  const marginMs = durationMs("marginMs", options.marginMs ?? leaseMs / 10);
  const renewEveryMs = durationMs("renewEveryMs", options.renewEveryMs ?? leaseMs / 3, { min: 1 });
  if (marginMs >= leaseMs) throw new InvalidError("marginMs", `must be below leaseMs (${leaseMs})`, marginMs);
  if (renewEveryMs + marginMs >= leaseMs) {
    throw new InvalidError(
      "renewEveryMs",
      `plus marginMs (${marginMs}) must be below leaseMs (${leaseMs})`,
      renewEveryMs,
    );
  }
  const pollMinMs = durationMs("pollMinMs", options.pollMinMs ?? 20, { min: 1 });
  const pollMaxMs = durationMs("pollMaxMs", options.pollMaxMs ?? Math.max(1000, pollMinMs), { min: 1 });
  if (pollMaxMs < pollMinMs)
    throw new InvalidError("pollMaxMs", `must be at least pollMinMs (${pollMinMs})`, pollMaxMs);
  return {
    protocol: protocol(options.protocol ?? "two-object", store),
    probed: checkProbed(options.probed, store),
    leaseMs,
    renewEveryMs,
    marginMs,
    waitMs: durationMs("waitMs", options.waitMs ?? 60_000),
    pollMinMs,
    pollMaxMs,
    settleMs: durationMs("settleMs", options.settleMs ?? 0),
    // A ticket lives no longer than its lease, so its listing must be judged before.
    visibilityTimeoutMs: durationMs(
      "visibilityTimeoutMs",
      options.visibilityTimeoutMs ?? Math.min(10_000, leaseMs / 2),
      {
        max: leaseMs - marginMs,
      },
    ),
    // The server's Date has steps of a second and lags by up to one: less would call the living dead.
    clockSkewMs: durationMs("clockSkewMs", options.clockSkewMs ?? 10_000, { min: 1000 }),
    stepMs: store.features.timestampStepMs,
    breakAfterMs:
      options.breakAfterMs === undefined ? undefined : durationMs("breakAfterMs", options.breakAfterMs, { min: 1 }),
    requestTimeoutMs: durationMs("requestTimeoutMs", options.requestTimeoutMs ?? Math.min(10_000, leaseMs), {
      min: 1,
      max: leaseMs,
    }),
    localTurns: localTurns(options.localTurns ?? 8),
    localMs: durationMs("localMs", options.localMs ?? 1000),
    label: label(options.label ?? defaultLabel),
    signals: signals(options.releaseOnSignal ?? false),
    onEvent: options.onEvent,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  };
}

function protocol(value: Protocol, store: Store): Protocol {
  oneOf("protocol", value, ["two-object", "conditional"]);
  if (value === "conditional" && store.features.conditionalWrites === "no") {
    throw new InvalidError(
      "protocol",
      `must be two-object on a store without conditional writes (${store.name})`,
      value,
    );
  }
  return value;
}

function localTurns(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidError("localTurns", "must be a whole number, 0 or above", value);
  return value;
}

function label(value: string): string {
  if (typeof value !== "string" || !/^[\x20-\x7e]{1,200}$/.test(value) || value.trim() !== value) {
    throw new InvalidError(
      "label",
      "must be 1 to 200 printable ASCII characters, none of them a space at an end",
      value,
    );
  }
  return value;
}

function signals(value: boolean | readonly NodeJS.Signals[]): readonly NodeJS.Signals[] {
  if (typeof value === "boolean") return value ? ["SIGINT", "SIGTERM"] : [];
  if (!Array.isArray(value) || value.some((name) => typeof name !== "string" || !/^SIG[A-Z0-9]+$/.test(name))) {
    throw new InvalidError("releaseOnSignal", "must be true, false or an array of signal names", value);
  }
  if (value.includes("SIGKILL") || value.includes("SIGSTOP")) {
    throw new InvalidError("releaseOnSignal", "cannot hold SIGKILL or SIGSTOP: no program sees them", value.join(", "));
  }
  return value;
}
