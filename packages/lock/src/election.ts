/**
 * Election: one leader at a time among those who campaign, known to observers by its token.
 * A leader is who holds the lock `<key>.election`; what stands here is how it says so, how others see it, and the loop of a
 * program that leads whenever it can. Decides nothing itself: election-rule.ts does.
 */
import { BucketlockError, durationMs, InvalidError, knownOptions, oneOf } from "@bucketlock/core";
import {
  ALL_ELECTION_RULES,
  decodeLeader,
  type ElectionRules,
  electionLock,
  encodeLeader,
  FIRST_VIEW,
  type Leader,
  leaderKey,
  leaderPrefix,
  nextView,
  tokensIn,
} from "./election-rule.js";
import { NotAcquiredError } from "./errors.js";
import type { Lease } from "./lease.js";
import { Lock, type LockContext } from "./lock.js";
import {
  breathe,
  callOf,
  isPassing,
  listAll,
  patiently,
  putSurely,
  readText,
  removeAll,
  type Side,
} from "./side-objects.js";
import { isStanding } from "./standing.js";

export interface ElectionOptions {
  /** How often `observe` looks, in ms. Default: the locks' `pollMaxMs`. */
  readonly pollMs?: number | undefined;
}

export interface CampaignOptions {
  /** How long to stand for election, in ms. Default: until elected. */
  readonly waitMs?: number | undefined;
  /** Withdraws; its reason is thrown unchanged. */
  readonly signal?: AbortSignal | undefined;
}

export interface LeadOptions {
  /** Ends leading for good: `fn`'s signal aborts, and once `fn` has ended, `lead` rejects with this signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** What an error of `fn` does: end `lead` with it ("stop", the default), or step down, let others lead, and campaign again. */
  readonly onError?: "stop" | "campaign" | undefined;
}

// The longest wait a timer can hold; whoever campaigns without a limit stands in line again after it.
const FOR_LONG_MS = 2_147_483_647;

/** The right to lead. Used once: after `resign`, or when it is lost, it is over. */
export class Leadership implements Leader {
  readonly #lease: Lease;
  readonly #retract: () => Promise<void>;
  readonly #looksAtClock: boolean;

  constructor(
    lease: Lease,
    readonly token: bigint,
    readonly label: string,
    /** Aborts before the lease ends unrenewed, or when another was put in its place. Hand it to your work. */
    readonly signal: AbortSignal,
    retract: () => Promise<void>,
    { looksAtClock }: Pick<ElectionRules, "looksAtClock"> = ALL_ELECTION_RULES,
  ) {
    this.#lease = lease;
    this.#retract = retract;
    this.#looksAtClock = looksAtClock;
  }

  get ticketId(): string {
    return this.#lease.ticketId;
  }

  /** Aborts when somebody asks the leader to step down (`requestRelease` of the lock `<key>.election`). It leads on until it resigns. */
  get revocation(): AbortSignal {
    return this.#lease.revocation;
  }

  /** True while it leads, by the clock of this very moment. */
  get isLeader(): boolean {
    return this.#looksAtClock ? this.#lease.isHeld : !this.signal.aborted;
  }

  /** Epoch ms by this host's clock: until when, if no further renewal succeeds. For people and children. */
  get heldUntil(): number {
    return this.#lease.heldUntil;
  }

  /** Throws LockLostError if it can no longer be proved. Reads the clock itself: for right after a pause, where no timer has fired. */
  throwIfLost(): void {
    if (this.#looksAtClock) this.#lease.throwIfLost();
    else this.signal.throwIfAborted();
  }

  /** Steps down: the next in line may lead. Rejects as a lease's `release` does; harmless twice. */
  async resign(): Promise<void> {
    try {
      await this.#lease.release();
    } finally {
      await this.#retract();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resign();
  }
}

export class Election {
  readonly #context: LockContext;
  readonly #lock: Lock;
  readonly #pollMs: number;
  readonly #rules: ElectionRules;

  constructor(
    readonly key: string,
    context: LockContext,
    options: ElectionOptions = {},
  ) {
    knownOptions(options, ["pollMs"]);
    this.#context = context;
    this.#rules = { ...ALL_ELECTION_RULES, ...context.mutation.election };
    // What others read names the leader by its ticket: no two share one.
    this.#lock = new Lock(electionLock(key), context, undefined, true);
    this.#pollMs = durationMs("pollMs", options.pollMs ?? context.settings.pollMaxMs, { min: 1 });
  }

  /**
   * Stands for election until elected. After return the leadership is valid, renews itself, and is what observers are shown.
   * Throws NotAcquiredError when `waitMs` is over, the signal's reason, or a store error; then nothing of ours is left in line.
   */
  async campaign(options: CampaignOptions = {}): Promise<Leadership> {
    knownOptions(options, ["waitMs", "signal"]);
    return this.#campaign(options, undefined);
  }

  async #campaign({ waitMs, signal }: CampaignOptions, until: AbortSignal | undefined): Promise<Leadership> {
    const lease = await this.#elected(waitMs, signal);
    try {
      return await this.#take(lease, signal, until);
    } catch (error) {
      await lease.release().catch(() => {});
      throw error;
    }
  }

  async #elected(waitMs: number | undefined, signal: AbortSignal | undefined): Promise<Lease> {
    for (;;) {
      try {
        return await this.#lock.acquire({ signal, waitMs: waitMs ?? FOR_LONG_MS });
      } catch (error) {
        if (waitMs !== undefined || !(error instanceof NotAcquiredError)) throw error;
      }
    }
  }

