/** What one small PUT costs the client in CPU time: blocks of PUTs, one client after the other, round after round, in one process. */
import { BODY, OURS, openClients, type PutClient, SDK, UNDICI } from "./s3-clients.js";
import { type Summary, summarize } from "./statistics.js";
import type { S3Target } from "./targets.js";

export interface PutCost {
  readonly name: string;
  /** Microseconds of user and system time a PUT, over blocks. */
  readonly cpuUs: Summary;
  /** Milliseconds a PUT. */
  readonly wallMs: Summary;
}
export interface PutsResult {
  readonly clients: readonly PutCost[];
  readonly overSdk: number;
  readonly overUndici: number;
}

const BLOCK = 100;
const WARM_UP_ROUNDS = 3;

export async function measurePuts(target: S3Target, prefix: string, seconds: number): Promise<PutsResult> {
  const clients = await openClients(target, `${prefix}let-in/`);
  try {
    const samples = clients.map(() => ({ cpuUs: [] as number[], wallMs: [] as number[] }));
    const untilMs = performance.now() + seconds * 1000;
    for (let round = -WARM_UP_ROUNDS; round < 1 || performance.now() < untilMs; round++) {
      for (let turn = 0; turn < clients.length; turn++) {
        // Nobody is always after the same neighbour's garbage.
        const at = (turn * (round % 2 === 0 ? 1 : clients.length - 1) + Math.abs(round)) % clients.length;
        const cost = await block(clients[at]!, `${prefix}puts/${at}-`);
        if (round < 0) continue;
        samples[at]!.cpuUs.push(cost.cpuUs);
        samples[at]!.wallMs.push(cost.wallMs);
      }
    }
    const costs = clients.map(({ name }, at) => ({
      name,
      cpuUs: summarize(samples[at]!.cpuUs),
      wallMs: summarize(samples[at]!.wallMs),
    }));
    const of = (name: string) => costs.find((cost) => cost.name === name)!.cpuUs.p50;
    return { clients: costs, overSdk: of(OURS) / of(SDK), overUndici: of(OURS) / of(UNDICI) };
  } finally {
    for (const client of clients) await client.close();
  }
}

async function block(client: PutClient, prefix: string): Promise<{ cpuUs: number; wallMs: number }> {
  for (let n = 0; n < BLOCK; n++) client.prepare?.(`${prefix}${n}`);
  const fromMs = performance.now();
  const from = process.cpuUsage();
  for (let n = 0; n < BLOCK; n++) await client.put(`${prefix}${n}`, BODY);
  const { user, system } = process.cpuUsage(from);
  return { cpuUs: (user + system) / BLOCK, wallMs: (performance.now() - fromMs) / BLOCK };
}
