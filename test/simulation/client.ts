/**
 * One host's way to the bucket, as a `Store`: requests take time, get lost, land late or twice, and a host that stands
 * still hears nothing. Which fault strikes is drawn from the world's seed; none outlives the plan's `faultsEndMs`.
 */
import {
  type CallOptions,
  type DeleteAnswer,
  type DeleteManyAnswer,
  type DeleteTarget,
  type GetAnswer,
  type GetOptions,
  type HeadAnswer,
  type ListedObject,
  type ListPage,
  type PutAnswer,
  type PutOptions,
  type Store,
  StoreError,
  type StoreFeatures,
  type VersionPage,
} from "@bucketlock/core";
import { type Bucket, RECORD, type StoredObject } from "./bucket.js";
import type { Host } from "./host.js";
import type { Plan } from "./plan.js";
import type { World } from "./world.js";

const TIMEOUT_MS = 10_000;
const LIST_SLICES = 3;

/** What becomes of one request. */
interface Fate {
  readonly arriveMs: number;
  readonly answerMs: number;
  readonly lands: boolean;
  readonly answers: "yes" | "reset" | "never";
  /** Lands once more, this long after the first time. */
  readonly againMs?: number;
  readonly refused?: boolean;
  /** A proxy sends it again before any answer: that of the second is heard. */
  readonly proxied?: boolean;
}

export class Client implements Store {
  readonly name = "simulated:";
  readonly features: StoreFeatures;
  requests = 0;
  readonly #world: World;
  readonly #plan: Plan;
  readonly #bucket: Bucket;
  readonly #host: Host;
  /** Calls that wait for an answer: what the end of a world must end too. */
  readonly #waiting = new Set<(error: unknown) => void>();
  #buried = false;

  constructor(world: World, plan: Plan, bucket: Bucket, host: Host) {
    this.#world = world;
    this.#plan = plan;
    this.#bucket = bucket;
    this.#host = host;
    this.features = {
      conditionalWrites: plan.protocol === "conditional" ? "yes" : "no",
      versions: "no",
      timestampStepMs: plan.stepMs,
      deleteMany: plan.deleteMany,
    };
  }

  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<PutAnswer> {
    const text = typeof body === "string" ? body : Buffer.from(body).toString();
    const metadata = { ...options.metadata };
    try {
      return await this.#call<PutAnswer>("put", key, options, (land) => {
        if (!this.#meets(key, options)) return land({ outcome: "conflict", serverTimeMs: this.#bucket.dateMs() });
        this.#bucket.put(key, text, metadata);
        land({ outcome: "stored", etag: this.#bucket.get(key)!.etag, serverTimeMs: this.#bucket.dateMs() });
      });
    } catch (error) {
      // A store may say so, or throw what it knows: both must do.
      if (!(error instanceof StoreError) || this.#world.random.float() < 0.3) throw error;
      return { outcome: "unknown", cause: error };
    }
  }

  head(key: string, options: CallOptions = {}): Promise<HeadAnswer> {
    return this.#call<HeadAnswer>("head", key, options, (land) => {
      const object = this.#bucket.get(key);
      const serverTimeMs = this.#bucket.dateMs();
      land(
        object === undefined ? { found: false, serverTimeMs } : { found: true, ...this.#facts(object), serverTimeMs },
      );
    });
  }

  /** At the instant it lands: atomic. */
  #meets(key: string, { condition }: PutOptions): boolean {
    if (condition === undefined) return true;
    const there = this.#bucket.get(key);
    return "absent" in condition ? there === undefined : there?.etag === condition.etag;
  }

