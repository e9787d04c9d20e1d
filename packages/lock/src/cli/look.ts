/**
 * `bucketlock ls`, `inspect` and `break`: looking at locks, and removing what died. Changes nothing but what `break` was told to.
 */
import { constants } from "node:os";
import { createInterface } from "node:readline/promises";
import { isatty } from "node:tty";
import { BucketlockError, type Store, systemClock } from "@bucketlock/core";
import { decode, recordKey } from "../conditional/record.js";
import { BREAK_AGE_MS, type LockInfo, type TicketInfo } from "../inspect.js";
import { lockKey, prefixOf } from "../two-object/ticket.js";
import type { Context } from "./context.js";
import { describeListed, describeLock, who } from "./describe.js";
import { parseDuration, showDuration, spellDuration } from "./duration.js";
import { EXIT, exitCodeOf } from "./exit-code.js";
import { InterruptedError, Interruption } from "./interruption.js";
import { KINDS, type Kind, type Listed, listedIn, lockOf } from "./lock-names.js";

const WATCH_MS = 1_000;
/** Requests at a time. */
const AT_A_TIME = 8;

export async function ls(context: Context, prefix: string): Promise<number> {
  const { screen } = context;
  return withStore(context, async (store, signal) => {
    const objects: { key: string }[] = [];
    for await (const page of store.list(prefix, { signal })) objects.push(...page.objects);
    const all = await withSemaphores(listedIn(objects), store, signal);
    if (screen.isJson) screen.json(all);
    else for (const line of describeListed(all, (text) => screen.paint("dim", text))) screen.print(line);
    return EXIT.done;
  });
}

/** A record's name does not tell whether it is a semaphore's: those are read. */
async function withSemaphores(all: Listed[], store: Store, signal: AbortSignal): Promise<Listed[]> {
  const told = [...all];
  const records = all.flatMap((one, at) =>
    one.kind === "lock" && one.protocol === "conditional" ? [{ one, at }] : [],
  );
  for (let from = 0; from < records.length; from += AT_A_TIME)
    await Promise.all(
      records.slice(from, from + AT_A_TIME).map(async ({ one, at }) => {
        if (await isOfSemaphore(one.key, store, signal)) told[at] = { ...one, kind: "semaphore" };
      }),
    );
  return told;
}

async function isOfSemaphore(key: string, store: Store, signal: AbortSignal): Promise<boolean> {
  const answer = await store.get(recordKey(key), { signal });
  if (!answer.found) return false;
  try {
    const { holders, queue } = decode(recordKey(key), new TextDecoder().decode(answer.body));
    return [...holders, ...queue].some(({ permits }) => permits !== undefined);
  } catch {
    // Broken: inspect tells.
    return false;
  }
}

export async function inspect(context: Context, key: string): Promise<number> {
  const { screen, flags } = context;
  const paint = (colour: Parameters<typeof screen.paint>[0], text: string) => screen.paint(colour, text);
  return withStore(context, async (store, signal) => {
    let before = "";
    let found = await find(context, key, store, signal);
    for (;;) {
      const info = await lookAt(context, found.lock, store, signal);
      const isSemaphore = [...info.holders, ...info.waiters].some(({ mode }) => mode === "permit");
      const facts = { ...info, key, kind: isSemaphore ? "semaphore" : found.kind };
      if (flags.watch !== true) {
        if (screen.isJson) screen.json(facts);
        else screen.print(describeLock({ ...info, key: found.name }, paint));
        return EXIT.done;
      }
      // Ages change at every look, and are no news.
      const now = JSON.stringify(
        [info.holders, info.waiters].map((list) => list.map(({ ticketId, state, life }) => [ticketId, state, life])),
      );
      if (now !== before) {
        if (screen.isJson) screen.json(facts, true);
        else screen.print(describeLock({ ...info, key: found.name }, paint));
      }
      // As a program ends that leaves SIGPIPE alone.
      if (!screen.isRead) return exitCodeOf(null, constants.signals.SIGPIPE);
      before = now;
      await systemClock.sleep(WATCH_MS, { signal });
      if (!found.isThere) found = await find(context, key, store, signal);
    }
  });
}

/** Named so because `break` is a word of the language. */
export async function breakLock(context: Context, key: string): Promise<number> {
  const { screen, flags } = context;
  const olderThanMs = flags.olderThan === undefined ? BREAK_AGE_MS : parseDuration("--older-than", flags.olderThan);
  const wanted = flags.ticket as string[] | undefined;
  return withStore(context, async (store, signal) => {
    const { lock, kind, name } = await find(context, key, store, signal);
    const info = await lookAt(context, lock, store, signal);
    const all = [...info.holders, ...info.waiters].filter(({ ticketId }) => wanted?.includes(ticketId) ?? true);
    const old = all.filter(({ ageMs }) => olderThanMs === 0 || (ageMs ?? 0) >= olderThanMs);
    const young = all.filter((ticket) => !old.includes(ticket));
    if (old.length === 0) {
      const text =
        young.length === 0
          ? `nothing to break: ${name}`
          : `nothing broken: ${names(young)} gave a sign of life within ${spellDuration(olderThanMs)}; --older-than 0s breaks all the same`;
      if (screen.isJson) screen.json({ key, kind, broken: [], kept: young.map(({ ticketId }) => ticketId) });
      else screen.print(text);
      return young.length === 0 ? EXIT.done : EXIT.refused;
    }
    if (flags.yes !== true) await confirm(name, old, signal);
    const locks = await context.lookAt(lock, store, signal, true);
    const broken = await locks
      .lock(lock)
      .breakLock({ olderThanMs, ticketIds: old.map(({ ticketId }) => ticketId), signal });
    const kept = all.map(({ ticketId }) => ticketId).filter((id) => !broken.includes(id));
    if (screen.isJson) screen.json({ key, kind, broken, kept });
    else {
      const named = (ids: readonly string[]) =>
        ids.map((id) => who(all.find(({ ticketId }) => ticketId === id)!)).join(", ");
      screen.print(`broken: ${named(broken) || "nothing"}${kept.length === 0 ? "" : `; kept: ${named(kept)}`}`);
    }
    return EXIT.done;
  });
}

