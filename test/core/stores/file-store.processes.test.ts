/**
 * The file store under real processes, some of them killed and others stopped at any point. What was acknowledged holds,
 * nothing is seen half, nobody is ever blocked, and nothing is left behind.
 */
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openFileStore } from "@bucketlock/core";
import { SeededRandom } from "@bucketlock/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { useWorkers, type Worker } from "../../processes.js";

const WORKERS = 6;
const RUN_MS = 5000;
/** Goes on for as long as too little was done, on a machine that is busy. */
const RUN_MAX_MS = 60_000;
const INCREMENTS = 50;

interface Step {
  readonly is: "ready" | "increment" | "create" | "done";
  readonly outcome?: string;
  readonly next?: number;
  readonly round?: number;
}

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const startWorker = useWorkers();

describe("the file store under real processes", () => {
  it("keeps what it acknowledged while workers are killed and stopped", async () => {
    const store = openFileStore({ dir });
    await store.put("counter", "0");
    for (const name of ["first", "last", "rewritten"]) await store.put(`steady/${name}`, "");
    const file = new URL("./file-store.worker.ts", import.meta.url);
    const start = (name: string): Worker => startWorker(file, { args: [dir, name] });

    const workers = new Map<string, Worker>();
    for (let i = 0; i < WORKERS; i++) workers.set(`w${i}`, start(`w${i}`));
    await Promise.all([...workers.values()].map((worker) => worker.message<Step>(({ is }) => is === "ready")));

    const killed = new Set<string>();
    const random = new SeededRandom(42);
    const running = () => [...workers.keys()].filter((name) => workers.get(name)?.running && !killed.has(name));
    const beganMs = performance.now();
    const incremented = () =>
      [...workers.values()]
        .flatMap((worker) => worker.messages as Step[])
        .filter(({ is, outcome }) => is === "increment" && outcome === "stored").length;
    const isEnough = () => killed.size > 0 && incremented() > INCREMENTS;
    const isOver = (ms: number) => ms > RUN_MAX_MS || (ms > RUN_MS && isEnough());
    while (!isOver(performance.now() - beganMs)) {
      const name = random.pick(running());
      const victim = workers.get(name) as Worker;
      if (random.float() < 0.06 && running().length > 3) {
        killed.add(name);
        await victim.kill();
        workers.set(`${name}'`, start(`${name}'`));
      } else {
        victim.signal("SIGSTOP");
        await sleep(random.below(60));
        victim.signal("SIGCONT");
      }
      await sleep(random.below(20));
    }

    const alive = running();
    for (const name of alive) workers.get(name)?.send("stop");
    for (const name of alive) {
      const worker = workers.get(name) as Worker;
      expect(await worker.exit(), worker.stderr).toEqual({ code: 0, signal: null });
    }
    for (const worker of workers.values()) expect(worker.stderr).toBe("");

    const steps = [...workers].flatMap(([name, worker]) =>
      (worker.messages as Step[]).map((step) => ({ name, ...step })),
    );
    const outcomes = (is: Step["is"], outcome: string) =>
      steps.filter((step) => step.is === is && step.outcome === outcome);

    // Each number was given out once, and each increment that counts was acknowledged, or its process could not say.
    const increments = outcomes("increment", "stored").map((step) => step.next);
    expect(new Set(increments).size).toBe(increments.length);
    const counter = await store.get("counter");
    const counted = Number(counter.found && Buffer.from(counter.body).toString());
    const unsaid = killed.size + outcomes("increment", "unknown").length;
    expect(counted).toBeGreaterThanOrEqual(increments.length);
    expect(counted).toBeLessThanOrEqual(increments.length + unsaid);
    expect(increments.length).toBeGreaterThan(INCREMENTS);
    expect(killed.size).toBeGreaterThan(0);

    // Each creation had one winner, whose body is there.
    const creations = outcomes("create", "stored");
    expect(new Set(creations.map((step) => step.round)).size).toBe(creations.length);
    for (const { round, name } of creations) {
      const got = await store.get(`create/${round}`);
      expect(got.found && Buffer.from(got.body).toString()).toBe(name);
    }

    // The directory is small, once somebody has written in it again, and needs every file in it.
    for (let i = 0; i < 16; i++) await store.put("last", String(i));
    const bigs = [];
    for await (const page of store.list("big/")) bigs.push(...page.objects);
    expect(readdirSync(join(dir, "generations")).length).toBeLessThanOrEqual(8 + 16 + 1);
    expect(readdirSync(join(dir, "bodies")).length).toBe(bigs.length);
    expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  });

  it("is laid out once by processes that open it at the same moment", async () => {
    const fresh = join(dir, "a/b");
    const file = new URL("./file-store.opener.ts", import.meta.url);
    const openers = Array.from({ length: 4 }, (_, i) => startWorker(file, { args: [fresh, String(i)] }));
    await Promise.all(openers.map((opener) => opener.message<{ is: string }>(({ is }) => is === "ready")));
    for (const opener of openers) opener.send("go");
    for (const opener of openers) expect(await opener.exit(), opener.stderr).toEqual({ code: 0, signal: null });
    const keys = [];
    for await (const page of openFileStore({ dir: fresh }).list("")) keys.push(...page.objects.map(({ key }) => key));
    expect(keys).toEqual(["0", "1", "2", "3"]);
  });
});
