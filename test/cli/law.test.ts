/** The pure decisions of the command line: durations, settings, exit codes, signals, the lease's shares. */
import { BucketlockError, InvalidError } from "@bucketlock/core";
import type { TicketInfo } from "@bucketlock/lock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorLine } from "../../packages/lock/src/cli/advice.js";
import { describeHolders, describeLock } from "../../packages/lock/src/cli/describe.js";
import { describeSeen, findings, type Seen } from "../../packages/lock/src/cli/doctor-report.js";
import { parseDuration, showDuration, showSeconds, spellDuration } from "../../packages/lock/src/cli/duration.js";
import { EXIT, EXIT_MEANINGS, exitCodeOf, exitCodeOfError } from "../../packages/lock/src/cli/exit-code.js";
import { graceAfterLossMs, leasePlan } from "../../packages/lock/src/cli/lease-plan.js";
import { listedIn } from "../../packages/lock/src/cli/lock-names.js";
import { printable } from "../../packages/lock/src/cli/printable.js";
import { resolveSettings, retold, SETTINGS, unknownVariables } from "../../packages/lock/src/cli/settings.js";
import { caught, FORWARDED, isForwarded } from "../../packages/lock/src/cli/signals.js";
import { slotOf } from "../../packages/lock/src/cli/slot.js";

describe("durations", () => {
  test.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["0s", 0],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
  ])("%s is %i ms", (text, ms) => expect(parseDuration("--wait", text)).toBe(ms));

  test.each(["", "30", "30 s", "s", "-1s", "1e3s", "1m30s", "30S", "30sec", " 30s", "1.2345s", "99999999999s", "25d"])(
    "refuses %j by name",
    (text) => expect(() => parseDuration("--wait", text)).toThrow(/^--wait: must be .*; got /),
  );

  test.each([null, 30, ["30s"], {}])("refuses what is no text: %j", (value) =>
    expect(() => parseDuration("wait in x.yaml", value)).toThrow(InvalidError),
  );

  test.each([
    [0, "0ms"],
    [999, "999ms"],
    [42_900, "42s"],
    [125_000, "2m 05s"],
    [7_260_000, "2h 01m"],
    [360_000_000, "4d 04h"],
  ])("%i ms is shown as %s", (ms, text) => expect(showDuration(ms)).toBe(text));

  test("what is shown again and again has no milliseconds", () => expect(showSeconds(999)).toBe("0s"));

  test("as it would be typed: what is read again is the same", () => {
    expect([0, 1_500, 90_000, 7_200_000, 86_400_000].map(spellDuration)).toEqual(["0ms", "1500ms", "90s", "2h", "1d"]);
    fc.assert(fc.property(fc.nat(2_147_483_647), (ms) => parseDuration("x", spellDuration(ms)) === ms));
  });

  test("limits are told as durations", () => {
    const limits = { min: 300, max: 86_400_000 };
    expect(() => parseDuration("--lease", "2d", limits)).toThrow(/^--lease: must be from 300ms to 1d; got "2d"$/);
    expect(() => parseDuration("--lease", "299ms", limits)).toThrow(InvalidError);
    expect(parseDuration("--lease", "1d", limits)).toBe(86_400_000);
  });
});

