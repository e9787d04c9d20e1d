/**
 * Finds and reads bucketlock.yaml: the one named, else the nearest from the working directory upwards. Decides nothing about
 * its contents (settings.ts does).
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BucketlockError, InvalidError } from "@bucketlock/core";

const NAME = "bucketlock.yaml";

/** `named`: by `--config` or BUCKETLOCK_CONFIG; it has to be there then. */
export async function readConfigFile(
  named: string | undefined,
  from: string,
): Promise<{ readonly path: string; readonly values: unknown } | undefined> {
  const path = named === undefined ? nearest(from) : resolve(from, named);
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const rule = "must name a file that can be read";
    throw named === undefined
      ? new BucketlockError(`the configuration cannot be read: ${path}`, {
          code: "CONFIG_UNREADABLE",
          kind: "invalid",
          cause,
        })
      : new InvalidError("--config", rule, path, { cause });
  }
  // Most starts need none, and it takes longer to load than all else.
  const { parse } = await import("yaml");
  try {
    return { path, values: parse(text, { maxAliasCount: 0 }) };
  } catch (cause) {
    const [line = ""] = String((cause as Error).message).split("\n");
    throw new BucketlockError(`the configuration is no YAML: ${path}: ${line}`, {
      code: "CONFIG_UNREADABLE",
      kind: "invalid",
      cause,
    });
  }
}

function nearest(from: string): string | undefined {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    const path = join(directory, NAME);
    if (existsSync(path)) return path;
    if (dirname(directory) === directory) return undefined;
  }
}