  get(key: string, options: GetOptions = {}): Promise<GetAnswer> {
    return this.#call<GetAnswer>("get", key, options, (land) => {
      const object = this.#bucket.get(key);
      const serverTimeMs = this.#bucket.dateMs();
      if (object === undefined) return land({ found: false, serverTimeMs });
      const facts = { found: true, ...this.#facts(object), serverTimeMs } as const;
      if (object.etag === options.unlessEtag) return land({ ...facts, body: new Uint8Array(), unchanged: true });
      land({ ...facts, body: Buffer.from(object.body) });
    });
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ListPage> {
    yield await this.#call<ListPage>("list", prefix, options, (land) => {
      const { random } = this.#world;
      const salt = random.uint32();
      const serverTimeMs = this.#bucket.dateMs();
      const objects: ListedObject[] = [];
      const order = Array.from({ length: LIST_SLICES }, (_, slice) => slice).sort(() => random.float() - 0.5);
      const read = (index: number) => {
        objects.push(...this.#bucket.list(prefix, order[index]!, LIST_SLICES, salt));
        if (index + 1 < LIST_SLICES)
          return this.#world.in((random.float() * this.#plan.listSpreadMs) / LIST_SLICES, () => read(index + 1));
        objects.sort((a, b) => (a.key < b.key ? -1 : 1));
        land({ objects, serverTimeMs });
      };
      read(0);
    });
  }

  // biome-ignore lint/correctness/useYield: a store without versions is never asked for them.
  async *listVersions(): AsyncGenerator<VersionPage> {
    throw new Error("the simulated store keeps no versions, yet was asked for them");
  }

  delete(target: DeleteTarget, options: CallOptions = {}): Promise<DeleteAnswer> {
    return this.#call<DeleteAnswer>("delete", target.key, options, (land) => {
      this.#bucket.delete(target.key);
      land({ serverTimeMs: this.#bucket.dateMs() });
    });
  }

  deleteMany(targets: readonly DeleteTarget[], options: CallOptions = {}): Promise<DeleteManyAnswer> {
    const { random } = this.#world;
    const keys = targets.map((target) => target.key).join(" ");
    return this.#call<DeleteManyAnswer>("deleteMany", keys, options, (land) => {
      // One request, yet no transaction: each object goes at its own instant, in any order.
      const left = [...targets].sort(() => random.float() - 0.5);
      const spares = this.#faulty() && random.float() < this.#plan.faultRate / 4 ? left.pop() : undefined;
      if (spares !== undefined) this.#world.count("deleteFailed");
      const failed = spares === undefined ? [] : [{ ...spares, code: "InternalError", message: "try again" }];
      const next = () => {
        const target = left.shift();
        if (target === undefined) return land({ failed, serverTimeMs: this.#bucket.dateMs() });
        this.#bucket.delete(target.key);
        this.#world.in(random.float() * 3, next);
      };
      next();
    });
  }

  async close(): Promise<void> {}

  /** Requests whose caller still waits. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** The world ends: whoever still waits hears so, and nobody asks any more. */
  bury(): void {
    this.#buried = true;
    for (const fail of [...this.#waiting]) fail(unreachable("the world ended"));
  }

  #facts(object: StoredObject) {
    return {
      etag: object.etag,
      lastModifiedMs: this.#bucket.headTimeMs(object),
      size: object.body.length,
      metadata: object.metadata,
    };
  }

  #faulty(): boolean {
    return this.#world.nowMs < this.#plan.faultsEndMs;
  }

  /** `perform` happens when the request lands, and calls back when the answer leaves. */
  #call<T>(verb: string, what: string, options: CallOptions, perform: (land: (answer: T) => void) => void): Promise<T> {
    const world = this.#world;
    const host = this.#host;
    const { signal, timeoutMs = TIMEOUT_MS } = options;
    return new Promise<T>((resolve, reject) => {
      if (this.#buried) return reject(unreachable("the world ended"));
      if (signal?.aborted) return reject(signal.reason);
      if (!(timeoutMs > 0)) world.violate(`${host.name} sent ${verb} ${what} with a limit of ${timeoutMs} ms`);
      const number = ++this.requests;
      const fate = this.#fate(verb, what);
      world.tell(host.name, () => `#${number} ${verb} ${short(what)}${showFate(fate)}`);
      const done = () => {
        cancelLimit();
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(fail);
      };
      const fail = (error: unknown) => {
        done();
        world.tell(host.name, () => `#${number} failed: ${error instanceof Error ? error.message : String(error)}`);
        reject(error);
      };
      const onAbort = () => fail(signal!.reason);
      const cancelLimit = host.after(timeoutMs, () => fail(unreachable(`no answer within ${timeoutMs.toFixed(0)} ms`)));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(fail);
      const hear = (run: () => void) => {
        host.deliver("socket", () => {
          if (this.#waiting.has(fail)) run();
        });
      };
      const answer = (value: T) => {
        if (fate.answers === "never") return;
        world.in(fate.answerMs, () =>
          hear(() => {
            if (fate.answers === "reset") return fail(unreachable("the connection was reset"));
            done();
            world.tell(host.name, () => `#${number} -> ${showAnswer(value)}`);
            resolve(value);
          }),
        );
      };
      const sentMs = world.nowMs;
      const validForMs = (options as PutOptions).validForMs;
      const land = (again: boolean) => {
        // Whole seconds, as X-Amz-Expires is.
        const late =
          this.#plan.refusesLate &&
          validForMs !== undefined &&
          world.nowMs - sentMs > Math.max(1000, Math.ceil(validForMs / 1000) * 1000);
        if (late || fate.refused) {
          if (late) world.count("refusedLate");
          if (!again) world.in(fate.answerMs, () => hear(() => fail(unreachable(late ? "too late" : "slow down"))));
          return;
        }
        world.tell("store", () => `${host.name}#${number} lands${again ? " again" : ""}`);
        if (!again && fate.againMs !== undefined && (isPlace(verb, what) || fate.proxied === true)) {
          // A proxy's retry: the answer is that of the second.
          perform(() => {});
          return world.in(fate.againMs, () => perform(answer));
        }
        perform(again ? () => {} : answer);
        if (!again && fate.againMs !== undefined) world.in(fate.againMs, () => land(true));
      };
      if (fate.lands) world.in(fate.arriveMs, () => land(false));
      else if (fate.answers === "reset")
        world.in(fate.arriveMs, () => hear(() => fail(unreachable("the connection was reset"))));
    });
  }

  #fate(verb: string, what: string): Fate {
    const { random } = this.#world;
    const { latencyMs, faultRate, stallRate, leases } = this.#plan;
    const leg = () => latencyMs * (0.3 + random.float() + (random.float() < 0.02 ? 8 * random.float() : 0));
    const plain: Fate = { arriveMs: leg(), answerMs: leg(), lands: true, answers: "yes" };
    if (!this.#faulty()) return plain;
    const lease = Math.max(...leases);
    const isClaim = what.includes(".once.slot.");
    const stalls = what.endsWith("-0") || what.endsWith(RECORD) || isClaim;
    if (verb === "put" && stalls && random.float() < stallRate) {
      this.#world.count("stall");
      // A claim is about to be late only when somebody may have looked in vain before it lands.
      const arriveMs = (isClaim ? 0.9 + 0.9 * random.float() : 1.2 * random.float()) * lease;
      const stallMs = random.float() < 0.5 ? random.float() * 1.5 * lease : arriveMs + random.float() * 0.3 * lease;
      this.#world.in(0, () => this.#host.pause("freeze", stallMs));
      return { ...plain, arriveMs };
    }
    if (random.float() >= faultRate) return plain;
    const count = (kind: string, fate: Fate): Fate => {
      this.#world.count(kind);
      return fate;
    };
    switch (random.below(8)) {
      case 0:
        return count("requestLost", { ...plain, lands: false, answers: random.float() < 0.5 ? "reset" : "never" });
      case 1:
      case 2:
        return count("answerLost", { ...plain, answers: random.float() < 0.5 ? "reset" : "never" });
      case 3:
        return count("slowAnswer", { ...plain, answerMs: random.float() * lease });
      case 4:
        return count("slowRequest", { ...plain, arriveMs: random.float() * lease });
      case 5:
        // Its caller is long gone when it lands: a ghost.
        return count("ghost", { ...plain, arriveMs: lease * (0.5 + 2.5 * random.float()), answers: "never" });
      case 6:
        return count("serverError", { ...plain, refused: true });
      default:
        if (isPlace(verb, what)) return count("doubled", { ...plain, againMs: random.float() * 200 });
        if (verb === "put" && what.endsWith(RECORD) && random.float() < 0.5)
          return count("conflictOfOwn", { ...plain, againMs: random.float() * 200, proxied: true });
        if (verb === "head" || verb === "list" || verb === "get") return plain;
        return count("doubled", { ...plain, againMs: random.float() * 2 * lease });
    }
  }
}

