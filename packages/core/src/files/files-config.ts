/**
 * The configuration of a Files, as the Python library `s3` 0.1.3 has it in YAML: which settings there are, and what session
 * they mean. Pure. It reads no file, and no value of a setting ever becomes part of a message: the file holds a secret.
 */
import { InvalidError } from "../errors.js";
import type { S3Credentials } from "../identity.js";

/** Names as in the file. */
export interface FilesConfig {
  readonly access_key_id: string;
  readonly secret_access_key: string;
  /** Where a name says no bucket. */
  readonly default_bucket?: string | undefined;
  /** Host, or host:port; `tls` says the rest. Default `s3.amazonaws.com`. */
  readonly endpoint?: string | undefined;
  /** Default true. */
  readonly tls?: boolean | undefined;
  /** Not known to the Python library. Default: as the endpoint says, else us-east-1. */
  readonly region?: string | undefined;
}

const TEXTS = ["access_key_id", "secret_access_key", "default_bucket", "endpoint", "region"] as const;

/** The settings below `s3:`, or the settings themselves. Throws InvalidError naming the setting. */
export function filesConfig(given: unknown): FilesConfig {
  const outer = record("configuration", given);
  const inner = Object.hasOwn(outer, "s3") ? record("s3", outer.s3) : outer;
  for (const [name, value] of Object.entries(inner)) {
    const isText = TEXTS.includes(name as "region");
    if (!isText && name !== "tls") throw new InvalidError(name, `must be one of ${TEXTS.join(", ")}, tls`, name);
    if (value === undefined || (value === null && !name.includes("_key"))) continue;
    if (isText && (typeof value !== "string" || value === ""))
      throw new InvalidError(name, "must be a string, in quotes where it looks like a number", typeof value);
    if (name === "tls" && typeof value !== "boolean")
      throw new InvalidError("tls", "must be true or false", typeof value);
  }
  for (const name of ["access_key_id", "secret_access_key"])
    if (inner[name] === undefined) throw new InvalidError(name, "must be in the configuration", undefined);
  return inner as unknown as FilesConfig;
}

/** The session that the configuration means. */
export function sessionOptionsOf(config: FilesConfig): {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket?: string;
  readonly credentials: S3Credentials;
} {
  const host = config.endpoint ?? "s3.amazonaws.com";
  if (/:\/\/|[@?#\s]/.test(host)) throw new InvalidError("endpoint", "must be a host, or host:port", "something else");
  return {
    endpoint: `${(config.tls ?? true) ? "https" : "http"}://${host}`,
    // s3-us-west-2.amazonaws.com, s3.us-west-2.amazonaws.com, s3.dualstack.us-west-2.amazonaws.com
    region:
      config.region ??
      /^s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com/.exec(host)?.[1] ??
      "us-east-1",
    ...(config.default_bucket == null ? {} : { bucket: config.default_bucket }),
    credentials: { accessKeyId: config.access_key_id, secretAccessKey: config.secret_access_key },
  };
}

function record(option: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidError(
    option,
    "must have settings",
    Array.isArray(value) ? "a list" : value === null ? "nothing" : typeof value,
  );
}
