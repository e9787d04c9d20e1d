/**
 * Runs one of the workspace's programs in the foreground, by its script and with this very Node (no shell, no `.cmd`),
 * so that the tests on another Node need only start there. Passes Ctrl-C through; never decides about exit codes itself.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./bootstrap.mjs";

/** The exit code of `node script args`; a death by signal counts as 128 + the signal's number, as in a shell. */
export function node(args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
      stdio: "inherit",
    });
    // The terminal sends Ctrl-C to the child as well: stay until it has tidied up. A SIGTERM comes to us alone.
    const stay = () => {};
    const pass = () => child.kill("SIGTERM");
    process.on("SIGINT", stay);
    process.on("SIGTERM", pass);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      process.off("SIGINT", stay);
      process.off("SIGTERM", pass);
      resolve(code ?? (signal === "SIGINT" ? 130 : 143));
    });
  });
}

/** The script behind a package's command, as installed for the workspace member `from`. */
export function bin(packageName, command, from = ".") {
  const require = createRequire(join(root, from, "package.json"));
  for (const directory of require.resolve.paths(packageName) ?? []) {
    const manifest = join(directory, packageName, "package.json");
    let parsed;
    try {
      parsed = JSON.parse(readFileSync(manifest, "utf8"));
    } catch {
      continue;
    }
    return join(dirname(manifest), typeof parsed.bin === "string" ? parsed.bin : parsed.bin[command]);
  }
  throw new Error(`${packageName} is not installed for ${from}: run node scripts/bootstrap.mjs`);
}

/** A TypeScript file of this workspace, by its path in it, from source: nothing needs building first. */
export function typescript(file, args, options) {
  const tsx = pathToFileURL(createRequire(join(root, "package.json")).resolve("tsx")).href;
  return node(["--conditions=@bucketlock/source", "--import", tsx, join(root, file), ...args], options);
}
