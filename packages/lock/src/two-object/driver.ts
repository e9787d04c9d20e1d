/**
 * Carries out what the machine of the two-object protocol asks for: requests, sleeps, deletes.
 * Decides nothing about who holds. Leaves nothing behind when it ends without the lock, as far as the store can be reached.
 */
import { BucketlockError, type CallOptions, type HeadAnswer, type Random, type Store } from "@bucketlock/core";
import { decodeTime, ulid } from "ulid";
import type { ElectionRules } from "../election-rule.js";
import type { EventFacts } from "../events.js";
import type { HeldTicket, Remains } from "../held-ticket.js";
import { Keeper } from "../keeper.js";
import type { TurnRules } from "../local/turns.js";
import type { OnceRules } from "../once-rule.js";
import { permitsMismatch } from "../permits.js";
import type { Settings } from "../settings.js";
import { SteadyClock } from "../steady.js";
import type { Target } from "./looks.js";
import {
  ALL_RULES,
  type Answer,
  giveUp,
  type Line,
  type Request,
  type Rules,
  resume,
  type State,
  start,
  step,
  type Verdict,
} from "./machine.js";
import { labelOf, listTickets, lookAt, RENEWAL, removeTicket, TicketObjects } from "./objects.js";
import { type Mode, parseOwnId, ticketId } from "./ticket.js";
import type { ValidityRules } from "./validity.js";

const CLEANUP_MS = 5_000;
const LABELS_MAX = 3;
const ULID_TIME_MAX_MS = 2 ** 48 - 1;

/** A ticket that won: what a lease is made of. */
export interface Won {
  readonly ticket: HeldTicket;
  /** What was told of as open while it waited, to be closed now that it holds. Undefined: the ticket itself. */
  readonly waiting?: Remains;
  readonly keeper: Keeper;
  readonly waitedMs: number;
  readonly requests: number;
}

/** An acquire that ended without the lock. */
export type Lost = Exclude<Verdict, { is: "held" | "disagreed" }>;

/** Rules that a test takes away to see that they are needed. Users always get all of them. */
export interface Mutation {
  readonly rules?: Partial<Rules>;
  readonly validityRules?: Partial<ValidityRules>;
  /** False: a waiting ticket is not kept alive. */
  readonly keepWaiting?: boolean;
  readonly once?: Partial<OnceRules>;
  readonly election?: Partial<ElectionRules>;
  /** Of the acquires within one process. */
  readonly localRules?: Partial<TurnRules>;
}

/** The passing fault of the store that an attempt waits out just now, if any. Written by the attempt. */
export interface Trouble {
  error: unknown;
}

export interface Attempt extends Mutation {
  readonly store: Store;
  readonly settings: Settings;
  readonly key: string;
  readonly mode: Mode;
  /** Of mode permit. */
  readonly permits?: number | undefined;
  /** On the monotonic clock, asked each time. At or before the start: try once. */
  readonly deadlineMs: () => number;
  readonly trouble?: Trouble | undefined;
  readonly signal: AbortSignal | undefined;
  /** A ticket to find again. */
  readonly ticketId?: string | undefined;
  readonly emit: (ticketId: string, facts: EventFacts) => void;
  /** Told of every ticket whose objects may exist, and when they no longer do. */
  readonly onTicket?: { open(ticket: Remains): void; closed(ticket: Remains): void };
}

/** Runs the line. Answers the won ticket or the verdict; throws store errors, PERMITS_MISMATCH, and the signal's reason unchanged. */
export async function runLine(attempt: Attempt): Promise<Won | Lost> {
  return new Driver(attempt).run();
}

class Driver {
  readonly #a: Attempt;
  readonly #line: Line;
  readonly #startedMs: number;
  readonly #steady: SteadyClock;
  readonly #foreignModes = new Map<string, Mode>();
  #objects: TicketObjects | undefined;
  #keeper: Keeper | undefined;
  #requests = 0;
  #told = "";