describe("settings", () => {
  const file = { path: "/x/bucketlock.yaml", values: { store: "file:/f", lease: "20s", label: "from-file" } };
  const env = { BUCKETLOCK_STORE: "file:/e", BUCKETLOCK_LEASE: "10s" };

  test("a flag wins over the environment, that over the file, that over the default; each says where it is from", () => {
    const settled = resolveSettings({ flags: { lease: "5s" }, env, file });
    expect(settled.lease).toEqual({ value: 5_000, from: "--lease" });
    expect(settled.store).toEqual({ value: "file:/e", from: "BUCKETLOCK_STORE" });
    expect(settled.label).toEqual({ value: "from-file", from: "/x/bucketlock.yaml" });
    expect(settled.wait).toEqual({ value: 60_000, from: "default" });
  });

  test("an empty variable is none", () => {
    expect(resolveSettings({ flags: {}, env: { BUCKETLOCK_LEASE: "" }, file }).lease.value).toBe(20_000);
  });

  test.each<[string, Parameters<typeof resolveSettings>[0], RegExp]>([
    ["a flag", { flags: { lease: "5" }, env }, /^--lease: must be a number with a unit.*got "5"/],
    [
      "a variable",
      { flags: {}, env: { BUCKETLOCK_ON_LOST: "kill" } },
      /^BUCKETLOCK_ON_LOST: must be one of term, ignore/,
    ],
    ["a value of the file", { flags: {}, env: {}, file: { path: "f", values: { wait: 30 } } }, /^wait in f: must be/],
    [
      "a key of the file",
      { flags: {}, env: {}, file: { path: "f", values: { leese: "1s" } } },
      /^f: takes only .*"leese"/,
    ],
    ["a file that is a list", { flags: {}, env: {}, file: { path: "f", values: ["x"] } }, /^f: must hold settings/],
  ])("%s that is wrong is refused by name", (_what, sources, message) => {
    expect(() => resolveSettings(sources)).toThrow(message);
  });

  test.each([
    [{ flags: { label: "x" }, env: {} }, "--label: must be short"],
    [{ flags: {}, env: { BUCKETLOCK_LABEL: "x" } }, "BUCKETLOCK_LABEL: must be short"],
    [{ flags: {}, env: {}, file: { path: "/f", values: { label: "x" } } }, "label in /f: must be short"],
  ])("what the library refuses is told of what was written: %j", (sources, expected) => {
    const told = retold(new InvalidError("label", "must be short", "x"), resolveSettings(sources)) as BucketlockError;
    expect([told.message, told.code, told.kind]).toEqual([`${expected}; got "x"`, "INVALID_OPTION", "invalid"]);
    const other = new InvalidError("key", "must be short", "x");
    expect(retold(other, resolveSettings(sources))).toBe(other);
  });

  test("every setting has a flag, a variable and a key of one name", () => {
    expect(Object.values(SETTINGS).map(({ flag, env, file }) => [flag, env, file])).toContainEqual([
      "--on-lost",
      "BUCKETLOCK_ON_LOST",
      "onLost",
    ]);
    expect(new Set(Object.values(SETTINGS).map(({ env }) => env)).size).toBe(Object.keys(SETTINGS).length);
  });

  test("a variable that looks like a setting and is none is found", () => {
    const variables = { BUCKETLOCK_LEESE: "1s", BUCKETLOCK_KEY: "k", BUCKETLOCK_LEASE: "1s", PATH: "/bin" };
    expect(unknownVariables(variables)).toEqual(["BUCKETLOCK_LEESE"]);
  });
});

describe("exit codes", () => {
  test("ours clash with no shell's, no signal's and none of systemd's", () => {
    const ours = Object.values(EXIT).filter((code) => code > 127);
    expect(ours.length).toBe(6);
    for (const code of ours) expect(code > 128 + 64 && code < 200).toBe(true);
    expect(new Set(Object.values(EXIT)).size).toBe(Object.keys(EXIT).length);
    for (const code of ours) expect(EXIT_MEANINGS.map(([one]) => one)).toContain(String(code));
  });

  test("a command's own pass through; a signal is 128 + n", () => {
    for (const code of [0, 1, 2, 127, 193, 255]) expect(exitCodeOf(code, undefined)).toBe(code);
    expect(exitCodeOf(null, 15)).toBe(143);
  });

  test.each([
    ["contended", EXIT.notAcquired],
    ["lost", EXIT.lost],
    ["unavailable", EXIT.store],
    ["denied", EXIT.store],
    ["unknown", EXIT.store],
    ["unsupported", EXIT.store],
    ["corrupt", EXIT.store],
    ["invalid", EXIT.usage],
  ] as const)("an error of kind %s", (kind, code) => {
    expect(exitCodeOfError(new BucketlockError("x", { code: "X", kind }))).toBe(code);
    expect(errorLine(new BucketlockError("fact", { code: "X", kind }))).toMatch(/^fact \[X\] \S[^\n]*$/);
  });

  test("what is none of ours is a bug", () => expect(exitCodeOfError(new TypeError("x"))).toBe(EXIT.bug));
});

