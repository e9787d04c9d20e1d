/**
 * The other commands, as a person or a program uses them: what they print, their JSON, their exit codes, where settings come from.
 * Real processes on a file store.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocks, type Lease, openStore } from "@bucketlock/lock";
import { describe, expect, test, vi } from "vitest";
import { kill, launch, useProgram } from "./program.js";

const program = useProgram();
/** A lease that nobody refers to is collected, and released. */
const held: Lease[] = [];
const eventually = (holds: () => void | Promise<void>) => vi.waitFor(holds, { timeout: 60_000, interval: 20 });
const sh = (script: string, ...args: string[]) => ["--", "sh", "-c", script, "sh", ...args];
const json = async (...args: string[]) => JSON.parse((await program.run([...args, "--json"])).stdout);

/** Locks held by this very test. */
async function holding<T>(work: (locks: ReturnType<typeof createLocks>) => Promise<T>): Promise<T> {
  const locks = createLocks(openStore(program.store()), { label: "holder-1" });
  try {
    return await work(locks);
  } finally {
    await locks.close();
  }
}

test("ls: what is in a store, by the names that people gave, below a prefix, for people and programs", () =>
  holding(async (locks) => {
    held.push(await locks.lock("jobs/a").acquire());
    held.push(await locks.lock("deploy").acquire());
    expect((await program.run(["ls"])).stdout).toBe("deploy  lock  1 ticket\njobs/a  lock  1 ticket\n");
    expect(await json("ls", "jobs/")).toEqual([{ key: "jobs/a", kind: "lock", tickets: 1, protocol: "two-object" }]);
    expect(await json("ls", "none/")).toEqual([]);

    const records = createLocks(openStore(program.store()), { protocol: "conditional", label: "other" });
    held.push(await locks.semaphore("z/api", { permits: 3 }).acquire());
    held.push(await records.semaphore("z/old", { permits: 3 }).acquire());
    const leadership = await locks.election("z/lead").campaign();
    await locks.once("z/report", Date.UTC(2026, 11, 1), () => {});
    await locks.latch("z/gate", 2).arrive();
    const membership = await locks.members("z/fleet").join();
    expect((await program.run(["ls", "z/"])).stdout).toBe(
      [
        "z/api     semaphore  1 ticket",
        "z/fleet   members    1 member",
        "z/gate    latch      1 of 2 arrived",
        "z/lead    election   1 ticket",
        "z/old     semaphore  a record",
        "z/report  job        0 tickets",
        "",
      ].join("\n"),
    );
    await membership.leave();
    await leadership.resign();
    await held.pop()!.release();
    await records.close();
  }));

describe("inspect", () => {
  test("holders and waiters, by either protocol", () =>
    holding(async (locks) => {
      held.push(await locks.lock("k").acquire());
      const waiting = locks
        .lock("k")
        .acquire({ mode: "shared", signal: AbortSignal.timeout(90_000) })
        .catch(() => {});
      const records = createLocks(openStore(program.store()), { protocol: "conditional", label: "other" });
      held.push(await records.lock("r").acquire());
      await eventually(async () => expect((await json("inspect", "k")).waiters).toHaveLength(1));
      const info = await json("inspect", "k");
      expect(info.holders).toEqual([
        expect.objectContaining({ label: "holder-1", mode: "exclusive", state: "holds", life: "alive" }),
      ]);
      const { stdout } = await program.run(["inspect", "k"]);
      expect(stdout).toMatch(
        /^k: held by 1, 1 waiting\n {2}holds +holder-1 +exclusive +since 20\S+ \(.+\) +seen .+ ago +alive\n/,
      );
      expect((await json("inspect", "r")).holders).toEqual([expect.objectContaining({ label: "other" })]);
      expect((await program.run(["inspect", "free"])).stdout).toBe("free: free\n");
      await records.close();
      await locks.close();
      await waiting;
    }));

  test("--watch: a line of JSON at every change, until a signal", () =>
    holding(async (locks) => {
      const running = program.start(["inspect", "k", "--watch", "--json"]);
      await running.shows('"holders":[]');
      held.push(await locks.lock("k").acquire());
      await running.shows("holder-1");
      kill(running.pid, "SIGINT");
      const { code, stdout } = await running.ended;
      expect(code).toBe(130);
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).holders.length),
      ).toEqual([0, 1]);
    }));
});

