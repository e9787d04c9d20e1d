/**
 * What a launched server is to a test, in words every launcher shares. Starts nothing itself.
 */

export const serverNames = ["minio", "rgw", "versitygw"] as const;
export type ServerName = (typeof serverNames)[number];

/** Plain JSON: it travels from the run's set-up to the test files. */
export interface ServerFacts {
  readonly name: ServerName;
  readonly how: "container" | "binary" | "packages";
  readonly endpoint: string;
  /** More than one where several gateways serve one store. The first is `endpoint`. */
  readonly endpoints: readonly string[];
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** For tests that stop and continue a part of it. Empty for a container. */
  readonly processes: readonly { readonly role: string; readonly pid: number }[];
}

export interface Server extends ServerFacts {
  /** Ends it and removes what it kept on disk. Idempotent. */
  stop(): Promise<void>;
  /** A signal to what answers requests (of RGW the gateways only). Default: SIGKILL. SIGSTOP and SIGCONT work on all. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** It is not installed here; the message says what to install. Anything else that goes wrong is a plain Error. */
export class ServerMissing extends Error {
  override readonly name = "ServerMissing";
}

export const credentials = { accessKeyId: "testaccesskey", secretAccessKey: "testsecretkey" } as const;
