/**
 * Runs a command for as long as a lease lasts: the guard beside it, its end when the lease is lost, and not one process of it
 * after that. Takes any lease and asks only how long it still is; acquires and releases nothing.
 */
import { type BucketlockError, type Clock, systemClock, systemRandom } from "@bucketlock/core";
import type { ReleaseRequestedError } from "../errors.js";
import { Command, type Ended } from "./command.js";
import type { GuardLine } from "./guard-line.js";
import type { Interruption } from "./interruption.js";
import { graceAfterLossMs, type LeasePlan } from "./lease-plan.js";
import { printable } from "./printable.js";
import type { Screen } from "./screen.js";

export interface Supervised {
  readonly key: string;
  readonly ticketId: string;
  readonly signal: AbortSignal;
  readonly isHeld: boolean;
  readonly heldUntil: number;
}

export interface SuperviseOptions {
  readonly lease: Supervised;
  readonly plan: LeasePlan;
  readonly argv: readonly [string, ...string[]];
  /** The command's variables beside ours. */
  readonly variables: Readonly<Record<string, string>>;
  readonly onLost: "term" | "ignore";
  /** Somebody asks for the lock: the command is told by TERM, and decides itself. */
  readonly revocation?: AbortSignal | undefined;
  readonly guard: GuardLine;
  readonly interruption: Interruption;
  readonly onTerminal: boolean;
  readonly screen: Screen;
  /** Hands over what to call after each renewal; answers what ends that. */
  readonly renewals: (onRenewed: () => void) => () => void;
  readonly clock?: Clock | undefined;
}

export interface Outcome extends Ended {
  /** The command was ended for it, or with `ignore` ran on without the lock. */
  readonly lost: BucketlockError | undefined;
  /** Somebody asked for the lock, and the command was told. */
  readonly revoked: boolean;
}

export async function supervise(options: SuperviseOptions): Promise<Outcome> {
  const { lease, plan, guard, interruption, screen, onLost, revocation, clock = systemClock } = options;
  const mark = systemRandom.hex(8);
  const command = new Command(mark, options.onTerminal, clock);
  let lost: BucketlockError | undefined;
  let giveUpAtMs = 0;
  const known = () => {
    const leftMs = lease.heldUntil - clock.wallMs();
    giveUpAtMs = clock.monotonicMs() + leftMs;
    guard.until(onLost === "ignore" ? undefined : leftMs + plan.graceMs);
  };
  known();
  const stopRenewals = options.renewals(() => {
    if (!lease.signal.aborted) known();
  });
  let ending: Promise<void> | undefined;
  const onLoss = () => {
    lost = lease.signal.reason as BucketlockError;
    const graceMs = graceAfterLossMs(plan, clock.monotonicMs() - giveUpAtMs);
    screen.note(
      "lost",
      { key: lease.key, message: lost.message, graceMs: onLost === "ignore" ? undefined : graceMs },
      `${lost.message}${onLost === "ignore" ? "; the command runs on without it" : "; ending the command"}`,
    );
    if (onLost === "term") {
      guard.until(graceMs);
      ending = command.end(graceMs);
    }
  };
  let revoked = false;
  const onRevoked = () => {
    revoked = true;
    const { reason, by } = revocation!.reason as ReleaseRequestedError;
    screen.note(
      "revoked",
      { key: lease.key, reason, by },
      `${printable(by)} asks for ${lease.key} (${printable(reason)}): the command is told`,
    );
    command.forward("SIGTERM");
  };
  try {
    await guard.watch(command.offspring, plan.graceMs);
    interruption.signal.throwIfAborted();
    if (lease.signal.aborted || !lease.isHeld) throw lease.signal.reason;
    const env = { ...process.env, ...options.variables, BUCKETLOCK_RUN: chain(process.env.BUCKETLOCK_RUN, mark) };
    const { ended } = await command.start(options.argv, env);
    void guard.watch(command.offspring, plan.graceMs);
    interruption.command = command;
    lease.signal.addEventListener("abort", onLoss, { once: true });
    revocation?.addEventListener("abort", onRevoked, { once: true });
    if (lease.signal.aborted) onLoss();
    else if (revocation?.aborted) onRevoked();
    // It came while the command was being started.
    if (interruption.signal.aborted) command.forward("SIGTERM");
    const how = await ended;
    // Stopped and woken again, the guard may have been faster than the lease's own timer: asking makes the lease look at the clock.
    void lease.isHeld;
    await ending;
    return { ...how, lost, revoked };
  } finally {
    interruption.command = undefined;
    lease.signal.removeEventListener("abort", onLoss);
    revocation?.removeEventListener("abort", onRevoked);
    stopRenewals();
    guard.done();
  }
}

/** One run inside another carries both marks, so that the outer one's end finds it. */
function chain(outer: string | undefined, mark: string): string {
  return outer === undefined || outer === "" ? mark : `${outer},${mark}`;
}
