/**
 * One bulk transfer to or from an appliance, whatever is moved: plans are waited for, chunks asked for, pieces moved several at
 * once and tried again, until all are through. What arrived is what the appliance says arrived. It knows no file, and what
 * moves one piece is handed in.
 */
import { backoffMs } from "../backoff.js";
import type { Clock } from "../clock.js";
import { BucketlockError, StoreError } from "../errors.js";
import { durationMs, integer } from "../options.js";
import type { Random } from "../random.js";
import type { CallOptions } from "../store.js";
import type { Ds3Blob, Ds3Job } from "./ds3-answers.js";
import type { Ds3Client, Ds3Priority } from "./ds3-client.js";
import { type Ds3Failure, Ds3TransferError, ds3Error } from "./ds3-verdict.js";

export interface Ds3TransferOptions {
  readonly signal?: AbortSignal | undefined;
  /** Limit of everything, waiting for tapes included, in ms. Default a day. */
  readonly timeoutMs?: number | undefined;
  /** Limit of one piece, in ms. Default an hour. */
  readonly pieceTimeoutMs?: number | undefined;
  /** Pieces under way at once. Default 5. */
  readonly concurrency?: number | undefined;
  /** Default 1000; the appliance takes up to 500 000. */
  readonly objectsPerJob?: number | undefined;
  /** Stop with the first piece that fails (default), or move all that can be moved and then name those that failed. */
  readonly failFast?: boolean | undefined;
  readonly name?: string | undefined;
  readonly priority?: Ds3Priority | undefined;
  /** Synchronously. What it throws ends the transfer. */
  readonly onEvent?: ((event: Ds3TransferEvent) => void) | undefined;
}
export type Ds3TransferEvent =
  | { readonly type: "job"; readonly jobId: string; readonly objects: number; readonly bytes: number }
  | {
      readonly type: "moved";
      readonly jobId: string;
      readonly name: string;
      readonly offset: number;
      readonly bytes: number;
    }
  /** `jobId` absent: the job could not be planned yet. */
  | { readonly type: "waiting"; readonly jobId?: string | undefined; readonly waitMs: number };
export interface Ds3Transferred {
  readonly jobs: readonly string[];
  readonly objects: number;
  readonly bytes: number;
}

export interface Hands {
  readonly clock: Clock;
  readonly random: Random;
}

const DAY_MS = 86_400_000;
const PIECE_LIMIT_MS = 3_600_000;
/** When nothing is ready and the appliance does not say when to ask again. */
const POLL_MS = 5_000;
const TRIES_OF_A_PIECE = 5;

export type Move = (blob: Ds3Blob, call: CallOptions) => Promise<void>;

/** One putAll or getAll: its limits, and what it has moved. */
export class Ds3Run {
  readonly #client: Ds3Client;
  readonly #hands: Hands;
  readonly #bucket: string;
  readonly #options: Ds3TransferOptions;
  readonly #limitMs: number;
  readonly #endMs: number;
  readonly #pieceMs: number;
  readonly #concurrency: number;
  readonly #perJob: number;
  readonly #jobs: string[] = [];
  #objects = 0;
  #bytes = 0;

  constructor(client: Ds3Client, hands: Hands, bucket: string, options: Ds3TransferOptions) {
    this.#client = client;
    this.#hands = hands;
    this.#bucket = bucket;
    this.#options = options;
    this.#limitMs = durationMs("timeoutMs", options.timeoutMs ?? DAY_MS, { min: 1 });
    this.#endMs = hands.clock.monotonicMs() + this.#limitMs;
    this.#pieceMs = durationMs("pieceTimeoutMs", options.pieceTimeoutMs ?? PIECE_LIMIT_MS, { min: 1 });
    this.#concurrency = integer("concurrency", options.concurrency ?? 5, { min: 1, max: 1000 });
    this.#perJob = integer("objectsPerJob", options.objectsPerJob ?? 1000, { min: 1, max: 500_000 });
    options.signal?.throwIfAborted();
  }

