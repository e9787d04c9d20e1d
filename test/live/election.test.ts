/**
 * An election among real processes by a directory: a leader that is stopped beyond its lease is replaced, is told when it wakes,
 * and stands again; one that is killed is replaced. Needs no server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { openFileStore } from "@bucketlock/core";
import { createLocks, type Leader } from "@bucketlock/lock";
import { expect, it } from "vitest";
import { useWorkers, type Worker } from "../processes.js";
import { temporaryDirectory } from "../servers/guard.js";
import type { ElectionLine } from "./election.worker.js";

const start = useWorkers();
const file = new URL("election.worker.ts", import.meta.url);
const leaseMs = 1000;

const lines = (worker: Worker) => worker.messages as ElectionLine[];
const tokenOf = (line: ElectionLine) => ("token" in line ? BigInt(line.token) : 0n);

it.each(["two-object", "conditional"] as const)("%s: stopped and killed leaders are replaced", async (protocol) => {
  const directory = temporaryDirectory("election");
  const options = { protocol, leaseMs, pollMaxMs: 100 };
  const locks = createLocks(openFileStore({ dir: directory.path }), options);
  try {
    const workers = [0, 1, 2].map(() => start(file, { args: [JSON.stringify({ dir: directory.path, options })] }));
    const election = locks.election("work");
    const seen: (Leader | undefined)[] = [];
    const looking = new AbortController();
    const observing = (async () => {
      for await (const leader of election.observe({ signal: looking.signal })) seen.push(leader);
    })().catch(() => {});
    const leading = async (above: bigint): Promise<{ worker: Worker; token: bigint }> => {
      const all = workers.map((worker) =>
        worker
          .message<ElectionLine>((line) => line.event === "elected" && tokenOf(line) > above)
          .then((line) => ({ worker, token: tokenOf(line) })),
      );
      const first = await Promise.any(all);
      for (const one of all) one.catch(() => {});
      return first;
    };

    let frozen = await leading(0n);
    frozen.worker.signal("SIGSTOP");
    let next = await leading(frozen.token);
    // Held up by a busy machine, it may have lost its lease before it was stopped: then the next one is.
    while (lines(frozen.worker).some((line) => line.event === "over" && tokenOf(line) === frozen.token)) {
      frozen.worker.signal("SIGCONT");
      frozen = next;
      frozen.worker.signal("SIGSTOP");
      next = await leading(frozen.token);
    }
    expect(next.worker).not.toBe(frozen.worker);
    await sleep(100);
    frozen.worker.signal("SIGCONT");
    await frozen.worker.message<ElectionLine>((line) => line.event === "over" && tokenOf(line) === frozen.token);

    await next.worker.kill();
    const last = await leading(next.token);
    expect(last.token > next.token).toBe(true);
    // Who observes is shown it, or who leads by now.
    const newest = () => {
      const elected = workers.flatMap(lines).filter((line) => line.event === "elected");
      return elected
        .map(tokenOf)
        .sort((a, b) => (a < b ? -1 : 1))
        .at(-1);
    };
    await expect.poll(() => seen.at(-1)?.token === newest()).toBe(true);
    for (const worker of workers) if (worker.running) worker.send("stop");
    for (const worker of workers)
      if (worker !== next.worker)
        expect({ ...(await worker.exit()), stderr: worker.stderr }).toEqual({ code: 0, signal: null, stderr: "" });
    looking.abort();
    await observing;

    // Nobody acted under a token after somebody had acted under a higher one.
    const acted = workers.flatMap(lines).flatMap((line) => (line.event === "acted" ? [line] : []));
    const inTime = acted.sort((a, b) => a.at - b.at).map(tokenOf);
    expect(inTime).toEqual([...inTime].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    expect(inTime.length).toBeGreaterThan(10);
    const shown = seen.flatMap((leader) => (leader === undefined ? [] : [leader.token]));
    expect(shown).toEqual([...shown].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    expect(shown.at(-1)! >= last.token).toBe(true);
  } finally {
    await locks.close();
    directory.remove();
  }
});
