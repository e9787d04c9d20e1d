/**
 * Other schedulers in real time, two hosts each: node-cron with its run coordinator, croner, and a plain timer. They keep the time,
 * each slot runs on one host. Needs no server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createMemoryStore } from "@bucketlock/core";
import { createLocks, cronSchedule, everySchedule, type Locks } from "@bucketlock/lock";
import { Cron } from "croner";
import nodeCron from "node-cron";
import { afterEach, beforeEach, expect, it } from "vitest";

let hosts: readonly Locks[] = [];

beforeEach(() => {
  const store = createMemoryStore();
  hosts = ["here", "there"].map((label) => createLocks(store, { label }));
});
afterEach(() => Promise.all(hosts.map((locks) => locks.close())));

/** Some slots have come, and for some of them the other host was too late. A busy machine may leave seconds out. */
async function watch(runs: () => number, tooLate: () => number): Promise<void> {
  await expect.poll(() => runs() > 1 && tooLate() > 0).toBe(true);
}

/** Every run has a slot of its own, and each is remembered as run to its end, the last one perhaps a moment later. */
async function expectOnceEach(name: string, runs: () => number): Promise<void> {
  const history = async () => (await hosts[0]!.history(name)).map(({ attempt, outcome }) => [attempt, outcome]);
  await expect.poll(async () => (await history()).every(([, outcome]) => outcome !== "running")).toBe(true);
  expect(await history()).toEqual(Array.from({ length: runs() }, () => [1, "ok"]));
}

it("node-cron asks the coordinator, and runs each slot on one of two hosts", async () => {
  let runs = 0;
  const tasks = hosts.map((locks) =>
    nodeCron.schedule("* * * * * *", () => void runs++, {
      name: "tick",
      distributed: true,
      runCoordinator: locks.runCoordinator({ prefix: "cron/" }),
    }),
  );
  let skipped = 0;
  for (const task of tasks) task.on("execution:skipped", () => void skipped++);
  await watch(
    () => runs,
    () => skipped,
  );
  for (const task of tasks) await task.destroy();
  await sleep(500);
  await expectOnceEach("cron/tick", () => runs);
});

it("croner's own jobs, with the slot that came due last", async () => {
  let runs = 0;
  const secondly = cronSchedule("* * * * * *");
  const under: Promise<unknown>[] = [];
  const jobs = hosts.map(
    (locks) =>
      new Cron("* * * * * *", { timezone: "UTC" }, () => {
        under.push(locks.once("tick", secondly.last(Date.now())!, () => void runs++));
      }),
  );
  await watch(
    () => runs,
    () => under.length - runs,
  );
  for (const job of jobs) job.stop();
  await Promise.all(under);
  expect(under.length).toBeGreaterThan(runs);
  await expectOnceEach("tick", () => runs);
});

it("a plain timer, with the slot that came due last", async () => {
  let runs = 0;
  const every = everySchedule(200);
  const under: Promise<unknown>[] = [];
  const timers = hosts.map((locks) =>
    setInterval(() => under.push(locks.once("tick", every.last(Date.now())!, () => void runs++)), 200),
  );
  await watch(
    () => runs,
    () => under.length - runs,
  );
  for (const timer of timers) clearInterval(timer);
  await Promise.all(under);
  expect(under.length).toBeGreaterThan(runs);
  await expectOnceEach("tick", () => runs);
});
