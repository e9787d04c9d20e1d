/**
 * The experiments without conditions: what these keys may do, whether versions are kept, and whether a listing shows what
 * was just written and hides what was just deleted. They do and note down; they judge nothing.
 */
import { type ProbeBench, refusal } from "./probe-bench.js";
import type { ListingSeen, Observations, ProbeVerb, Right, StampSeen } from "./probe-observations.js";
import type { Answer, CallOptions, DeleteTarget } from "./store.js";

export interface VerbsSeen {
  readonly rights: Record<ProbeVerb, Right>;
  readonly codes: Partial<Record<ProbeVerb, string>>;
  readonly versions: Observations["versions"];
  readonly multiDelete: Observations["multiDelete"];
}

/** Deleting is tried right after the first PUT: where it is not allowed, one object is the most that can stay behind. */
export async function tryVerbs(bench: ProbeBench): Promise<VerbsSeen> {
  const { store } = bench;
  const rights: Record<ProbeVerb, Right> = {
    ...{ put: "untried", get: "untried", head: "untried", list: "untried" },
    ...{ listVersions: "untried", delete: "untried", deleteMany: "untried" },
  };
  const codes: Partial<Record<ProbeVerb, string>> = {};
  const attempt = async (verb: ProbeVerb, run: () => Promise<unknown>): Promise<boolean> => {
    try {
      await run();
      rights[verb] = "allowed";
      return true;
    } catch (error) {
      const refused = refusal(error);
      if (refused === undefined) throw error;
      rights[verb] = refused.code === "STORE_ACCESS_DENIED" ? "denied" : "refused";
      codes[verb] = refused.code;
      return false;
    }
  };
  const request = (verb: ProbeVerb, run: (options: CallOptions) => Promise<Answer>) =>
    attempt(verb, () => bench.call(run));
  const seen = (versions: Observations["versions"], multiDelete: Observations["multiDelete"]): VerbsSeen => ({
    ...{ rights, codes, versions, multiDelete },
  });

  let first: DeleteTarget = { key: bench.key() };
  const mayPut = await attempt("put", async () => {
    const { key, versionId } = await bench.object(first.key);
    first = exact(key, versionId);
  });
  if (!mayPut) return seen("unknown", "untried");
  if (!(await request("delete", (options) => store.delete(first, options)))) return seen("unknown", "untried");

  const key = bench.key();
  const older = await bench.object(key);
  const newer = await bench.object(key);
  const other = await bench.object();
  await request("get", (options) => store.get(key, options));
  await request("head", (options) => store.head(key, options));
  await attempt("list", () => bench.listed(bench.room));
  let kept = 0;
  await attempt("listVersions", async () => {
    kept = (await bench.versions(key)).length;
  });
  const hasIds = newer.versionId !== undefined && newer.versionId !== "null";
  const versions = hasIds || kept > 1 ? "kept" : rights.listVersions === "allowed" ? "none" : "unknown";

  const targets = [older, newer, other].map((one) => exact(one.key, one.versionId));
  let multiDelete: Observations["multiDelete"] = "untried";
  await attempt("deleteMany", async () => {
    const { failed } = await bench.call((options) => store.deleteMany(targets, options));
    const denied = failed.find(({ code }) => /^(?:AccessDenied|STORE_ACCESS_DENIED)$/.test(code));
    multiDelete = failed.length > 0 ? "fails" : store.features.deleteMany ? "works" : "one by one";
    if (denied !== undefined) codes.deleteMany = denied.code;
  });
  if (rights.deleteMany !== "allowed") multiDelete = "fails";
  if (codes.deleteMany !== undefined && rights.deleteMany === "allowed") rights.deleteMany = "denied";
  // What it says is not yet so.
  if (multiDelete !== "fails" && rights.get === "allowed") {
    for (const one of [key, other.key]) if ((await bench.read(one)) !== undefined) multiDelete = "fails";
  }
  return seen(versions, multiDelete);
}

/** By its id where there is one, so that no delete marker is laid. */
function exact(key: string, versionId: string | undefined): DeleteTarget {
  return versionId === undefined ? { key } : { key, versionId };
}

/** Put, look, delete, look: with several endpoints by one and through the next. */
export async function tryListing(bench: ProbeBench, rounds: number): Promise<ListingSeen> {
  const folder = "list/";
  const anchor = await bench.object(bench.key(folder));
  const anchorMs = (await bench.listed(bench.room + folder)).get(anchor.key);
  let missedAfterPut = anchorMs === undefined ? 1 : 0;
  let seenAfterDelete = 0;
  let staleReads = 0;
  let moved = false;
  const stamps: StampSeen[] = [];
  const look = async (n: number, key: string) => {
    const other = bench.at(n + 1);
    const head = await bench.call((options) => other.head(key, options));
    const listed = await bench.listed(bench.room + folder, other);
    const nowMs = listed.get(anchor.key);
    if (anchorMs !== undefined && nowMs !== undefined && nowMs !== anchorMs) moved = true;
    return { head, listMs: listed.get(key) };
  };
  for (let n = 0; n < rounds; n++) {
    const key = bench.key(folder);
    const sentMs = bench.clock.monotonicMs();
    const answer = await bench.put(key, bench.body(), undefined, bench.at(n));
    if (answer.outcome !== "stored") continue;
    const answeredMs = bench.clock.monotonicMs();
    const after = await look(n, key);
    if (after.listMs === undefined) missedAfterPut++;
    if (!after.head.found) staleReads++;
    const headMs = after.head.found ? after.head.lastModifiedMs : undefined;
    stamps.push({ sentMs, answeredMs, listMs: after.listMs, headMs });
    await bench.call((options) => bench.at(n).delete(exact(key, answer.versionId), options));
    const gone = await look(n, key);
    if (gone.listMs !== undefined) seenAfterDelete++;
    if (gone.head.found) staleReads++;
  }
  return { rounds, missedAfterPut, seenAfterDelete, staleReads, timestampMoved: moved, stamps };
}
