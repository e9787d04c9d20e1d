/**
 * One server process in the background: its own process group, its output in a file, guarded. Knows nothing of S3.
 */
import { spawn } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { unwatch, watch } from "./guard.js";

export interface Daemon {
  readonly role: string;
  readonly pid: number;
  /** Why it is no more, once it is. */
  readonly ended: () => string | undefined;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM (and SIGCONT, should it be stopped), then SIGKILL. Resolves once it is gone. */
  stop(): Promise<void>;
}

const STOP_LIMIT_MS = 5_000;

export async function startDaemon(options: {
  role: string;
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  logFile: string;
}): Promise<Daemon> {
  const { role, command, args, env, logFile } = options;
  const log = openSync(logFile, "a");
  const child = spawn(command, args, {
    detached: true,
    env: { ...process.env, ...env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let ended: string | undefined;
  const gone = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      ended = `${role} ended (${signal ?? `exit code ${code}`}): ${lastLines(logFile)}`;
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  const pid = child.pid!;
  watch("group", pid);
  child.unref();
  void gone.then(() => unwatch("group", pid));
  const kill = (signal: NodeJS.Signals) => {
    if (ended === undefined) child.kill(signal);
  };
  return {
    role,
    pid,
    ended: () => ended,
    kill,
    async stop() {
      child.ref();
      kill("SIGTERM");
      kill("SIGCONT");
      const limit = setTimeout(() => kill("SIGKILL"), STOP_LIMIT_MS);
      await gone;
      clearTimeout(limit);
    },
  };
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-5).join("\n");
  } catch {
    return "no output";
  }
}

/** Runs a command to its end; throws with its last words when it fails or takes too long. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; limitMs: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    // Not spawn's own `timeout`: its timer stays when the program is not there, and keeps the process alive.
    const limit = setTimeout(() => child.kill("SIGKILL"), options.limitMs);
    let words = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      words = (words + text).slice(-1000);
    });
    child.once("error", (error) => {
      clearTimeout(limit);
      reject(error);
    });
    child.once("close", (code, signal) => {
      clearTimeout(limit);
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args.join(" ")} failed (${signal ?? `exit code ${code}`}): ${words}`));
    });
  });
}

/** Resolves once `url` answers with a status that pleases; throws when the process is gone or `limitMs` have passed. */
export async function untilAnswers(
  url: string,
  daemon: Pick<Daemon, "ended">,
  options: { limitMs?: number; pleases?: (status: number) => boolean } = {},
): Promise<void> {
  const { limitMs = 90_000, pleases = () => true } = options;
  const until = performance.now() + limitMs;
  for (;;) {
    const ended = daemon.ended();
    if (ended !== undefined) throw new Error(ended);
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      await answer.arrayBuffer();
      if (pleases(answer.status)) return;
    } catch {
      // Not listening yet.
    }
    if (performance.now() > until) throw new Error(`no answer on ${url} within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The full path of a program, on PATH or in the cache that `.ci/run` fills. */
export function findProgram(name: string): string | undefined {
  const cache = process.env.BUCKETLOCK_SERVERS ?? join(homedir(), ".cache", "bucketlock", "servers");
  for (const directory of [...(process.env.PATH ?? "").split(delimiter), cache]) {
    const path = join(directory, process.platform === "win32" ? `${name}.exe` : name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** A port nobody listens on now. Another may take it before its use: launchers try again with a new one. */
export async function freePort(port = 0): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  return address.port;
}

/** `count` free ports in a row, below the range from which the system hands out ports. */
export async function freePortRange(count: number): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const first = 12_000 + Math.floor(Math.random() * 18_000);
    try {
      for (let port = first; port < first + count; port++) await freePort(port);
      return first;
    } catch {
      // One of them is taken.
    }
  }
  throw new Error(`found no ${count} free ports in a row`);
}

/** Somebody may have taken the port between finding it free and using it. */
export async function withRetries<T>(start: () => Promise<T>, tries = 3): Promise<T> {
  for (let left = tries; ; left--) {
    try {
      return await start();
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}
