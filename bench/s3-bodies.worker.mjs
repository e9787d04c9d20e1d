/**
 * One large upload and download in a process of its own, by one client, with the built packages and no loader: what it tells
 * is the process's time, CPU time and largest memory. Streams both ways; keeps nothing.
 */
const { who, what, target, key, bytes } = JSON.parse(process.argv[2]);
const { endpoint, region, bucket, accessKeyId, secretAccessKey } = target;
const credentials = { accessKeyId, secretAccessKey };
const piece = Buffer.alloc(1024 * 1024, "0123456789abcdef");

async function* source() {
  for (let left = bytes; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
}

const clients = {
  // Each loads only itself: the other's code would count as its memory.
  async bucketlock() {
    const { openS3Session } = await import("@bucketlock/core");
    const session = openS3Session({ endpoint, region, bucket, credentials });
    return {
      upload: () => session.upload(key, source(), { timeoutMs: 600_000 }),
      warmUp: () => session.headObject(key),
      download: async () => (await session.streamObject(key, { timeoutMs: 600_000 })).body,
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
      download: async () => (await client.getObject({ Bucket: bucket, Key: key })).Body,
      close: () => client.destroy(),
    };
  },
};

const client = await clients[who]();
await client.warmUp();
// What Node and the client take before a byte of a body is there.
const idleMemoryBytes = process.resourceUsage().maxRSS * 1024;
const fromMs = performance.now();
const from = process.cpuUsage();
if (what === "upload") await client.upload();
else {
  let got = 0;
  for await (const chunk of await client.download()) got += chunk.length;
  if (got !== bytes) throw new Error(`${got} bytes of ${bytes}`);
}
const { user, system } = process.cpuUsage(from);
const wallMs = performance.now() - fromMs;
await client.close();
const maxMemoryBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000, maxMemoryBytes, idleMemoryBytes }));
