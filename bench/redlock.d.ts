/** What the bench uses of redlock, which brings no types of its own. */
declare module "redlock" {
  import type { Redis } from "ioredis";

  export default class Redlock {
    constructor(clients: readonly Redis[], options: { retryCount: number; retryDelay: number; retryJitter: number });
    lock(resource: string, ttlMs: number): Promise<{ unlock(): Promise<void> }>;
  }
}
