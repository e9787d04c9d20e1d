/**
 * `bucketlock doctor`: which configuration is found and where it comes from, what the store allows and how fast, and what to mend.
 * Writes one small object under a random name and removes it.
 */
import { BucketlockError, type Store, systemClock, systemRandom } from "@bucketlock/core";
import { errorFacts } from "./advice.js";
import type { Context } from "./context.js";
import { describeSeen, findings, type Seen, type Trial } from "./doctor-report.js";
import { EXIT } from "./exit-code.js";
import { Interruption } from "./interruption.js";
import { unknownVariables } from "./settings.js";

const ROUNDS = 3;
const END: readonly string[] = [
  "STORE_UNREACHABLE",
  "STORE_TIMEOUT",
  "STORE_UNTRUSTED",
  "STORE_NO_CREDENTIALS",
  "STORE_BAD_CREDENTIALS",
  "STORE_NO_BUCKET",
];
// `Date` has steps of a second, and some servers refresh it late.
const DATE_STEP_MS = 2_000;

export async function doctor(context: Context): Promise<number> {
  const { screen, settings, configPath } = context;
  const interruption = new Interruption(undefined);
  let store: Store | undefined;
  let storeError: Trial["error"];
  let settingError: Trial["error"];
  try {
    store = await context.openStore();
  } catch (error) {
    storeError = toldBy(error);
  }
  try {
    if (store !== undefined) context.checkSettings(store);
  } catch (error) {
    settingError = toldBy(error);
  }
  const clock = new ClockSeen();
  const stop = screen.spin(() => `asking ${store?.name ?? ""}`);
  const trials =
    store === undefined
      ? []
      : await tryStore(store, clock, settings.requestTimeout.value, interruption.signal).finally(stop);
  await store?.close();
  interruption.end();
  const seen: Seen = {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    configPath,
    settings,
    unknownVariables: unknownVariables(process.env),
    store: store === undefined ? undefined : { name: store.name, endpoint: store.endpoint },
    storeError,
    settingError,
    trials,
    // A store of this host has no other.
    clock: store?.endpoint === undefined ? undefined : clock.seen,
  };
  const found = findings(seen);
  if (screen.isJson) screen.json({ ...seen, settings: hideUrl(seen.settings), findings: found });
  else screen.print(describeSeen(seen, found, (colour, text) => screen.paint(colour, text)));
  if (found.every(({ level }) => level === "warning")) return EXIT.done;
  return trials.some(({ error }) => error !== undefined) || storeError?.kind === "denied" ? EXIT.store : EXIT.usage;
}

async function tryStore(
  store: Store,
  clock: ClockSeen,
  timeoutMs: number | undefined,
  signal: AbortSignal,
): Promise<Trial[]> {
  const options = { signal, timeoutMs };
  const key = `bucketlock-doctor-${systemRandom.hex(10)}`;
  const trials: Trial[] = [];
  const attempt = async (what: string, work: () => Promise<{ serverTimeMs?: number | undefined }>) => {
    // Nobody there, or nobody to be: the others would fail alike, and each as slowly.
    if (trials.some(({ error }) => error !== undefined && END.includes(error.code))) return;
    const times: number[] = [];
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        const from = systemClock.monotonicMs();
        const sentMs = systemClock.wallMs();
        const { serverTimeMs } = await work();
        times.push(systemClock.monotonicMs() - from);
        clock.observe(serverTimeMs, sentMs, systemClock.wallMs());
      }
      trials.push({ what, medianMs: times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] });
    } catch (error) {
      signal.throwIfAborted();
      trials.push({ what, medianMs: undefined, error: toldBy(error) });
    }
  };
  await attempt("write", async () => {
    const answer = await store.put(key, "doctor", options);
    if (answer.outcome === "unknown") throw answer.cause;
    return answer;
  });
  await attempt("read", () => store.get(key, options));
  await attempt("head", () => store.head(key, options));
  await attempt("list", async () => {
    for await (const page of store.list(key, options)) return page;
    return {};
  });
  await attempt("delete", () => store.delete({ key }, options));
  return trials;
}

/** Between which bounds the server's clock lies, by all its answers together. */
class ClockSeen {
  seen: { lowMs: number; highMs: number } | undefined;

  observe(serverMs: number | undefined, sentMs: number, receivedMs: number): void {
    if (serverMs === undefined) return;
    const lowMs = Math.max(serverMs - receivedMs, this.seen?.lowMs ?? Number.NEGATIVE_INFINITY);
    const highMs = Math.min(serverMs + DATE_STEP_MS - sentMs, this.seen?.highMs ?? Number.POSITIVE_INFINITY);
    if (lowMs <= highMs) this.seen = { lowMs, highMs };
  }
}

function toldBy(error: unknown): NonNullable<Trial["error"]> {
  if (!(error instanceof BucketlockError)) throw error;
  return errorFacts(error) as unknown as NonNullable<Trial["error"]>;
}

function hideUrl(settings: Seen["settings"]): unknown {
  const { store } = settings;
  return { ...settings, store: { ...store, value: store.value?.replace(/\?.*$/, "?...") } };
}
