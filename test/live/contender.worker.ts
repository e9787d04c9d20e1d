/**
 * One contender of a campaign: takes and gives back locks by chance until told to stop, and writes down what it believes.
 * Writes synchronously, so that what happened before a SIGKILL has been told. Judges nothing; ends by itself once closed,
 * so that whatever `close` leaves running shows as a process that does not end.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openB2Session } from "@bucketlock/b2";
import { BucketlockError, openFileStore, openS3Session, type Store } from "@bucketlock/core";
import { SeededRandom } from "@bucketlock/core/testing";
import {
  createLocks,
  type Lease,
  type Lock,
  type LockEvent,
  LockLostError,
  type LockMode,
  NotAcquiredError,
  type Semaphore,
} from "@bucketlock/lock";
import type { ContenderOrders, How, Line } from "./lines.js";

const orders = JSON.parse(process.argv[2]!) as ContenderOrders;
const random = new SeededRandom(orders.seed);
const marginMs = orders.leaseMs / 10;
const PATIENCE_MS = 15_000;
const BEAT_MS = 20;
const LATE_MS = 80;

const label = `contender ${process.pid}`;
const now = () => Number(process.hrtime.bigint()) / 1e6;
const between = (low: number, high: number) => low + random.float() * (high - low);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The pipe may be full for a moment while the reader is busy. */
function tell(line: Line): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let from = 0; from < bytes.length; ) {
    try {
      from += writeSync(1, bytes, from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

// -- When did this process certainly run? ---------------------------------------------------------------------------
// The beat before the last one: by the time of the last, every timer due at the one before had fired.
let beats = [now(), now()];
/** Beats that came late: when, and how late. */
const late: { readonly at: number; readonly ms: number }[] = [];
setInterval(() => {
  beats = [beats[1]!, now()];
  const ms = beats[1]! - beats[0]! - BEAT_MS;
  if (ms > LATE_MS) late.push({ at: beats[1]!, ms });
}, BEAT_MS).unref();

const heldUpSince = (sinceMs: number): number =>
  late.filter(({ at }) => at >= sinceMs).reduce((sum, { ms }) => sum + ms, 0);

// -- The store, with an eye on it ---------------------------------------------------------------------------------------
let requests = 0;
const OBJECT = /\.lock\.([^-]+)-([01])$/;
const RECORD = ".lock.record";
/** Tickets whose place is told, or never will be. */
const opened = new Set<string>();

function open(): Store {
  const { store } = orders;
  if (store.kind === "file") return openFileStore({ dir: store.dir });
  if (store.kind === "b2") {
    const { endpoint, bucket, ...credentials } = store;
    return openB2Session({ endpoint, bucket, credentials, onEvent: () => requests++ }).store();
  }
  return openS3Session({ ...store, credentials: store, onEvent: () => requests++ }).store();
}

interface RecordText {
  readonly holders: readonly { readonly id: string; readonly label: string }[];
  readonly queue: RecordText["holders"];
}

/** Our tickets in the text of a record. */
function ownIn(text: string): string[] {
  const { holders, queue } = JSON.parse(text) as RecordText;
  return [...holders, ...queue].filter((one) => one.label === label).map((one) => one.id);
}

/**
 * A ticket's place in the record is the write that brings it in. One that landed unseen (no answer, or a proxy's second try
 * refused) shows in the read that follows, and is left out of the order: when it landed nobody knows.
 */
async function putRecord(body: string, put: () => ReturnType<Store["put"]>): ReturnType<Store["put"]> {
  const fresh = ownIn(body).filter((ticket) => !opened.has(ticket));
  // Each try anew: the ones before it were refused.
  for (const ticket of fresh) tell({ event: "door", ticket, at: now() });
  const answer = await put();
  if (answer.outcome !== "stored") return answer;
  for (const ticket of fresh) {
    opened.add(ticket);
    tell({ event: "place", ticket, at: now() });
  }
  return answer;
}

/** Tells when a ticket's place is drawn: only a store knows. */
function watched(store: Store): Store {
  const get: Store["get"] = async (key, options) => {
    const answer = await store.get(key, options);
    if (key.endsWith(RECORD) && answer.found && answer.unchanged !== true)
      for (const ticket of ownIn(new TextDecoder().decode(answer.body))) opened.add(ticket);
    return answer;
  };
  const put: Store["put"] = async (key, body, options) => {
    if (key.endsWith(RECORD)) return putRecord(String(body), () => store.put(key, body, options));
    const [, ticket, part] = OBJECT.exec(key) ?? [];
    if (ticket !== undefined && part === "0" && !opened.has(ticket)) {
      opened.add(ticket);
      tell({ event: "door", ticket, at: now() });
    }
    const answer = await store.put(key, body, options);
    if (ticket !== undefined && part === "1" && answer.outcome === "stored")
      tell({ event: "place", ticket, at: now() });
    return answer;
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === "put") return put;
      if (name === "get") return get;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

// -- Leases ---------------------------------------------------------------------------------------------------------
const leases = new Map<string, Lease>();
/** Leases so far by each ticket. */
const turns = new Map<string, number>();

/** Leases that are not over, by that ticket. */
const leasesOf = (ticket: string) => [...leases].filter(([, lease]) => lease.ticketId === ticket);

/** The end of the lease with its margin, on the shared clock. Every pause between these lines only makes it earlier. */
function untilOf(lease: Lease): number {
  const at = now();
  const leftMs = lease.heldUntil - Date.now();
  // 0 says "over", not since when.
  return leftMs > 0 ? at + leftMs + marginMs - 1 : at;
}

function onEvent(event: LockEvent): void {
  const ticket = event.ticketId;
  if (event.type === "renewed") {
    // Before the claim it is the ticket that was renewed; `got` will know.
    for (const [name, lease] of leasesOf(ticket))
      tell({ event: "renewed", ticket: name, at: now(), until: untilOf(lease) });
  } else if (event.type === "lost") {
    for (const [name] of leasesOf(ticket))
      tell({ event: "lost", ticket: name, at: now(), ranAt: beats[0]!, why: event.why });
  } else if (event.type === "tookOver") {
    tell({ event: "tookOver", victim: event.victim, at: now() });
  } else if (event.type === "withdrew") {
    tell({ event: "withdrew", ticket, why: event.why });
  } else if (event.type === "leaked") {
    tell({ event: "trouble", where: "lease", kind: "bug", text: "a lease was collected while held" });
  }
}

/** Only of a semaphore, so that the others cost what they always cost. */
const isAsked = (lease: Lease): boolean => orders.permits !== undefined && lease.revocation.aborted;

async function hold(lease: Lease): Promise<void> {
  const turn = (turns.get(lease.ticketId) ?? 0) + 1;
  turns.set(lease.ticketId, turn);
  const ticket = turn === 1 ? lease.ticketId : `${lease.ticketId}~${turn}`;
  leases.set(ticket, lease);
  const at = now();
  const permits = orders.permits === undefined ? {} : { permits: orders.permits };
  tell({ event: "got", key: lease.key, mode: lease.mode, ticket, ...permits, at, until: untilOf(lease) });
  try {
    // Now and then longer than a lease: only renewals carry it.
    if (random.float() < orders.tokenShare)
      tell({ event: "token", ticket, token: String(await lease.token()), at: now() });
    const endMs = now() + (random.float() < 0.05 ? orders.leaseMs * between(1, 1.6) : between(2, 60));
    while (now() < endMs && !lease.signal.aborted && !stopping.signal.aborted && !isAsked(lease)) {
      const touched = now();
      lease.throwIfLost();
      tell({ event: "touch", ticket, at: touched });
      await sleep(Math.min(20, Math.max(1, endMs - now())));
    }
    if (isAsked(lease)) tell({ event: "asked", ticket, at: now() });
  } finally {
    tell({ event: "ending", ticket, at: now() });
    leases.delete(ticket);
    await lease.release();
  }
}

// -- Attempts -------------------------------------------------------------------------------------------------------
const stopping = new AbortController();

function chooseHow(): How {
  if (random.float() >= orders.impatientShare) return "acquire";
  return random.pick(["shortWait", "abort", "try"] as const);
}

/** Of this part of the attempts on a semaphore: its holders are asked to release first. */
const ASK_SHARE = 0.1;

function take(lock: Lock | Semaphore, mode: LockMode | undefined, how: How): Promise<Lease | undefined> {
  const signals = [stopping.signal];
  if (how === "abort") {
    const impatience = new AbortController();
    setTimeout(() => impatience.abort("impatient"), between(1, 400));
    signals.push(impatience.signal);
  }
  const signal = AbortSignal.any(signals);
  if (how === "try") return lock.tryAcquire({ mode, signal });
  return lock.acquire({ mode, signal, waitMs: how === "shortWait" ? between(10, 400) : PATIENCE_MS });
}

async function attempt(locks: ReturnType<typeof createLocks>): Promise<void> {
  const key = random.pick(orders.keys);
  const shared = random.float() < orders.sharedShare && !orders.cheats;
  const mode = shared ? "shared" : "exclusive";
  const how = chooseHow();
  const askedMs = now();
  tell({ event: "ask", key, mode, how, at: askedMs });
  let where = "acquire";
  try {
    if (orders.cheats) await locks.lock(key).breakLock({ olderThanMs: 0 });
    const { permits } = orders;
    if (permits !== undefined && random.float() < ASK_SHARE) await locks.lock(key).requestRelease("others wait");
    const lease =
      permits === undefined
        ? await take(locks.lock(key), mode, how)
        : await take(locks.semaphore(key, { permits }), undefined, how);
    where = "hold";
    if (lease === undefined) tell({ event: "gaveUp", how });
    else await hold(lease);
  } catch (error) {
    if (error === "impatient" || error === "stop" || error instanceof NotAcquiredError) tell({ event: "gaveUp", how });
    else if (!(error instanceof LockLostError)) tell(troubleOf(where, error, askedMs));
  }
}

function troubleOf(where: string, error: unknown, sinceMs: number): Line {
  if (!(error instanceof BucketlockError)) return { event: "trouble", where, kind: "bug", text: String(error) };
  const cause = error.cause instanceof Error ? `; cause: ${error.cause.message}` : "";
  const heldUpMs = Math.round(heldUpSince(sinceMs));
  return { event: "trouble", where, kind: error.kind, text: `${error.code}: ${error.message}${cause}`, heldUpMs };
}

// -- From hello to bye ----------------------------------------------------------------------------------------------
const store = open();
const locks = createLocks(watched(store), {
  label,
  protocol: orders.protocol ?? "two-object",
  ...(orders.probed === undefined ? {} : { probed: orders.probed }),
  leaseMs: orders.leaseMs,
  marginMs,
  settleMs: orders.settleMs,
  onEvent,
});
const input = createInterface({ input: process.stdin });
// Any line, or the end of whoever started us.
input.once("line", () => stopping.abort("stop"));
input.once("close", () => stopping.abort("stop"));

tell({ event: "hello" });
const program = async () => {
  while (!stopping.signal.aborted) {
    await attempt(locks);
    await sleep(between(0, 30));
  }
};
await Promise.all(Array.from({ length: orders.locals ?? 1 }, program));
const closingMs = now();
await locks.close().catch((error: unknown) => {
  if (!(error instanceof LockLostError)) tell(troubleOf("close", error, closingMs));
});
tell({ event: "bye", requests });
input.close();
process.stdin.destroy();
