/**
 * The bench of a probe: where its experiments make their requests. It counts them, reads the server's clock from each
 * answer, remembers every key written, and removes them all at the end. Decides nothing about the store.
 *
 * A request that was begun is never cut off by the caller's signal: what is cut off may land after the cleaning. The
 * signal is looked at before each request, and each has a limit of its own.
 */
import type { Clock } from "./clock.js";
import { BucketlockError } from "./errors.js";
import { type ClockSeen, narrow, type WriteSeen } from "./probe-observations.js";
import type { Random } from "./random.js";
import type { Answer, CallOptions, Condition, DeleteTarget, PutAnswer, Store } from "./store.js";

const CALL_MAX_MS = 10_000;
const CLEANUP_MAX_MS = 20_000;
const CLEANUP_PASSES = 5;
/** After writes that were left unclear: time for one under way to land before the last look. */
const LATE_MS = 250;
/** More than one write a second to one key: some stores (R2) answer 429. */
const THROTTLED_MS = 1_100;
const TRIES_MAX = 3;

export interface BenchParts {
  readonly stores: readonly [Store, ...Store[]];
  /** Everything is written under it. Random: nobody else's. */
  readonly room: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
}

export class ProbeBench {
  readonly store: Store;
  readonly room: string;
  readonly clock: Clock;
  readonly endpoints: number;
  requests = 0;
  clockSeen: ClockSeen | undefined;
  readonly #parts: BenchParts;
  readonly #endMs: number;
  /** What may be there: by the version ids that answers told, or without one. */
  readonly #written = new Map<string, { readonly versions: Set<string>; plain: boolean }>();
  #keys = 0;
  #touched = false;
  #unclear = 0;

  constructor(parts: BenchParts) {
    this.#parts = parts;
    this.store = parts.stores[0];
    this.room = parts.room;
    this.clock = parts.clock;
    this.endpoints = parts.stores.length;
    this.#endMs = parts.clock.monotonicMs() + parts.timeoutMs;
  }

  /** One of the endpoints, in turn. */
  at(n: number): Store {
    return this.#parts.stores[n % this.#parts.stores.length]!;
  }

  /** A key that was never used. */
  key(folder = ""): string {
    return `${this.room}${folder}${this.#keys++}`;
  }

  /** A body that was never written: a read tells whose it is. */
  body(): string {
    return this.#parts.random.hex(8);
  }

  /** One request. Throws the signal's reason, PROBE_UNFINISHED, or what the store throws. */
  async call<T extends Answer>(run: (options: CallOptions) => Promise<T>): Promise<T> {
    this.#parts.signal?.throwIfAborted();
    const leftMs = this.#endMs - this.clock.monotonicMs();
    if (leftMs <= 0)
      throw new BucketlockError(`the probe did not finish within ${this.#parts.timeoutMs} ms: ${this.store.name}`, {
        code: "PROBE_UNFINISHED",
        kind: "unavailable",
        details: { store: this.store.name },
      });
    this.requests++;
    const sentMs = this.clock.wallMs();
    const answer = await run({ timeoutMs: Math.min(CALL_MAX_MS, leftMs + 1) });
    if (answer.serverTimeMs !== undefined)
      this.clockSeen = narrow(this.clockSeen, answer.serverTimeMs, sentMs, this.clock.wallMs());
    return answer;
  }

  async put(key: string, body: string, condition?: Condition, store = this.store): Promise<PutAnswer> {
    let answer: PutAnswer;
    try {
      answer = await this.call((options) => store.put(key, body, { ...options, condition }));
    } catch (error) {
      // By the port, what a store throws was certainly not written; of anything else nothing is known.
      if (!(error instanceof BucketlockError)) this.#wrote(key).plain = true;
      throw error;
    }
    if (answer.outcome === "unknown") this.#unclear++;
    // What certainly was not written is not deleted either: where versions are kept, that would lay a marker.
    if (answer.outcome === "stored" && answer.versionId !== undefined) this.#wrote(key).versions.add(answer.versionId);
    else if (answer.outcome !== "conflict") this.#wrote(key).plain = true;
    else this.#touched = true;
    return answer;
  }

