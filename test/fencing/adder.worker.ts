/**
 * One process of the fencing workload: under the lock it reads a list, pauses, and writes the list with one element more.
 * Tells before each write that it is about to, past every check, and waits to be let go: there the test stops it.
 * Judges nothing.
 */
import { createInterface } from "node:readline";
import { BucketlockError, openFileStore, type Store } from "@bucketlock/core";
import { createLocks, type FencingLease, fence, type Lease, type Lock } from "@bucketlock/lock";
import { type Line, type Order, type RunOrders, SET } from "./orders.js";

const tell = (line: Line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const goes = new Map<string, () => void>();
let ending = new AbortController();

/** A store whose writes of the set wait for leave to go. */
function gated(store: Store, run: string, current: () => string): Store {
  const put: Store["put"] = async (key, body, options) => {
    if (key === SET) {
      const element = current();
      const go = new Promise<void>((resolve) => goes.set(element, resolve));
      tell({ event: "about", run, element });
      await go;
    }
    // The request had left before the stop: no check of ours reaches it any more.
    return store.put(key, body, key === SET ? { ...options, signal: undefined } : options);
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === "put") return put;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The lease of a machine that was stopped with all its clocks: nothing tells that it is over. */
function sightless(lease: Lease): FencingLease {
  return { token: (options) => lease.token(options), throwIfLost() {}, signal: new AbortController().signal };
}

const listOf = (read: { found: false } | { found: true; body: Uint8Array }): string[] =>
  read.found ? (JSON.parse(new TextDecoder().decode(read.body)) as string[]) : [];

async function add(store: Store, lease: Lease, element: string, orders: RunOrders): Promise<string | undefined> {
  const pause = () => sleep(Math.random() * orders.pauseMaxMs);
  const timeoutMs = 60_000;
  if (orders.guard === "none") {
    const list = listOf(await store.get(SET));
    await pause();
    // As good as it gets without a token: asked right before the write.
    lease.throwIfLost();
    const put = await store.put(SET, JSON.stringify([...list, element]), { timeoutMs });
    if (put.outcome !== "stored") throw new Error(`the write came to ${put.outcome}`);
    return undefined;
  }
  const guarded = fence(store, orders.guard === "fence" ? lease : sightless(lease));
  const read = await guarded.get(SET);
  await pause();
  // Who cannot see its lease end must not write over what came between its own read and write.
  const basedOn = orders.guard === "token" ? read : undefined;
  const put = await guarded.put(SET, JSON.stringify([...listOf(read), element]), { timeoutMs, basedOn });
  return put.guarded;
}

async function work(orders: RunOrders): Promise<void> {
  const { run, leaseMs, protocol } = orders;
  let element = "";
  const plain = openFileStore({ dir: orders.dir });
  const store = gated(plain, run, () => element);
  const locks = createLocks(plain, { leaseMs, protocol, pollMaxMs: 100 });
  const lock: Lock = locks.lock("the-set");
  const { signal } = ending;
  for (let count = 0; !signal.aborted; count++) {
    element = `${orders.name}-${count}`;
    let lease: Lease;
    try {
      lease = await lock.acquire({ waitMs: 120_000, signal });
    } catch (error) {
      if (!signal.aborted) trouble(run, error);
      continue;
    }
    try {
      const guarded = await add(store, lease, element, orders);
      tell({ event: "added", run, element, ...(guarded !== undefined && { guarded }) });
    } catch (error) {
      if (error instanceof BucketlockError) tell({ event: "refused", run, element, code: error.code });
      else trouble(run, error);
    }
    await lease.release().catch(() => {});
  }
  await locks.close().catch(() => {});
  tell({ event: "ended", run });
}

function trouble(run: string, error: unknown): void {
  const code = error instanceof BucketlockError ? error.code : "BUG";
  tell({ event: "trouble", run, code, text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const order = JSON.parse(line) as Order;
  if (order.order === "run") {
    ending = new AbortController();
    void work(order).catch((error: unknown) => trouble(order.run, error));
  } else if (order.order === "go") {
    goes.get(order.element)?.();
    goes.delete(order.element);
  } else {
    ending.abort("end");
  }
});
// Whoever started us is gone.
input.once("close", () => process.exit(0));
tell({ event: "hello" });
