/**
 * Carries out what the machine of the conditional protocol asks for: reads, conditional writes, scans, sleeps.
 * Decides nothing. Remembers the record as last seen, so that a warm lock costs one request; a stale memory costs a conflict.
 */
import { BucketlockError, type CallOptions, type PutAnswer, type Store } from "@bucketlock/core";
import type { Settings } from "../settings.js";
import type { Trouble } from "../two-object/driver.js";
import { markerPrefix } from "../two-object/markers.js";
import { markerOf, prefixOf } from "../two-object/ticket.js";
import {
  type Answer,
  type Facts,
  giveUp,
  type Line,
  type Request,
  type State,
  type Step,
  type Stored,
  step,
  type Verdict,
} from "./machine.js";
import { type Content, decode, encode, recordKey, standing } from "./record.js";
import { RecordVersions } from "./record-versions.js";

// A way out that cannot be reached must not hold up the program; what stays behind dies with its lease.
const CLEANUP_MS = 5_000;
const REMEMBERED_MAX = 1_000;

/** What one set of locks knows of its records and of the store's clock. */
export class RecordMemory {
  readonly #records = new Map<string, Stored>();
  readonly versions = new RecordVersions();
  serverTimeMs: number | undefined;

  get(key: string): Stored | undefined {
    return this.#records.get(key);
  }