  constructor(attempt: Attempt) {
    const { settings } = attempt;
    this.#a = attempt;
    this.#startedMs = settings.clock.monotonicMs();
    this.#steady = new SteadyClock(settings.clock, settings.marginMs / 2);
    this.#line = {
      mode: attempt.mode,
      permits: attempt.permits,
      visibilityTimeoutMs: settings.visibilityTimeoutMs,
      settleMs: settings.settleMs,
      pollMinMs: settings.pollMinMs,
      pollMaxMs: settings.pollMaxMs,
      clockSkewMs: settings.clockSkewMs,
      stepMs: settings.stepMs,
      breakAfterMs: settings.breakAfterMs,
      get deadlineMs() {
        return attempt.deadlineMs();
      },
      rules: { ...ALL_RULES, ...attempt.rules },
    };
  }

  async run(): Promise<Won | Lost> {
    const id = this.#a.ticketId;
    let { state, request } = id === undefined ? start(this.#startedMs) : resume(id, this.#startedMs);
    if (id !== undefined) this.#open(id);
    try {
      for (;;) {
        this.#a.signal?.throwIfAborted();
        if (request.do === "verdict") return await this.#finish(request.verdict);
        const answer = await this.#patiently(request, state);
        const facts = { nowMs: this.#a.settings.clock.monotonicMs(), valid: this.#keeper?.isValid() ?? false };
        ({ state, request } = step(this.#line, state, answer, facts));
        if (state.phase === "wait") this.#tellWaiting(state);
      }
    } catch (error) {
      // Whatever went wrong, our ticket must not stand in others' way.
      const ending = giveUp(state, "the caller gave up, or the store failed", { is: "contended", by: [] });
      if (ending.request.do === "withdraw") await this.#withdraw(ending.request.why);
      throw error;
    }
  }

  async #finish(verdict: Verdict): Promise<Won | Lost> {
    if (verdict.is === "disagreed") throw await this.#dissent(verdict.by);
    if (verdict.is !== "held") return verdict;
    if (this.#a.keepWaiting === false) this.#keeper?.start();
    this.#objects!.won(verdict.marker);
    return {
      ticket: this.#objects!,
      keeper: this.#keeper!,
      waitedMs: this.#a.settings.clock.monotonicMs() - this.#startedMs,
      requests: this.#requests,
    };
  }

  /** Asked for by name, for people: the number of permits is in the ids. */
  async #dissent(ids: readonly string[]): Promise<BucketlockError> {
    const { store, key, permits } = this.#a;
    const label = (id: string) => labelOf(store, key, id, this.#call()).catch(() => undefined);
    const others = ids.map(async (id, at) => ({
      ticketId: id,
      permits: parseOwnId(id)?.permits,
      label: at < LABELS_MAX ? await label(id) : undefined,
    }));
    return permitsMismatch(key, permits, await Promise.all(others));
  }

  /** A passing fault of the store costs time, not the lock: the same request again until the deadline. */
  async #patiently(request: Exclude<Request, { do: "verdict" }>, state: State): Promise<Answer> {
    for (;;) {
      try {
        const answer = await this.#perform(request, state);
        this.#note(answer);
        return answer;
      } catch (error) {
        const { clock, random, pollMaxMs } = this.#a.settings;
        this.#a.signal?.throwIfAborted();
        const passing = error instanceof BucketlockError && (error.retryable || error.kind === "unknown");
        // Written once, so never asked for twice: whatever happened, this ticket is spent.
        if (passing && request.do === "putPlace") return { of: "putPlace", outcome: "unknown", cause: error };
        const leftMs = this.#line.deadlineMs - clock.monotonicMs();
        if (!passing || leftMs <= 0) throw error;
        if (this.#a.trouble !== undefined) this.#a.trouble.error = error;
        await clock.sleep(Math.min(pollMaxMs * (0.5 + random.float() / 2), leftMs), { signal: this.#a.signal });
      }
    }
  }

  #note(answer: Answer): void {
    const { trouble } = this.#a;
    if (trouble === undefined) return;
    const isUnclear = "outcome" in answer && answer.outcome === "unknown";
    if (isUnclear) trouble.error = answer.cause ?? trouble.error;
    else if ((answer.of !== "sleep" || answer.peeked !== undefined) && answer.of !== "draw" && answer.of !== "withdraw")
      trouble.error = undefined;
  }

  async #perform(request: Exclude<Request, { do: "verdict" }>, state: State): Promise<Answer> {
    const { store, key, settings } = this.#a;
    const sentAtMs = settings.clock.monotonicMs();
    switch (request.do) {
      case "draw":
        this.#open(
          ticketId(
            drawUlid(request.aboveUlid, settings.clock.wallMs(), settings.random),
            this.#a.mode,
            settings.leaseMs,
            this.#a.permits,
          ),
        );
        return { of: "draw", id: this.#objects!.id };
      case "putDoor":
        return this.#putDoor(state);
      case "putPlace":
        return this.#putPlace();
      case "list":
        this.#requests++;
        return { of: "list", view: await listTickets(store, key, this.#foreignModes, this.#call()), sentAtMs };
      case "look":
        this.#requests++;
        return { of: "look", ...(await lookAt(store, key, request.id, request.part, this.#call())), sentAtMs };
      case "sleep":
        // Shorter by chance, so that waiters do not look in step; never longer than the machine allowed.
        await settings.clock.sleep(request.ms * (0.5 + settings.random.float() / 2), { signal: this.#a.signal });
        return request.peek === undefined ? { of: "sleep" } : this.#peek(request.peek);
      case "takeOver":
        this.#requests++;
        await removeTicket(store, key, request.id, request.marker, this.#call());
        this.#a.emit(this.#objects!.id, { type: "tookOver", victim: request.id });
        return { of: "takeOver" };
      case "withdraw":
        await this.#withdraw(request.why);
        return { of: "withdraw" };
    }
  }

  async #peek({ id, part }: Target): Promise<Answer> {
    this.#requests++;
    const { sign } = await lookAt(this.#a.store, this.#a.key, id, part, this.#call());
    return { of: "sleep", peeked: sign === undefined ? "gone" : "there" };
  }

  #call(): CallOptions {
    return { signal: this.#a.signal, timeoutMs: this.#a.settings.requestTimeoutMs };
  }

  #open(id: string): void {
    this.#objects = new TicketObjects(this.#a.store, this.#a.key, id, this.#a.settings.label);
    this.#a.onTicket?.open(this.#objects);
  }

  async #putDoor(state: State): Promise<Answer> {
    const objects = this.#objects!;
    let renewals = 0;
    let resumableUntilMs = Number.POSITIVE_INFINITY;
    if (state.doorway === "all") {
      this.#requests += 2;
      const askedMs = this.#steady.nowMs();
      const [place, door] = await Promise.all([objects.headPlace(this.#call()), objects.headDoor(this.#call())]);
      if (!place.found || !door.found) return { of: "putDoor", outcome: "absent" };
      objects.assumeVersions();
      // Above every count its last keeper wrote, so that no watcher takes the two for one.
      renewals = Number(door.metadata[RENEWAL] ?? 0) + 1;
      resumableUntilMs = askedMs + leftOfOldLease(door, this.#a.settings);
    }
    this.#requests++;
    const steadyMs = this.#steady.nowMs();
    const put = await objects.putDoor(renewals, { ...this.#call(), validForMs: this.#a.settings.requestTimeoutMs });
    if (put.outcome !== "stored")
      return { of: "putDoor", outcome: "unknown", cause: put.outcome === "unknown" ? put.cause : undefined };
    if (this.#steady.nowMs() >= resumableUntilMs) return { of: "putDoor", outcome: "stale" };
    await this.#keeper?.stop();
    const emit = (facts: EventFacts) => this.#a.emit(objects.id, facts);
    this.#keeper = new Keeper(objects, this.#a.settings, this.#steady, steadyMs, renewals, emit, this.#a.validityRules);
    if (state.doorway === "all") this.#keeper.start();
    return { of: "putDoor", outcome: "stored" };
  }

  async #putPlace(): Promise<Answer> {
    this.#requests++;
    const put = await this.#objects!.putPlace({ ...this.#call(), validForMs: this.#a.settings.requestTimeoutMs });
    if (put.outcome !== "stored")
      return { of: "putPlace", outcome: "unknown", cause: put.outcome === "unknown" ? put.cause : undefined };
    // Waiting tickets are kept alive too.
    if (this.#a.keepWaiting !== false) this.#keeper?.start();
    return { of: "putPlace", outcome: "stored", lastModifiedMs: put.lastModifiedMs };
  }

  async #withdraw(why: string): Promise<void> {
    const objects = this.#objects;
    await this.#keeper?.stop();
    this.#keeper = undefined;
    this.#objects = undefined;
    if (objects === undefined) return;
    let error: unknown;
    try {
      // Not tied to the caller's signal: it may be what ended the attempt.
      await objects.delete({ timeoutMs: Math.min(CLEANUP_MS, this.#a.settings.requestTimeoutMs) });
    } catch (failure) {
      // What stays behind dies with its lease; nobody keeps it alive any more.
      error = failure;
    }
    this.#a.onTicket?.closed(objects);
    this.#a.emit(objects.id, error === undefined ? { type: "withdrew", why } : { type: "withdrew", why, error });
  }

  #tellWaiting(state: State): void {
    if (this.#told === state.id || state.before.length === 0) return;
    this.#told = state.id;
    this.#a.emit(state.id, { type: "waiting", for: state.before.map((one) => one.id) });
  }
}

// Date has steps of a second and lags by up to one.
const DATE_LAG_MS = 1_000;

/**
 * How long nobody can take a found ticket for dead, in ms from the HEAD that found its door. Once it may be dead, somebody may be taking
 * it over just now, and a listing under way could still show what is being deleted.
 */
function leftOfOldLease(door: Extract<HeadAnswer, { found: true }>, settings: Settings): number {
  if (door.serverTimeMs === undefined || door.lastModifiedMs === undefined) return 0;
  const ageMs = door.serverTimeMs - door.lastModifiedMs + settings.stepMs + DATE_LAG_MS;
  return settings.leaseMs - settings.marginMs - settings.clockSkewMs - Math.max(ageMs, 0);
}

/** A ULID of this moment, above the one given. https://github.com/ulid/spec */
export function drawUlid(above: string | undefined, wallMs: number, random: Random): string {
  const prng = () => random.float();
  const drawn = ulid(Math.floor(wallMs), prng);
  if (above === undefined || drawn > above) return drawn;
  // A peer's clock is ahead: one millisecond later than its ULID sorts after it, whatever follows.
  const afterMs = decodeTime(above) + 1;
  // At the end of ULID time (year 10889) only the store's timestamps can put us behind.
  return afterMs > ULID_TIME_MAX_MS ? drawn : ulid(afterMs, prng);
}
