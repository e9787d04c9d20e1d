/**
 * The clients whose PUTs are compared: ours, what others wrote, and undici with nothing around it. Each as its manual shows it,
 * with its own defaults. Measures nothing.
 */
import { S3 } from "@aws-sdk/client-s3";
import { AwsClient } from "aws4fetch";
import { Client as MinioClient } from "minio";
import { S3mini } from "s3mini";
import { fetch } from "undici";
import { RawClient } from "./raw.js";
import { type S3Target, sessionOf } from "./targets.js";

export interface PutClient {
  readonly name: string;
  /** What is not the client's work, done before the clock runs. */
  prepare?(key: string): void;
  put(key: string, body: string): Promise<unknown>;
  close(): Promise<void> | void;
}

export const OURS = "bucketlock";
export const SDK = "AWS SDK v3";
export const UNDICI = "undici alone";

/** `prefix`: where the bare client may look whether it is let in. */
export async function openClients(target: S3Target, prefix: string): Promise<readonly PutClient[]> {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = target;
  const credentials = { accessKeyId, secretAccessKey };
  const session = sessionOf(target);
  const sdkOptions = { endpoint, region, credentials, forcePathStyle: true };
  const sdk = new S3(sdkOptions);
  const plainSdk = new S3({ ...sdkOptions, requestChecksumCalculation: "WHEN_REQUIRED" });
  const aws = new AwsClient({ ...credentials, region, service: "s3" });
  const { hostname, port, protocol } = new URL(endpoint);
  const useSSL = protocol === "https:";
  const minio = new MinioClient({
    endPoint: hostname,
    port: Number(port || (useSSL ? 443 : 80)),
    useSSL,
    accessKey: accessKeyId,
    secretKey: secretAccessKey,
    region,
  });
  // Both with the fetch of the undici that we use: Node's own is of another version, and does not agree with it.
  const mini = new S3mini({ endpoint: `${endpoint}/${bucket}`, region, ...credentials, fetch: fetch as never });
  const raw = new RawClient(target);
  await raw.begin(prefix, true);
  const prepared = new Map<string, ReturnType<RawClient["prepare"]>>();
  const nothing = () => {};
  return [
    { name: OURS, put: (key, body) => session.putObject(key, body), close: () => session.close() },
    {
      name: UNDICI,
      prepare: (key) => void prepared.set(key, raw.prepare({ method: "PUT", key, body: BODY })),
      put: (key) => {
        const request = prepared.get(key)!;
        prepared.delete(key);
        return raw.send(request);
      },
      close: () => raw.close(),
    },
    {
      name: SDK,
      put: (Key, Body) => sdk.putObject({ Bucket: bucket, Key, Body }),
      close: () => sdk.destroy(),
    },
    {
      name: `${SDK} without checksums`,
      put: (Key, Body) => plainSdk.putObject({ Bucket: bucket, Key, Body }),
      close: () => plainSdk.destroy(),
    },
    {
      name: "aws4fetch",
      put: async (key, body) => {
        const { url, headers } = await aws.sign(`${endpoint}/${bucket}/${key}`, { method: "PUT", body });
        const answer = await fetch(url, { method: "PUT", headers: [...headers], body });
        await answer.arrayBuffer();
        if (!answer.ok) throw new Error(`aws4fetch: ${answer.status}`);
      },
      close: nothing,
    },
    { name: "minio-js", put: (key, body) => minio.putObject(bucket, key, body), close: nothing },
    { name: "s3mini", put: (key, body) => mini.putObject(key, body), close: nothing },
  ];
}

export const BODY = "x".repeat(1024);