describe("the shares of a lease", () => {
  test("for any lease and grace: room for a renewal and a late one, and everything is dead a tenth before the end", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 86_400_000 }),
        fc.integer({ min: 0, max: 86_400_000 }),
        (leaseMs, graceMs) => {
          const plan = leasePlan(leaseMs, graceMs);
          expect(plan.marginMs + leaseMs / 3).toBeLessThan(leaseMs);
          expect(plan.graceMs).toBeLessThanOrEqual(graceMs);
          expect(plan.marginMs - plan.graceMs).toBeCloseTo(leaseMs / 10, 6);
        },
      ),
    );
  });

  test("the grace is what was asked for where the lease has room, and what is left of it when the loss is seen late", () => {
    const plan = leasePlan(30_000, 5_000);
    expect(plan).toEqual({ leaseMs: 30_000, marginMs: 8_000, graceMs: 5_000 });
    expect(graceAfterLossMs(plan, 0)).toBe(5_000);
    expect(graceAfterLossMs(plan, -20)).toBe(5_000);
    expect(graceAfterLossMs(plan, 3_000)).toBe(2_000);
    expect(graceAfterLossMs(plan, 60_000)).toBe(0);
    expect(leasePlan(1_000, 5_000).graceMs).toBe(400);
  });

  test("none for a lease that another took away", () => {
    expect(graceAfterLossMs(leasePlan(30_000, 5_000), -10_000)).toBe(0);
  });
});

describe("signals", () => {
  const known = Object.fromEntries(FORWARDED.map((name) => [name, 1]));

  test("all are caught and passed on without a terminal, but what this system does not know", () => {
    expect(caught(false, known)).toEqual(FORWARDED);
    const { SIGPWR: _power, ...mac } = known;
    expect(caught(false, mac)).not.toContain("SIGPWR");
    for (const signal of FORWARDED) expect(isForwarded(signal, false)).toBe(true);
  });

  test("with no command to run, only what ends the work: Ctrl-Z stops it as ever", () => {
    expect(caught(undefined, known)).toEqual(["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"]);
  });

  test("at a terminal: what it sends itself is not sent twice, and Ctrl-Z stops us too", () => {
    expect(caught(true, known)).toContain("SIGINT");
    expect(caught(true, known)).not.toContain("SIGTSTP");
    const passed = FORWARDED.filter((signal) => !isForwarded(signal, true));
    expect(passed).toEqual(["SIGINT", "SIGQUIT", "SIGWINCH"]);
    expect(isForwarded("SIGTERM", true)).toBe(true);
  });
});

