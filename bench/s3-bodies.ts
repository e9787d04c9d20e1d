/**
 * Large bodies up and down, each in a process of its own (s3-bodies.worker.mjs): throughput, CPU time, largest memory. The memory
 * before the body is told too, because most of it is not the body's: Node's own, and what V8 takes for a moment when it
 * optimises the parser of undici. A process that starts with the body has both at once; it is measured as well.
 */
import { spawnSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../test/servers/guard.js";
import { build } from "./built.js";
import type { S3Target } from "./targets.js";

type What = "upload" | "upload of a file" | "download" | "download to a file";

export interface BodyCost {
  readonly who: "bucketlock" | "sdk";
  readonly what: What;
  readonly mib: number;
  /** The body is what the process begins with; otherwise small requests came before, and a rest. */
  readonly isFirst: boolean;
  readonly mibPerSecond: number;
  readonly cpuMs: number;
  /** Of the whole process, Node included, from its start to its end. */
  readonly largestMib: number;
  /** The same before a byte of the body, and what it had at that moment. */
  readonly before: { readonly largestMib: number; readonly nowMib: number };
}

const MIB = 1024 * 1024;
const WARM_UPS = 300;
const worker = fileURLToPath(new URL("s3-bodies.worker.mjs", import.meta.url));

export function measureBodies(
  target: S3Target,
  prefix: string,
  sizes: readonly number[],
  say: (line: string) => void,
): BodyCost[] {
  build("the memory of large bodies", say);
  const folder = temporaryDirectory("bench-bodies");
  const file = join(folder.path, "file");
  const measure = (who: BodyCost["who"], what: What, mib: number, isFirst: boolean): BodyCost => {
    say(`${who}: ${what} of ${mib} MiB${isFirst ? ", first of all" : ""}`);
    // Without blocks on the disk: reading it costs memory and CPU as another does.
    writeFileSync(file, "");
    if (what === "upload of a file") truncateSync(file, mib * MIB);
    const warmUps = isFirst ? 1 : WARM_UPS;
    const task = { who, what, target, key: `${prefix}bodies/${who}`, bytes: mib * MIB, file, warmUps };
    // Without our own flags: no loader, no source condition.
    const { status, stdout, stderr } = spawnSync(process.execPath, [worker, JSON.stringify(task)], {
      encoding: "utf8",
      timeout: 600_000,
    });
    if (status !== 0) throw new Error(`${what} by ${who}: ${/^.*Error.*$/m.exec(stderr)?.[0] ?? status}`);
    const { wallMs, cpuMs, largestBytes, memoryBefore } = JSON.parse(stdout) as {
      readonly wallMs: number;
      readonly cpuMs: number;
      readonly largestBytes: number;
      readonly memoryBefore: { readonly nowBytes: number; readonly largestBytes: number };
    };
    return {
      who,
      what,
      mib,
      isFirst,
      mibPerSecond: mib / (wallMs / 1000),
      cpuMs,
      largestMib: largestBytes / MIB,
      before: { largestMib: memoryBefore.largestBytes / MIB, nowMib: memoryBefore.nowBytes / MIB },
    };
  };
  try {
    return sizes.flatMap((mib) => [
      measure("bucketlock", "upload", mib, false),
      measure("bucketlock", "upload of a file", mib, false),
      measure("bucketlock", "download", mib, false),
      measure("bucketlock", "download to a file", mib, false),
      measure("bucketlock", "upload", mib, true),
      measure("bucketlock", "upload of a file", mib, true),
      measure("bucketlock", "download", mib, true),
      measure("sdk", "upload", mib, false),
      measure("sdk", "download", mib, false),
    ]);
  } finally {
    folder.remove();
  }
}
