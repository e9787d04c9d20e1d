/**
 * What is measured: servers started for the run, a server named on the command line, or a file store. Each gives its
 * store's address for other processes, and leaves nothing behind when it ends.
 */
import { pathToFileURL } from "node:url";
import { type OpenStoreOptions, openStore, S3Session, type Store } from "@bucketlock/core";
import { temporaryDirectory } from "../test/servers/guard.js";
import { startMinio } from "../test/servers/minio.js";
import { startRgw } from "../test/servers/rgw.js";
import { ServerMissing } from "../test/servers/server.js";
import { startVersitygw } from "../test/servers/versitygw.js";
import type { BenchOptions } from "./options.js";

/** Plain JSON: it goes to other processes. Its credentials travel in their environment. */
export interface StoreAddress {
  readonly url: string;
  readonly s3: OpenStoreOptions["s3"];
}

export interface S3Target {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Target {
  readonly name: string;
  readonly address: StoreAddress;
  /** Undefined: no S3 store. */
  readonly s3: S3Target | undefined;
  /** The bucket was made for this run: its rights may be changed. */
  readonly isOurs: boolean;
  /** Every key of this run begins with it. */
  readonly prefix: string;
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const BUCKET = "bucketlock-bench";

/** One after the other: a target is stopped before the next starts, so that they do not disturb each other. */
export async function* targets(options: BenchOptions, say: (line: string) => void): AsyncGenerator<Target> {
  if (options.store !== undefined) {
    yield fileTarget("file store", options.store, async () => {});
    return;
  }
  if (options.endpoint !== undefined) {
    yield s3Target(new URL(options.endpoint).host, namedServer(options), false, async () => {});
    return;
  }
  for (const [name, start] of [
    ["minio", startMinio],
    ["rgw", startRgw],
    ["versitygw", startVersitygw],
  ] as const) {
    const server = await start().catch((error: unknown) => {
      say(`without ${name}: ${error instanceof ServerMissing ? error.message : `it did not start: ${String(error)}`}`);
    });
    if (server === undefined) continue;
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const s3 = { endpoint, region, bucket: BUCKET, accessKeyId, secretAccessKey };
    const session = sessionOf(s3);
    await session.createBucket();
    await session.close();
    yield s3Target(name, s3, true, () => server.stop());
  }
  const directory = temporaryDirectory("bench");
  yield fileTarget("file store", pathToFileURL(directory.path).href, async () => directory.remove());
}

export function sessionOf(s3: S3Target): S3Session {
  const { accessKeyId, secretAccessKey, ...where } = s3;
  return new S3Session({ ...where, credentials: { accessKeyId, secretAccessKey } });
}

export function openTarget(target: Target): Store {
  return target.s3 === undefined ? openStore(target.address.url) : sessionOf(target.s3).store();
}

function namedServer({ endpoint, bucket, region }: BenchOptions): S3Target {
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = process.env;
  return { endpoint: endpoint!, bucket: bucket!, region, accessKeyId, secretAccessKey };
}

function s3Target(name: string, s3: S3Target, isOurs: boolean, stop: () => Promise<void>): Target {
  const { endpoint, region, bucket } = s3;
  const prefix = ownPrefix();
  return {
    name,
    address: { url: `s3://${bucket}`, s3: { endpoint, region } },
    s3,
    isOurs,
    prefix,
    env: { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey },
    async stop() {
      try {
        if (!isOurs) await empty(sessionOf(s3).store(), prefix);
      } finally {
        await stop();
      }
    },
  };
}

function fileTarget(name: string, url: string, stop: () => Promise<void>): Target {
  const prefix = ownPrefix();
  return {
    name,
    address: { url, s3: undefined },
    s3: undefined,
    isOurs: true,
    prefix,
    env: {},
    async stop() {
      await empty(openStore(url), prefix);
      await stop();
    },
  };
}

const ownPrefix = (): string => `bench-${Date.now().toString(36)}-${process.pid}/`;

async function empty(store: Store, prefix: string): Promise<void> {
  try {
    for await (const { objects } of store.list(prefix)) {
      if (objects.length > 0) await store.deleteMany(objects.map(({ key }) => ({ key })));
    }
  } finally {
    await store.close();
  }
}