test("inspect --watch ends when nobody reads it any more", () =>
  holding(async (locks) => {
    const running = program.start(["inspect", "k", "--watch", "--json"]);
    await running.shows('"holders":[]');
    running.child.stdout!.destroy();
    held.push(await locks.lock("k").acquire());
    expect((await running.ended).code).toBe(141);
  }));

describe("break", () => {
  test("what is young is kept: 197; what is told is broken", () =>
    holding(async (locks) => {
      const lease = await locks.lock("k").acquire();
      const kept = await program.run(["break", "k", "--yes"]);
      expect([kept.code, kept.stdout]).toEqual([
        197,
        expect.stringMatching(/nothing broken: holder-1 \(seen .+ ago\) gave a sign of life within 2h;/),
      ]);
      const nobody = await program.run(["break", "k", "--older-than", "0s"]);
      expect([nobody.code, nobody.stderr]).toEqual([
        197,
        expect.stringMatching(/no terminal to ask at.*\[NOT_CONFIRMED\] --yes/),
      ]);
      expect(await json("break", "k", "--older-than", "0s", "--yes", "--ticket", "other")).toMatchObject({
        broken: [],
      });
      expect(await json("break", "k", "--older-than", "0s", "--yes")).toEqual({
        key: "k",
        kind: "lock",
        broken: [lease.ticketId],
        kept: [],
      });
      const free = await program.run(["break", "k"]);
      expect([free.code, free.stdout]).toEqual([0, "nothing to break: k\n"]);
      await lease.release().catch(() => {});
    }));
});

test("revoke: the holder's command is told by TERM and decides itself", async () => {
  const running = program.start([
    "run",
    "k",
    "--lease",
    "3s",
    ...sh(`trap 'echo told; exit 6' TERM; echo ready; while :; do sleep 0.05; done`),
  ]);
  await running.shows("ready");
  expect(await json("revoke", "k", "--reason", "a deploy", "--ticket", "other")).toEqual({
    key: "k",
    kind: "lock",
    asked: [],
  });
  expect((await json("revoke", "k", "--reason", "a deploy")).asked).toHaveLength(1);
  const { code, stdout, stderr } = await running.ended;
  expect([code, stdout]).toEqual([6, "ready\ntold\n"]);
  expect(stderr).toMatch(/asks for k \(a deploy\)/);
  expect((await program.run(["revoke", "k"])).stdout).toBe("nobody to ask: k\n");
  await holding(async (locks) => {
    const lease = await locks.lock("k").acquire();
    expect((await program.run(["revoke", "k"])).stdout).toBe("asked: holder-1\n");
    expect((await program.run(["break", "k", "--older-than", "0s", "--yes"])).stdout).toBe("broken: holder-1\n");
    await lease.release().catch(() => {});
  });
});

describe("revoke", () => {
  const told = `trap 'echo told; exit 6' TERM; echo "began $BUCKETLOCK_KEY"; while :; do sleep 0.05; done`;
  const lease = ["--lease", "3s"];

  test("elect: the command is told, the next in line leads, and who was asked stands for election again", async () => {
    const first = program.start(["elect", "e", ...lease, ...sh(told)]);
    await first.shows("began e\n");
    const second = program.start(["elect", "e", ...lease, ...sh(`echo "leads"; read line; exit 5`)]);
    await eventually(async () => expect((await json("inspect", "e")).waiters).toHaveLength(1));
    expect(await json("revoke", "e", "--reason", "a deploy")).toMatchObject({
      key: "e",
      kind: "election",
      asked: [expect.any(String)],
    });
    await first.shows("told\n");
    await second.shows("leads\n");
    await eventually(async () => expect((await json("inspect", "e")).waiters).toHaveLength(1));
    expect(first.stderr()).toMatch(/asks for e \(a deploy\)[\s\S]*standing for election again: e/);
    // It leads again when it is its turn.
    second.stdin.end("done\n");
    expect((await second.ended).code).toBe(5);
    await first.shows(/told\nbegan e\n/);
    kill(first.pid, "SIGTERM");
    expect((await first.ended).code).toBe(6);
  });

  test("once: the command is told, and what it ends with is its end", async () => {
    const running = program.start(["once", "job", "--slot", "2026-12-01", ...lease, ...sh(told)]);
    await running.shows("began job\n");
    expect((await json("inspect", "job")).kind).toBe("job");
    expect((await program.run(["revoke", "job", "--kind", "lock"])).stdout).toBe("nobody to ask: job\n");
    expect((await program.run(["revoke", "job"])).stdout).toMatch(/^asked: /);
    const { code, stdout, stderr } = await running.ended;
    expect([code, stdout]).toEqual([6, "began job\ntold\n"]);
    expect(stderr).toMatch(/asks for job /);
    expect(await json("history", "job")).toMatchObject([{ outcome: "failed", error: "command: exit code 6" }]);
    expect((await program.run(["revoke", "job", "--kind", "job"])).stdout).toBe("nobody to ask: job (job)\n");
  });

  test.each(["run", "elect", "once"])("%s --on-revoke ignore: the command hears nothing", async (command) => {
    const slot = command === "once" ? ["--slot", "2026-12-01"] : [];
    const go = join(program.directory(), "go");
    const script = `trap 'echo told' TERM; echo began; while [ ! -e "$1" ]; do sleep 0.05; done; exit 7`;
    const running = program.start([
      command,
      "k",
      ...slot,
      ...lease,
      "--json",
      "--on-revoke",
      "ignore",
      ...sh(script, go),
    ]);
    await running.shows("began\n");
    expect((await json("revoke", "k")).asked).toHaveLength(1);
    // Who listens is told with the first renewal after the request.
    const renewals = async () => (await json("inspect", "k")).holders[0].renewals;
    const before = await renewals();
    await eventually(async () => expect(await renewals()).toBeGreaterThan(before + 1));
    writeFileSync(go, "");
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([7, "began\n"]);
  });
});