  batches<T>(all: readonly T[]): T[][] {
    const count = Math.ceil(all.length / this.#perJob);
    this.#objects = all.length;
    return Array.from({ length: count }, (_, at) => all.slice(at * this.#perJob, (at + 1) * this.#perJob));
  }

  jobOptions() {
    const { name, priority, signal } = this.#options;
    return { name, priority, signal, timeoutMs: Math.min(this.#leftMs(), this.#pieceMs) };
  }

  async listed(prefix: string | undefined): Promise<string[]> {
    const names: string[] = [];
    const { signal } = this.#options;
    for await (const page of this.#client.listObjects(this.#bucket, { prefix, signal })) {
      names.push(...page.objects.map(({ name }) => name));
    }
    return names;
  }

  result(): Ds3Transferred {
    return { jobs: this.#jobs, objects: this.#objects, bytes: this.#bytes };
  }

  /** Until every piece is through. Throws Ds3TransferError for those that are not. */
  async job(job: Ds3Job, move: Move): Promise<void> {
    const { jobId } = job;
    const { onEvent, failFast = true } = this.#options;
    const isPut = job.kind === "put";
    const blobs = job.chunks.flatMap((chunk) => chunk.blobs);
    this.#jobs.push(jobId);
    onEvent?.({ type: "job", jobId, objects: new Set(blobs.map(({ name }) => name)).size, bytes: job.originalSize });
    const pending = new Map(blobs.map((blob) => [idOf(blob), blob]));
    const tries = new Map<string, number>();
    const failures: Ds3Failure[] = [];
    const arrived = (blob: Ds3Blob) => {
      if (!pending.delete(idOf(blob))) return;
      this.#bytes += blob.length;
      onEvent?.({ type: "moved", jobId, name: blob.name, offset: blob.offset, bytes: blob.length });
    };
    if (isPut) for (const blob of blobs) if (blob.inCache) arrived(blob);
    while (pending.size > 0) {
      const { signal } = this.#options;
      const ready = await this.patiently(jobId, () =>
        this.#client.readyChunks(jobId, { signal, timeoutMs: Math.min(this.#leftMs(), this.#pieceMs) }),
      );
      if (ready.job.status === "canceled") throw ds3Error("DS3_JOB_CANCELED", `job ${jobId}`);
      const offered = ready.job.chunks.flatMap((chunk) => chunk.blobs).filter((blob) => pending.has(idOf(blob)));
      // A put whose answer was lost is told by the appliance: it has it, or wants it again.
      if (isPut) for (const blob of offered) if (blob.inCache) arrived(blob);
      const work = offered.filter((blob) => pending.has(idOf(blob)));
      const isCompleted = ready.job.status === "completed";
      if (work.length === 0 && isCompleted && isPut) for (const blob of pending.values()) arrived(blob);
      // It offers only what failed already, or nothing any more: what is behind that will not become ready.
      if (work.length === 0 && (isCompleted || (failures.length > 0 && ready.job.chunks.length > 0))) {
        const fact = isCompleted ? "the job ended without this piece" : "pieces that failed stand before this one";
        const error = ds3Error("DS3_JOB_STALLED", `job ${jobId}`, { fact });
        for (const { name, offset } of pending.values()) failures.push({ name, offset, error });
        break;
      }
      const before = pending.size;
      if (work.length > 0) {
        await this.#together(work, async (blob, call) => {
          const failure = await this.#moved(blob, call, move, tries, isPut);
          if (failure === undefined) arrived(blob);
          if (failure !== undefined && failure !== "again") {
            const { error } = failure;
            pending.delete(idOf(blob));
            failures.push({ name: blob.name, offset: blob.offset, error });
            if (failFast) throw new Ds3TransferError(jobId, failures);
          }
        });
      }
      if (pending.size === before) await this.#wait(jobId, ready.retryAfterMs ?? POLL_MS);
    }
    if (failures.length > 0) throw new Ds3TransferError(jobId, failures);
  }

  /**
   * Undefined: it went through. `again`: it may later. A piece that is fetched is asked for again here, for it may not be
   * offered twice; of one that is sent, the appliance says whether it arrived.
   */
  async #moved(
    blob: Ds3Blob,
    call: CallOptions,
    move: Move,
    tries: Map<string, number>,
    isPut: boolean,
  ): Promise<undefined | "again" | { readonly error: unknown }> {
    for (;;) {
      try {
        await move(blob, call);
        return undefined;
      } catch (error) {
        call.signal?.throwIfAborted();
        if (!(error instanceof BucketlockError)) throw error;
        // Busy is no failure: it is offered again when it can be moved.
        if (error.code === "DS3_BUSY") return "again";
        const tried = (tries.get(idOf(blob)) ?? 0) + 1;
        tries.set(idOf(blob), tried);
        if (tried >= TRIES_OF_A_PIECE || !mayPass(error)) return { error };
        if (isPut) return "again";
        const { clock, random } = this.#hands;
        await clock.sleep(backoffMs(tried, random.float()), { signal: call.signal });
      }
    }
  }

  /** As often as the appliance says that it is busy, until the limit: tapes take hours. */
  async patiently<T>(jobId: string | undefined, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof StoreError && error.code === "DS3_BUSY")) throw error;
        const { retryAfterMs = POLL_MS } = error.details as { readonly retryAfterMs?: number };
        await this.#wait(jobId, retryAfterMs);
      }
    }
  }

  async #wait(jobId: string | undefined, waitMs: number): Promise<void> {
    if (waitMs >= this.#leftMs())
      throw ds3Error("DS3_JOB_STALLED", jobId === undefined ? "planning a job" : `job ${jobId}`, {
        fact: `limit ${this.#limitMs} ms`,
        retryAfterMs: waitMs,
      });
    this.#options.onEvent?.({ type: "waiting", jobId, waitMs });
    await this.#hands.clock.sleep(waitMs, { signal: this.#options.signal });
  }

  #leftMs(): number {
    return Math.max(this.#endMs - this.#hands.clock.monotonicMs(), 1);
  }

  /** The first error ends the others and is thrown when all have ended. */
  async #together(work: readonly Ds3Blob[], one: Move): Promise<void> {
    const { signal } = this.#options;
    const ending = new AbortController();
    const both = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
    const queue = [...work];
    let failed: { readonly error: unknown } | undefined;
    const worker = async () => {
      for (let blob = queue.shift(); blob !== undefined && failed === undefined; blob = queue.shift()) {
        try {
          await one(blob, { signal: both, timeoutMs: Math.min(this.#leftMs(), this.#pieceMs) });
        } catch (error) {
          failed ??= { error };
          ending.abort(new Error("another piece failed"));
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, work.length) }, worker));
    signal?.throwIfAborted();
    if (failed !== undefined) throw failed.error;
  }
}

function idOf({ name, offset }: Ds3Blob): string {
  return `${offset} ${name}`;
}

/** May the same piece go through the next time? A conflict too: it may be our own, whose answer was lost. */
function mayPass(error: BucketlockError): boolean {
  if (!(error instanceof StoreError)) return false;
  const { kind, code } = error;
  return kind === "unavailable" || kind === "unknown" || code === "STORE_CORRUPT_ANSWER" || code === "DS3_CONFLICT";
}
