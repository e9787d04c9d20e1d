/**
 * The demo's processes: starts them, gives them orders, keeps their chronicle, kills and ends them. None outlives the demo.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Chronicle } from "./chronicle.js";
import { nowMs, type Order, type Shared, type Told } from "./conversation.js";

const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url));
const START_LIMIT_MS = 60_000;
const END_LIMIT_MS = 15_000;

interface Member {
  readonly child: ChildProcess;
  readonly gone: Promise<void>;
  readonly orders: Order[];
  isReady: boolean;
  isBusy: boolean;
  isGone: boolean;
}

export interface CrewSettings {
  readonly shared: Shared;
  readonly chronicle: Chronicle;
  /** Ends every wait, with its reason. */
  readonly signal: AbortSignal;
  readonly onTold: (name: string, told: Told) => void;
}

export class Crew {
  readonly #settings: CrewSettings;
  readonly #members = new Map<string, Member>();
  readonly #waiting = new Set<() => void>();
  #failure: Error | undefined;
  #ending = false;

  constructor(settings: CrewSettings) {
    this.#settings = settings;
  }

  /** Starts a process each; resolves when all are ready. */
  async start(names: readonly string[]): Promise<void> {
    for (const name of names) this.#spawn(name);
    await this.until(
      () => [...this.#members.values()].every((member) => member.isReady),
      START_LIMIT_MS,
      "processes to start",
    );
  }

  /** One order after the other. */
  order(name: string, ...orders: Order[]): void {
    const member = this.#member(name);
    member.orders.push(...orders);
    this.#next(member);
  }

  /** At once, whatever it does. */
  tell(name: string, order: Order): void {
    this.#member(name).child.send(order, () => {});
  }

  isIdle(name: string): boolean {
    const { isBusy, orders, isGone } = this.#member(name);
    return isGone || (!isBusy && orders.length === 0);
  }

  /** SIGKILL: no handler, no clean-up, no release. */
  async kill(name: string): Promise<void> {
    const member = this.#member(name);
    member.orders.length = 0;
    this.#settings.chronicle.killed(name, nowMs());
    member.child.kill("SIGKILL");
    await member.gone;
  }

  /** Resolves once `holds()`; looked at whenever a process says something. */
  async until(holds: () => boolean, limitMs: number, what: string): Promise<void> {
    const { signal } = this.#settings;
    await new Promise<void>((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", look);
        this.#waiting.delete(look);
        end();
      };
      const look = () => {
        if (signal.aborted) settle(() => reject(signal.reason));
        else if (this.#failure !== undefined) settle(() => reject(this.#failure));
        else if (holds()) settle(resolve);
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`waited ${limitMs / 1000} s for ${what} in vain`))),
        limitMs,
      );
      signal.addEventListener("abort", look);
      this.#waiting.add(look);
      look();
    });
  }

  /** All end in good order, or are killed. Never rejects. */
  async end(): Promise<void> {
    this.#ending = true;
    const members = [...this.#members.values()];
    for (const { child } of members) {
      if (child.connected) child.send({ do: "end" } satisfies Order, () => {});
    }
    const limit = setTimeout(() => {
      for (const { child } of members) child.kill("SIGKILL");
    }, END_LIMIT_MS);
    await Promise.all(members.map((member) => member.gone));
    clearTimeout(limit);
  }

  #spawn(name: string): void {
    const child = spawn(process.execPath, [...process.execArgv, WORKER, name, JSON.stringify(this.#settings.shared)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let stderr = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-2000);
    });
    const gone = new Promise<void>((resolve) => {
      child.once("error", (error) => {
        this.#fail(new Error(`${name} could not be started`, { cause: error }));
        resolve();
      });
      child.once("close", (code, signal) => {
        member.isGone = true;
        const killedByUs = this.#settings.chronicle.kills.some((kill) => kill.name === name);
        if (!killedByUs && !this.#ending) {
          this.#fail(new Error(`${name} ended unexpectedly (${signal ?? `exit code ${code}`})\n${stderr}`.trimEnd()));
        }
        this.#look();
        resolve();
      });
    });
    const member: Member = { child, gone, orders: [], isReady: false, isBusy: false, isGone: false };
    this.#members.set(name, member);
    child.on("message", (told: Told) => {
      if (told.is === "ready") member.isReady = true;
      this.#settings.chronicle.add(name, told);
      this.#settings.onTold(name, told);
      if (told.is === "failed") this.#fail(Object.assign(new Error(`${name}: ${told.message}`), { code: told.code }));
      if (told.is === "done") {
        member.isBusy = false;
        this.#next(member);
      }
      this.#look();
    });
  }

  #next(member: Member): void {
    if (member.isBusy || !member.child.connected) return;
    const order = member.orders.shift();
    if (order === undefined) return;
    member.isBusy = true;
    member.child.send(order, () => {});
  }

  #fail(error: Error): void {
    if (this.#ending) return;
    this.#failure ??= error;
    this.#look();
  }

  #look(): void {
    for (const look of [...this.#waiting]) look();
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`no process is called ${name}`);
    return member;
  }
}
