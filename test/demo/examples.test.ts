/** Every example runs, as the program that a reader would start, and says what its comments promise. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openStore } from "@bucketlock/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useWorkers } from "../processes.js";

const start = useWorkers();
const folder = new URL("../../examples/", import.meta.url);
let dir: string;
let url: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
  url = pathToFileURL(dir).href;
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function left(): Promise<string[]> {
  const store = openStore(url);
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

const says: Readonly<Record<string, RegExp>> = {
  "await-using.ts": /^held: true\nfree again: true$/,
  "first-lock.ts": /^nobody else is here now$/,
  "inspect-and-break.ts": /^held by host-7 nightly import, .* alive\n0 waiting\nremoved 1 claim$/,
  "run.ts": /^wrote the report$/,
  "shared.ts": /hold the lock together\na writer gets in: false\nnow a writer holds it alone$/,
  "try-cron.ts": /^making the backup$/,
};
/** Tested below, in examples.live.test.ts, or in fencing/. */
const apart = ["fencing.ts", "release-on-signal.ts", "s3.ts"];

test("no example is without a test", async () => {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
  expect(files.sort()).toEqual([...Object.keys(says), ...apart].sort());
});

for (const [name, words] of Object.entries(says)) {
  test(`${name} on the file store`, async () => {
    const program = start(new URL(name, folder), { args: [url] });
    const { code } = await program.exit();
    expect(program.stderr).toBe("");
    expect(code).toBe(0);
    expect(program.otherLines.join("\n")).toMatch(words);
    expect(await left()).toEqual([]);
  });
}

test("try-cron.ts goes home when another holds the lock", async () => {
  const store = openStore(url);
  const { createLocks } = await import("@bucketlock/lock");
  await using locks = createLocks(store);
  await using _lease = await locks.lock("cron/backup").acquire();
  const program = start(new URL("try-cron.ts", folder), { args: [url] });
  expect(await program.exit()).toEqual({ code: 0, signal: null });
  expect(program.otherLines).toEqual(["another host makes the backup"]);
});

test("release-on-signal.ts leaves nothing when it is told to end", async () => {
  const program = start(new URL("release-on-signal.ts", folder), { args: [url] });
  await vi.waitFor(() => expect(program.otherLines).toEqual(["deploying; press Ctrl-C"]), { timeout: 60_000 });
  expect(await left()).toHaveLength(2);
  program.signal("SIGTERM");
  await program.exit();
  expect(await left()).toEqual([]);
});