  #wrote(key: string): { readonly versions: Set<string>; plain: boolean } {
    const written = this.#written.get(key) ?? { versions: new Set(), plain: false };
    this.#written.set(key, written);
    this.#touched = true;
    return written;
  }

  /** An object to try things on, written without a condition. Throws when the store does not clearly take it. */
  async object(key = this.key()): Promise<{ key: string; etag: string | undefined; versionId: string | undefined }> {
    const answer = await this.put(key, this.body());
    if (answer.outcome === "unknown") throw answer.cause;
    if (answer.outcome === "conflict") throw new Error(`bug of the store: a conflict without a condition: ${key}`);
    let { etag } = answer;
    if (etag === undefined) {
      const head = await this.call((options) => this.store.head(key, options));
      etag = head.found ? head.etag : undefined;
    }
    return { key, etag, versionId: answer.versionId };
  }

  /** What stands there, as text; undefined: nothing. */
  async read(key: string, store = this.store): Promise<string | undefined> {
    const answer = await this.call((options) => store.get(key, options));
    return answer.found ? new TextDecoder().decode(answer.body) : undefined;
  }

  /** A conditional write and what a read shows after it. What is only too much at once is tried again. */
  async write(key: string, condition: Condition): Promise<WriteSeen> {
    const body = this.body();
    for (let tries = 1; ; tries++) {
      const { said, code, error } = await this.told(() => this.put(key, body, condition));
      if (said === "refused" && error?.kind === "unavailable") {
        if (tries === TRIES_MAX) throw error;
        await this.clock.sleep(THROTTLED_MS);
        continue;
      }
      return { said, ...(code !== undefined && { code }), landed: (await this.read(key)) === body };
    }
  }

  /** The outcome of a conditional write. A refusal that is about the request is an answer too; anything else is thrown. */
  async told(
    put: () => Promise<PutAnswer>,
  ): Promise<{ said: WriteSeen["said"]; code?: string; error?: BucketlockError }> {
    try {
      const answer = await put();
      if (answer.outcome !== "unknown") return { said: answer.outcome };
      const { cause } = answer;
      return cause instanceof BucketlockError ? { said: "unknown", code: cause.code } : { said: "unknown" };
    } catch (error) {
      const refused = refusal(error);
      if (refused !== undefined) return { said: "refused", code: refused.code, error: refused };
      if (error instanceof BucketlockError && ABOUT_THE_WRITE.has(error.kind) && error.code !== "PROBE_UNFINISHED")
        return { said: "refused", code: error.code, error };
      throw error;
    }
  }

  /** The keys of a listing. */
  async listed(prefix: string, store = this.store): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const pages = store.list(prefix, { timeoutMs: CALL_MAX_MS })[Symbol.asyncIterator]();
    await this.#pages(pages, (page) => {
      for (const { key, lastModifiedMs } of page.objects) found.set(key, lastModifiedMs);
    });
    return found;
  }

  /** Every version and marker under a prefix. */
  async versions(prefix: string): Promise<DeleteTarget[]> {
    const found: DeleteTarget[] = [];
    const pages = this.store.listVersions(prefix, { timeoutMs: CALL_MAX_MS })[Symbol.asyncIterator]();
    await this.#pages(pages, (page) => {
      for (const { key, versionId } of page.versions)
        found.push({ key, ...(versionId !== undefined && { versionId }) });
    });
    return found;
  }

  async #pages<Page extends Answer>(pages: AsyncIterator<Page>, take: (page: Page) => void): Promise<void> {
    for (;;) {
      let result: IteratorResult<Page> | undefined;
      await this.call(async () => {
        result = await pages.next();
        return result.done ? {} : result.value;
      });
      if (result === undefined || result.done) break;
      take(result.value);
    }
    // The end of an iteration is no request.
    this.requests--;
  }

  /** Removes all that was written, by another's rights or the signal's leave. Answers the keys that are still there. */
  async clean(): Promise<readonly string[]> {
    if (!this.#touched) return [];
    const endMs = this.clock.monotonicMs() + CLEANUP_MAX_MS;
    const inTime = () => ({ timeoutMs: Math.max(Math.min(CALL_MAX_MS, endMs - this.clock.monotonicMs()), 1) });
    let looked = this.#unclear > 0 ? "early" : "late";
    let left: readonly DeleteTarget[] = [];
    for (let pass = 0; pass < CLEANUP_PASSES && this.clock.monotonicMs() < endMs; pass++) {
      left = await this.#remaining(inTime);
      if (left.length === 0) {
        if (looked === "late") return [];
        await this.clock.sleep(LATE_MS);
        looked = "late";
        continue;
      }
      await this.#remove(left, pass === 0, inTime);
    }
    left = await this.#remaining(inTime);
    return [...new Set(left.map(({ key }) => key))];
  }

  async #remaining(inTime: () => CallOptions): Promise<readonly DeleteTarget[]> {
    const known = () =>
      [...this.#written].flatMap(([key, { versions, plain }]): DeleteTarget[] => [
        ...[...versions].map((versionId) => ({ key, versionId })),
        ...(plain ? [{ key }] : []),
      ]);
    const found: DeleteTarget[] = [];
    try {
      for await (const page of this.store.listVersions(this.room, inTime())) {
        this.requests++;
        for (const { key, versionId } of page.versions)
          found.push({ key, ...(versionId !== undefined && { versionId }) });
      }
      return found;
    } catch {
      // What cannot be listed is known by heart.
      return known();
    }
  }

  async #remove(targets: readonly DeleteTarget[], together: boolean, inTime: () => CallOptions): Promise<void> {
    const gone = ({ key, versionId }: DeleteTarget) => {
      const written = this.#written.get(key);
      if (versionId !== undefined) written?.versions.delete(versionId);
      else if (written !== undefined) written.plain = false;
    };
    if (together) {
      this.requests++;
      const answer = await this.store.deleteMany(targets, inTime()).catch(() => undefined);
      // Believed only where a listing can check it: see #remaining.
      if (answer?.failed.length === 0) return;
    }
    for (const target of targets) {
      this.requests++;
      await this.store.delete(target, inTime()).then(
        () => gone(target),
        () => {},
      );
    }
  }
}

const ABOUT_THE_WRITE: ReadonlySet<string> = new Set(["unavailable", "corrupt"]);

/** The error, when the store refuses this very request for good: rights, or it does not do that. */
export function refusal(error: unknown): BucketlockError | undefined {
  if (!(error instanceof BucketlockError)) return undefined;
  const isRefusal =
    error.code === "STORE_ACCESS_DENIED" || error.code === "STORE_REFUSED" || error.kind === "unsupported";
  return isRefusal ? error : undefined;
}
