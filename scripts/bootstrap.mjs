/**
 * Makes a clean machine ready: installs the dependencies with the pinned pnpm when they are missing or older than the
 * lockfile, says so in one line, and says nothing when there is nothing to do.
 * Uses Node's own modules only, needs no pnpm beforehand, never changes the lockfile.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".bucketlock-installed");

const NODE_MIN = [20, 19];

export function bootstrap() {
  requireNode();
  // By content, not by date: a checkout gives every file the date of the checkout.
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "pnpm-lock.yaml")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;

  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  console.log(`bucketlock: installing dependencies once (npx ${packageManager} install --frozen-lockfile)`);
  const { command, args, shell } = npx(["-y", packageManager, "install", "--frozen-lockfile", "--reporter=silent"]);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], shell });
  if (status !== 0) {
    console.error(`bucketlock: installing failed (${error?.message ?? `exit code ${status}`})`);
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, wanted);
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  console.error(`bucketlock: needs Node ${NODE_MIN.join(".")} or newer; this is ${process.versions.node}`);
  process.exit(1);
}

/** Below `npm run`, npm tells where its own script is: no shell and no `npx.cmd` needed. */
function npx(args) {
  const npm = process.env.npm_execpath;
  const script = npm !== undefined && basename(npm) === "npm-cli.js" ? join(dirname(npm), "npx-cli.js") : undefined;
  if (script !== undefined && existsSync(script)) {
    return { command: process.execPath, args: [script, ...args], shell: false };
  }
  return { command: "npx", args, shell: process.platform === "win32" };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) bootstrap();
