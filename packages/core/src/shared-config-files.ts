/**
 * Where the shared files of the AWS tools are, and what they hold. Reads two small files, at once, when a session is
 * opened; a file that is not there or may not be read is one that says nothing. Never writes.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { nodeFs } from "./builtin.js";
import type { Environment } from "./s3-settings.js";
import { SharedConfig, type SharedFile } from "./shared-config.js";

export function readSharedConfig(env: Environment): SharedConfig {
  const home = env.HOME || env.USERPROFILE || homedir();
  const path = (variable: string, name: string) =>
    (env[variable] || join(home, ".aws", name)).replace(/^~(?=[/\\])/, home);
  return new SharedConfig(
    sharedFile(path("AWS_CONFIG_FILE", "config")),
    sharedFile(path("AWS_SHARED_CREDENTIALS_FILE", "credentials")),
  );
}

function sharedFile(path: string): SharedFile {
  try {
    return { path, text: nodeFs().readFileSync(path, "utf8") };
  } catch {
    return { path, text: undefined };
  }
}
