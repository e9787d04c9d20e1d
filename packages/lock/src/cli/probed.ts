/**
 * The report of a probe for the conditional protocol, kept in the user's cache for a day: a command line starts often, and a probe
 * is hundreds of requests. Decides nothing about what a report says.
 */
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type ProbeReport, probe, type Store } from "@bucketlock/core";

/** Undefined: this store tells of itself what it can do. */
export async function probedFor(store: Store, signal: AbortSignal | undefined): Promise<ProbeReport | undefined> {
  if (store.features.conditionalWrites !== "unknown") return undefined;
  return probe(store, { cache: cacheFile(process.env), signal });
}

/** https://specifications.freedesktop.org/basedir/ */
function cacheFile(env: NodeJS.ProcessEnv): string {
  const home = env.XDG_CACHE_HOME ? env.XDG_CACHE_HOME : join(homedir(), ".cache");
  const directory = join(home, "bucketlock");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch {
    // Then nothing is kept, and every start probes.
  }
  return join(directory, "probes.json");
}
