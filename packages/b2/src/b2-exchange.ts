/**
 * From a described call to its outcome: prepare, send, classify, and again where that is allowed and there is time. The only
 * path to the server. It decides nothing about what an answer means (b2-classify) or how long to wait (backoff).
 */
import { type BucketlockError, type Clock, type Random, StoreError } from "@bucketlock/core";
import {
  type BackoffSettings,
  DEFAULT_BACKOFF,
  type HttpAnswer,
  HttpFault,
  nextWaitMs,
  type Origins,
  type Pair,
  parseInstantMs,
  retryAfterMs,
} from "@bucketlock/core/http";
import { object } from "./answers.js";
import { B2_CALLS, type B2CallName, type PriceClass } from "./b2-calls.js";
import { type Asked, type B2Code, classify, classifySilence, type Said, type Verdict } from "./b2-classify.js";
import { type About, b2Error, corrupt, type Note, unclear } from "./b2-errors.js";
import type { Limit } from "./patience.js";

/** What happened on the way, for logs and bills. Never holds a token. */
export type B2Event =
  /** One HTTP request and how it ended; `code` when it did not succeed. */
  | {
      readonly type: "request";
      readonly call: B2CallName;
      readonly priceClass: PriceClass;
      readonly name?: string | undefined;
      readonly status?: number | undefined;
      readonly code?: B2Code | undefined;
      /** Of the call, from 1. */
      readonly tries: number;
      readonly durationMs: number;
    }
  | {
      readonly type: "retry";
      readonly call: B2CallName;
      readonly name?: string | undefined;
      readonly code: B2Code;
      readonly tries: number;
      readonly waitMs: number;
    };

/** One call, described. */
export interface Ask extends About, Limit {
  readonly kind: Asked["kind"];
  readonly isHead?: boolean;
  /** Never sent again once it may have been carried out. */
  readonly once?: boolean | undefined;
  readonly maxTries?: number;
}

/** One try of it. */
export interface Try<T> {
  readonly origin: string;
  readonly method: "GET" | "HEAD" | "POST";
  readonly path: string;
  readonly headers: readonly Pair[];
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Limit until the answer begins, in ms. Default: the session's. */
  readonly headersMs?: number | undefined;
  /** Throws StoreError when the answer is not what it should be. */
  read(answer: HttpAnswer): T;
  /** Told how the try ended; undefined: the caller's signal. */
  ended?(verdict: Verdict | undefined): void;
}

export type Outcome<T> =
  | { readonly outcome: "done"; readonly value: T; readonly serverTimeMs: number | undefined }
  | { readonly outcome: "absent" | "conflict"; readonly serverTimeMs: number | undefined; readonly error: StoreError }
  | { readonly outcome: "unknown"; readonly cause: BucketlockError; readonly serverTimeMs: number | undefined };

export interface ExchangeParts {
  readonly origins: Origins;
  readonly clock: Clock;
  readonly random: Random;
  readonly headersMs: number;
  readonly maxTries: number;
  /** Of every request: such as X-Bz-Test-Mode. */
  readonly headers: readonly Pair[];
  readonly onEvent?: ((event: B2Event) => void) | undefined;
}

const CHANGES_NOTHING = /^b2_(?:authorize|get|list|download)_/;
// A token that B2 calls bad as soon as it is given will not get better.
const RENEWALS_MAX = 3;

export class B2Exchange {
  readonly #parts: ExchangeParts;
  readonly #backoff: BackoffSettings = DEFAULT_BACKOFF;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  /** Throws StoreError for what is certainly refused, the signal's reason as it is, and what `prepare` throws. */
  async run<T>(ask: Ask, prepare: (limit: Limit) => Promise<Try<T>>): Promise<Outcome<T>> {
    const { clock, random } = this.#parts;
    const startMs = clock.monotonicMs();
    const lies = ask.once === true || B2_CALLS[ask.call].again === "lies";
    const maxTries = ask.maxTries ?? this.#parts.maxTries;
    const leftMs = () => ask.timeoutMs - (clock.monotonicMs() - startMs);
    let landed = false;
    let renewals = 0;
    const failed = (error: StoreError, serverTimeMs: number | undefined): Outcome<T> => {
      if (!landed) throw error;
      const isClear = !lies && (error.kind === "unknown" || error.kind === "unavailable");
      return { outcome: "unknown", cause: isClear ? error : unclear(error), serverTimeMs };
    };
    for (let tries = 1; ; tries++) {
      let given: Try<T> | undefined;
      try {
        given = leftMs() > 0 ? await prepare({ signal: ask.signal, timeoutMs: leftMs() }) : undefined;
      } catch (error) {
        if (error instanceof StoreError) return failed(error, undefined);
        throw error;
      }
      const tried = await this.#try(ask, given, leftMs(), tries);
      if ("value" in tried) return { outcome: "done", ...tried };
      const { verdict, note } = tried;
      const { serverTimeMs } = note;
      if (verdict.verdict === "done") throw new Error("a done try without a value");
      if (verdict.verdict === "absent" || verdict.verdict === "conflict") {
        const code = verdict.verdict === "absent" ? "STORE_REFUSED" : "STORE_COLLISION";
        return { outcome: verdict.verdict, serverTimeMs, error: b2Error(ask, code, note, tries) };
      }
      let { code } = verdict;
      let waitMs: number | undefined;
      if (verdict.verdict === "again") {
        landed ||= verdict.landed;
        const isRenewal = verdict.remedy === "token";
        // Without a code (HEAD) a second 401 on a fresh token is about rights.
        const isNamed = typeof note.said === "object" && note.said.code !== "";
        if (isRenewal && renewals > 0 && !isNamed) code = "STORE_ACCESS_DENIED";
        else if (tries < maxTries && !(landed && lies) && (!isRenewal || renewals < RENEWALS_MAX)) {
          // Another pod or a fresh token is worth an immediate try, once.
          const isFree = tries === 1 && verdict.remedy !== "wait";
          const chance = random.float();
          waitMs = isFree
            ? 0
            : nextWaitMs({
                tries,
                chance,
                remainingMs: leftMs(),
                retryAfterMs: note.retryAfterMs,
                settings: this.#backoff,
              });
          if (isRenewal) renewals++;
        }
      }
      if (waitMs === undefined) return failed(b2Error(ask, code, note, tries), serverTimeMs);
      this.#parts.onEvent?.({ type: "retry", call: ask.call, name: ask.name, code, tries, waitMs });
      if (waitMs > 0) await clock.sleep(waitMs, { signal: ask.signal });
    }
  }

