/**
 * One attempt at a lock by whichever protocol: from the first request to a ticket that is held at the store, or to nothing left of it.
 * Decides nothing; makes holdings and errors of verdicts.
 */
import { BucketlockError, type Store } from "@bucketlock/core";
import { runRecordLine } from "./conditional/driver.js";
import type { Gate } from "./conditional/gate.js";
import type { RecordMemory } from "./conditional/record-hands.js";
import type { EventFacts, LockEvent } from "./events.js";
import type { Remains } from "./held-ticket.js";
import { Holding } from "./holding.js";
import type { Settings } from "./settings.js";
import { type Mutation, runLine, type Trouble } from "./two-object/driver.js";
import type { Mode } from "./two-object/ticket.js";

/** What an attempt needs of the locks it belongs to. */
export interface AttemptContext {
  readonly store: Store;
  readonly settings: Settings;
  /** What stands before the conditional protocol. */
  readonly gate: Gate;
  /** What the conditional protocol remembers. */
  readonly memory: RecordMemory;
  /** Empty, but for tests that remove a rule. */
  readonly mutation: Mutation;
  readonly emit: (event: LockEvent) => void;
  opened(ticket: Remains): void;
  closed(ticket: Remains): void;
  held(holding: Holding): void;
  ended(holding: Holding, rest: Promise<void>): void;
}

export interface AttemptOptions {
  readonly key: string;
  readonly mode: Mode;
  /** Of mode permit. */
  readonly permits?: number | undefined;
  /** Until when to stand in line, on the monotonic clock; asked each time, for who waits may change. At or before the start: try once. */
  readonly deadlineMs: () => number;
  readonly signal: AbortSignal | undefined;
  /** A ticket to find again. */
  readonly ticketId?: string | undefined;
  /** Told once, when others stand before. */
  readonly onWaiting?: ((before: readonly string[]) => void) | undefined;
  readonly trouble?: Trouble | undefined;
}

export interface AttemptResult {
  /** Undefined: others stand before us and the time is up. */
  readonly holding?: Holding;
  readonly by: readonly string[];
}

/** Throws store errors, the verdicts that are errors, and the signal's reason unchanged; then nothing of ours is left in line. */
export async function attempt(context: AttemptContext, options: AttemptOptions): Promise<AttemptResult> {
  const { settings, gate, memory, mutation } = context;
  const { key, mode, signal, onWaiting } = options;
  const store = gate.ready ?? (await gate.open(signal));
  const tell = (id: string, facts: EventFacts) => {
    if (facts.type === "waiting") onWaiting?.(facts.for);
    context.emit({ ...facts, key, ticketId: id, mode } as LockEvent);
  };
  const given = { ...mutation, ...options, store, settings, emit: tell };
  const onTicket = {
    open: (ticket: Remains) => context.opened(ticket),
    closed: (ticket: Remains) => context.closed(ticket),
  };
  const result =
    settings.protocol === "conditional"
      ? await runRecordLine({ ...given, memory, onTicket })
      : await runLine({ ...given, onTicket });
  if ("is" in result) {
    if (result.is === "contended") return { by: result.by };
    throw failure(key, result.code, result.cause, settings, options.ticketId);
  }
  // Taken over or broken in the very moment it was won: nobody was told that it is held, so nobody would be told of the loss.
  if (result.keeper.lostError !== undefined && mutation.localRules?.onlyValid !== false) {
    await result.keeper.stop();
    context.closed(result.waiting ?? result.ticket);
    return attempt(context, options);
  }
  const holding = new Holding(result, {
    store,
    settings,
    emit: tell,
    onEnd: (ended, rest) => context.ended(ended, rest),
  });
  context.held(holding);
  context.closed(result.waiting ?? result.ticket);
  return { holding, by: [] };
}

function failure(
  key: string,
  code: string,
  cause: unknown,
  settings: Settings,
  ticketId: string | undefined,
): BucketlockError {
  switch (code) {
    case "LISTING_NOT_VISIBLE":
      return new BucketlockError(
        `our own lock objects did not show in the listing within ${settings.visibilityTimeoutMs} ms; this store's listing cannot be trusted for a lock: ${key}`,
        { code, kind: "unsupported", details: { key } },
      );
    case "TICKET_NOT_FOUND":
      return new BucketlockError(
        `the ticket to resume is not there (released, taken over or broken): ${key} (ticket ${ticketId})`,
        {
          code,
          kind: "lost",
          details: { key, ticketId },
        },
      );
    default:
      return new BucketlockError(`the store did not clearly take our ticket: ${key}`, {
        code,
        kind: "unavailable",
        cause,
        details: { key },
      });
  }
}
