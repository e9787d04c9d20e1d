/**
 * Builds and packs the packages, and installs them elsewhere as a user would, without any registry: what they depend on
 * comes from the workspace's own node_modules. Asserts nothing.
 */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
export const root = join(import.meta.dirname, "..", "..");
export const names = ["core", "lock", "b2"] as const;
export type PackageName = (typeof names)[number];

/** A program run to its end by this Node; its output. Throws with the output when it fails. */
export async function node(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}

/** The script behind a package's command. */
export function script(packageName: string, path: string, from = join(root, "test")): string {
  return join(directoryOf(packageName, from), path);
}

export const build = (): Promise<string> => node([join(root, "scripts", "build.mjs")], root);

/** One tarball for each package, made by the workspace's own pnpm, which turns `workspace:*` into versions. */
export async function pack(into: string): Promise<Record<PackageName, string>> {
  mkdirSync(into, { recursive: true });
  const pnpm = script("pnpm", join("bin", "pnpm.cjs"), root);
  for (const name of names) await node([pnpm, "pack", "--pack-destination", into], join(root, "packages", name));
  const tarballs = readdirSync(into);
  return Object.fromEntries(
    names.map((name) => [name, join(into, tarballs.find((file) => file.startsWith(`bucketlock-${name}-`))!)]),
  ) as Record<PackageName, string>;
}

/** Installs the tarballs with npm into a new folder. No registry and no cache: everything comes from this machine. */
export async function install(tarballs: Record<PackageName, string>, into: string): Promise<void> {
  mkdirSync(into, { recursive: true });
  const packed = join(into, "..", "dependencies");
  const dependencies: Record<string, string> = {};
  for (const [name, directory] of foreignDependencies()) {
    // By tar: npm's own `pack` does not end on every published package that it is given unpacked.
    const folder = join(packed, name.replace("/", "-"));
    cpSync(directory, join(folder, "package"), { recursive: true, dereference: true });
    await run("tar", ["-czf", `${folder}.tgz`, "-C", folder, "package"]);
    dependencies[name] = `file:${folder}.tgz`;
  }
  for (const name of names) dependencies[`@bucketlock/${name}`] = `file:${tarballs[name]}`;
  writeFileSync(
    join(into, "package.json"),
    JSON.stringify({ name: "user-of-bucketlock", private: true, type: "module", dependencies }),
  );
  await npm(["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"], into, {
    npm_config_cache: join(into, "empty-cache"),
    // The discard port: whoever asks it is refused at once.
    npm_config_registry: "http://127.0.0.1:9/",
  });
}

/** Everything that our packages depend on and that is not ours, with where it lies. */
function foreignDependencies(): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (directory: string) => {
    const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
      dependencies?: Record<string, string>;
    };
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      if (name.startsWith("@bucketlock/") || found.has(name)) continue;
      const at = directoryOf(name, directory);
      found.set(name, at);
      visit(at);
    }
  };
  for (const name of names) visit(join(root, "packages", name));
  return found;
}

function directoryOf(name: string, from: string): string {
  const paths = createRequire(join(realpathSync(from), "package.json")).resolve.paths(name) ?? [];
  const found = paths.map((path) => join(path, name)).find((path) => existsSync(join(path, "package.json")));
  if (found === undefined) throw new Error(`${name} is not installed for ${from}`);
  return realpathSync(found);
}

/** npm by its script where `npm run` tells where that is; else beside Node, where every distribution puts it. */
function npm(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const told = process.env.npm_execpath ?? "";
  const nextToNode = join(dirname(process.execPath), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  const found = [told, nextToNode].find((path) => basename(path) === "npm-cli.js" && existsSync(path));
  if (found === undefined) throw new Error("found no npm-cli.js: run the tests by `npm test`");
  return node([found, ...args], cwd, env);
}
