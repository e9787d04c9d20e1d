/** Many small files to a bucket: `rclone copy` beside ours. Each takes the same folder to a prefix of its own. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { putAll } from "@bucketlock/core/jobs";
import { findProgram } from "../test/servers/daemon.js";
import { temporaryDirectory } from "../test/servers/guard.js";
import { type S3Target, sessionOf } from "./targets.js";

export interface BulkCost {
  readonly name: string;
  readonly files: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

const FILE_BYTES = 4096;
const FOLDERS = 50;
const PARALLEL = 16;

export async function measureBulk(
  target: S3Target,
  prefix: string,
  files: number,
  say: (line: string) => void,
): Promise<BulkCost[]> {
  const directory = temporaryDirectory("bulk");
  try {
    for (let folder = 0; folder < FOLDERS; folder++) mkdirSync(join(directory.path, String(folder)));
    for (let n = 0; n < files; n++)
      writeFileSync(join(directory.path, String(n % FOLDERS), `${n}.bin`), Buffer.alloc(FILE_BYTES, n));
    const costs = [
      await byUpload(target, `${prefix}bulk-loop/`, directory.path, files),
      await byJob(target, `${prefix}bulk-job/`, directory.path, files),
    ];
    const rclone = findProgram("rclone");
    if (rclone === undefined) say("without rclone: apt-get install rclone");
    else costs.push(byRclone(rclone, target, `${prefix}bulk-rclone/`, directory.path, files));
    return costs;
  } finally {
    directory.remove();
  }
}

async function byJob(target: S3Target, prefix: string, folder: string, files: number): Promise<BulkCost> {
  await using session = sessionOf(target);
  const fromMs = performance.now();
  const from = process.cpuUsage();
  await putAll(session, folder, prefix, { parallel: PARALLEL });
  const { user, system } = process.cpuUsage(from);
  const wallMs = performance.now() - fromMs;
  return { name: `putAll, ${PARALLEL} at once`, files, wallMs, cpuMs: (user + system) / 1000 };
}

/** Our uploads in a loop, as a program would write it that knows no jobs. */
async function byUpload(target: S3Target, prefix: string, folder: string, files: number): Promise<BulkCost> {
  await using session = sessionOf(target);
  const fromMs = performance.now();
  const from = process.cpuUsage();
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".bin"));
  const queue = names.values();
  const work = async () => {
    for (const name of queue) await session.upload(`${prefix}${name}`, { file: join(folder, name) });
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  const { user, system } = process.cpuUsage(from);
  const wallMs = performance.now() - fromMs;
  return { name: `upload in a loop, ${PARALLEL} at once`, files, wallMs, cpuMs: (user + system) / 1000 };
}

function byRclone(rclone: string, target: S3Target, prefix: string, folder: string, files: number): BulkCost {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = target;
  const env = {
    ...process.env,
    AWS_CA_BUNDLE: "",
    RCLONE_CONFIG: "/nonexistent",
    RCLONE_CONFIG_X_TYPE: "s3",
    RCLONE_CONFIG_X_PROVIDER: "Minio",
    RCLONE_CONFIG_X_ENDPOINT: endpoint,
    RCLONE_CONFIG_X_REGION: region,
    RCLONE_CONFIG_X_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_X_SECRET_ACCESS_KEY: secretAccessKey,
  };
  // The comparison of what is there already is left out on both sides: the prefix is empty.
  const args = ["copy", folder, `x:${bucket}/${prefix}`, "--transfers", String(PARALLEL), "--s3-no-check-bucket"];
  const fromMs = performance.now();
  const before = childrenCpuMs();
  const { status, stderr } = spawnSync(rclone, args, { env, encoding: "utf8", timeout: 600_000 });
  if (status !== 0) throw new Error(`rclone: ${stderr.trim().split("\n").at(-1)}`);
  const wallMs = performance.now() - fromMs;
  return { name: `rclone copy --transfers ${PARALLEL}`, files, wallMs, cpuMs: childrenCpuMs() - before };
}

/** Of children that ended; only Linux tells. */
function childrenCpuMs(): number {
  const { status, stdout } = spawnSync("sh", ["-c", `cut -d')' -f2 /proc/${process.pid}/stat`], { encoding: "utf8" });
  if (status !== 0) return Number.NaN;
  const fields = stdout.trim().split(" ");
  // cutime and cstime, the 16th and 17th of proc(5), in ticks of 10 ms.
  return (Number(fields[13]) + Number(fields[14])) * 10;
}
