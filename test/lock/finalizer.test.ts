/** What happens to a lease when its program ends in every way but SIGKILL: real processes, on the embedded store. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store } from "@bucketlock/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { useWorkers } from "../processes.js";

const start = useWorkers();
const worker = new URL("./finalizer.worker.ts", import.meta.url);
let dir: string;
let url: string;
let store: Store;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
  url = `file:${dir}`;
  store = openStore(url);
});
afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true, force: true });
});

async function left(): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list("")) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

const events = (messages: unknown[]) =>
  messages.flatMap((message) => ("event" in (message as object) ? [(message as { event: string }).event] : []));

test.each([
  ["beforeExit", { code: 0, signal: null }],
  ["exit", { code: 7, signal: null }],
  ["throw", { code: 1, signal: null }],
  ["waiting-exit", { code: 8, signal: null }],
] as const)("%s: nothing stays behind, and the program ends as it would have", async (how, exit) => {
  const program = start(worker, { args: [how, url] });
  expect(await program.exit()).toEqual(exit);
  expect(program.messages).toContainEqual(expect.objectContaining({ held: expect.any(String) }));
  expect(await left()).toEqual([]);
});

test("a machine on which a process takes long to start: nothing stays behind", async () => {
  const slow = `if (process.argv[1].includes("finalizer-child")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100)`;
  const execArgv = ["--import", `data:text/javascript,${encodeURIComponent(slow)}`];
  const program = start(worker, { args: ["exit", url], execArgv });
  expect(await program.exit()).toEqual({ code: 7, signal: null });
  expect(await left()).toEqual([]);
});

test.each([
  ["exit", 7],
  ["throw", 1],
  ["waiting-exit", 8],
] as const)("%s, conditional: nobody stands in the record any more, and its token stays", async (how, code) => {
  const program = start(worker, { args: [how, url, "conditional"] });
  expect(await program.exit()).toEqual({ code, signal: null });
  expect(program.messages).toContainEqual(expect.objectContaining({ held: expect.any(String) }));
  const record = await store.get("k.lock.record");
  expect(JSON.parse(new TextDecoder().decode(record.found ? record.body : undefined))).toMatchObject({
    token: "1",
    confirmed: true,
    holders: [],
    queue: [],
  });
});

test("releaseOnSignal: released, then the signal does what it always does", async () => {
  const program = start(worker, { args: ["signal", url] });
  await program.message((message) => "held" in message);
  program.signal("SIGTERM");
  expect(await program.exit()).toEqual({ code: null, signal: "SIGTERM" });
  expect(events(program.messages)).toContain("released");
  expect(await left()).toEqual([]);
});

test("releaseOnSignal beside the program's own handler: both run, the program decides about its end", async () => {
  const program = start(worker, { args: ["signal-own-handler", url] });
  await program.message((message) => "held" in message);
  await program.message((message) => "handler" in message);
  program.signal("SIGTERM");
  expect(await program.exit()).toEqual({ code: 9, signal: null });
  expect(program.messages).toContainEqual({ handler: "ran" });
  expect(events(program.messages)).toContain("released");
  expect(await left()).toEqual([]);
});

test("without releaseOnSignal no handler is installed: the ticket stays until its lease ends", async () => {
  const program = start(worker, { args: ["no-release-on-signal", url] });
  await program.message((message) => "held" in message);
  program.signal("SIGTERM");
  expect(await program.exit()).toEqual({ code: null, signal: "SIGTERM" });
  expect(await left()).toHaveLength(2);
});

test("a lease that is garbage collected is released and reported", async () => {
  const program = start(worker, { args: ["leak", url], execArgv: ["--expose-gc"] });
  expect(await program.exit()).toEqual({ code: 0, signal: null });
  expect(events(program.messages)).toEqual(expect.arrayContaining(["acquired", "leaked", "released"]));
  expect(program.messages).toContainEqual({ warning: "BucketlockWarning" });
  expect(await left()).toEqual([]);
});

test("close leaves no listener, timer or socket", async () => {
  const program = start(worker, { args: ["close", url] });
  expect(await program.exit()).toEqual({ code: 0, signal: null });
  // They were there while the lock was held, so that this test can fail.
  expect(program.messages).toContainEqual(
    expect.objectContaining({ held: expect.any(String), listeners: [1, 1, 0, 0] }),
  );
  expect(program.messages.at(-1)).toEqual({ listeners: [0, 0, 0, 0], resources: [] });
  expect(await left()).toEqual([]);
});