test("inspect and break take the names that people gave: a lock first, then an election, then a job", () =>
  holding(async (locks) => {
    const leadership = await locks.election("x").campaign();
    expect((await program.run(["inspect", "x"])).stdout).toMatch(/^x \(election\): held by 1\n/);
    held.push(await locks.lock("x").acquire());
    expect((await program.run(["inspect", "x"])).stdout).toMatch(/^x: held by 1\n/);
    expect(await json("inspect", "x", "--kind", "election")).toMatchObject({ key: "x", kind: "election" });
    expect((await program.run(["inspect", "x", "--kind", "job"])).stdout).toBe("x (job): free\n");
    expect((await program.run(["inspect", "x", "--kind", "leader"])).code).toBe(196);
    const broken = await json("break", "x", "--kind", "election", "--older-than", "0s", "--yes");
    expect(broken).toEqual({ key: "x", kind: "election", broken: [leadership.ticketId], kept: [] });
    expect((await json("inspect", "x")).holders).toHaveLength(1);
    await leadership.resign().catch(() => {});
  }));

test("run --semaphore: so many at once, and no more", async () => {
  const go = join(program.directory(), "go");
  const script = `echo in; while [ ! -e "$1" ]; do sleep 0.05; done`;
  const two = [0, 1].map(() => program.start(["run", "k", "--semaphore", "2", ...sh(script, go)]));
  await Promise.all(two.map((one) => one.shows("in")));
  expect((await program.run(["run", "k", "--semaphore", "2", "--no-wait", "--", "true"])).code).toBe(193);
  writeFileSync(go, "");
  expect((await Promise.all(two.map((one) => one.ended))).map(({ code }) => code)).toEqual([0, 0]);
  expect((await program.run(["run", "k", "--semaphore", "0", "--", "true"])).stderr).toMatch(/--semaphore: must be/);
  expect((await program.run(["run", "k", "--semaphore", "2", "--shared", "--", "true"])).code).toBe(196);
});

