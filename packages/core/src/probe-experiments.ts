/**
 * The experiments with conditions: single writes, races, conditional deletes. They do and note down; what it means is
 * decided in probe-conditions.ts.
 */

import { type ProbeBench, refusal } from "./probe-bench.js";
import { bestForm, isDone } from "./probe-conditions.js";
import type { ConditionsSeen, Observations, RoundSeen, WriteSeen } from "./probe-observations.js";
import type { Condition } from "./store.js";

const TRIES_MAX = 3;

export type EtagForm = "asGiven" | "bare";

/** `mayMark`: a delete marker that is laid can be found and removed again. */
export async function tryConditions(bench: ProbeBench, mayMark: boolean): Promise<ConditionsSeen> {
  const create = await clear(() => bench.write(bench.key(), { absent: true }));
  const given = await bench.object();
  const none = { createAfterDelete: undefined, replaceBare: undefined, replaceStale: undefined };
  const untried = { ...none, createAgain: undefined, replaceAsGiven: undefined, replaceMissing: undefined };
  const notModified = given.etag === undefined ? "never" : await tryNotModified(bench, given.key, given.etag);
  const hasEtag = given.etag !== undefined;
  if (create.said === "refused") return { create, hasEtag, notModified, ...untried };
  const createAgain = await clear(async () => bench.write((await bench.object()).key, { absent: true }));
  const createAfterDelete = mayMark ? await clear(() => createOverMarker(bench)) : undefined;
  const soFar = { create, createAgain, createAfterDelete, notModified };
  if (given.etag === undefined) return { ...untried, ...soFar, hasEtag };

  const quoted = bare(given.etag) !== given.etag;
  const replace = (form: EtagForm) =>
    clear(async () => {
      const { key, etag } = await bench.object();
      return bench.write(key, inForm(etag!, form));
    });
  const replaceAsGiven = await replace("asGiven");
  const replaceBare = quoted ? await replace("bare") : undefined;
  const seen = { ...untried, ...soFar, hasEtag, replaceAsGiven, replaceBare };
  const form = bestForm(seen);
  if (form === undefined) return seen;
  const replaceStale = await clear(async () => {
    const { key, etag } = await bench.object();
    await bench.object(key);
    return bench.write(key, inForm(etag!, form));
  });
  const replaceMissing = await clear(() => bench.write(bench.key(), inForm(given.etag!, form)));
  return { ...seen, replaceStale, replaceMissing };
}

/** What was lost on the way says nothing: again, on a fresh key. What stays unclear is an answer too. */
async function clear(run: () => Promise<WriteSeen>): Promise<WriteSeen> {
  let seen = await run();
  for (let tries = 1; tries < TRIES_MAX && seen.said === "unknown" && !seen.landed; tries++) seen = await run();
  return seen;
}

async function createOverMarker(bench: ProbeBench): Promise<WriteSeen> {
  const { key } = await bench.object();
  await bench.call((options) => bench.store.delete({ key }, options));
  return bench.write(key, { absent: true });
}

async function tryNotModified(bench: ProbeBench, key: string, etag: string): Promise<ConditionsSeen["notModified"]> {
  const spared = async (unlessEtag: string) => {
    try {
      const answer = await bench.call((options) => bench.store.get(key, { ...options, unlessEtag }));
      return answer.found && answer.unchanged === true;
    } catch (error) {
      if (refusal(error) === undefined) throw error;
      return false;
    }
  };
  if (await spared(etag)) return "asGiven";
  return bare(etag) !== etag && (await spared(bare(etag))) ? "bare" : "never";
}

/** Many writers at once on one key; who is told what, and whose body is there at the end. */
export async function tryRace(
  bench: ProbeBench,
  race: RoundSeen["race"],
  racers: number,
  n: number,
  form: EtagForm,
): Promise<RoundSeen> {
  const { key, etag } = race === "replace" ? await bench.object() : { key: bench.key(), etag: undefined };
  const condition = etag === undefined ? ({ absent: true } as const) : inForm(etag, form);
  const flights = Array.from({ length: racers }, async (_none, racer) => {
    const body = bench.body();
    const { said } = await bench.told(() => bench.put(key, body, condition, bench.at(racer)));
    return { body, said };
  });
  // All have landed before any failure is heard: nothing is under way when the cleaning begins.
  const settled = await Promise.allSettled(flights);
  const told = settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  const standing = await bench.read(key, bench.at(n));
  const count = (said: WriteSeen["said"]) => told.filter((one) => one.said === said).length;
  return {
    race,
    stored: count("stored"),
    conflicts: count("conflict"),
    unknown: count("unknown"),
    refused: count("refused"),
    final: told.find(({ body }) => body === standing)?.said ?? "none of ours",
  };
}

/** Races are of use only where single writes are sound. */
export function worthRacing(seen: ConditionsSeen): EtagForm | undefined {
  const { create, createAgain, replaceStale, replaceMissing } = seen;
  const kept = [createAgain, replaceStale, replaceMissing].every((write) => write !== undefined && !write.landed);
  return isDone(create) && kept ? bestForm(seen) : undefined;
}

export async function tryConditionalDelete(
  bench: ProbeBench,
  form: EtagForm | undefined,
): Promise<Observations["conditionalDelete"]> {
  const { store } = bench;
  if (store.deleteIf === undefined) return "untried";
  const { key, etag } = await bench.object();
  const present = (await bench.object(key)).etag;
  if (etag === undefined || present === undefined) return "untried";
  const remove = async (tag: string) => {
    const sent = form === "bare" ? bare(tag) : tag;
    const { outcome } = await bench.call((options) => store.deleteIf!(key, sent, options));
    return { outcome, isThere: (await bench.read(key)) !== undefined };
  };
  try {
    const stale = await remove(etag);
    if (!stale.isThere) return "ignored";
    if (stale.outcome !== "conflict") return "unclear";
    return (await remove(present)).isThere ? "refused" : "honoured";
  } catch (error) {
    if (refusal(error) === undefined) throw error;
    return "refused";
  }
}

function inForm(etag: string, form: EtagForm): Condition {
  return { etag: form === "bare" ? bare(etag) : etag };
}

/** The ETag without the quotes around it; a weak one stays. RFC 9110 8.8.3. */
export function bare(etag: string): string {
  return etag.replace(/^"(.*)"$/, "$1");
}
