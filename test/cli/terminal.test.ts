/**
 * `bucketlock` at a terminal: a real pseudo-terminal with real job control. What is typed reaches the command, signals reach it once,
 * Ctrl-Z stops both, and its end finds all its processes although they share our group.
 */
import { readFileSync } from "node:fs";
import { createLocks, type Lease, openStore } from "@bucketlock/lock";
import { type IPty, spawn } from "@lydell/node-pty";
import { afterEach, describe, expect, test, vi } from "vitest";
import { unwatch, watch } from "../servers/guard.js";
import { kill, useProgram } from "./program.js";

const program = useProgram();
/** A lease that nobody refers to is collected, and released. */
const held: Lease[] = [];
const eventually = (holds: () => void | Promise<void>) => vi.waitFor(holds, { timeout: 60_000, interval: 20 });

class Terminal {
  readonly pty: IPty;
  readonly exited: Promise<{ exitCode: number }>;
  text = "";

  constructor(file: string, args: string[], env: Record<string, string> = {}) {
    const clean = Object.fromEntries(
      Object.entries({ ...program.env(), ...env }).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    this.pty = spawn(file, args, { cols: 200, rows: 40, name: "xterm", env: clean });
    watch("group", this.pty.pid);
    this.pty.onData((data) => {
      this.text += data;
    });
    this.exited = new Promise((resolve) => {
      this.pty.onExit((exit) => {
        unwatch("group", this.pty.pid);
        resolve(exit);
      });
    });
  }

  shows(text: string | RegExp): Promise<void> {
    return eventually(() => expect(this.text).toMatch(text));
  }
}

const open: Terminal[] = [];
afterEach(async () => {
  for (const { pty } of open) kill(-pty.pid);
  await Promise.all(open.map(({ exited }) => exited));
  open.length = 0;
});

function bucketlock(args: string[], env?: Record<string, string>): Terminal {
  const terminal = new Terminal(process.execPath, [program.file(), ...args], env);
  open.push(terminal);
  return terminal;
}

const sh = (script: string) => ["--", "sh", "-c", script];

/** Work under a lock that this very test holds. */
async function holding(work: (locks: ReturnType<typeof createLocks>) => Promise<void>): Promise<void> {
  const locks = createLocks(openStore(program.store()), { label: "holder-1" });
  try {
    await work(locks);
  } finally {
    await locks.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

describe("the command at a terminal", () => {
  test("it has the terminal: reads from it, knows its size, may open /dev/tty", async () => {
    const terminal = bucketlock(["run", "k", ...sh("echo ready; stty size; read x </dev/tty; echo got $x; exit 3")]);
    await terminal.shows(/ready\r\n40 200/);
    terminal.pty.write("hello\r");
    await terminal.shows("got hello");
    expect((await terminal.exited).exitCode).toBe(3);
  });

  test("Ctrl-C reaches it once, and it may go on; a change of the window too", async () => {
    const script = `trap 'echo INT' INT; trap 'echo WINCH' WINCH; trap 'echo TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done`;
    const terminal = bucketlock(["run", "k", ...sh(script)]);
    await terminal.shows("ready");
    terminal.pty.write("\u0003");
    await terminal.shows("INT");
    terminal.pty.resize(100, 30);
    await terminal.shows("WINCH");
    // Later than what would have come twice.
    kill(terminal.pty.pid, "SIGTERM");
    expect((await terminal.exited).exitCode).toBe(5);
    expect(terminal.text.match(/INT\r/g)).toHaveLength(1);
    expect(terminal.text.match(/WINCH/g)).toHaveLength(1);
    expect(terminal.text.match(/TERM\r/g)).toHaveLength(1);
  });

  test("Ctrl-Z stops both, fg continues both", async () => {
    const terminal = new Terminal("bash", ["--norc", "--noprofile", "-i"], { PS1: "prompt> " });
    open.push(terminal);
    await terminal.shows("prompt> ");
    const command = `echo ready; read x; echo got $x`;
    terminal.pty.write(
      `'${process.execPath}' '${program.file()}' run k -- sh -c "${command.replaceAll("$", "\\$")}"\r`,
    );
    await terminal.shows(/[\r\n]ready\r/);
    terminal.pty.write("\u001a");
    await terminal.shows(/Stopped/);
    terminal.pty.write("fg\r");
    // The shell tells which job it continues.
    await terminal.shows(/fg\r\n[\s\S]*bucketlock\.js/);
    terminal.pty.write("hello\r");
    await terminal.shows(/[\r\n]got hello\r/);
    terminal.pty.write("echo code $?\r");
    await terminal.shows(/[\r\n]code 0\r/);
    terminal.pty.write("exit\r");
    await terminal.exited;
  });

  describe.skipIf(process.platform !== "linux" && "looks for processes in /proc")("its end", () => {
    const stubborn = `trap "" TERM HUP; (trap "" TERM HUP; sleep 1000) & echo $! $$ ready; while :; do sleep 0.05; done`;
    const args = ["run", "k", "--lease", "3s", "--grace", "100ms", ...sh(stubborn)];
    const pidsOf = (text: string) => /(\d+) (\d+) ready/.exec(text)!.slice(1).map(Number);

    test("a lost lease ends all its processes, and none of ours: 194", async () => {
      const terminal = bucketlock(args);
      await terminal.shows("ready");
      const pids = pidsOf(terminal.text);
      await holding(async (locks) => void (await locks.lock("k").breakLock({ olderThanMs: 0 })));
      expect((await terminal.exited).exitCode).toBe(194);
      expect(terminal.text).toMatch(/the lease is lost/);
      expect(pids.map(isAlive)).toEqual([false, false]);
    });

    test("bucketlock killed: they are ended too", async () => {
      const terminal = bucketlock(args);
      await terminal.shows("ready");
      const pids = pidsOf(terminal.text);
      expect(pids.map(isAlive)).toEqual([true, true]);
      kill(terminal.pty.pid);
      await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]));
    });
  });
});

