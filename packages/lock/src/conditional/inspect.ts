/**
 * Looking at a record from outside, and breaking what stands in it: for people and their tools.
 * Inspecting never changes anything.
 */
import type { CallOptions } from "@bucketlock/core";
import { type BreakOptions, checkBreak, type LockInfo, type TicketInfo } from "../inspect.js";
import { type Line, startLeave } from "./machine.js";
import { type Entry, recordKey } from "./record.js";
import { drive, type Hands, readRecord } from "./record-hands.js";

export async function inspectRecord(hands: Hands, options: CallOptions): Promise<LockInfo> {
  const stored = await readRecord(hands, options);
  const serverTimeMs = hands.memory.serverTimeMs;
  if (stored === undefined) return { key: hands.key, holders: [], waiters: [], serverTimeMs };
  const describe = (entry: Entry, state: TicketInfo["state"]): TicketInfo => {
    const renewedAtMs = entry.atMs ?? stored.lastModifiedMs ?? 0;
    const ageMs = serverTimeMs === undefined ? undefined : Math.max(0, serverTimeMs - renewedAtMs);
    const untouchedMs = serverTimeMs === undefined ? 0 : serverTimeMs - (stored.lastModifiedMs ?? serverTimeMs);
    const isDead = untouchedMs > entry.leaseMs + hands.settings.clockSkewMs;
    return {
      ticketId: entry.id,
      mode: entry.mode,
      permits: entry.permits,
      state,
      label: entry.label,
      sinceMs: undefined,
      renewedAtMs,
      ageMs,
      renewals: entry.renewals,
      leaseMs: entry.leaseMs,
      revocation: entry.request,
      // Who waits gives no sign of life: it is asked for one when its turn comes.
      life:
        state === "waits"
          ? "unsure"
          : isDead
            ? "dead"
            : (ageMs ?? 0) > entry.leaseMs + hands.settings.stepMs
              ? "unsure"
              : "alive",
    };
  };
  return {
    key: hands.key,
    holders: stored.record.holders.map((entry) => describe(entry, "holds")),
    waiters: stored.record.queue.map((entry) => describe(entry, "waits")),
    serverTimeMs,
  };
}

/** Takes entries out of the record; the lock goes to the next in line. Answers the ids removed. */
export async function breakEntries(hands: Hands, line: Line, options: BreakOptions): Promise<string[]> {
  const { olderThanMs } = checkBreak(options);
  const call = { signal: options.signal, timeoutMs: hands.settings.requestTimeoutMs };
  const info = await inspectRecord(hands, call);
  const broken: string[] = [];
  for (const ticket of [...info.holders, ...info.waiters]) {
    if (options.ticketIds !== undefined && !options.ticketIds.includes(ticket.ticketId)) continue;
    // Without the store's time no age can be told: only an explicit 0 breaks then.
    if (olderThanMs > 0 && (ticket.ageMs ?? 0) < olderThanMs) continue;
    await remove(hands, line, ticket.ticketId, call);
    broken.push(ticket.ticketId);
  }
  await hands.memory.versions.sweep(hands.store, recordKey(hands.key), call);
  return broken;
}

async function remove(hands: Hands, line: Line, id: string, call: CallOptions & { timeoutMs: number }): Promise<void> {
  const nowMs = hands.settings.clock.monotonicMs();
  await drive(hands, {
    line,
    first: startLeave(line, id, hands.memory.get(hands.key), false),
    signal: call.signal,
    patienceUntilMs: nowMs + call.timeoutMs,
    steadyMs: () => hands.settings.clock.monotonicMs(),
    timeoutMs: call.timeoutMs,
  });
}
