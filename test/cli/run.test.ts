/**
 * `bucketlock run` with real processes on a file store: exit codes, files, signals, waiting, loss, and nothing of a command left
 * alive. Waits for facts, asserts no times.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocks, type Lease, openStore } from "@bucketlock/lock";
import { describe, expect, test, vi } from "vitest";
import { kill, useProgram } from "./program.js";

const program = useProgram();
/** A lease that nobody refers to is collected, and released. */
const held: Lease[] = [];
// The discard port: whoever asks it is refused at once.
const nowhere = "s3://bucket?endpoint=http://127.0.0.1:9&region=r";
const keys = { AWS_ACCESS_KEY_ID: "anykey", AWS_SECRET_ACCESS_KEY: "averysecretword" };
const sh = (script: string, ...args: string[]) => ["--", "sh", "-c", script, "sh", ...args];
const inDirectory = (name: string) => join(program.directory(), name);
/** For facts that nobody tells: looked for until they are there. */
const eventually = (holds: () => void | Promise<void>) => vi.waitFor(holds, { timeout: 60_000, interval: 20 });

async function holders(key: string): Promise<number> {
  const locks = createLocks(openStore(program.store()));
  const info = await locks.lock(key).inspect();
  await locks.close();
  return info.holders.length;
}

/** Not a zombie: those are dead, and only wait for somebody to ask. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

const notLinux = process.platform !== "linux" && "looks for processes in /proc";

describe("exit codes", () => {
  test.each([
    ["the command's own", "exit 3", 3],
    ["one that looks like ours", "exit 193", 193],
    ["a signal's", "kill -TERM $$", 143],
  ])("%s", async (_what, script, code) => {
    expect(await program.run(["run", "k", ...sh(script)])).toEqual({ code, signal: null, stdout: "", stderr: "" });
    expect(await holders("k")).toBe(0);
  });

  test.each<[string, string[], number, RegExp]>([
    ["no such command", ["run", "k", "--", "no-such-command"], 127, /not found: no-such-command \[COMMAND_NOT_FOUND\]/],
    ["not executable", ["run", "k", "--", "/etc/passwd"], 126, /cannot be executed.*\[COMMAND_NOT_EXECUTABLE\]/],
    ["no --", ["run", "k", "true"], 196, /must follow after --/],
    ["no key", ["run", "--", "true"], 196, /key/],
    ["a bad key", ["run", "a//b", "--", "true"], 196, /must not contain '\/\/'.*\[INVALID_OPTION\]/],
    ["an unknown option", ["run", "k", "--wiat", "3s", "--", "true"], 196, /--wiat.*--wait/],
    [
      "a duration without a unit",
      ["run", "k", "--lease", "30", "--", "true"],
      196,
      /--lease: must be a number with a unit/,
    ],
    ["no store", ["run", "k", "--store", "", "--", "true"], 196, /--store: must be a text/],
    ["no such directory", ["run", "k", "--store", "file:/no/such/dir", "--", "true"], 196, /must exist/],
    [
      "a server that does not answer",
      ["run", "k", "--store", nowhere, "--no-wait", "--request-timeout", "300ms", "--", "true"],
      195,
      /UNREACHABLE|NOT_WRITTEN|TIMEOUT/,
    ],
    ["b2 without its package", ["run", "k", "--store", "b2://b", "--", "true"], 196, /npm install @bucketlock\/b2/],
  ])("%s: one line, with its code and what to do", async (_what, args, code, message) => {
    const ran = await program.run(args, { cwd: "/", env: keys });
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([code, "", expect.stringMatching(message)]);
    expect(ran.stderr).toMatch(/^bucketlock: [^\n]*\[[A-Z0-9_]+\] [^\n]*\n$/);
  });

  test("not acquired: 193, or what was asked for; and who holds it", async () => {
    const locks = createLocks(openStore(program.store()), { label: "somebody" });
    held.push(await locks.lock("k").acquire());
    const once = await program.run(["run", "k", "--no-wait", "--", "true"]);
    expect([once.code, once.stderr]).toEqual([193, expect.stringMatching(/not acquired.*held by somebody since 20/)]);
    const silent = await program.run(["run", "k", "--wait", "10ms", "--skip-exit-code", "0", "--", "true"]);
    expect([silent.code, silent.stderr]).toEqual([0, ""]);
    const shared = await program.run(["run", "other", "--shared", "--no-wait", "--", "true"]);
    expect(shared.code).toBe(0);
    await locks.close();
  });
});

describe("what the command gets", () => {
  test("its variables; the token rises", async () => {
    const script = 'echo "$BUCKETLOCK_KEY $BUCKETLOCK_TOKEN $BUCKETLOCK_LEASE_UNTIL"';
    const first = await program.run(["run", "jobs/nightly", ...sh(script)]);
    const second = await program.run(["run", "jobs/nightly", ...sh(script)]);
    expect([first.stdout, second.stdout].map((line) => line.split(" ").slice(0, 2))).toEqual([
      ["jobs/nightly", "1"],
      ["jobs/nightly", "2"],
    ]);
    expect(Number(first.stdout.split(" ")[2])).toBeGreaterThan(Date.now() - 60_000);
    const without = await program.run(["run", "jobs/nightly", "--no-token", ...sh('echo "[$BUCKETLOCK_TOKEN]"')]);
    expect(without.stdout).toBe("[]\n");
  });

  test("10 MB through its pipes, unchanged", async () => {
    const input = "0123456789abcdef".repeat(655_360);
    const ran = await program.run(["run", "k", "--", "cat"], { input });
    expect(ran.code).toBe(0);
    expect(createHash("sha256").update(ran.stdout).digest("hex")).toBe(
      createHash("sha256").update(input).digest("hex"),
    );
  });

  test("both outputs, each as its own, and a closed input", async () => {
    const ran = await program.run(["run", "k", ...sh("cat; echo out; echo err >&2")], { input: "" });
    expect(ran).toEqual({ code: 0, signal: null, stdout: "out\n", stderr: "err\n" });
  });

  test("with --json the news are on standard error, the output is the command's alone", async () => {
    const ran = await program.run(["run", "k", "--json", ...sh("echo out; exit 4")]);
    expect([ran.code, ran.stdout]).toEqual([4, "out\n"]);
    const news = ran.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(news).toEqual([
      expect.objectContaining({ bucketlock: "acquired", key: "k", token: "1", ticketId: expect.any(String) }),
      { bucketlock: "exited", key: "k", code: 4, lost: false, exit: 4 },
    ]);
    const wrong = await program.run(["run", "k", "--json", "--lease", "x", "--", "true"]);
    expect(JSON.parse(wrong.stderr)).toMatchObject({ bucketlock: "error", code: "INVALID_OPTION", exit: 196 });
  });
});

describe("signals", () => {
  // The whole list is the law's (law.test.ts); these are each of another kind.
  test.each(["SIGHUP", "SIGINT", "SIGUSR1", "SIGWINCH"] as const)(
    "%s is passed on, to grandchildren too",
    async (signal) => {
      const name = signal.slice(3);
      // A shell runs its trap when the program before it has ended. In the background some signals would be ignored.
      const script = `trap 'echo parent; exit 7' ${name}; sh -c 'trap "echo child; exit 0" ${name}; echo ready; while :; do sleep 0.05; done'; exit 8`;
      const running = program.start(["run", "k", ...sh(script)]);
      await running.shows("ready");
      kill(running.pid, signal);
      const { code, stdout } = await running.ended;
      expect([code, stdout.trim().split("\n").sort()]).toEqual([7, ["child", "parent", "ready"]]);
    },
  );

  test("a command that dies of it: 128 + n, and the lock is given back", async () => {
    const running = program.start(["run", "k", ...sh("echo ready; exec sleep 1000")]);
    await running.shows("ready");
    kill(running.pid, "SIGTERM");
    expect((await running.ended).code).toBe(143);
    expect(await holders("k")).toBe(0);
  });

  test("while waiting: out of the line at once, nothing left, nothing run", async () => {
    const locks = createLocks(openStore(program.store()));
    const lease = await locks.lock("k").acquire();
    const running = program.start(["run", "k", ...sh("echo ran")]);
    await eventually(async () => expect((await locks.lock("k").inspect()).waiters).toHaveLength(1));
    kill(running.pid, "SIGTERM");
    expect(await running.ended).toEqual({ code: 143, signal: null, stdout: "", stderr: "" });
    expect((await locks.lock("k").inspect()).waiters).toHaveLength(0);
    await lease.release();
    await locks.close();
  });
});

test("waits, and runs when the lock is free", async () => {
  const locks = createLocks(openStore(program.store()));
  const lease = await locks.lock("k").acquire();
  const running = program.start(["run", "k", ...sh("echo ran")]);
  await eventually(async () => expect((await locks.lock("k").inspect()).waiters).toHaveLength(1));
  expect(running.stdout()).toBe("");
  await lease.release();
  expect((await running.ended).stdout).toBe("ran\n");
  await locks.close();
});

describe("a lost lease", () => {
  const breakIt = async () => {
    const locks = createLocks(openStore(program.store()));
    await locks.lock("k").breakLock({ olderThanMs: 0 });
    await locks.close();
  };
  const lease = ["--lease", "3s", "--grace", "100ms"];

  test.skipIf(notLinux)("ends the command and all that descends from it: 194", async () => {
    // One that ignores TERM, and one that left the group.
    const script = `trap "" TERM; setsid sleep 1000 & echo $! $$ ready; while :; do sleep 0.05; done`;
    const running = program.start(["run", "k", ...lease, ...sh(script)]);
    await running.shows("ready");
    const pids = running.stdout().split(" ").slice(0, 2).map(Number);
    await breakIt();
    const ran = await running.ended;
    expect([ran.code, ran.stderr]).toEqual([194, expect.stringMatching(/the lease is lost.*ending the command/)]);
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  test("with --on-lost ignore the command runs on, and its exit code counts", async () => {
    const script = `echo ready; while [ ! -e "$1" ]; do sleep 0.05; done; exit 5`;
    const running = program.start(["run", "k", "--on-lost", "ignore", ...lease, ...sh(script, inDirectory("go"))]);
    await running.shows("ready");
    await breakIt();
    await eventually(() => expect(running.stderr()).toMatch(/runs on without it/));
    writeFileSync(inDirectory("go"), "");
    expect((await running.ended).code).toBe(5);
  });
});

describe.skipIf(notLinux)("a wrapper that cannot end its command", () => {
  const stubborn = `trap "" TERM HUP; setsid sleep 1000 & echo $! $$ ready; while :; do sleep 0.05; done`;
  const pidsOf = (stdout: string) => stdout.split(" ").slice(0, 2).map(Number);

  test("killed: the command is ended with all that descends from it, and the lock expires", async () => {
    const running = program.start(["run", "k", "--lease", "3s", "--grace", "100ms", ...sh(stubborn)]);
    await running.shows("ready");
    const pids = pidsOf(running.stdout());
    expect(pids.map(isAlive)).toEqual([true, true]);
    kill(running.pid);
    await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]));
    const next = await program.run(["run", "k", "--", "true"]);
    expect(next.code).toBe(0);
  });

  test("killed before the command ran: nothing runs, no guard stays", async () => {
    const locks = createLocks(openStore(program.store()));
    held.push(await locks.lock("k").acquire());
    const running = program.start(["run", "k", ...sh(`touch "$1"`, inDirectory("ran"))]);
    await eventually(async () => expect((await locks.lock("k").inspect()).waiters).toHaveLength(1));
    kill(running.pid);
    await running.ended;
    await locks.close();
    expect(existsSync(inDirectory("ran"))).toBe(false);
  });

  test("stopped beyond its lease: the command is dead before the next one starts; woken, it says so", async () => {
    const log = inDirectory("log");
    // Each beat is written by a process of its own: what is written late is seen.
    const beating = `trap "" TERM; echo $$ ready; while :; do echo "old" >> "$1"; sleep 0.02; done`;
    const running = program.start(["run", "k", "--lease", "3s", "--grace", "100ms", ...sh(beating, log)]);
    await running.shows("ready");
    const pid = Number(running.stdout().split(" ")[0]);
    kill(running.pid, "SIGSTOP");
    const script = `if kill -0 "$1" 2>/dev/null && ! grep -q "^State:.Z" "/proc/$1/status"; then echo alive; else echo dead; fi; echo new >> "$2"; sleep 0.3; echo over >> "$2"`;
    const next = await program.run(["run", "k", "--lease", "3s", ...sh(script, String(pid), log)]);
    expect([next.code, next.stdout]).toEqual([0, "dead\n"]);
    const lines = readFileSync(log, "utf8").trim().split("\n");
    expect(lines.slice(lines.indexOf("new"))).toEqual(["new", "over"]);
    kill(running.pid, "SIGCONT");
    const ran = await running.ended;
    expect([ran.code, ran.stderr]).toEqual([194, expect.stringMatching(/the lease is lost/)]);
  });

  test("a guard that is killed is started again", async () => {
    const running = program.start(["run", "k", "--lease", "3s", "--grace", "100ms", ...sh(stubborn)]);
    await running.shows("ready");
    const pids = pidsOf(running.stdout());
    const guards = () => childrenOf(running.pid).filter((pid) => isGuard(pid));
    const [first] = guards();
    kill(first!);
    await eventually(() => expect(guards().filter((pid) => pid !== first)).toHaveLength(1));
    kill(running.pid);
    await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]));
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

const isGuard = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("guard.js");

test("one run inside another: the outer end ends both", async () => {
  const inner = [process.execPath, program.file(), "run", "inner", "--", "sh", "-c", "echo ready; exec sleep 1000"];
  const running = program.start(["run", "outer", "--", ...inner]);
  await running.shows("ready");
  kill(running.pid, "SIGTERM");
  expect((await running.ended).code).toBe(143);
  expect([await holders("outer"), await holders("inner")]).toEqual([0, 0]);
});

test("what the command left in the background runs on, without the lock", async () => {
  const script = `sleep 1000 > /dev/null 2>&1 & echo $!`;
  const ran = await program.run(["run", "k", ...sh(script)]);
  const pid = Number(ran.stdout);
  expect(isAlive(pid)).toBe(process.platform === "linux");
  expect(await holders("k")).toBe(0);
  kill(pid);
});
