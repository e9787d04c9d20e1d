/** The demo's command line. Reads and checks arguments; opens nothing. */
import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly help: boolean;
  /** Undefined: a file store in a temporary directory of the demo's own. */
  readonly store: string | undefined;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
}

/** What the command line got wrong; the message says it to a person. */
export class UsageError extends Error {}

export const HELP = `npm run demo [-- options]

Four worker processes take turns at a nightly job, two readers share the lock, one holder is killed, another takes over.
Takes about ten seconds. Without options: no account, no server; the processes share a temporary directory.

  --store URL       where the processes meet instead: s3://bucket/prefix, or file:/absolute/directory
  --endpoint URL    the S3 server, such as http://127.0.0.1:9000 (default: AWS, or AWS_ENDPOINT_URL)
  --region NAME     default: AWS_REGION, or us-east-1 with an endpoint
  --help            this text

For s3:// stores, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. The bucket must exist. Everything the demo writes lies
below a prefix of its own and is gone at the end.

Exit code: 0 when everything the demo claims was checked and true, 1 when not, 2 for a wrong command line.`;

export function readOptions(args: readonly string[]): DemoOptions {
  let values: { help?: boolean; store?: string; endpoint?: string; region?: string };
  try {
    ({ values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        help: { type: "boolean", short: "h" },
        store: { type: "string" },
        endpoint: { type: "string" },
        region: { type: "string" },
      },
    }));
  } catch (error) {
    // Node appends advice about `--` that only confuses here.
    throw new UsageError((error instanceof Error ? error.message : String(error)).split(". ")[0]!);
  }
  const { help = false, store, endpoint, region } = values;
  if (store !== undefined && !/^(?:s3|file):/i.test(store)) {
    const why = /^memory:/i.test(store) ? " (processes cannot share memory)" : "";
    throw new UsageError(`--store must begin with s3:// or file:/${why}`);
  }
  const isS3 = store !== undefined && /^s3:/i.test(store);
  for (const [name, value] of Object.entries({ endpoint, region })) {
    if (value !== undefined && !isS3) throw new UsageError(`--${name} needs --store s3://bucket/prefix`);
  }
  return { help, store, endpoint, region };
}
