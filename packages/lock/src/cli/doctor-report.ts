/**
 * What the doctor saw, and what follows from it: findings with something to do about each. Pure: everything measured is handed in.
 */
import { spellDuration } from "./duration.js";
import { printable } from "./printable.js";
import type { Resolved } from "./settings.js";

export interface Trial {
  readonly what: string;
  /** Undefined: it failed. */
  readonly medianMs: number | undefined;
  readonly error?:
    | { readonly code: string; readonly kind: string; readonly message: string; readonly todo: string }
    | undefined;
}

export interface Seen {
  readonly node: string;
  readonly platform: string;
  readonly configPath: string | undefined;
  readonly settings: Resolved;
  readonly unknownVariables: readonly string[];
  readonly store: { readonly name: string; readonly endpoint: string | undefined } | undefined;
  /** Why there is no store to try. */
  readonly storeError?: Trial["error"];
  /** What the locks refuse. */
  readonly settingError?: Trial["error"];
  readonly trials: readonly Trial[];
  /** The server's clock less this host's, in ms: between these. */
  readonly clock: { readonly lowMs: number; readonly highMs: number } | undefined;
}

export interface Finding {
  readonly level: "problem" | "warning";
  readonly text: string;
  readonly todo: string;
}

// Servers refuse at 15 minutes; a minute is a sign that nobody sets the clock.
const CLOCK_MS = 60_000;
// A renewal is tried several times within a third of the lease.
const SLOW_SHARE = 20;

export function findings(seen: Seen): Finding[] {
  const { trials, clock, settings, storeError, settingError } = seen;
  const found: Finding[] = [];
  const problem = (text: string, todo: string) => found.push({ level: "problem", text, todo });
  const warning = (text: string, todo: string) => found.push({ level: "warning", text, todo });
  for (const error of [storeError, settingError])
    if (error !== undefined) problem(`${error.message} [${error.code}]`, error.todo);
  for (const [code, failed] of byCode(trials)) {
    const { message, todo } = failed[0]!.error!;
    problem(`cannot ${failed.map(({ what }) => what).join(", ")}: ${message} [${code}]`, todo);
  }
  if (clock !== undefined && (clock.lowMs > CLOCK_MS || clock.highMs < -CLOCK_MS))
    warning(`this host's clock is off the server's by ${Math.round(clock.lowMs / 1000)} s`, "set it, with NTP");
  const slowest = Math.max(0, ...trials.map(({ medianMs }) => medianMs ?? 0));
  const leaseMs = settings.lease.value;
  if (slowest * SLOW_SHARE > leaseMs)
    warning(
      `a request takes ${Math.round(slowest)} ms, much for a lease of ${spellDuration(leaseMs)}`,
      `a lease of ${Math.ceil((slowest * SLOW_SHARE) / 1000)}s or more`,
    );
  if (settings.grace.value > (leaseMs * 2) / 5)
    warning(
      `a grace of ${spellDuration(settings.grace.value)} does not fit into a lease of ${spellDuration(leaseMs)}: ${spellDuration((leaseMs * 2) / 5)} will be given`,
      "a longer lease or a shorter grace",
    );
  for (const name of seen.unknownVariables) warning(`${name} is no setting`, "check its spelling");
  return found;
}

/** What failed for the same reason is told once. */
function byCode(trials: readonly Trial[]): Map<string, Trial[]> {
  const found = new Map<string, Trial[]>();
  for (const trial of trials) {
    if (trial.error === undefined) continue;
    const { code } = trial.error;
    found.set(code, [...(found.get(code) ?? []), trial]);
  }
  return found;
}

/** For people. `paint` colours the marks. */
export function describeSeen(
  seen: Seen,
  found: readonly Finding[],
  paint: (colour: "red" | "green" | "yellow" | "dim", text: string) => string,
): string {
  const { trials, clock, store } = seen;
  const settings = Object.entries(seen.settings).filter(([, { value }]) => value !== undefined);
  const width = Math.max(...settings.map(([name]) => name.length));
  return [
    `node        ${seen.node} on ${seen.platform}`,
    `file        ${seen.configPath ?? "no bucketlock.yaml from here upwards"}`,
    ...settings.map(
      ([name, { value, from }]) => `setting     ${name.padEnd(width)}  ${show(name, value)}  ${paint("dim", from)}`,
    ),
    `store       ${store === undefined ? "none" : `${store.name}${store.endpoint === undefined ? "" : ` at ${store.endpoint}`}`}`,
    ...trials.map(({ what, medianMs, error }) =>
      error === undefined
        ? `${paint("green", "can")}         ${what.padEnd(8)}${medianMs!.toFixed(1)} ms`
        : `${paint("red", "CANNOT")}      ${what.padEnd(8)}${error.code}`,
    ),
    ...(clock === undefined
      ? []
      : [
          `clock       the server's is ${(clock.lowMs / 1000).toFixed(1)} to ${(clock.highMs / 1000).toFixed(1)} s ahead of ours`,
        ]),
    ...found.map(
      ({ level, text, todo }) =>
        `${level === "problem" ? paint("red", "problem") : paint("yellow", "warning")}     ${text}: ${todo}`,
    ),
    ...(found.length === 0 ? [paint("green", "all is well")] : []),
  ].join("\n");
}

/** Where the store is told, a URL that somebody put credentials into is not. */
function show(name: string, value: unknown): string {
  if (typeof value === "number") return spellDuration(value);
  return name === "store"
    ? String(value)
        .replace(/\?.*$/, "?...")
        .replace(/\/\/[^/]*@/, "//...@")
    : printable(String(value));
}
