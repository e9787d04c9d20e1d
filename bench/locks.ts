/**
 * A lock nobody else wants: what acquire and release take beside the very requests they are made of, in turns. On S3 those
 * go by undici; on the file store by the store itself.
 */
import type { Store } from "@bucketlock/core";
import { createLocks } from "@bucketlock/lock";
import { list, RawClient, removeMany } from "./raw.js";
import { besides, type Compared, compare, type Signed } from "./requests.js";
import { Pairs, summarize, timed } from "./statistics.js";
import { openTarget, type Target } from "./targets.js";

export interface LocksResult {
  /** Against PUT, LIST, PUT, LIST. */
  readonly acquire: Compared;
  /** Against one delete of two objects. */
  readonly release: Compared;
  /** Acquire against the four requests, signed as ours are. Absent where nothing is signed. */
  readonly signed?: Signed;
}

const WARM_UP_ROUNDS = 30;
const METADATA = { holder: "bench:1" };

/** The same requests without a lock: ready to send, so that only the sending is measured. */
interface Bare {
  prepare(n: number): {
    acquire: () => Promise<void>;
    release: () => Promise<unknown>;
    signed?: () => Promise<void>;
  };
  close(): Promise<void>;
}

export async function measureLocks(target: Target, seconds: number): Promise<LocksResult> {
  const store = openTarget(target);
  const bare = target.s3 === undefined ? bareStore(store, target.prefix) : await bareS3(target);
  await using locks = createLocks(store);
  try {
    const lock = locks.lock(`${target.prefix}uncontended`);
    const acquire = new Pairs();
    const release = new Pairs();
    const signed: number[] = [];
    const round = async (n: number) => {
      const theirs = bare.prepare(n);
      let ours: { release(): Promise<void> } | undefined;
      await acquire.measure(async () => {
        ours = await lock.acquire();
      }, theirs.acquire);
      await release.measure(() => ours!.release(), theirs.release);
      if (theirs.signed === undefined) return;
      signed.push(await timed(theirs.signed));
      await theirs.release();
    };
    for (let n = 0; n < WARM_UP_ROUNDS; n++) await round(n);
    acquire.clear();
    release.clear();
    signed.length = 0;
    const untilMs = performance.now() + seconds * 1000;
    for (let n = WARM_UP_ROUNDS; performance.now() < untilMs; n++) await round(n);
    const result = { acquire: compare(acquire), release: compare(release) };
    if (signed.length === 0) return result;
    return { ...result, signed: besides(summarize(acquire.ours), signed) };
  } finally {
    await bare.close();
  }
}

async function bareS3(target: Target): Promise<Bare> {
  const raw = new RawClient(target.s3!);
  const prefix = `${target.prefix}bare.lock.`;
  await raw.begin(prefix, target.isOurs);
  const headers = [["content-type", "text/plain"] as const, ["x-amz-meta-holder", METADATA.holder] as const];
  return {
    prepare(n) {
      // As long as a ticket's keys.
      const keys = [0, 1].map((part) => `${prefix}${String(n).padStart(26, "0")}.x.30000-${part}`);
      const four = (signed: boolean) => {
        const puts = keys.map((key) => raw.prepare({ method: "PUT", key, headers, body: "1", signed }));
        const listing = raw.prepare({ ...list(prefix), signed });
        return async () => {
          for (const put of puts) {
            await raw.send(put);
            await raw.send(listing);
          }
        };
      };
      const removal = raw.prepare(removeMany(keys));
      return {
        acquire: four(false),
        release: () => raw.send(removal),
        signed: four(true),
      };
    },
    close: () => raw.close(),
  };
}

function bareStore(store: Store, ownPrefix: string): Bare {
  const prefix = `${ownPrefix}bare.lock.`;
  return {
    prepare(n) {
      const keys = [0, 1].map((part) => `${prefix}${String(n).padStart(26, "0")}.x.30000-${part}`);
      return {
        async acquire() {
          for (const key of keys) {
            await store.put(key, "1", { metadata: METADATA });
            for await (const page of store.list(prefix)) void page;
          }
        },
        async release() {
          await store.deleteMany(keys.map((key) => ({ key })));
        },
      };
    },
    close: async () => {},
  };
}
