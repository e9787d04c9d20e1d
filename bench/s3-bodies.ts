/** Large bodies up and down, each in a process of its own (s3-bodies.worker.mjs): throughput, CPU time, largest memory. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { build } from "./built.js";
import type { S3Target } from "./targets.js";

export interface BodyCost {
  readonly who: "bucketlock" | "sdk";
  readonly what: "upload" | "download";
  readonly mib: number;
  readonly mibPerSecond: number;
  readonly cpuMs: number;
  /** Of the whole process, Node included. */
  readonly maxMemoryMib: number;
  /** The same after one small request, before a byte of a body. */
  readonly idleMemoryMib: number;
}

const MIB = 1024 * 1024;
const worker = fileURLToPath(new URL("s3-bodies.worker.mjs", import.meta.url));

export function measureBodies(
  target: S3Target,
  prefix: string,
  sizes: readonly number[],
  say: (line: string) => void,
): BodyCost[] {
  build("the memory of large bodies", say);
  const costs: BodyCost[] = [];
  for (const mib of sizes) {
    for (const who of ["bucketlock", "sdk"] as const) {
      for (const what of ["upload", "download"] as const) {
        say(`${who}: ${what} of ${mib} MiB`);
        const task = { who, what, target, key: `${prefix}bodies/${who}`, bytes: mib * MIB };
        // Without our own flags: no loader, no source condition.
        const { status, stdout, stderr } = spawnSync(process.execPath, [worker, JSON.stringify(task)], {
          encoding: "utf8",
          timeout: 600_000,
        });
        if (status !== 0) throw new Error(`${what} by ${who}: ${/^.*Error.*$/m.exec(stderr)?.[0] ?? status}`);
        const { wallMs, cpuMs, maxMemoryBytes, idleMemoryBytes } = JSON.parse(stdout) as Record<string, number>;
        costs.push({
          who,
          what,
          mib,
          mibPerSecond: mib / (wallMs! / 1000),
          cpuMs: cpuMs!,
          maxMemoryMib: maxMemoryBytes! / MIB,
          idleMemoryMib: idleMemoryBytes! / MIB,
        });
      }
    }
  }
  return costs;
}
