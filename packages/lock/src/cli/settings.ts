/**
 * Settings of the command line: each from a flag, else the environment, else bucketlock.yaml, else its default. Pure: all
 * three are handed in. Says of each value where it comes from, so that `doctor` can tell; never holds a credential.
 */
import { BucketlockError, InvalidError, oneOf } from "@bucketlock/core";
import { parseDuration } from "./duration.js";

export interface Sources {
  /** As the parser of the command line gives them. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly path: string; readonly values: unknown } | undefined;
}

export interface Settled<T> {
  readonly value: T;
  /** `--lease`, `BUCKETLOCK_LEASE`, the file's path, or `default`. */
  readonly from: string;
}

interface Setting<T> {
  readonly flag: string;
  readonly env: string;
  readonly file: string;
  readonly read: (option: string, value: unknown) => T;
  readonly fallback: T;
}

const OPTIONAL = undefined as string | undefined;

function setting<T>(name: string, read: (option: string, value: unknown) => T, fallback: T): Setting<T> {
  const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    flag: `--${words}`,
    env: `BUCKETLOCK_${words.replaceAll("-", "_").toUpperCase()}`,
    file: name,
    read,
    fallback,
  };
}

const words = (option: string, value: unknown): string => {
  if (typeof value !== "string" || value === "") throw new InvalidError(option, "must be a text, not empty", value);
  return value;
};

const duration = (option: string, value: unknown): number => parseDuration(option, value);

/** All settings there are, by their name in bucketlock.yaml. The flag and the variable follow from it. */
export const SETTINGS = {
  store: setting<string | undefined>("store", words, undefined),
  protocol: setting(
    "protocol",
    (option, value) => oneOf(option, words(option, value), ["two-object", "conditional"]),
    "two-object",
  ),
  lease: setting("lease", (option, value) => parseDuration(option, value, { min: 300, max: 86_400_000 }), 30_000),
  wait: setting("wait", duration, 60_000),
  grace: setting("grace", duration, 5_000),
  onLost: setting("onLost", (option, value) => oneOf(option, words(option, value), ["term", "ignore"]), "term"),
  onRevoke: setting("onRevoke", (option, value) => oneOf(option, words(option, value), ["term", "ignore"]), "term"),
  label: setting("label", words, OPTIONAL),
  settle: setting("settle", duration, 0),
  requestTimeout: setting<number | undefined>("requestTimeout", duration, undefined),
} satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;
export type Resolved = {
  readonly [N in SettingName]: Settled<(typeof SETTINGS)[N] extends Setting<infer T> ? T : never>;
};

/** Throws InvalidError naming the flag, variable or key, the rule and what came; for an unknown key of the file too. */
export function resolveSettings({ flags, env, file }: Sources): Resolved {
  const values = fileValues(file);
  const entries = Object.entries(SETTINGS).map(([name, one]) => {
    const { flag, env: variable, read, fallback } = one as Setting<unknown>;
    // An empty variable is how a shell says that there is none.
    const fromEnv = env[variable] === "" ? undefined : env[variable];
    if (flags[name] !== undefined) return [name, { value: read(flag, flags[name]), from: flag }];
    if (fromEnv !== undefined) return [name, { value: read(variable, fromEnv), from: variable }];
    if (values[name] !== undefined && values[name] !== null)
      return [name, { value: read(`${name} in ${file!.path}`, values[name]), from: file!.path }];
    return [name, { value: fallback, from: "default" }];
  });
  return Object.fromEntries(entries) as Resolved;
}

/** Options of the library, by the setting that each comes from. */
const SETTING_OF: Readonly<Record<string, SettingName>> = {
  url: "store",
  dir: "store",
  leaseMs: "lease",
  label: "label",
  settleMs: "settle",
  requestTimeoutMs: "requestTimeout",
  protocol: "protocol",
};

/** An error of the library about an option, told of what the person wrote: `--label`, `BUCKETLOCK_LABEL`, `label in <file>`. Others as they are. */
export function retold(error: unknown, settings: Resolved): unknown {
  if (!(error instanceof InvalidError)) return error;
  const option = String(error.details.option);
  const name = SETTING_OF[option];
  if (name === undefined || !error.message.startsWith(`${option}: `)) return error;
  const { from } = settings[name];
  const { flag, env } = SETTINGS[name];
  const written = from === "default" ? flag : from === flag || from === env ? from : `${name} in ${from}`;
  return new BucketlockError(`${written}${error.message.slice(option.length)}`, {
    code: error.code,
    kind: error.kind,
    cause: error,
    details: { ...error.details, option: written },
  });
}

function fileValues(file: Sources["file"]): Readonly<Record<string, unknown>> {
  // An empty file is null.
  if (file === undefined || file.values === null || file.values === undefined) return {};
  if (typeof file.values !== "object" || Array.isArray(file.values))
    throw new InvalidError(file.path, "must hold settings, one `name: value` a line", file.values);
  const known = Object.keys(SETTINGS);
  for (const name of Object.keys(file.values))
    if (!known.includes(name)) throw new InvalidError(file.path, `takes only ${known.join(", ")}`, name);
  return file.values as Readonly<Record<string, unknown>>;
}

/** What a command that is run under a lock is told; no settings. */
export const CHILD_VARIABLES = [
  "BUCKETLOCK_KEY",
  "BUCKETLOCK_TOKEN",
  "BUCKETLOCK_LEASE_UNTIL",
  "BUCKETLOCK_RUN",
  "BUCKETLOCK_SLOT",
  "BUCKETLOCK_ATTEMPT",
] as const;

/** Variables that look like settings and are none: a typing mistake, most likely. */
export function unknownVariables(env: Sources["env"]): string[] {
  const known = [...Object.values(SETTINGS).map((one) => one.env), "BUCKETLOCK_CONFIG", ...CHILD_VARIABLES];
  return Object.keys(env).filter((name) => name.startsWith("BUCKETLOCK_") && !known.includes(name));
}
