/**
 * Releases what a program forgot, as far as a program can: leases that were garbage collected, an empty event loop,
 * process.exit() and uncaught exceptions, and signals on request. SIGKILL is what the lease is for.
 * Installs nothing before the first ticket and leaves nothing installed after the last. Never swallows the program's own handlers.
 */
import { fileURLToPath } from "node:url";
import type { DeletePlan, DeleteTarget, PutPlan, Store } from "@bucketlock/core";
import { type Parting, partingWrites } from "./conditional/parting.js";
import type { Remains } from "./held-ticket.js";

/** Something that must not be left behind. */
export interface Pending {
  readonly store: Store;
  /** What to delete and to write, known without asking anyone. */
  readonly remains: Remains;
  /** Ends it in an orderly way. Never rejects. Undefined: somebody is working on it. */
  release: (() => Promise<void>) | undefined;
  readonly signals: readonly NodeJS.Signals[];
}

// The child limits its requests itself. This is for one that does not even start: on a busy machine that takes seconds.
const CHILD_LIMIT_MS = 20_000;

const pending = new Set<Pending>();
const installed = new Map<string, (...args: never[]) => void>();

export function track(entry: Pending): void {
  pending.add(entry);
  install("beforeExit", releaseAll);
  install("exit", releaseByChild);
  for (const signal of entry.signals) install(signal, () => onSignal(signal));
}

export function untrack(entry: Pending): void {
  pending.delete(entry);
  for (const [name, handler] of installed) {
    const needed = name.startsWith("SIG")
      ? [...pending].some((other) => other.signals.includes(name as NodeJS.Signals))
      : pending.size > 0;
    if (needed) continue;
    process.removeListener(name, handler as () => void);
    installed.delete(name);
  }
}

function install(name: string, handler: () => void): void {
  if (installed.has(name)) return;
  installed.set(name, handler);
  process.on(name, handler);
}

async function releaseAll(): Promise<void> {
  await Promise.all([...pending].map((entry) => entry.release?.()));
}

/** Releases, then lets the signal do what it would have done without us. */
async function onSignal(signal: NodeJS.Signals): Promise<void> {
  const ours = installed.get(signal);
  await Promise.all([...pending].filter((entry) => entry.signals.includes(signal)).map((entry) => entry.release?.()));
  if (ours !== undefined) process.removeListener(signal, ours as () => void);
  installed.delete(signal);
  // Another handler of the program decides about its end; with none, the default action must not be lost.
  if (process.listenerCount(signal) > 0) return;
  // Dying of a signal fires no `exit`: tickets still waiting in line go now.
  releaseByChild();
  process.kill(process.pid, signal);
}

/** Only synchronous work runs in an `exit` handler, so a child sends the deletes and the writes. It gets plans, no credentials. */
function releaseByChild(): void {
  const byStore = new Map<Store, { targets: DeleteTarget[]; partings: Parting[] }>();
  for (const { store, remains } of pending) {
    const all = byStore.get(store) ?? { targets: [], partings: [] };
    byStore.set(store, all);
    all.targets.push(...remains.targets());
    const parting = remains.parting?.();
    if (parting !== undefined) all.partings.push(parting);
  }
  const plans = [...byStore].flatMap(([store, { targets, partings }]) => plansOf(store, targets, partings));
  if (plans.length === 0) return;
  // A bundler that makes CommonJS leaves it undefined: without the child's file, the leases end by themselves.
  if (import.meta.url === undefined) return;
  const child = fileURLToPath(new URL("./finalizer-child.js", import.meta.url));
  // From source, the file store has to be loaded as this process loads its own files; everywhere else plain Node will do.
  const loader =
    import.meta.url.endsWith(".ts") && plans.some(({ kind }) => kind.startsWith("file")) ? process.execArgv : [];
  // Loaded only now: most programs never get here.
  process.getBuiltinModule("node:child_process").spawnSync(process.execPath, [...loader, child], {
    input: JSON.stringify(plans),
    stdio: ["pipe", "ignore", "ignore"],
    timeout: CHILD_LIMIT_MS,
    killSignal: "SIGKILL",
    // Nothing of the environment but what TLS and the system need.
    env: pick(process.env, ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "SystemRoot"]),
    windowsHide: true,
  });
}

function plansOf(
  store: Store,
  targets: readonly DeleteTarget[],
  partings: readonly Parting[],
): (DeletePlan | PutPlan)[] {
  try {
    const writes = partingWrites(partings).map(({ objectKey, body, etag }) => store.planPut?.(objectKey, body, etag));
    const deletes = targets.length === 0 ? undefined : store.planDelete?.(targets);
    return [...writes, deletes].filter((plan) => plan !== undefined);
  } catch {
    // A store that cannot plan must not stop the others; the lease ends by itself.
    return [];
  }
}

function pick(env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