describe("once", () => {
  const slot = ["--slot", "2026-12-01T03:00:00Z"];

  test("a slot runs once, on whichever host comes first; history tells", async () => {
    const script = 'echo "$BUCKETLOCK_SLOT $BUCKETLOCK_ATTEMPT $BUCKETLOCK_TOKEN"';
    const ran = await Promise.all([1, 2, 3].map(() => program.run(["once", "job", ...slot, ...sh(script)])));
    expect(ran.map(({ code, stderr }) => [code, stderr])).toEqual([1, 2, 3].map(() => [0, ""]));
    expect(ran.map(({ stdout }) => stdout).filter(Boolean)).toEqual(["2026-12-01T03:00:00.000Z 1 1\n"]);
    expect((await program.run(["once", "job", ...slot, "--skip-exit-code", "9", "--", "true"])).code).toBe(9);
    const failed = await program.run(["once", "job", "--slot", "2026-12-02", ...sh("exit 4")]);
    expect(failed.code).toBe(4);
    expect((await program.run(["once", "job", ...slot, ...sh("echo behind")])).stdout).toBe("");
    expect(await json("history", "job")).toEqual([
      expect.objectContaining({ slotMs: Date.parse("2026-12-02"), outcome: "failed", error: "command: exit code 4" }),
      expect.objectContaining({ slotMs: Date.parse("2026-12-01T03:00Z"), outcome: "ok", attempt: 1, token: "1" }),
    ]);
    expect((await program.run(["history", "job", "--limit", "1"])).stdout).toMatch(
      /^2026-12-02T00:00:00Z {2}failed {3}\S+ at 20\S+Z in \S+: command: exit code 4\n$/,
    );
  });

  test("--every: the slot is the last time the pattern was due", async () => {
    const ran = await program.run(["once", "job", "--every", "0 0 1 1 *", ...sh('echo "$BUCKETLOCK_SLOT"')]);
    expect(ran.stdout).toMatch(/^20\d\d-01-01T00:00:00\.000Z\n$/);
    expect((await program.run(["once", "job", "--every", "0 0 1 1 *", ...sh("echo again")])).stdout).toBe("");
  });

  test.each([
    [[], /--slot or --every must be given/],
    [["--every", "* * * * *", "--timezone", "Nowhere"], /--timezone: must be an IANA time zone/],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await program.run(["once", "job", ...args, "--", "true"]);
    expect([code, stderr]).toEqual([196, expect.stringMatching(message)]);
  });
});

test("elect: one leads, the next takes over when it is killed, and its token is higher", async () => {
  const script = `echo "leads $BUCKETLOCK_TOKEN"; exec sleep 1000`;
  const args = ["elect", "e", "--lease", "3s", "--grace", "100ms", ...sh(script)];
  const first = program.start(args);
  await first.shows("leads 1");
  const second = program.start(args);
  await eventually(async () => expect((await json("inspect", "e.election")).waiters).toHaveLength(1));
  expect((await program.run(["elect", "e", "--no-wait", "--", "true"])).code).toBe(193);
  kill(first.pid);
  await second.shows(/leads [2-9]/);
  kill(second.pid, "SIGTERM");
  expect((await second.ended).code).toBe(143);
  const third = await program.run(["elect", "e", ...sh("exit 5")]);
  expect(third.code).toBe(5);
});

test("elect: who loses the lead campaigns again", async () => {
  const running = program.start([
    "elect",
    "e",
    "--lease",
    "3s",
    "--grace",
    "100ms",
    ...sh(`echo "leads $BUCKETLOCK_TOKEN"; exec sleep 1000`),
  ]);
  await running.shows("leads 1");
  expect((await program.run(["break", "e.election", "--older-than", "0s", "--yes"])).code).toBe(0);
  await running.shows(/leads [2-9]/);
  expect(running.stderr()).toMatch(/standing for election again/);
});

test("probe: a report, for people and programs", async () => {
  const report = await json("probe");
  expect([report.format, report.protocols["two-object"].safe]).toEqual([1, true]);
}, 60_000);

describe("doctor", () => {
  test("what is found, where it comes from, what the store allows", async () => {
    const ran = await program.run(["doctor", "--lease", "20s"]);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/setting +store +file:\S+ +BUCKETLOCK_STORE\n/);
    expect(ran.stdout).toMatch(/setting +lease +20s +--lease\n/);
    for (const right of ["write", "read", "head", "list", "delete"])
      expect(ran.stdout).toMatch(new RegExp(`can +${right}`));
    expect(ran.stdout).toMatch(/all is well\n$/);
  });

  test("nobody there: told once, without asking for the rest; a setting that the locks refuse: told too", async () => {
    const args = [
      "doctor",
      "--json",
      "--store",
      "s3://bucket?endpoint=http://127.0.0.1:1&region=r",
      "--label",
      "a\u001b[2J",
    ];
    const { code, stdout } = await program.run([...args, "--request-timeout", "2s"], {
      env: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "SECRET" },
    });
    const { trials, findings } = JSON.parse(stdout);
    expect([code, trials.map(({ what }: { what: string }) => what)]).toEqual([195, ["write"]]);
    expect(findings.map(({ text }: { text: string }) => text)).toEqual([
      expect.stringMatching(/^--label: must be 1 to 200 printable/),
      expect.stringMatching(/^cannot write: the store cannot be reached.*\[STORE_UNREACHABLE\]$/),
    ]);
    expect(stdout).not.toContain("SECRET");
  });

  test("what is wrong, and what to do", async () => {
    const { code, stdout } = await program.run(["doctor", "--json", "--store", "file:/no/such/dir"], {
      env: { BUCKETLOCK_LEESE: "1s" },
    });
    const { findings } = JSON.parse(stdout);
    expect(code).toBe(196);
    expect(findings).toEqual([
      { level: "problem", text: expect.stringMatching(/^--store: must exist .*\?create=1/), todo: expect.any(String) },
      { level: "warning", text: "BUCKETLOCK_LEESE is no setting", todo: "check its spelling" },
    ]);
  });
});