describe("what a person sees", () => {
  test("while waiting: who holds it and since when; the line is gone when the command runs", () =>
    holding(async (locks) => {
      const lease = await locks.lock("k").acquire();
      const terminal = bucketlock(["run", "k", ...sh("echo ran")]);
      await terminal.shows(/waiting \d+\S+ for k: held by holder-1 since 20\S+Z \(/);
      await lease.release();
      await terminal.exited;
      // A line that the terminal wrapped could not be taken back.
      for (const frame of terminal.text.split("\r\u001b[K").filter((part) => part.includes("waiting")))
        expect([frame.slice(0, 5), frame.slice(-5)]).toEqual(["\u001b[?7l", "\u001b[?7h"]);
      expect(terminal.text.slice(terminal.text.lastIndexOf("holder-1"))).toContain("\r\u001b[Kran\r\n");
    }));

  test("colours, unless NO_COLOR", () =>
    holding(async (locks) => {
      held.push(await locks.lock("k").acquire());
      const coloured = bucketlock(["inspect", "k"], { NO_COLOR: "" });
      await coloured.exited;
      expect(coloured.text).toContain("\u001b[32malive");
      const plain = bucketlock(["inspect", "k"], { NO_COLOR: "1" });
      await plain.exited;
      expect(plain.text).not.toContain("\u001b[");
      expect(plain.text).toContain("alive");
    }));

  test("break asks; no is no, and yes is yes", () =>
    holding(async (locks) => {
      held.push(await locks.lock("k").acquire());
      const no = bucketlock(["break", "k", "--older-than", "0s"]);
      await no.shows(/Break k, held or waited for by holder-1 \(seen .+ ago\)\? ALIVE: holder-1;.*\[y\/N\]/);
      no.pty.write("\u0004");
      expect((await no.exited).exitCode).toBe(197);
      expect((await locks.lock("k").inspect()).holders).toHaveLength(1);
      const interrupted = bucketlock(["break", "k", "--older-than", "0s"]);
      await interrupted.shows(/\[y\/N\]/);
      interrupted.pty.write("\u0003");
      expect((await interrupted.exited).exitCode).toBe(130);
      expect((await locks.lock("k").inspect()).holders).toHaveLength(1);
      const yes = bucketlock(["break", "k", "--older-than", "0s"]);
      await yes.shows(/\[y\/N\]/);
      yes.pty.write("y\r");
      expect((await yes.exited).exitCode).toBe(0);
      expect((await locks.lock("k").inspect()).holders).toHaveLength(0);
      await locks.close().catch(() => {});
    }));
});
