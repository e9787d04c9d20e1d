/**
 * A lock nobody else wants, by the conditional protocol: acquire and release beside two PUTs of the same size, in turns. Warm: the
 * record is known from the last release. Beside those, two PUTs under If-Match: what a server takes longer for a condition is
 * no cost of ours.
 */
import type { ProbeReport, Store } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks } from "@bucketlock/lock";
import { RawClient } from "./raw.js";
import { type Compared, compare } from "./requests.js";
import { Pairs, ratio, type Summary, summarize, timed } from "./statistics.js";
import { openTarget, type Target } from "./targets.js";

export interface RecordsResult {
  /** Acquire and release against two PUTs. */
  readonly warm: Compared;
  /** Two PUTs under If-Match; and ours over those. */
  readonly underIfMatch: { readonly raw: Summary; readonly ratio: number };
  readonly requestsPerAcquisition: number;
}

const WARM_UP_ROUNDS = 30;

interface Bare {
  /** Two PUTs, ready to be sent. */
  plain(): () => Promise<unknown>;
  /** One PUT under the ETag of the last; ready to be sent. */
  next(): () => Promise<unknown>;
  close(): Promise<void>;
}

export async function measureRecords(target: Target, probed: ProbeReport, seconds: number): Promise<RecordsResult> {
  const store = new RecordingStore(openTarget(target));
  await using locks = createLocks(store, { protocol: "conditional", probed });
  const lock = locks.lock(`${target.prefix}warm`);
  await lock.run(() => {});
  const held = await lock.acquire();
  const body = await recordBody(store, `${target.prefix}warm`);
  await held.release();
  const bare =
    target.s3 === undefined
      ? await bareStore(store, target.prefix, body)
      : await bareS3(target, body, probed.conditions.ifMatch === "bareOnly");
  try {
    const pairs = new Pairs();
    const conditional: number[] = [];
    let requests = 0;
    const round = async () => {
      const plain = bare.plain();
      await pairs.measure(async () => {
        const before = store.count();
        const lease = await lock.acquire();
        await lease.release();
        requests += store.count() - before;
      }, plain);
      const first = await timed(bare.next());
      conditional.push(first + (await timed(bare.next())));
    };
    for (let n = 0; n < WARM_UP_ROUNDS; n++) await round();
    pairs.clear();
    conditional.length = 0;
    requests = 0;
    const untilMs = performance.now() + seconds * 1000;
    while (performance.now() < untilMs) await round();
    const warm = compare(pairs);
    const raw = summarize(conditional);
    return {
      warm,
      underIfMatch: { raw, ratio: ratio(warm.ours, raw) },
      requestsPerAcquisition: requests / warm.ours.n,
    };
  } finally {
    await bare.close();
  }
}

/** What a holder's record looks like, for PUTs of the same size. */
async function recordBody(store: Store, prefix: string): Promise<string> {
  for await (const { objects } of store.list(prefix)) {
    for (const { key } of objects) {
      const answer = await store.get(key);
      if (answer.found && answer.unchanged !== true) return new TextDecoder().decode(answer.body);
    }
  }
  throw new Error("a held lock left no record to be seen");
}

async function bareS3(target: Target, body: string, bareEtags: boolean): Promise<Bare> {
  const raw = new RawClient(target.s3!);
  const prefix = `${target.prefix}bare-record/`;
  await raw.begin(prefix, target.isOurs);
  const type = ["content-type", "application/json"] as const;
  const key = `${prefix}conditional`;
  let etag = await raw.send(raw.prepare({ method: "PUT", key, headers: [type], body }));
  let count = 0;
  return {
    plain() {
      const prepared = [0, 1].map(() =>
        raw.prepare({ method: "PUT", key: `${prefix}plain`, headers: [type], body: changed(body, count++) }),
      );
      return async () => {
        for (const put of prepared) await raw.send(put);
      };
    },
    next() {
      if (etag === undefined) throw new Error("a PUT was answered without an ETag");
      const condition = ["if-match", bareEtags ? etag.replaceAll('"', "") : etag] as const;
      const prepared = raw.prepare({ method: "PUT", key, headers: [type, condition], body: changed(body, count++) });
      return async () => {
        etag = await raw.send(prepared);
      };
    },
    close: () => raw.close(),
  };
}

async function bareStore(store: Store, ownPrefix: string, body: string): Promise<Bare> {
  const key = `${ownPrefix}bare-record/conditional`;
  let count = 0;
  let { etag } = await stored(store.put(key, body));
  return {
    plain: () => async () => {
      for (let n = 0; n < 2; n++) await store.put(`${ownPrefix}bare-record/plain`, changed(body, count++));
    },
    next: () => async () => {
      ({ etag } = await stored(store.put(key, changed(body, count++), { condition: { etag: etag! } })));
    },
    close: async () => {},
  };
}

async function stored(putting: ReturnType<Store["put"]>): Promise<{ etag: string | undefined }> {
  const answer = await putting;
  if (answer.outcome !== "stored") throw new Error(`a bare PUT ended as ${answer.outcome}`);
  return { etag: answer.etag };
}

/** Another body of the same length: a server must not find that it has this one already. */
const changed = (body: string, count: number): string => `${body.slice(0, -8)}${String(count).padStart(8, "0")}`;