  set(key: string, stored: Stored | undefined): void {
    this.#records.delete(key);
    if (stored === undefined) return;
    this.#records.set(key, stored);
    // The one not used for longest goes first.
    if (this.#records.size > REMEMBERED_MAX) this.#records.delete(this.#records.keys().next().value!);
  }
}

export interface Hands {
  readonly store: Store;
  readonly settings: Settings;
  readonly key: string;
  readonly memory: RecordMemory;
}

export interface Drive {
  readonly line: Line;
  readonly first: Step;
  readonly signal?: AbortSignal | undefined;
  /** Passing faults of the store are waited out until then, on the monotonic clock. */
  readonly patienceUntilMs: number;
  readonly trouble?: Trouble | undefined;
  /** The clock of our own lease: it counts what the monotonic one misses while the machine sleeps. */
  readonly steadyMs: () => number;
  /** Limit for one request, in ms. */
  readonly timeoutMs: number;
  /** Limit for all of it, on the monotonic clock: no request outlasts it. Default: none. */
  readonly untilMs?: number | undefined;
  /** Draws the id of a new ticket. */
  readonly draw?: (() => string) | undefined;
  readonly onWait?: ((state: State) => void) | undefined;
  readonly onRequest?: (() => void) | undefined;
  /** A write of ours is in the record: what it replaced, and what it says. */
  readonly onStored?: ((before: Content | undefined, content: Content) => void) | undefined;
}

/** Runs a machine to its verdict. Throws store errors and the signal's reason, out of the record as far as it can be reached. */
export async function drive(hands: Hands, given: Drive): Promise<Verdict> {
  const { settings, memory, key } = hands;
  let { state, request } = given.first;
  let unknowns = 0;
  let conflicts = 0;
  try {
    for (;;) {
      given.signal?.throwIfAborted();
      if (request.do === "verdict") return request.verdict;
      const answer = await patiently(hands, given, request);
      const serverMs = given.line.rules.storeClock ? memory.serverTimeMs : settings.clock.wallMs();
      // It is written into the record, which takes whole numbers only.
      const serverNowMs = serverMs === undefined ? undefined : Math.floor(serverMs);
      const facts: Facts = { nowMs: settings.clock.monotonicMs(), steadyMs: given.steadyMs(), serverNowMs };
      const before = state.stored;
      if (request.do === "write" && answer.of === "write" && answer.outcome === "stored") {
        given.onStored?.(before?.record, request.content);
      }
      ({ state, request } = step(given.line, state, answer, facts));
      // Only what is news: a waiter that wakes must not put its old record over what another of us has seen since.
      if (state.stored !== before) memory.set(key, state.stored);
      if (answer.of === "write" && answer.outcome === "unknown" && ++unknowns > 1) await pause(hands, given);
      if (answer.of === "write" && answer.outcome === "conflict") await giveWay(hands, given, state, conflicts++);
      if (state.phase === "sleep") given.onWait?.(state);
    }
  } catch (error) {
    if (state.purpose === "acquire" || state.purpose === "resume") await wayOut(hands, given, state);
    throw error;
  }
}

/** Whatever went wrong: our ticket must not stand in others' way. */
async function wayOut(hands: Hands, given: Drive, state: State): Promise<void> {
  const nowMs = hands.settings.clock.monotonicMs();
  const first = giveUp(state, { is: "contended", by: [] });
  if (first.request.do === "verdict") return;
  const inner: Drive = {
    ...given,
    first: { ...first, state: { ...first.state, purpose: "leave" } },
    signal: undefined,
    patienceUntilMs: nowMs + CLEANUP_MS,
    untilMs: nowMs + CLEANUP_MS,
  };
  await drive(hands, inner).catch(() => {});
}

async function patiently(hands: Hands, given: Drive, request: Exclude<Request, { do: "verdict" }>): Promise<Answer> {
  const { clock, random, pollMaxMs } = hands.settings;
  for (;;) {
    try {
      const answer = await perform(hands, given, request);
      const isUnclear = answer.of === "write" && answer.outcome === "unknown";
      if (given.trouble !== undefined && answer.of !== "sleep" && answer.of !== "draw" && !isUnclear)
        given.trouble.error = undefined;
      return answer;
    } catch (error) {
      given.signal?.throwIfAborted();
      const leftMs = given.patienceUntilMs - clock.monotonicMs();
      if (!isPassing(error) || leftMs <= 0) throw error;
      if (given.trouble !== undefined) given.trouble.error = error;
      await clock.sleep(Math.min(pollMaxMs * (0.5 + random.float() / 2), leftMs), { signal: given.signal });
    }
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof BucketlockError && (error.retryable || error.kind === "unknown");

/** One unknown outcome is read back at once; writes that stay unclear are a store in trouble, and not for ever. */
async function pause(hands: Hands, given: Drive): Promise<void> {
  const { clock, random, pollMaxMs } = hands.settings;
  const leftMs = given.patienceUntilMs - clock.monotonicMs();
  if (leftMs <= 0) {
    throw new BucketlockError(`the store did not say what became of our writes: ${recordKey(hands.key)}`, {
      code: "WRITE_UNKNOWN",
      kind: "unknown",
      details: { object: recordKey(hands.key) },
    });
  }
  await clock.sleep(Math.min(pollMaxMs * (0.5 + random.float() / 2), leftMs), { signal: given.signal });
}

/**
 * Many who come at once spoil each other's writes, and those of the holder: who only wants to come in tries again after a pause by chance
 * that doubles, up to half a second. The first conflict is but a stale memory, and who holds or was granted the lock never waits.
 */
async function giveWay(hands: Hands, given: Drive, state: State, before: number): Promise<void> {
  if (before === 0 || state.purpose !== "acquire" || state.ending !== undefined) return;
  if (state.stored !== undefined && standing(state.stored.record, state.id) === "holder") return;
  const { clock, random, pollMinMs } = hands.settings;
  const mostMs = Math.min(pollMinMs * 2 ** before, pollMinMs * 25);
  await clock.sleep(random.float() * mostMs, { signal: given.signal });
}

async function perform(hands: Hands, given: Drive, request: Exclude<Request, { do: "verdict" }>): Promise<Answer> {
  const { settings } = hands;
  const sentAtMs = settings.clock.monotonicMs();
  const leftMs = given.untilMs === undefined ? given.timeoutMs : Math.max(1, given.untilMs - sentAtMs);
  const call: CallOptions = { signal: given.signal, timeoutMs: Math.min(given.timeoutMs, leftMs) };
  if (request.do !== "sleep" && request.do !== "draw") given.onRequest?.();
  switch (request.do) {
    case "draw":
      return { of: "draw", id: given.draw!() };
    case "read":
      return read(hands, request.etag, call, sentAtMs);
    case "write":
      return write(hands, request, call, given.steadyMs());
    case "scan":
      return scan(hands, request.isLast, call);
    case "sleep":
      await settings.clock.sleep(request.ms * (0.5 + settings.random.float() / 2), { signal: given.signal });
      return { of: "sleep" };
  }
}

/** The record as it is now; undefined where there is none. */
export async function readRecord(hands: Hands, call: CallOptions): Promise<Stored | undefined> {
  const answer = await read(hands, undefined, call, 0);
  return answer.of === "read" && typeof answer.found === "object" ? answer.found : undefined;
}

async function read(hands: Hands, etag: string | undefined, call: CallOptions, sentAtMs: number): Promise<Answer> {
  const { store, key, memory } = hands;
  const answer = await store.get(recordKey(key), { ...call, unlessEtag: etag });
  memory.serverTimeMs = answer.serverTimeMs ?? memory.serverTimeMs;
  const base = { of: "read" as const, serverTimeMs: answer.serverTimeMs, sentAtMs };
  if (!answer.found) return { ...base, found: "absent" };
  if (answer.unchanged === true) return { ...base, found: "same" };
  if (answer.etag === undefined) throw noEtag(store, key);
  memory.versions.saw(recordKey(key), answer.etag, answer.versionId);
  const record = decode(recordKey(key), new TextDecoder().decode(answer.body));
  return { ...base, found: { record, etag: answer.etag, lastModifiedMs: answer.lastModifiedMs } };
}

async function write(
  hands: Hands,
  request: Extract<Request, { do: "write" }>,
  call: CallOptions,
  sentAtMs: number,
): Promise<Answer> {
  const { store, key, memory, settings } = hands;
  const writeId = settings.random.hex(8);
  const condition = request.etag === undefined ? { absent: true as const } : { etag: request.etag };
  let put: PutAnswer;
  try {
    put = await store.put(recordKey(key), encode({ ...request.content, writeId }), {
      ...call,
      ...(request.blind === true ? {} : { condition }),
      once: true,
      contentType: "application/json",
      validForMs: settings.requestTimeoutMs,
    });
  } catch (error) {
    // Never sent again as it was: it may have landed, and only reading tells.
    if (call.signal?.aborted === true || !isPassing(error)) throw error;
    put = { outcome: "unknown", cause: error };
  }
  memory.serverTimeMs = put.serverTimeMs ?? memory.serverTimeMs;
  const base = { of: "write" as const, outcome: put.outcome, writeId, sentAtMs, serverTimeMs: put.serverTimeMs };
  if (put.outcome !== "stored") return base;
  if (put.etag !== undefined && request.blind !== true)
    memory.versions.replaced(recordKey(key), request.etag, { etag: put.etag, versionId: put.versionId });
  return { ...base, etag: put.etag, lastModifiedMs: put.lastModifiedMs };
}

/**
 * Objects of the other protocol, and its fencing markers: tokens must not go back when a lock changes protocols. A LIST is no snapshot: it
 * may read the markers before a holder of the other protocol writes its own, and the tickets when that holder has left. So the last
 * look before anybody holds reads the markers once more, after the tickets.
 */
async function scan(hands: Hands, isLast: boolean, call: CallOptions): Promise<Answer> {
  const { store, key } = hands;
  let stranger: string | undefined;
  let marker = 0n;
  const list = async (prefix: string) => {
    for await (const page of store.list(prefix, call)) {
      for (const object of page.objects) {
        const token = markerOf(key, object.key) ?? 0n;
        if (token > marker) marker = token;
        else if (token === 0n && object.key !== recordKey(key)) stranger ??= object.key;
      }
    }
  };
  await list(prefixOf(key));
  if (isLast && stranger === undefined) await list(markerPrefix(key));
  return { of: "scan", stranger, marker };
}

function noEtag(store: Store, key: string): BucketlockError {
  return new BucketlockError(
    `the store gives no ETag, which the conditional protocol needs: ${store.name} (lock ${key})`,
    {
      code: "STORE_UNSUPPORTED",
      kind: "unsupported",
      details: { key },
    },
  );
}
