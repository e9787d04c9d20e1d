/**
 * `bucketlock elect`: one command on one of many hosts. Stands for election, runs the command while it leads, campaigns again when
 * the leadership is lost or somebody has asked for it, and resigns when the command ends by itself.
 */
import type { Leadership } from "../election.js";
import { electionLock } from "../election-rule.js";
import { type Context, commandOf } from "./context.js";
import { EXIT } from "./exit-code.js";
import { failureOf, finished, notAcquired, skipExitCode, waitOf } from "./run.js";
import type { Outcome } from "./supervise.js";
import { type Leased, WaitedInVain, Work } from "./work.js";

export async function elect(context: Context, key: string, words: readonly string[]): Promise<number> {
  const { flags, screen, settings } = context;
  const argv = commandOf(words);
  const skipCode = skipExitCode(flags.skipExitCode, EXIT.notAcquired);
  // Whoever stands for election stands by: without a limit, unless one is given.
  const waitMs = settings.wait.from === "--wait" || flags.wait === false ? waitOf(context) : undefined;
  const work = await Work.open(context);
  const { signal } = work.interruption;
  const election = work.locks.election(key);
  const line = work.locks.lock(electionLock(key));
  try {
    for (;;) {
      const leadership = await work.wait(
        key,
        (until) => line.inspect({ signal: until }),
        () => election.campaign({ signal, waitMs }),
      );
      let outcome: Outcome;
      try {
        outcome = await work.under(leads(key, leadership), argv);
      } catch (error) {
        await leadership.resign().catch(() => {});
        throw error;
      }
      const failed = await failureOf(() => leadership.resign());
      const isOver = outcome.lost === undefined ? !outcome.revoked : settings.onLost.value === "ignore";
      if (isOver) return finished(context, key, outcome, failed);
      signal.throwIfAborted();
      screen.note("campaigning", { key }, `standing for election again: ${key}`);
    }
  } catch (error) {
    if (error instanceof WaitedInVain) return notAcquired(screen, key, error, skipCode);
    throw error;
  } finally {
    await work.close();
  }
}

function leads(key: string, leadership: Leadership): Leased {
  return {
    key,
    ticketId: leadership.ticketId,
    signal: leadership.signal,
    get isHeld() {
      return leadership.isLeader;
    },
    get heldUntil() {
      return leadership.heldUntil;
    },
    get revocation() {
      return leadership.revocation;
    },
    token: async () => leadership.token,
  };
}
