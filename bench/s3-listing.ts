/** A listing of very many keys: ours, the SDK's, and the bare requests with nothing read from them. CPU time of the client only. */
import { S3 } from "@aws-sdk/client-s3";
import { message, startCrew } from "./crew.js";
import { RawClient } from "./raw.js";
import { type Summary, summarize } from "./statistics.js";
import { type S3Target, sessionOf } from "./targets.js";

export interface ListingCost {
  readonly name: string;
  readonly cpuMs: Summary;
  readonly wallMs: Summary;
}
export interface ListingResult {
  readonly keys: number;
  readonly clients: readonly ListingCost[];
}

const PAGE = 1000;
const PREFIX = "prefix/";

export async function measureListing(keys: number, rounds: number): Promise<ListingResult> {
  const script = new URL("s3-emulator.worker.ts", import.meta.url).pathname;
  const [server] = startCrew(script, 1, { keys }, {});
  try {
    const target = await message<S3Target>(server!, "where it listens");
    const { endpoint, region, bucket, accessKeyId, secretAccessKey } = target;
    await using session = sessionOf(target);
    const sdk = new S3({
      endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: true,
    });
    const raw = new RawClient(target);
    const clients: Readonly<Record<string, () => Promise<number>>> = {
      async bucketlock() {
        let count = 0;
        for await (const { objects } of session.listObjects(PREFIX)) count += objects.length;
        return count;
      },
      async "AWS SDK v3"() {
        let count = 0;
        for (let token: string | undefined; ; ) {
          const page = await sdk.listObjectsV2({
            Bucket: bucket,
            Prefix: PREFIX,
            ...(token !== undefined && { ContinuationToken: token }),
          });
          count += page.Contents?.length ?? 0;
          token = page.NextContinuationToken;
          if (token === undefined) return count;
        }
      },
      async "undici alone, nothing read"() {
        let after = "";
        for (let page = 0; page < keys / PAGE; page++) {
          const query = [
            ["list-type", "2"],
            ["prefix", PREFIX],
            ["start-after", after],
          ] as const;
          await raw.send(raw.prepare({ method: "GET", query }));
          after = `${PREFIX}of some/${String((page + 1) * PAGE - 1).padStart(8, "0")}-name.txt`;
        }
        return keys;
      },
    };
    const samples = Object.keys(clients).map(() => ({ cpuMs: [] as number[], wallMs: [] as number[] }));
    for (let round = -1; round < rounds; round++) {
      for (const [at, list] of Object.values(clients).entries()) {
        const fromMs = performance.now();
        const from = process.cpuUsage();
        const count = await list();
        if (count !== keys) throw new Error(`${count} keys of ${keys} were listed`);
        const { user, system } = process.cpuUsage(from);
        if (round < 0) continue;
        samples[at]!.cpuMs.push((user + system) / 1000);
        samples[at]!.wallMs.push(performance.now() - fromMs);
      }
    }
    sdk.destroy();
    await raw.close();
    const names = Object.keys(clients);
    return {
      keys,
      clients: samples.map(({ cpuMs, wallMs }, at) => ({
        name: names[at]!,
        cpuMs: summarize(cpuMs),
        wallMs: summarize(wallMs),
      })),
    };
  } finally {
    server!.kill();
  }
}