export async function revoke(context: Context, key: string): Promise<number> {
  const { screen, flags } = context;
  const reason = (flags.reason as string | undefined) ?? "asked for at a command line";
  return withStore(context, async (store, signal) => {
    const { lock, kind, name } = await find(context, key, store, signal);
    const locks = await context.lookAt(lock, store, signal, true);
    const wanted = flags.ticket as string[] | undefined;
    // For their names.
    const before = screen.isJson ? undefined : await locks.lock(lock).inspect({ signal });
    const asked = await locks
      .lock(lock)
      .requestRelease(reason, { signal, ...(wanted === undefined ? {} : { ticketIds: wanted }) });
    if (screen.isJson) screen.json({ key, kind, asked });
    else if (asked.length === 0) screen.print(`nobody to ask: ${name}`);
    else
      screen.print(
        `asked: ${asked.map((id) => who(before?.holders.find(({ ticketId }) => ticketId === id) ?? { ticketId: id, label: undefined })).join(", ")}`,
      );
    return EXIT.done;
  });
}

interface Found {
  readonly kind: Kind;
  /** The key of the lock behind it. */
  readonly lock: string;
  /** For people. */
  readonly name: string;
  /** Somebody has it, or had. */
  readonly isThere: boolean;
}

/** What the key names: what `--kind` says, else the first of lock, election and job that has tickets or a record; else the lock. */
async function find({ flags }: Context, key: string, store: Store, signal: AbortSignal): Promise<Found> {
  const found = (kind: Kind, isThere: boolean): Found => {
    const name = kind === "lock" ? key : `${key} (${kind})`;
    return { kind, lock: lockOf(kind, key), name, isThere };
  };
  // Before the store is asked for what can be no key.
  lockKey(key);
  if (flags.kind !== undefined) return found(flags.kind as Kind, true);
  for (const kind of KINDS)
    for await (const { objects } of store.list(prefixOf(lockOf(kind, key)), { signal })) {
      const isUsed = (one: Listed) => "protocol" in one && one.protocol !== "none";
      if (listedIn(objects).some(isUsed)) return found(kind, true);
    }
  return found("lock", false);
}

async function confirm(key: string, tickets: readonly TicketInfo[], signal: AbortSignal): Promise<void> {
  const refuse = (why: string) =>
    new BucketlockError(`nothing was broken, ${why}: ${key}`, {
      code: "NOT_CONFIRMED",
      kind: "invalid",
      details: { key },
    });
  if (!isatty(0)) throw refuse("there is no terminal to ask at");
  const alive = tickets.filter(({ life }) => life === "alive");
  const warning =
    alive.length === 0 ? "" : ` ALIVE: ${alive.map(who).join(", ")}; what it does goes on until its next renewal.`;
  const question = `Break ${key}, held or waited for by ${names(tickets)}?${warning} [y/N] `;
  const answer = await ask(question, signal);
  if (answer === undefined || !/^y(es)?$/i.test(answer.trim())) throw refuse("as you said");
}

/** Undefined: the terminal was closed, or Ctrl-D. Ctrl-C is read as a key by now, and no signal. */
async function ask(question: string, signal: AbortSignal): Promise<string | undefined> {
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise((resolve, reject) => {
      asking.once("SIGINT", () => {
        process.stderr.write("\n");
        reject(new InterruptedError("SIGINT"));
      });
      asking.once("close", () => resolve(undefined));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      asking.question(question).then(resolve, reject);
    });
  } finally {
    asking.close();
  }
}

function names(tickets: readonly TicketInfo[]): string {
  return tickets
    .map((ticket) => `${who(ticket)}${ticket.ageMs === undefined ? "" : ` (seen ${showDuration(ticket.ageMs)} ago)`}`)
    .join(", ");
}

async function lookAt(context: Context, key: string, store: Store, signal: AbortSignal): Promise<LockInfo> {
  const locks = await context.lookAt(key, store, signal);
  return locks.lock(key).inspect({ signal });
}

/** Ctrl-C ends it; the store is closed whatever happens. */
export async function withStore<T>(
  context: Context,
  work: (store: Store, signal: AbortSignal) => Promise<T>,
  url?: string,
): Promise<T> {
  const interruption = new Interruption(undefined);
  const store = await context.openStore(url);
  try {
    return await work(store, interruption.signal);
  } finally {
    await store.close();
    interruption.end();
  }
}
