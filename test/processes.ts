/**
 * Worker processes for tests: a TypeScript file of ours run from source in a process of its own, that tells what it does
 * in lines of JSON on its standard output. Decides nothing about what the lines mean. No worker outlives its test
 * (`useWorkers`), nor this process however it ends (the guard).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach } from "vitest";
import { unwatch, watch } from "./servers/guard.js";

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

/** On a busy machine a dozen that start at once take many seconds. */
const PATIENCE_MS = 90_000;

/** What this very Node needs before a TypeScript file's name, for spawning one by hand. */
export const typescriptArguments: readonly string[] = ["--conditions=@bucketlock/source", "--import", tsx];

export interface WorkerOptions {
  readonly args?: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** More for Node itself, such as `--expose-gc`. */
  readonly execArgv?: readonly string[];
  /** Another program that runs the file, in place of Node: a Python, say. */
  readonly program?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Worker {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Every line of JSON so far. */
  readonly messages: unknown[] = [];
  /** What was on standard output but was no JSON. */
  readonly otherLines: string[] = [];
  #child: ChildProcess;
  #stderr = "";
  #exit: Exit | undefined;
  #changed = new Set<() => void>();

  constructor(file: string | URL, options: WorkerOptions = {}) {
    const path = file instanceof URL ? fileURLToPath(file) : file;
    const { args = [], env = {}, cwd, execArgv = [], program } = options;
    const ours = program === undefined ? [...execArgv, ...typescriptArguments] : execArgv;
    this.#child = spawn(program ?? process.execPath, [...ours, path, ...args], {
      env: { ...withoutVitest(process.env), ...env },
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ["pipe", "pipe", "pipe"],
      // A group of its own, so that the guard's kill reaches the worker's children too, and Ctrl-C does not.
      detached: process.platform !== "win32",
    });
    const pid = this.#child.pid;
    if (pid === undefined) throw new Error(`could not start ${path}`);
    this.pid = pid;
    watch("group", pid);
    this.#child.stdin!.on("error", () => {});
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const message = parse(line);
      if (message === undefined) this.otherLines.push(line);
      else this.messages.push(message);
      this.#change();
    });
    this.exited = new Promise((resolve) => {
      // `close`, not `exit`: only then has everything it wrote been read.
      this.#child.once("close", (code, signal) => {
        unwatch("group", pid);
        this.#exit = { code, signal };
        this.#change();
        resolve(this.#exit);
      });
    });
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** One line of JSON to its standard input. */
  send(message: unknown): void {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`);
  }

  endInput(): void {
    this.#child.stdin!.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first message (past or to come) that pleases. Throws when the worker ends first or `limitMs` pass. */
  async message<T = Record<string, unknown>>(pleases: (message: T) => boolean, limitMs = PATIENCE_MS): Promise<T> {
    const find = () => this.messages.find((message) => pleases(message as T)) as T | undefined;
    await this.#until(() => find() !== undefined || !this.running, limitMs, "a message");
    const found = find();
    if (found === undefined) throw new Error(`the worker ended before the message came; ${this.#describe()}`);
    return found;
  }

  /** How it ended. Throws when it still runs after `limitMs`. */
  async exit(limitMs = PATIENCE_MS): Promise<Exit> {
    await this.#until(() => !this.running, limitMs, "its end");
    return this.#exit!;
  }

  /** Ends it now, stopped or not, and what it started in its group: those may hold its output open. */
  async kill(): Promise<Exit> {
    if (this.running) {
      try {
        process.kill(process.platform === "win32" ? this.pid : -this.pid, "SIGKILL");
      } catch {
        // Gone between asking and killing.
      }
    }
    return this.exited;
  }

  async #until(holds: () => boolean, limitMs: number, what: string): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!holds()) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`waited ${limitMs} ms for ${what} in vain; ${this.#describe()}`));
      }, limitMs);
      const done = () => {
        clearTimeout(timer);
        this.#changed.delete(look);
      };
      this.#changed.add(look);
    });
  }

  #change(): void {
    for (const look of [...this.#changed]) look();
  }

  #describe(): string {
    const last = JSON.stringify(this.messages.at(-1) ?? "none");
    const how = this.#exit === undefined ? "it runs" : `it ended with ${this.#exit.signal ?? this.#exit.code}`;
    return `${how}; last message ${last}; standard error: ${this.#stderr.slice(-2000) || "empty"}`;
  }
}

/** Starts workers that are killed after each test of the file that called this. */
export function useWorkers(): (file: string | URL, options?: WorkerOptions) => Worker {
  const workers = new Set<Worker>();
  afterEach(async () => {
    await Promise.all([...workers].map((worker) => worker.kill()));
    workers.clear();
  });
  return (file, options) => {
    const worker = new Worker(file, options);
    workers.add(worker);
    return worker;
  };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** A worker is no test: what vitest sets for its own children would change how it behaves. */
function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, VITEST: _vitest, NODE_ENV: _env, ...rest } = env;
  return rest;
}
