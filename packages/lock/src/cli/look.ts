/**
 * `bucketlock ls`, `inspect` and `break`: looking at locks, and removing what died. Changes nothing but what `break` was told to.
 */
import { createInterface } from "node:readline/promises";
import { isatty } from "node:tty";
import { BucketlockError, type Store, systemClock } from "@bucketlock/core";
import { BREAK_AGE_MS, type LockInfo, type TicketInfo } from "../inspect.js";
import type { Context } from "./context.js";
import { describeLock, who } from "./describe.js";
import { parseDuration, showDuration, spellDuration } from "./duration.js";
import { EXIT } from "./exit-code.js";
import { InterruptedError, Interruption } from "./interruption.js";
import { locksIn } from "./lock-names.js";
import { printable } from "./printable.js";

const WATCH_MS = 1_000;

export async function ls(context: Context, prefix: string): Promise<number> {
  const { screen } = context;
  return withStore(context, async (store, signal) => {
    const objects: { key: string }[] = [];
    for await (const page of store.list(prefix, { signal })) objects.push(...page.objects);
    const locks = locksIn(objects);
    if (screen.isJson) screen.json(locks);
    else
      for (const { key, tickets, protocol } of locks) {
        const what = protocol === "conditional" ? "a record" : `${tickets} ticket${tickets === 1 ? "" : "s"}`;
        screen.print(`${printable(key)}  ${screen.paint("dim", what)}`);
      }
    return EXIT.done;
  });
}

export async function inspect(context: Context, key: string): Promise<number> {
  const { screen, flags } = context;
  const paint = (colour: Parameters<typeof screen.paint>[0], text: string) => screen.paint(colour, text);
  return withStore(context, async (store, signal) => {
    let before = "";
    for (;;) {
      const info = await lookAt(context, key, store, signal);
      if (flags.watch !== true) {
        if (screen.isJson) screen.json(info);
        else screen.print(describeLock(info, paint));
        return EXIT.done;
      }
      // Ages change at every look, and are no news.
      const now = JSON.stringify(
        [info.holders, info.waiters].map((list) => list.map(({ ticketId, state, life }) => [ticketId, state, life])),
      );
      if (now !== before) {
        if (screen.isJson) screen.json(info, true);
        else screen.print(describeLock(info, paint));
      }
      before = now;
      await systemClock.sleep(WATCH_MS, { signal });
    }
  });
}

/** Named so because `break` is a word of the language. */
export async function breakLock(context: Context, key: string): Promise<number> {
  const { screen, flags } = context;
  const olderThanMs = flags.olderThan === undefined ? BREAK_AGE_MS : parseDuration("--older-than", flags.olderThan);
  const wanted = flags.ticket as string[] | undefined;
  return withStore(context, async (store, signal) => {
    const info = await lookAt(context, key, store, signal);
    const all = [...info.holders, ...info.waiters].filter(({ ticketId }) => wanted?.includes(ticketId) ?? true);
    const old = all.filter(({ ageMs }) => olderThanMs === 0 || (ageMs ?? 0) >= olderThanMs);
    const young = all.filter((ticket) => !old.includes(ticket));
    if (old.length === 0) {
      const text =
        young.length === 0
          ? `nothing to break: ${key}`
          : `nothing broken: ${names(young)} gave a sign of life within ${spellDuration(olderThanMs)}; --older-than 0s breaks all the same`;
      if (screen.isJson) screen.json({ key, broken: [], kept: young.map(({ ticketId }) => ticketId) });
      else screen.print(text);
      return young.length === 0 ? EXIT.done : EXIT.refused;
    }
    if (flags.yes !== true) await confirm(key, old, signal);
    const locks = await context.lookAt(key, store, signal, true);
    const broken = await locks
      .lock(key)
      .breakLock({ olderThanMs, ticketIds: old.map(({ ticketId }) => ticketId), signal });
    const kept = all.map(({ ticketId }) => ticketId).filter((id) => !broken.includes(id));
    if (screen.isJson) screen.json({ key, broken, kept });
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
    const locks = await context.lookAt(key, store, signal, true);
    const wanted = flags.ticket as string[] | undefined;
    // For their names.
    const before = screen.isJson ? undefined : await locks.lock(key).inspect({ signal });
    const asked = await locks
      .lock(key)
      .requestRelease(reason, { signal, ...(wanted === undefined ? {} : { ticketIds: wanted }) });
    if (screen.isJson) screen.json({ key, asked });
    else if (asked.length === 0) screen.print(`nobody to ask: ${key}`);
    else
      screen.print(
        `asked: ${asked.map((id) => who(before?.holders.find(({ ticketId }) => ticketId === id) ?? { ticketId: id, label: undefined })).join(", ")}`,
      );
    return EXIT.done;
  });
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
