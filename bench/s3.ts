/**
 * `npm run bench -- s3`: what the S3 session costs beside other clients, on MinIO, in one run: CPU time of a PUT, large bodies
 * and their memory, a listing of very many keys, very many files. Prints the goals, met or not. Hides no number.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { startMinio } from "../test/servers/minio.js";
import { type BodyCost, measureBodies } from "./s3-bodies.js";
import { type BulkCost, measureBulk } from "./s3-bulk.js";
import { type ListingResult, measureListing } from "./s3-listing.js";
import { measurePuts, type PutsResult } from "./s3-puts.js";
import { sessionOf } from "./targets.js";

const PARTS = ["puts", "bodies", "listing", "bulk"] as const;
const PREFIX = "bench/";
const BODIES_MIB = [64, 1024];
const KEYS = 100_000;
const FILES = 5_000;
const MEMORY_GOAL_MIB = 100;

interface Result {
  puts?: PutsResult;
  bodies?: readonly BodyCost[];
  listing?: ListingResult;
  bulk?: readonly BulkCost[];
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    only: { type: "string", multiple: true },
    json: { type: "string" },
    keys: { type: "string", default: String(KEYS) },
    files: { type: "string", default: String(FILES) },
  },
});
const wanted = new Set(values.only ?? PARTS);
for (const part of wanted)
  if (!(PARTS as readonly string[]).includes(part)) throw new Error(`--only: ${part} is none of ${PARTS.join(", ")}`);
const say = (line: string) => console.error(line);

const result: Result = {};
const before = loadavg()[0]!;
if (["puts", "bodies", "bulk"].some((part) => wanted.has(part))) {
  const server = await startMinio();
  try {
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const target = { endpoint, region, bucket: "bucketlock-bench", accessKeyId, secretAccessKey };
    const session = sessionOf(target);
    await session.createBucket();
    await session.close();
    if (wanted.has("puts")) result.puts = await measurePuts(target, PREFIX, Number(values.seconds));
    if (wanted.has("bodies")) result.bodies = measureBodies(target, PREFIX, BODIES_MIB, say);
    if (wanted.has("bulk")) result.bulk = await measureBulk(target, PREFIX, Number(values.files), say);
  } finally {
    await server.stop();
  }
}
if (wanted.has("listing")) result.listing = await measureListing(Number(values.keys), 5);

const load = [before, loadavg()[0]!];
console.log(
  `Medians. Node ${process.version}, ${availableParallelism()} CPUs, load ${load.map((one) => one.toFixed(1)).join(" to ")}.`,
);
if (Math.max(...load) > availableParallelism() + 1)
  console.log("The machine was busy with other things: repeat when it is quiet.");
for (const line of lines(result)) console.log(line);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, undefined, 2)}\n`);

function lines({ puts, bodies, listing, bulk }: Result): string[] {
  const all: string[] = [];
  const row = (...cells: string[]) =>
    all.push(
      cells
        .map((cell, at) => cell.padEnd(at === 0 ? 48 : 16))
        .join("")
        .trimEnd(),
    );
  if (puts !== undefined) {
    all.push("");
    row("PUT of 1 KiB", "CPU", "time", "blocks of 100");
    for (const { name, cpuUs, wallMs } of puts.clients)
      row(`  ${name}`, `${cpuUs.p50.toFixed(0)} us`, `${wallMs.p50.toFixed(2)} ms`, String(cpuUs.n));
    row("  CPU over the SDK's", puts.overSdk.toFixed(2), "<= 0.6", met(puts.overSdk <= 0.6));
    row("  CPU over undici's alone", puts.overUndici.toFixed(2), "<= 1.15", met(puts.overUndici <= 1.15));
  }
  if (bodies !== undefined) {
    all.push("");
    row("large bodies", "MiB/s", "CPU", "largest memory");
    for (const { who, what, mib, isFirst, mibPerSecond, cpuMs, largestMib, before } of bodies) {
      const goal = who === "bucketlock" ? ` <= ${MEMORY_GOAL_MIB} ${met(largestMib <= MEMORY_GOAL_MIB)}` : "";
      const idle = `before it ${before.nowMib.toFixed(0)}, largest ${before.largestMib.toFixed(0)}`;
      row(
        `  ${what}, ${mib} MiB, ${isFirst ? "first" : who}`,
        mibPerSecond.toFixed(0),
        `${cpuMs.toFixed(0)} ms`,
        `${largestMib.toFixed(0)} MiB${goal} (${idle})`,
      );
    }
    all.push(
      "  first: by bucketlock too, as the first thing that its process does, while V8 optimises the parser of undici",
    );
  }
  if (listing !== undefined) {
    all.push("");
    row(`listing ${listing.keys} keys`, "CPU", "time");
    for (const { name, cpuMs, wallMs } of listing.clients)
      row(`  ${name}`, `${cpuMs.p50.toFixed(0)} ms`, `${wallMs.p50.toFixed(0)} ms`);
  }
  if (bulk !== undefined) {
    all.push("");
    row(`${bulk[0]?.files} files of 4 KiB`, "time", "CPU");
    for (const { name, wallMs, cpuMs } of bulk)
      row(`  ${name}`, `${(wallMs / 1000).toFixed(1)} s`, `${cpuMs.toFixed(0)} ms`);
  }
  return all;
}

function met(is: boolean): string {
  return is ? "met" : "NOT MET";
}