describe("what a listing shows, by the names of the objects", () => {
  const ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  test.each<[string, readonly string[], readonly object[]]>([
    [
      "a lock, whatever else is below its key",
      [`a/b.lock.${ulid}.x.1-0`, `a/b.lock.${ulid}.x.1-1`, "a/b.lock.02J.s.1-0", "a/b.lock.token.7", "something/else"],
      [{ key: "a/b", kind: "lock", tickets: 2, protocol: "two-object" }],
    ],
    ["a record", ["c.lock.record"], [{ key: "c", kind: "lock", tickets: 0, protocol: "conditional" }]],
    ["a marker alone", ["d.lock.token.3"], [{ key: "d", kind: "lock", tickets: 0, protocol: "none" }]],
    [
      "an object that is no lock's",
      ["d.lock.odd", ".lock.odd"],
      [{ key: "d", kind: "lock", tickets: 0, protocol: "none" }],
    ],
    [
      "a semaphore",
      [`s.lock.${ulid}.p3.30000-0`],
      [{ key: "s", kind: "semaphore", tickets: 1, protocol: "two-object" }],
    ],
    [
      "an election, of which a dead leader may be all that is left",
      [
        `e.election.lock.${ulid}.x.1-1`,
        "e.election.leader.0000000000000000007",
        "f.election.leader.0000000000000000007",
      ],
      [
        { key: "e", kind: "election", tickets: 1, protocol: "two-object" },
        { key: "f", kind: "election", tickets: 0, protocol: "none" },
      ],
    ],
    [
      "a job, running or not",
      ["j.once.slot.2026-12-01T03:00:00.000Z.1", "j.once.slot.2026-12-01T03:00:00.000Z.1.end", "k.once.lock.record"],
      [
        { key: "j", kind: "job", tickets: 0, protocol: "none" },
        { key: "k", kind: "job", tickets: 0, protocol: "conditional" },
      ],
    ],
    [
      "a latch, and one of another count; arrivals may have odd ids",
      ["l.latch.3.a", "l.latch.3.b.lock.x", "l.latch.2.a"],
      [
        { key: "l", kind: "latch", arrived: 2, count: 3 },
        { key: "l", kind: "latch", arrived: 1, count: 2 },
      ],
    ],
    [
      "members, and nobody who is none",
      [`m.members.${ulid}.s.30000`, `m.members.${ulid.replace("V", "W")}.s.30000`, "n.members.txt"],
      [{ key: "m", kind: "members", members: 2 }],
    ],
    [
      "several of one name",
      [`x.lock.${ulid}.x.1-0`, `x.election.lock.${ulid}.x.1-0`, "x.revoke.1", ".election.lock.token.1"],
      [
        { key: ".election", kind: "lock", tickets: 0, protocol: "none" },
        { key: "x", kind: "election", tickets: 1, protocol: "two-object" },
        { key: "x", kind: "lock", tickets: 1, protocol: "two-object" },
      ],
    ],
  ])("%s", (_, keys, listed) => expect(listedIn(keys.map((key) => ({ key })))).toEqual(listed));
});

describe("the slot of once", () => {
  const now = Date.parse("2026-11-21T10:00:30Z");
  test.each<[Parameters<typeof slotOf>[0], string]>([
    [{ slot: "2026-12-01" }, "2026-12-01T00:00:00.000Z"],
    [{ slot: "2026-12-01T03:00Z" }, "2026-12-01T03:00:00.000Z"],
    [{ slot: "2026-12-01T03:00:05+02:00" }, "2026-12-01T01:00:05.000Z"],
    [{ every: "0 3 * * *" }, "2026-11-21T03:00:00.000Z"],
    [{ every: "0 3 * * *", timezone: "Europe/Berlin" }, "2026-11-21T02:00:00.000Z"],
    [{ every: "0 10 * * *" }, "2026-11-21T10:00:00.000Z"],
  ])("%j", (words, slot) => expect(new Date(slotOf(words, now)).toISOString()).toBe(slot));

  test.each<[Parameters<typeof slotOf>[0], RegExp]>([
    [{}, /or --every must be given/],
    [{ slot: "2026-12-01", every: "* * * * *" }, /must be given, not both/],
    [{ slot: "2026-12-01", timezone: "UTC" }, /^--timezone: goes with --every/],
    [{ every: "nonsense" }, /^--every: must be a cron pattern/],
    [{ every: "* * * * *", timezone: "Mars/X" }, /^--timezone: must be an IANA time zone/],
  ])("refuses %j", (words, message) => expect(() => slotOf(words, now)).toThrow(message));

  test.each(["", "2026-02-31", "2026-12-01T03:00", "tomorrow", "1795267173799"])("refuses --slot %j", (slot) =>
    expect(() => slotOf({ slot }, now)).toThrow(/^--slot: must be a date/),
  );
});

