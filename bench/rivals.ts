/**
 * Locks by Redis and etcd on this machine, for comparison: their servers are started for the run on free loopback ports with
 * directories that go with it. Durable as they come with it switched on: Redis appends every second, etcd syncs every write.
 * What is not installed is left out, and said.
 */
import { connect } from "node:net";
import { join } from "node:path";
import { type Daemon, findProgram, freePort, startDaemon, withRetries } from "../test/servers/daemon.js";
import { temporaryDirectory } from "../test/servers/guard.js";
import type { ContentionResult } from "./contention.js";
import { measureContention } from "./contention.js";
import { type Player, play } from "./players.js";
import { type Summary, summarize, timed } from "./statistics.js";

export interface RivalResult {
  readonly name: string;
  /** One acquire and release while nobody else wants the lock. */
  readonly alone: Summary;
  readonly contention: ContentionResult;
}

interface Rival {
  readonly name: string;
  readonly program: string;
  readonly debian: string;
  readonly clients: readonly string[];
  start(command: string, directory: string): Promise<{ daemon: Daemon; port: number; player: Player }>;
}

const RIVALS: readonly Rival[] = [
  {
    name: "redis + redlock",
    program: "redis-server",
    debian: "redis-server",
    clients: ["ioredis", "redlock"],
    async start(command, directory) {
      const port = await freePort();
      const daemon = await startDaemon({
        role: "redis",
        command,
        args: ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "yes"],
        logFile: join(directory, "log"),
      });
      return { daemon, port, player: { kind: "redis", port } };
    },
  },
  {
    name: "etcd + etcd3",
    program: "etcd",
    debian: "etcd-server",
    clients: ["etcd3"],
    async start(command, directory) {
      const port = await freePort();
      const endpoint = `http://127.0.0.1:${port}`;
      const peer = `http://127.0.0.1:${await freePort()}`;
      const daemon = await startDaemon({
        role: "etcd",
        command,
        args: [
          ...["--data-dir", join(directory, "data")],
          ...["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint],
          ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
          ...["--initial-cluster", `default=${peer}`],
        ],
        logFile: join(directory, "log"),
      });
      return { daemon, port, player: { kind: "etcd", endpoint } };
    },
  },
];

const START_LIMIT_MS = 10_000;
const WARM_UP_ROUNDS = 30;

export async function measureRivals(seconds: number, say: (line: string) => void): Promise<RivalResult[]> {
  const results: RivalResult[] = [];
  for (const rival of RIVALS) {
    const command = findProgram(rival.program);
    const missing = await firstMissing(rival.clients);
    if (command === undefined || missing !== undefined) {
      const why = command === undefined ? `no ${rival.program} (Debian: ${rival.debian})` : `no npm package ${missing}`;
      say(`without ${rival.name}: ${why}`);
      continue;
    }
    try {
      results.push(await measure(rival, command, seconds, say));
    } catch (error) {
      // A comparison that cannot be made must not take our own numbers with it.
      say(`without ${rival.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return results;
}

async function measure(
  rival: Rival,
  command: string,
  seconds: number,
  say: (line: string) => void,
): Promise<RivalResult> {
  const directory = temporaryDirectory(rival.program);
  let daemon: Daemon | undefined;
  try {
    const player = await withRetries(async () => {
      const started = await rival.start(command, directory.path);
      daemon = started.daemon;
      await untilListens(started.port, started.daemon);
      return started.player;
    });
    say(`${rival.name}`);
    const alone = await measureAlone(player, seconds);
    return { name: rival.name, alone, contention: await measureContention(player, "contended", seconds * 2) };
  } finally {
    await daemon?.stop();
    directory.remove();
  }
}

async function measureAlone(player: Player, seconds: number): Promise<Summary> {
  const hand = await play(player, "uncontended");
  try {
    const round = async () => {
      const release = await hand.acquire();
      await release();
    };
    for (let n = 0; n < WARM_UP_ROUNDS; n++) await round();
    const samples: number[] = [];
    const untilMs = performance.now() + seconds * 1000;
    while (performance.now() < untilMs) samples.push(await timed(round));
    return summarize(samples);
  } finally {
    await hand.close();
  }
}

async function firstMissing(clients: readonly string[]): Promise<string | undefined> {
  for (const client of clients) {
    try {
      await import(client);
    } catch {
      return client;
    }
  }
  return undefined;
}

async function untilListens(port: number, daemon: Daemon): Promise<void> {
  const untilMs = performance.now() + START_LIMIT_MS;
  for (;;) {
    const ended = daemon.ended();
    if (ended !== undefined) throw new Error(ended);
    const answers = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (answers) return;
    if (performance.now() > untilMs) throw new Error(`${daemon.role} did not listen within ${START_LIMIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
