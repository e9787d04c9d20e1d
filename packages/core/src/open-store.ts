/**
 * Stores by URL, for command lines and configuration files. Decides which store a URL means; never reads a credential from
 * it and never prints one that was put there. Nothing is sent before the first call of the store.
 */
import { fileURLToPath } from "node:url";
import type { Clock } from "./clock.js";
import { InvalidError } from "./errors.js";
import { openFileStore } from "./file-store.js";
import { createMemoryStore } from "./memory-store.js";
import { oneOf, text } from "./options.js";
import type { Random } from "./random.js";
import { openS3SessionFromConfig, type S3ConfigOptions } from "./s3-config.js";
import type { Store } from "./store.js";

export interface OpenStoreOptions {
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Default: the system's. */
  readonly random?: Random | undefined;
  /**
   * For `s3:` URLs: settings and credentials. What the URL says wins; what neither says comes from the environment and
   * the shared files.
   */
  readonly s3?: S3ConfigOptions | undefined;
}

/**
 * Opens the store that a URL names.
 *
 * - `memory:` a new, empty store in this process
 * - `file:/absolute/dir` a directory shared by the processes of this host; `?create=1` makes it where it is missing,
 *   `?durable=1` waits for the disk with every write
 * - `s3://bucket/prefix` every key below `prefix/`; `?endpoint=`, `?region=`, `?path-style=1`, `?profile=`; credentials and
 *   all else as `openS3SessionFromConfig` finds them
 *
 * Reserved characters in a path or value are written as %XX.
 *
 * @throws InvalidError for an unknown scheme or parameter, a relative path, credentials in the URL, and whatever the store
 * refuses of its own settings; StoreError where a directory cannot be used.
 */
export function openStore(url: string, options: OpenStoreOptions = {}): Store {
  const whole = text("url", url);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(whole)?.[1]?.toLowerCase();
  switch (scheme) {
    case "memory":
      return openMemory(whole, options);
    case "file":
      return openFile(whole, options);
    case "s3":
      return openS3(whole, options);
    case "b2":
      throw new InvalidError("url", "of scheme b2: is opened by the package @bucketlock/b2", "b2:");
    default: {
      // Only the scheme is shown: the rest may hold anything.
      const got = scheme === undefined ? "a text without a scheme" : `${scheme}:`;
      throw new InvalidError("url", "must begin with memory:, file: or s3:", got);
    }
  }
}

function openMemory(url: string, { clock }: OpenStoreOptions): Store {
  if (url.length > "memory:".length)
    throw new InvalidError("url", "must be memory: alone, nothing after it", "memory:...");
  return createMemoryStore({ clock });
}

function openFile(url: string, { clock, random }: OpenStoreOptions): Store {
  const [location, query] = split(url);
  // `new URL` would quietly make `file:./x` absolute.
  if (!/^file:\//i.test(location))
    throw new InvalidError("url", "must give an absolute path, as in file:/var/lib/locks", location);
  refuseCredentials(location, "file");
  const settings = parameters(query, ["create", "durable"]);
  return openFileStore({
    dir: filePath(location),
    create: flag("create", settings),
    durable: flag("durable", settings),
    clock,
    random,
  });
}

function filePath(location: string): string {
  try {
    return fileURLToPath(location);
  } catch (cause) {
    throw new InvalidError("url", "must be a file URL of this host", location, { cause });
  }
}

function openS3(url: string, { clock, random, s3 = {} }: OpenStoreOptions): Store {
  const [location, query] = split(url);
  refuseCredentials(location, "s3");
  const [, bucket, path = ""] = /^s3:\/\/([^/]+)(?:\/(.*))?$/i.exec(location) ?? [];
  if (bucket === undefined) throw new InvalidError("url", "must be s3://bucket or s3://bucket/prefix", "another form");
  const settings = parameters(query, ["endpoint", "region", "path-style", "profile"]);
  const prefix = decoded("prefix", path);
  const region = settings.get("region") ?? s3.region;
  const session = openS3SessionFromConfig({
    ...s3,
    bucket,
    endpoint: settings.get("endpoint") ?? s3.endpoint,
    profile: settings.get("profile") ?? s3.profile,
    ...(region === undefined ? {} : { region }),
    forcePathStyle: flag("path-style", settings) ?? s3.forcePathStyle,
    clock: clock ?? s3.clock,
    random: random ?? s3.random,
  });
  return session.store({ prefix: prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/` });
}

/** The URL before the question mark and after it. */
function split(url: string): readonly [location: string, query: string] {
  if (url.includes("#"))
    throw new InvalidError("url", "must have no #: in a path it is written as %23", "a URL with #");
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}

/** A colon counts too: a secret with a slash in it would pass for the beginning of a path. */
function refuseCredentials(location: string, scheme: string): void {
  if (!/^[^:]+:\/\/[^/]*[@:]/.test(location)) return;
  throw new InvalidError("url", "must hold no credentials: they come from the environment", `${scheme}://...@...`);
}

/** Names are shown, values are not: an unknown parameter may be a secret. */
function parameters(query: string, known: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) throw new InvalidError("url", `takes only the parameters ${known.join(", ")}`, name);
    if (found.has(name)) throw new InvalidError("url", "must give a parameter once", name);
    found.set(name, value);
  }
  return found;
}

function flag(name: string, settings: ReadonlyMap<string, string>): boolean | undefined {
  const value = settings.get(name);
  if (value === undefined) return undefined;
  return ["1", "true"].includes(oneOf(`url parameter ${name}`, value, ["1", "true", "0", "false"]));
}

function decoded(what: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new InvalidError("url", `must have a % in its ${what} only as %XX`, part, { cause });
  }
}
