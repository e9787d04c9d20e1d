/**
 * The command line as one file, built once for a test file, and run as a person would: processes with pipes. Bundled, since a start from source would take most of a test's time. Asserts nothing.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Writable } from "node:stream";
import { afterAll, afterEach, beforeAll } from "vitest";
import { temporaryDirectory, unwatch, watch } from "../servers/guard.js";

const root = join(import.meta.dirname, "..", "..");

/** Where bucketlock.js is after it. */
export async function buildProgram(into: string): Promise<string> {
  const { build } = createRequire(join(root, "package.json"))("esbuild") as typeof import("esbuild");
  const home = join(root, "packages", "lock");
  const foreign = linkDependencies(join(into, "node_modules"));
  await build({
    absWorkingDir: home,
    entryPoints: ["src/cli/bucketlock.ts", "src/cli/guard.js", "src/finalizer-child.js"],
    outbase: "src",
    outdir: join(into, "dist"),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    conditions: ["@bucketlock/source"],
    external: ["@bucketlock/b2", ...foreign],
    logLevel: "warning",
  });
  cpSync(join(home, "package.json"), join(into, "package.json"));
  return join(into, "dist", "cli", "bucketlock.js");
}

/** Everything that is not ours, where a program below `into`'s folder finds it. Answers the names. */
function linkDependencies(into: string): string[] {
  const found = new Map<string, string>();
  for (const name of ["core", "lock"]) {
    const home = join(root, "packages", name);
    const { dependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { dependencies: object };
    for (const dependency of Object.keys(dependencies))
      if (!dependency.startsWith("@bucketlock/")) found.set(dependency, join(home, "node_modules", dependency));
  }
  for (const [dependency, directory] of found) {
    mkdirSync(dirname(join(into, dependency)), { recursive: true });
    symlinkSync(directory, join(into, dependency), "junction");
  }
  return [...found.keys()];
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly stdin: Writable;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when its standard output holds `text`; throws with everything said when it ends before. */
  shows(text: string | RegExp): Promise<void>;
  readonly ended: Promise<Ran>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: "ignore" | "pipe";
}

export interface Bench {
  /** bucketlock.js. */
  readonly file: () => string;
  /** A directory of this test's own. */
  readonly directory: () => string;
  /** A file store below it. */
  readonly store: () => string;
  /** The environment of what is started. */
  readonly env: () => NodeJS.ProcessEnv;
  start(args: readonly string[], options?: StartOptions): Running;
  run(args: readonly string[], options?: StartOptions & { readonly input?: string }): Promise<Ran>;
}

/** For one test file: builds before, kills what a test left behind after. */
export function useProgram(): Bench {
  const home = temporaryDirectory("cli");
  let file = "";
  let at = 0;
  const started = new Set<Running>();
  beforeAll(async () => {
    file = await buildProgram(join(home.path, "program"));
  }, 60_000);
  afterEach(async () => {
    for (const { pid } of started) kill(-pid);
    await Promise.all([...started].map(({ ended }) => ended));
    started.clear();
    at += 1;
  });
  afterAll(() => home.remove());

  const directory = () => join(home.path, String(at));
  const store = () => `file:${directory()}/store?create=1`;
  const env = () => {
    const {
      NODE_PATH: _path,
      NODE_OPTIONS: _options,
      VITEST: _vitest,
      NODE_ENV: _env,
      FORCE_COLOR: _colour,
      ...rest
    } = process.env;
    const clean = Object.entries(rest).filter(([name]) => !name.startsWith("BUCKETLOCK_"));
    return { ...Object.fromEntries(clean), BUCKETLOCK_STORE: store() };
  };
  const start = (args: readonly string[], options: StartOptions = {}): Running => {
    const running = launch(process.execPath, [file, ...args], { ...options, env: { ...env(), ...options.env } });
    started.add(running);
    return running;
  };
  return {
    file: () => file,
    directory,
    store,
    env,
    start,
    run(args, { input, ...options } = {}) {
      const running = start(args, input === undefined ? { stdin: "ignore", ...options } : options);
      if (input !== undefined) running.stdin.end(input);
      return running.ended;
    },
  };
}

export function launch(
  program: string,
  args: readonly string[],
  { env, cwd, stdin = "pipe" }: { env: NodeJS.ProcessEnv; cwd?: string; stdin?: "ignore" | "pipe" },
): Running {
  const child = spawn(program, args, {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    stdio: [stdin, "pipe", "pipe"],
    detached: true,
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`could not start ${program}`);
  watch("group", pid);
  let stdout = "";
  let stderr = "";
  const looks = new Set<() => void>();
  const look = () => {
    for (const one of [...looks]) one();
  };
  child.stdin?.on("error", () => {});
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    look();
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    look();
  });
  let isOver = false;
  const ended = new Promise<Ran>((resolve) => {
    child.once("close", (code, signal) => {
      isOver = true;
      unwatch("group", pid);
      resolve({ code, signal, stdout, stderr });
      look();
    });
  });
  const shows = (text: string | RegExp) =>
    new Promise<void>((resolve, reject) => {
      const isThere = () => (typeof text === "string" ? stdout.includes(text) : text.test(stdout));
      const one = () => {
        if (!isThere() && !isOver) return;
        looks.delete(one);
        if (isThere()) resolve();
        else reject(new Error(`it ended without ${text}: ${stdout}\n${stderr}`));
      };
      looks.add(one);
      one();
    });
  return { pid, child, stdin: child.stdin!, stdout: () => stdout, stderr: () => stderr, shows, ended };
}

export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone.
  }
}
