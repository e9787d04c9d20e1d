/**
 * B2 stores by URL, for command lines and configuration files. Never reads a credential from the URL and never prints one that
 * was put there. Nothing is sent before the first call of the store.
 */
import { InvalidError, type Store } from "@bucketlock/core";
import { text } from "@bucketlock/core/http";
import { B2Session, type B2SessionOptions } from "./b2-session.js";

/**
 * Opens `b2://bucket/prefix`: every key below `prefix/`. `?endpoint=` names another server. Credentials and all else as
 * `B2Session.fromEnv` finds them, or from `options`; what the URL says wins. Reserved characters are written as %XX.
 *
 * @throws InvalidError for another scheme, an unknown parameter, credentials in the URL, a missing variable.
 */
export function openB2Store(url: string, options: Partial<B2SessionOptions> = {}): Store {
  const whole = text("url", url);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(whole)?.[1]?.toLowerCase();
  if (scheme !== "b2")
    throw new InvalidError("url", "must begin with b2://", scheme === undefined ? "no scheme" : `${scheme}:`);
  if (whole.includes("#"))
    throw new InvalidError("url", "must have no #: in a path it is written as %23", "a URL with #");
  const at = whole.indexOf("?");
  const [location, query] = at < 0 ? [whole, ""] : [whole.slice(0, at), whole.slice(at + 1)];
  // A colon counts too: a secret with a slash in it would pass for the beginning of a path.
  if (/^[^:]+:\/\/[^/]*[@:]/.test(location))
    throw new InvalidError("url", "must hold no credentials: they come from the environment", "b2://...@...");
  const [, bucket, path = ""] = /^b2:\/\/([^/]+)(?:\/(.*))?$/i.exec(location) ?? [];
  if (bucket === undefined) throw new InvalidError("url", "must be b2://bucket or b2://bucket/prefix", "another form");
  const prefix = decoded(path);
  const session = B2Session.fromEnv({ ...options, bucket, endpoint: endpointOf(query) ?? options.endpoint });
  return session.store({ prefix: prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/` });
}

/** Names are shown, values are not: an unknown parameter may be a secret. */
function endpointOf(query: string): string | undefined {
  let endpoint: string | undefined;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== "endpoint") throw new InvalidError("url", "takes only the parameter endpoint", name);
    if (endpoint !== undefined) throw new InvalidError("url", "must give a parameter once", name);
    endpoint = value;
  }
  return endpoint;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new InvalidError("url", "must have a % in its prefix only as %XX", path, { cause });
  }
}