test("what is wrong is told in the words it was written in, on one line, with no secret", async () => {
  const typed: [readonly string[], Record<string, string>, RegExp][] = [
    [["ls", "--store", "ftp://x"], {}, /^bucketlock: --store: must begin with s3:, b2:, file: or memory:; got "ftp:"/],
    [["ls"], { BUCKETLOCK_STORE: "s3://k:SECRET@b" }, /^bucketlock: BUCKETLOCK_STORE: must hold no credentials/],
    [["ls"], { BUCKETLOCK_STORE: "" }, /^bucketlock: no store is given: by --store, BUCKETLOCK_STORE/],
    [["run", "k", "--label", "a\u001b[2J", "--", "true"], {}, /^bucketlock: --label: must be/],
    [["run", "k", "--wait", "", "--", "true"], {}, /^bucketlock: --wait: must be a number with a unit/],
    [["run", "k"], {}, /^bucketlock: the command to run is missing/],
    [["history", "j", "--limit", "x"], {}, /--limit: must be a whole number from 1 to 1000; got "x"/],
  ];
  const told = typed.map(async ([args, env, message]) => {
    const { code, stderr, stdout } = await program.run(args, { env });
    expect([code, stderr, stdout]).toEqual([196, expect.stringMatching(message), ""]);
    expect(stderr.trimEnd()).not.toMatch(/\p{Cc}|SECRET/u);
  });
  await Promise.all(told);
});

test("in a clone it starts from source, whatever the working directory", async () => {
  const script = join(import.meta.dirname, "../../scripts/bucketlock.mjs");
  mkdirSync(program.directory(), { recursive: true });
  const options = { env: program.env(), cwd: program.directory(), stdin: "ignore" } as const;
  const { code, stdout } = await launch(process.execPath, [script, "doctor", "--store", "memory:"], options).ended;
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^node .*\nfile +no bucketlock.yaml/)]);
});

test("no command at all: the help, on standard error; `help` and --help: on standard output", async () => {
  const bare = await program.run([]);
  expect([bare.code, bare.stdout, bare.stderr]).toEqual([196, "", expect.stringMatching(/^Usage: bucketlock/)]);
  expect(bare.stderr).toMatch(/^ {2}run \[options\] <key> -- command/m);
  const asked = await program.run(["help", "run"]);
  expect([asked.code, asked.stderr]).toEqual([0, ""]);
  expect(asked.stdout).toMatch(/^Usage: bucketlock run \[options\] <key> -- command/);
});

test("settings: a flag before the environment, that before the nearest bucketlock.yaml", async () => {
  const project = join(program.directory(), "project");
  mkdirSync(join(project, "deep"), { recursive: true });
  writeFileSync(join(project, "bucketlock.yaml"), "lease: 20s\nlabel: from-file\nwait: 7s\n");
  const cwd = join(project, "deep");
  const read = async (args: string[] = [], env: Record<string, string> = {}) =>
    JSON.parse((await program.run(["doctor", "--json", ...args], { cwd, env })).stdout).settings;
  const settings = await read(["--lease", "5s"], { BUCKETLOCK_LEASE: "10s", BUCKETLOCK_WAIT: "9s" });
  expect([settings.lease.value, settings.wait.value, settings.label.value]).toEqual([5_000, 9_000, "from-file"]);
  expect((await read()).lease).toEqual({ value: 20_000, from: join(project, "bucketlock.yaml") });
  writeFileSync(join(project, "other.yaml"), "lease: 3s\n");
  expect((await read(["--config", "../other.yaml"])).lease.value).toBe(3_000);
  expect((await read([], { BUCKETLOCK_CONFIG: "../other.yaml" })).lease.value).toBe(3_000);
  writeFileSync(join(project, "bucketlock.yaml"), "lease: [\n");
  const broken = await program.run(["ls"], { cwd });
  expect([broken.code, broken.stderr]).toEqual([196, expect.stringMatching(/no YAML.*\[CONFIG_UNREADABLE\]/)]);
});