  /** Draws the token and says so in the store; what earlier leaders left goes. */
  async #take(lease: Lease, signal: AbortSignal | undefined, until: AbortSignal | undefined): Promise<Leadership> {
    const { settings } = this.#context;
    const side = await this.#side(signal === undefined ? lease.signal : AbortSignal.any([signal, lease.signal]));
    const token = await patiently(side, () => lease.token({ signal: side.signal ?? lease.signal }));
    const { label } = settings;
    const { announces, looksAgain, stepsDown } = this.#rules;
    if (announces)
      await putSurely(side, leaderKey(this.key, token), encodeLeader({ token, label, ticketId: lease.ticketId }));
    if (looksAgain) lease.throwIfLost();
    await this.#sweep(side, token).catch(() => {});
    if (looksAgain) lease.throwIfLost();
    signal?.throwIfAborted();
    const ended = stepsDown ? lease.signal : new AbortController().signal;
    const ends = until === undefined ? ended : AbortSignal.any([ended, until]);
    return new Leadership(lease, token, label, ends, () => this.#retract(token), this.#rules);
  }

  /** Nobody looks at what stands below the newest; it goes when it can. */
  async #sweep(side: Side, token: bigint): Promise<void> {
    const { objects } = await listAll(side, leaderPrefix(this.key));
    const old = tokensIn(
      this.key,
      objects.map(({ key }) => key),
    ).filter((other) => other < token);
    await removeAll(
      side,
      old.map((other) => leaderKey(this.key, other)),
    );
  }

  /** A courtesy: without its ticket the object means nothing, and the next leader removes it. */
  async #retract(token: bigint): Promise<void> {
    const { store, settings } = this.#context;
    await removeAll({ store: this.#context.gate.ready ?? store, settings }, [leaderKey(this.key, token)]).catch(
      () => {},
    );
  }

  /** Who leads now; undefined: nobody that can be seen. One LIST, and two requests more where somebody leads. Throws store errors. */
  async leader(options: { signal?: AbortSignal | undefined } = {}): Promise<Leader | undefined> {
    return this.#look(await this.#side(options.signal), undefined);
  }

  /** `known`: seen before; a leader's object never changes. */
  async #look(side: Side, known: Leader | undefined): Promise<Leader | undefined> {
    const { objects } = await listAll(side, leaderPrefix(this.key));
    const token = tokensIn(
      this.key,
      objects.map(({ key }) => key),
    ).at(-1);
    if (token === undefined) return undefined;
    const leader = known?.token === token ? known : await this.#read(side, token);
    if (leader === undefined || !this.#rules.showsStanding) return leader;
    // What a leader left behind, or wrote too late, names a ticket that is no more.
    const stands = await isStanding(this.#context, side.store, this.#lock.key, leader.ticketId, callOf(side));
    return stands ? leader : undefined;
  }

  async #read(side: Side, token: bigint): Promise<Leader | undefined> {
    const text = await readText(side, leaderKey(this.key, token));
    return text === undefined ? undefined : decodeLeader(this.key, token, text);
  }

  /**
   * Leaders as they change, the present one (or undefined) first; undefined while there is none, or while the store has not answered
   * for a lease. Tokens only rise: an older leader is never shown after a newer one. Leaders that came and went between two looks
   * are not shown. Ends by throwing the signal's reason, or a store error that does not pass; leaving the loop ends it too.
   */
  async *observe(options: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<Leader | undefined, never, void> {
    const { clock, leaseMs } = this.#context.settings;
    let view = FIRST_VIEW;
    let known: Leader | undefined;
    let answeredMs = clock.monotonicMs();
    for (let first = true; ; first = false) {
      const { signal, done } = this.#context.begin(options.signal);
      let next: typeof view | undefined;
      try {
        if (!first) await clock.sleep(this.#pollMs, { signal });
        known = await this.#look(await this.#side(signal), known);
        answeredMs = clock.monotonicMs();
        next = nextView(view, known, this.#rules);
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        if (clock.monotonicMs() - answeredMs >= leaseMs) next = nextView(view, undefined);
      } finally {
        done();
      }
      if (next === undefined) continue;
      view = next;
      yield view.shown;
    }
  }

  /**
   * Runs `fn` whenever this process leads, one run at a time, until `fn` ends by itself: then it resigns and answers what `fn`
   * answered. `fn`'s signal (`leadership.signal`) aborts before the lease ends; `fn` should end then, and when it has, the campaign
   * begins anew. An error of `fn` ends `lead` (see `onError`), unless it only says that the signal aborted. Passing faults of the
   * store are waited out. Rejects with the signal's reason when that aborts.
   */
  async lead<T>(fn: (leadership: Leadership) => T | Promise<T>, options: LeadOptions = {}): Promise<T> {
    if (typeof fn !== "function") throw new InvalidError("fn", "must be a function", fn);
    knownOptions(options, ["signal", "onError"]);
    const onError = oneOf("onError", options.onError ?? "stop", ["stop", "campaign"]);
    // Closing the locks ends it too.
    const { signal, done } = this.#context.begin(options.signal);
    done();
    for (;;) {
      const leadership = await this.#campaignOn(signal);
      const reign = await this.#reign(leadership, fn);
      signal.throwIfAborted();
      if (reign.is === "ended") return reign.value;
      if (reign.is === "lost" && !this.#rules.campaignsAgain) throw new Error("lost, and no further campaign");
      if (reign.is === "failed") {
        if (onError === "stop") throw reign.error;
        // Who just failed lets others lead first.
        await breathe({ store: this.#context.store, settings: this.#context.settings, signal });
      }
    }
  }

  async #reign<T>(leadership: Leadership, fn: (leadership: Leadership) => T | Promise<T>): Promise<Reign<T>> {
    const { signal } = leadership;
    const { awaitsRoutine, endsHeld } = this.#rules;
    let reign: Reign<T>;
    try {
      const routine = fn(leadership);
      reign = { is: "ended", value: await (awaitsRoutine ? routine : untilAborted(routine, signal)) };
    } catch (error) {
      reign = isConsequence(error, signal) ? { is: "lost" } : { is: "failed", error };
    }
    // Success without the lease is none: another may lead already, and it is not over for us.
    if (endsHeld && reign.is === "ended" && !leadership.isLeader) reign = { is: "lost" };
    try {
      await leadership.resign();
    } catch (error) {
      const wasLost = error instanceof BucketlockError && error.kind === "lost";
      if (endsHeld && reign.is === "ended") reign = wasLost ? { is: "lost" } : { is: "failed", error };
    }
    return reign;
  }

  /** Until elected, through every passing fault. */
  async #campaignOn(signal: AbortSignal): Promise<Leadership> {
    for (;;) {
      try {
        return await this.#campaign({ signal }, signal);
      } catch (error) {
        signal.throwIfAborted();
        const wasLost = error instanceof BucketlockError && error.kind === "lost";
        if (!wasLost && !isPassing(error)) throw error;
        await breathe({ store: this.#context.store, settings: this.#context.settings, signal });
      }
    }
  }

  async #side(signal: AbortSignal | undefined): Promise<Side> {
    const { gate, settings } = this.#context;
    return { store: gate.ready ?? (await gate.open(signal)), settings, signal };
  }
}

/** How one term of office ended. */
type Reign<T> =
  | { readonly is: "ended"; readonly value: T }
  | { readonly is: "lost" }
  | { readonly is: "failed"; readonly error: unknown };

/** What the routine answers, or the signal's reason where that is sooner: only for a test that takes a rule away. */
function untilAborted<T>(routine: T | Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    Promise.resolve(routine).then(resolve, reject);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Says only that the signal aborted: it is no failure of the work. */
function isConsequence(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  if (error === signal.reason) return true;
  if (typeof error !== "object" || error === null) return false;
  return (error as Error).name === "AbortError" || (error as Error).cause === signal.reason;
}
