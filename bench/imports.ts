/**
 * What `import "@bucketlock/lock"` costs: the built package in a process of its own, beside an empty script, in turns.
 * Builds first when `dist` is missing or older than the sources.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, root } from "./built.js";
import { type Summary, summarize } from "./statistics.js";

export interface ImportsResult {
  readonly lockMs: Summary;
  readonly emptyMs: Summary;
  /** Difference of the medians. */
  readonly overEmptyMs: number;
}

const WARM_UP_RUNS = 3;

export function measureImports(runs: number, say: (line: string) => void): ImportsResult {
  build("the import time", say);
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