  /** A call that cannot be absent, whose JSON is read. */
  async get<T>(
    ask: Ask,
    prepare: (limit: Limit) => Promise<Try<T>>,
  ): Promise<T & { serverTimeMs: number | undefined }> {
    const outcome = await this.run(ask, prepare);
    if (outcome.outcome === "unknown") throw outcome.cause;
    if (outcome.outcome !== "done") throw outcome.error;
    return { ...outcome.value, serverTimeMs: outcome.serverTimeMs };
  }

  async #try<T>(
    ask: Ask,
    given: Try<T> | undefined,
    leftMs: number,
    tries: number,
  ): Promise<{ value: T; serverTimeMs: number | undefined } | { verdict: Verdict; note: Note }> {
    const { clock, origins, headers, headersMs } = this.#parts;
    const { priceClass, maxBodyBytes } = B2_CALLS[ask.call];
    const asked: Asked = { kind: ask.kind, isHead: ask.isHead === true, changes: !CHANGES_NOTHING.test(ask.call) };
    if (given === undefined || leftMs <= 0) {
      given?.ended?.(undefined);
      const fact = `nothing was sent within the limit of ${Math.round(ask.timeoutMs)} ms`;
      return { verdict: { verdict: "refused", code: "STORE_TIMEOUT" }, note: { fact } };
    }
    const startMs = clock.monotonicMs();
    const emit = (status: number | undefined, verdict: Verdict) => {
      const code = "code" in verdict ? verdict.code : undefined;
      const durationMs = clock.monotonicMs() - startMs;
      this.#parts.onEvent?.({
        type: "request",
        call: ask.call,
        priceClass,
        name: ask.name,
        status,
        code,
        tries,
        durationMs,
      });
    };
    let answer: HttpAnswer;
    try {
      answer = await origins.send(given.origin, {
        method: given.method,
        path: given.path,
        headers: [...given.headers, ...headers],
        body: given.body,
        signal: ask.signal,
        // What is never sent again waits for its answer as long as it may.
        headersMs: ask.once ? leftMs : Math.min(given.headersMs ?? headersMs, leftMs),
        totalMs: leftMs,
        maxBodyBytes,
      });
    } catch (fault) {
      if (!(fault instanceof HttpFault)) {
        given.ended?.(undefined);
        throw fault;
      }
      const verdict = classifySilence(fault, asked);
      given.ended?.(verdict);
      emit(undefined, verdict);
      return { verdict, note: { fact: fault.message, cause: fault.cause } };
    }
    const serverTimeMs = parseInstantMs(answer.header("date"));
    const said = saidBy(answer, asked);
    const verdict = classify(answer.status, said, asked);
    const note: Note = {
      status: answer.status,
      said,
      serverTimeMs,
      retryAfterMs: retryAfterMs(answer.header("retry-after"), serverTimeMs, parseInstantMs),
    };
    given.ended?.(verdict);
    emit(answer.status, verdict);
    if (verdict.verdict !== "done") return { verdict, note };
    try {
      return { value: given.read(answer), serverTimeMs };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Something was done, but not what we can read: for a write that is not a refusal.
      const cut: Verdict = { verdict: "again", code: "STORE_CORRUPT_ANSWER", landed: asked.changes, remedy: "wait" };
      return { verdict: cut, note: { ...note, fact: error.message } };
    }
  }
}

function saidBy(answer: HttpAnswer, asked: Asked): Said {
  if (asked.isHead) return /^\s*text\/html\b/i.test(answer.header("content-type") ?? "") ? "page" : "none";
  if (answer.status >= 200 && answer.status < 300) return "none";
  if (answer.body.length === 0) return "none";
  const body = Buffer.from(answer.body).toString();
  try {
    const { code, message } = JSON.parse(body) as { code?: unknown; message?: unknown };
    if (typeof code === "string") return { code, message: typeof message === "string" ? message : "" };
    return "foreign";
  } catch {
    return /^\s*</.test(body) ? "page" : "foreign";
  }
}

/** The body of an answer that is JSON. */
export function jsonOf(answer: HttpAnswer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(answer.body).toString());
  } catch {
    throw corrupt("the answer is no JSON");
  }
  return object(value, "the answer");
}
