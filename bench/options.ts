/** The bench's command line. Reads and checks arguments; opens nothing. */
import { parseArgs } from "node:util";
import type { Protocol } from "./players.js";

export const parts = [
  "requests",
  "locks",
  "contention",
  "waiters",
  "passes",
  "rivals",
  "signatures",
  "imports",
] as const;
export type Part = (typeof parts)[number];

export interface BenchOptions {
  readonly help: boolean;
  readonly endpoint: string | undefined;
  readonly bucket: string | undefined;
  readonly region: string;
  readonly store: string | undefined;
  readonly json: string | undefined;
  readonly seconds: number;
  readonly skip: ReadonlySet<Part>;
  readonly protocols: ReadonlySet<Protocol>;
}

export class UsageError extends Error {}

export const HELP = `npm run bench [-- options]

Measures our requests and locks beside raw requests by undici, in turns, in one run. Without options: on every server that
the tests' launchers find on this machine, and on the file store.

  --endpoint URL --bucket NAME   on this server instead, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION
  --region NAME                  default: AWS_REGION, or us-east-1
  --store file:/absolute/dir     on this file store instead
  --protocol NAME                two-object, conditional or both (default); conditional only where a probe finds it safe
  --seconds N                    length of each timed part (default 5; contention takes twice that)
  --skip PART                    leave out ${parts.join(", ")}; may be given several times
  --json FILE                    write the numbers there as well ("-": print them instead of the table)
  --help                         this text

Exit code: 0 when everything could be measured, whether the goals are met or not; 1 when not; 2 for a wrong command line.`;

export function readOptions(args: readonly string[]): BenchOptions {
  let values: {
    help?: boolean;
    endpoint?: string;
    bucket?: string;
    region?: string;
    store?: string;
    json?: string;
    seconds?: string;
    protocol?: string;
    skip?: string[];
  };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h" },
        endpoint: { type: "string" },
        bucket: { type: "string" },
        region: { type: "string" },
        store: { type: "string" },
        json: { type: "string" },
        seconds: { type: "string" },
        protocol: { type: "string" },
        skip: { type: "string", multiple: true },
      },
    }));
  } catch (error) {
    throw new UsageError((error instanceof Error ? error.message : String(error)).split(". ")[0]!);
  }
  const { endpoint, bucket, store, json } = values;
  if ((endpoint === undefined) !== (bucket === undefined)) throw new UsageError("--endpoint and --bucket go together");
  if (store !== undefined && endpoint !== undefined) throw new UsageError("--store and --endpoint exclude each other");
  if (store !== undefined && !store.startsWith("file:/")) throw new UsageError("--store must begin with file:/");
  const seconds = Number(values.seconds ?? 5);
  if (!(seconds >= 0.2 && seconds <= 600)) throw new UsageError("--seconds must be a number from 0.2 to 600");
  const protocol = values.protocol ?? "both";
  if (protocol !== "both" && protocol !== "two-object" && protocol !== "conditional")
    throw new UsageError("--protocol must be two-object, conditional or both");
  const unknown = values.skip?.find((name) => !(parts as readonly string[]).includes(name));
  if (unknown !== undefined) throw new UsageError(`--skip: ${unknown} is none of ${parts.join(", ")}`);
  return {
    help: values.help ?? false,
    endpoint,
    bucket,
    region: values.region ?? (process.env.AWS_REGION || "us-east-1"),
    store,
    json,
    seconds,
    skip: new Set(values.skip as Part[] | undefined),
    protocols: new Set(protocol === "both" ? (["two-object", "conditional"] as const) : [protocol]),
  };
}