const isPlace = (verb: string, what: string): boolean => verb === "put" && what.endsWith("-1");

function unreachable(fact: string): StoreError {
  return new StoreError(fact, { code: "STORE_UNREACHABLE", kind: "unavailable" });
}

/** The random end of a ULID is enough to tell tickets apart. */
export const short = (text: string): string => text.replaceAll(/[0-9A-Z]{18}([0-9A-Z]{8}\.[xs])/g, "$1");

function showFate(fate: Fate): string {
  const parts: string[] = [];
  if (!fate.lands) parts.push("never lands");
  if (fate.answers !== "yes") parts.push(fate.answers === "reset" ? "reset" : "no answer");
  if (fate.refused) parts.push("refused");
  if (fate.againMs !== undefined) parts.push(`again after ${fate.againMs.toFixed(0)}`);
  return parts.length === 0 ? "" : ` [${parts.join(", ")}]`;
}

function showAnswer(answer: unknown): string {
  const page = answer as ListPage;
  if (page.objects !== undefined) {
    const shown = page.objects.map(
      (object) => `${short(object.key.split(".lock.")[1] ?? object.key)}@${object.lastModifiedMs - 1_700_000_000_000}`,
    );
    return `[${shown.join(" ")}]`;
  }
  const head = answer as Extract<HeadAnswer, { found: true }>;
  if (head.found === true)
    return `${(head.lastModifiedMs ?? 0) - 1_700_000_000_000} renewal ${head.metadata.renewal ?? "-"}`;
  const { outcome, found } = answer as { outcome?: string; found?: boolean };
  return outcome ?? (found === false ? "absent" : "ok");
}
