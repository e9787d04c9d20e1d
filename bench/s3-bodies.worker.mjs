/**
 * One large upload or download in a process of its own, by one client, with the built packages and no loader: what it tells
 * is the body's time and CPU time, and the process's largest memory before it and with it. Streams both ways; keeps nothing.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const { who, what, target, key, bytes, file, warmUps } = JSON.parse(process.argv[2]);
const { endpoint, region, bucket, accessKeyId, secretAccessKey } = target;
const credentials = { accessKeyId, secretAccessKey };
const piece = Buffer.alloc(1024 * 1024, "0123456789abcdef");
/** V8 optimises undici's parser in the background once it is used much. */
const SETTLED_MS = 3_000;

async function* source() {
  for (let left = bytes; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
}

async function count(body) {
  let got = 0;
  for await (const chunk of body) got += chunk.length;
  if (got !== bytes) throw new Error(`${got} bytes of ${bytes}`);
}

const clients = {
  // Each loads only itself: the other's code would count as its memory.
  async bucketlock() {
    const { openS3Session } = await import("@bucketlock/core");
    const session = openS3Session({ endpoint, region, bucket, credentials });
    return {
      upload: () => session.upload(key, source(), { timeoutMs: 600_000 }),
      "upload of a file": () => session.upload(key, { file }, { timeoutMs: 600_000 }),
      warmUp: () => session.headObject(key),
      download: async () => count((await session.streamObject(key, { timeoutMs: 600_000 })).body),
      "download to a file": () => session.download(key, file, { timeoutMs: 600_000 }),
      close: () => session.close(),
    };
  },
  async sdk() {
    const { S3 } = await import("@aws-sdk/client-s3");
    const client = new S3({ endpoint, region, credentials, forcePathStyle: true });
    return {
      upload: async () => {
        const { Readable } = await import("node:stream");
        await client.putObject({ Bucket: bucket, Key: key, Body: Readable.from(source()), ContentLength: bytes });
      },
      warmUp: () => client.headObject({ Bucket: bucket, Key: key }).catch(() => {}),
      download: async () => count((await client.getObject({ Bucket: bucket, Key: key })).Body),
      close: () => client.destroy(),
    };
  },
};

/** Linux's own count: that of resourceUsage begins with what the parent had when it started this process. */
function largestMemory() {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

const client = await clients[who]();
for (let n = 0; n < warmUps; n++) await client.warmUp();
if (warmUps > 1) await sleep(SETTLED_MS);
// What Node and the client take, or took, before a byte of a body is there.
const memoryBefore = { nowBytes: process.memoryUsage.rss(), largestBytes: largestMemory() };
const fromMs = performance.now();
const from = process.cpuUsage();
await client[what]();
const { user, system } = process.cpuUsage(from);
const wallMs = performance.now() - fromMs;
await client.close();
console.log(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000, largestBytes: largestMemory(), memoryBefore }));