describe("the doctor's findings", () => {
  const settings = resolveSettings({ flags: { grace: "2s" }, env: {} });
  const well: Seen = {
    node: "v20",
    platform: "linux",
    configPath: undefined,
    settings,
    unknownVariables: [],
    store: { name: "memory:", endpoint: undefined },
    trials: [{ what: "write", medianMs: 3 }],
    clock: { lowMs: -500, highMs: 800 },
  };
  const error = { code: "STORE_ACCESS_DENIED", kind: "denied", message: "no", todo: "mend" };

  test("none when all is well", () => {
    expect(findings(well)).toEqual([]);
    expect(describeSeen(well, [], (_colour, text) => text)).toContain("all is well");
  });

  test.each<[string, Partial<Seen>, RegExp]>([
    [
      "a right that is missing",
      { trials: [{ what: "list", medianMs: undefined, error }] },
      /problem.*cannot list: no \[STORE_ACCESS_DENIED\]/,
    ],
    ["no store", { storeError: error }, /problem.*no/],
    ["a setting that the locks refuse", { settingError: error }, /problem.*no/],
    ["a clock far off", { clock: { lowMs: 70_000, highMs: 72_000 } }, /warning.*70 s/],
    ["slow requests", { trials: [{ what: "list", medianMs: 2_000 }] }, /warning.*2000 ms.*40s or more/],
    ["a misspelt variable", { unknownVariables: ["BUCKETLOCK_LEESE"] }, /warning.*BUCKETLOCK_LEESE/],
  ])("%s", (_what, change, expected) => {
    const found = findings({ ...well, ...change });
    expect(found.map((one) => `${one.level} ${one.text}: ${one.todo}`).join("\n")).toMatch(expected);
  });

  test("what fails for one reason is told once", () => {
    const trials = ["write", "read"].map((what) => ({ what, medianMs: undefined, error }));
    expect(findings({ ...well, trials }).map(({ text }) => text)).toEqual([
      "cannot write, read: no [STORE_ACCESS_DENIED]",
    ]);
  });

  test("durations as they would be typed", () => {
    const text = describeSeen(well, [], (_colour, line) => line);
    expect(text).toMatch(/setting +lease +30s +default/);
    expect(text).toMatch(/setting +grace +2s +--grace/);
  });

  test("a URL's query is not shown: somebody may have put a secret into it", () => {
    const store = { value: "s3://b/p?endpoint=http://x&secret=y", from: "--store" };
    const text = describeSeen({ ...well, settings: { ...settings, store } }, [], (_colour, line) => line);
    expect(text).not.toContain("secret");
  });
});

describe("what people see", () => {
  const holder: TicketInfo = {
    ticketId: "t1",
    mode: "permit",
    permits: 3,
    state: "holds",
    label: "w1",
    sinceMs: 1_000,
    renewedAtMs: 1_000,
    ageMs: 2_000,
    renewals: 0,
    leaseMs: 30_000,
    revocation: undefined,
    life: "alive",
  };
  const info = { key: "k", holders: [holder], waiters: [], serverTimeMs: 28_400 };
  const plain = (_colour: string, text: string) => text;

  test("a semaphore: how many hold, of how many; and how many of them are dead", () => {
    expect(describeLock(info, plain)).toMatch(/^k: held by 1 of 3\n/);
    const dead = { ...holder, life: "dead" } as const;
    expect(describeLock({ ...info, holders: [holder, dead] }, plain)).toMatch(/^k: held by 2 of 3 \(1 dead\)\n/);
    expect(describeLock({ ...info, holders: [dead] }, plain)).toMatch(/^k: held by 1 of 3 \(dead\)\n/);
  });

  test("who holds and since when, in whole seconds", () =>
    expect(describeHolders(info)).toBe("w1 since 1970-01-01T00:00:01Z (27s)"));

  test("what others wrote moves no cursor, ends no line and turns no text", () => {
    expect(printable("a\u001b[2Jb\nc\u009bd\u202ee Ä 日本 🙂")).toBe("a\\u001b[2Jb\\nc\\u009bd\\u202ee Ä 日本 🙂");
    const foreign = { ...holder, label: "x\u001b[2J" };
    expect(describeLock({ ...info, key: "k\r", holders: [foreign] }, plain)).not.toMatch(/[^\n\P{Cc}]/u);
    expect(describeHolders({ ...info, holders: [foreign] })).not.toContain("\u001b");
    expect(errorLine(new BucketlockError("by x\u001b[2J", { code: "X", kind: "lost" }))).not.toContain("\u001b");
  });
});
