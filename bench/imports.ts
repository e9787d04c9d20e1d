/**
 * What `import "@bucketlock/lock"` costs: the built package in a process of its own, beside an empty script, in turns.
 * Builds first when `dist` is missing or older than the sources.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Summary, summarize } from "./statistics.js";

export interface ImportsResult {
  readonly lockMs: Summary;
  readonly emptyMs: Summary;
  /** Difference of the medians. */
  readonly overEmptyMs: number;
}

const root = fileURLToPath(new URL("../", import.meta.url));
const WARM_UP_RUNS = 3;

export function measureImports(runs: number, say: (line: string) => void): ImportsResult {
  if (isStale()) {
    say("building the packages for the import time (scripts/build.mjs)");
    const { status } = spawnSync(process.execPath, [join(root, "scripts", "build.mjs")], { stdio: "inherit" });
    if (status !== 0) throw new Error("the packages could not be built");
  }
  // Inside the workspace, so that the package is found as a user's program finds it; hidden from other tools.
  const folder = mkdtempSync(join(root, "bench", ".imports-"));
  try {
    const empty = join(folder, "empty.mjs");
    const lock = join(folder, "lock.mjs");
    writeFileSync(empty, "");
    writeFileSync(lock, 'import "@bucketlock/lock";\n');
    const samples = { lock: [] as number[], empty: [] as number[] };
    for (let n = -WARM_UP_RUNS; n < runs; n++) {
      const [emptyMs, lockMs] = n % 2 === 0 ? [start(empty), start(lock)] : [start(lock), start(empty)].reverse();
      if (n < 0) continue;
      samples.empty.push(emptyMs!);
      samples.lock.push(lockMs!);
    }
    const lockMs = summarize(samples.lock);
    const emptyMs = summarize(samples.empty);
    return { lockMs, emptyMs, overEmptyMs: lockMs.p50 - emptyMs.p50 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(file: string): number {
  const from = performance.now();
  // Without our own flags: a user's program has neither the source condition nor a TypeScript loader.
  const { status, stderr } = spawnSync(process.execPath, [file], { stdio: ["ignore", "ignore", "pipe"] });
  const tookMs = performance.now() - from;
  if (status !== 0) throw new Error(`importing @bucketlock/lock failed: ${/^\w*Error.*$/m.exec(String(stderr))?.[0]}`);
  return tookMs;
}

function isStale(): boolean {
  return ["core", "lock"].some((name) => {
    const built = newestMs(join(root, "packages", name, "dist"), ".js");
    return built === 0 || built < newestMs(join(root, "packages", name, "src"), ".ts");
  });
}

function newestMs(folder: string, ending: string): number {
  try {
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(ending));
    return Math.max(0, ...files.map((file) => statSync(join(folder, file)).mtimeMs));
  } catch {
    return 0;
  }
}
