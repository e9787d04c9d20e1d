/**
 * Who takes the lock: our two protocols, and other people's locks beside them, behind one small face. Opens connections of
 * its own; starts no server. The clients of the others are loaded only when they play.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { openStore, type ProbeReport } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { createLocks, type LocksOptions } from "@bucketlock/lock";
import type { StoreAddress } from "./targets.js";

export type Protocol = NonNullable<LocksOptions["protocol"]>;

/** Plain JSON: it goes to other processes. */
export type Player =
  | {
      readonly kind: "bucketlock";
      readonly address: StoreAddress;
      readonly protocol: Protocol;
      /** The probe's report: processes that each probed would measure probes. */
      readonly probed?: ProbeReport | undefined;
    }
  | { readonly kind: "redis"; readonly port: number }
  | { readonly kind: "etcd"; readonly endpoint: string };

export interface Hand {
  /** Waits until it is held. Answers how to release it. */
  acquire(): Promise<() => Promise<unknown>>;
  /** Undefined: not counted. */
  requests(): number | undefined;
  close(): Promise<void>;
}

/** Far above the bench's length: nobody's lease runs out. */
const LEASE_S = 30;
/** Redlock and etcd3 leave the waiting to the caller; this long from try to try, and up to as much again. The same as our first look. */
const RETRY_MS = 20;

export function play(player: Player, key: string): Promise<Hand> {
  switch (player.kind) {
    case "bucketlock":
      return Promise.resolve(ours(player, key));
    case "redis":
      return redis(player.port, key);
    case "etcd":
      return etcd(player.endpoint, key);
  }
}

export function lockOptions({ protocol, probed }: Extract<Player, { kind: "bucketlock" }>): LocksOptions {
  return protocol === "conditional" ? { protocol, probed } : { protocol };
}

function ours(player: Extract<Player, { kind: "bucketlock" }>, key: string): Hand {
  const store = new RecordingStore(openStore(player.address.url, { s3: player.address.s3 }));
  const locks = createLocks(store, lockOptions(player));
  const lock = locks.lock(key);
  return {
    async acquire() {
      const lease = await lock.acquire();
      return () => lease.release();
    },
    requests: () => store.count(),
    close: () => locks.close(),
  };
}

async function redis(port: number, key: string): Promise<Hand> {
  const [{ Redis }, { default: Redlock }] = await Promise.all([import("ioredis"), import("redlock")]);
  const client = new Redis({ host: "127.0.0.1", port });
  const redlock = new Redlock([client], { retryCount: -1, retryDelay: RETRY_MS, retryJitter: RETRY_MS });
  return {
    async acquire() {
      const held = await redlock.lock(key, LEASE_S * 1000);
      return () => held.unlock();
    },
    requests: () => undefined,
    async close() {
      client.disconnect();
    },
  };
}

async function etcd(endpoint: string, key: string): Promise<Hand> {
  const { Etcd3, EtcdLockFailedError } = await import("etcd3");
  const client = new Etcd3({ hosts: endpoint });
  return {
    async acquire() {
      for (;;) {
        const held = client.lock(key).ttl(LEASE_S);
        try {
          await held.acquire();
          return () => held.release();
        } catch (error) {
          if (!(error instanceof EtcdLockFailedError)) throw error;
          await sleep(RETRY_MS * (1 + Math.random()));
        }
      }
    },
    requests: () => undefined,
    async close() {
      client.close();
    },
  };
}
