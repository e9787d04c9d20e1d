/**
 * Who leads, from the objects that leaders leave; and what an observer may show next. Pure: answers are handed in.
 * The token is in the object's name, so a leader that wakes up late can only write below the newest, never over it.
 */
import { BucketlockError } from "@bucketlock/core";

/** Who leads. A view from outside: it proves nothing to whoever acts on it. */
export interface Leader {
  /** Its fencing token: above that of every leader before. */
  readonly token: bigint;
  /** Who: the label of its locks. */
  readonly label: string;
  readonly ticketId: string;
}

/** Rules that a test takes away to see that they are needed. */
export interface ElectionRules {
  /** Who leads is in the store before it is told so; else it is never there. */
  readonly announces: boolean;
  /** The lease is looked at after that, once more. */
  readonly looksAgain: boolean;
  /** Whether one leads is asked of the clock; else only of the signal. */
  readonly looksAtClock: boolean;
  /** The leader's signal aborts with the lease. */
  readonly stepsDown: boolean;
  /** Observers show whose ticket stands; else whoever left its name. */
  readonly showsStanding: boolean;
  /** Observers show no older leader after a newer one. */
  readonly showsRising: boolean;
  /** The routine is awaited before the next campaign, whatever its signal says. */
  readonly awaitsRoutine: boolean;
  /** What ended without the lease has not ended well. */
  readonly endsHeld: boolean;
  /** Who lost the lease campaigns again. */
  readonly campaignsAgain: boolean;
}

export const ALL_ELECTION_RULES: ElectionRules = {
  announces: true,
  looksAgain: true,
  looksAtClock: true,
  stepsDown: true,
  showsStanding: true,
  showsRising: true,
  awaitsRoutine: true,
  endsHeld: true,
  campaignsAgain: true,
};

/** The lock that leaders hold. */
export const electionLock = (key: string): string => `${key}.election`;
export const leaderPrefix = (key: string): string => `${electionLock(key)}.leader.`;

const DIGITS = 19;
const TOKEN = /^\d{19}$/;

/** In the order of the tokens. */
export const leaderKey = (key: string, token: bigint): string =>
  `${leaderPrefix(key)}${String(token).padStart(DIGITS, "0")}`;

/** The tokens in a listing, lowest first. Other names are not ours to judge. */
export function tokensIn(key: string, objectKeys: readonly string[]): bigint[] {
  return objectKeys
    .map((objectKey) => objectKey.slice(leaderPrefix(key).length))
    .filter((rest) => TOKEN.test(rest))
    .map((rest) => BigInt(rest))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

export function encodeLeader({ token, label, ticketId }: Leader): string {
  return `${JSON.stringify({ format: 1, token: String(token), label, ticketId })}\n`;
}

/** Throws LEADER_CORRUPT: a person must look. */
export function decodeLeader(key: string, token: bigint, text: string): Leader {
  try {
    const { format, token: written, label, ticketId } = JSON.parse(text) as Record<string, unknown>;
    if (format === 1 && written === String(token) && typeof label === "string" && typeof ticketId === "string")
      return { token, label, ticketId };
  } catch {
    // No JSON: said below.
  }
  throw new BucketlockError(`the object is not what a leader leaves: ${leaderKey(key, token)}`, {
    code: "LEADER_CORRUPT",
    kind: "corrupt",
    details: { object: leaderKey(key, token) },
  });
}

/** What an observer has shown. */
export interface View {
  readonly shown: Leader | undefined;
  /** The highest token it ever showed. */
  readonly highest: bigint;
  /** False until the first answer. */
  readonly begun: boolean;
}

export const FIRST_VIEW: View = { shown: undefined, highest: 0n, begun: false };

/** What was seen now becomes the next view; undefined: nothing to show. An older leader is never shown after a newer one. */
export function nextView(
  view: View,
  seen: Leader | undefined,
  { showsRising }: Pick<ElectionRules, "showsRising"> = ALL_ELECTION_RULES,
): View | undefined {
  const leader = showsRising && seen !== undefined && seen.token < view.highest ? undefined : seen;
  if (view.begun && view.shown?.token === leader?.token) return undefined;
  return { shown: leader, highest: leader?.token ?? view.highest, begun: true };
}
