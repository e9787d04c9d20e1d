/**
 * A server that answers what the test says, in order, and keeps what it was asked: for answers that no well-behaved server
 * gives. A request with no answer left fails the test that made it (500, and `leftOver`).
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect } from "vitest";
import { openS3Session, type S3Session, type S3SessionOptions } from "../../../packages/core/src/index.js";

export interface Scripted {
  readonly status?: number;
  /** XML without its declaration, or any text. */
  readonly body?: string;
  /** Several values: the header comes several times. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
}
export interface Seen {
  readonly method: string;
  /** As it was sent. */
  readonly url: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}
export type Answer = Scripted | ((seen: Seen) => Scripted);

export class ScriptedServer {
  readonly seen: Seen[] = [];
  readonly leftOver: Seen[] = [];
  readonly #server: Server;
  readonly #answers: Answer[];
  readonly #always: ((seen: Seen) => Scripted) | undefined;

  constructor(answers: readonly Answer[] | ((seen: Seen) => Scripted)) {
    this.#answers = typeof answers === "function" ? [] : [...answers];
    this.#always = typeof answers === "function" ? answers : undefined;
    this.#server = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on("data", (chunk) => chunks.push(chunk));
      req.on("end", () => {
        const [path = "", query = ""] = req.url!.split("?");
        const pairs = query === "" ? [] : query.split("&").map((part) => part.split("=").map(decodeURIComponent));
        const seen: Seen = {
          method: req.method!,
          url: req.url!,
          path: decodeURIComponent(path),
          query: new Map(pairs.map(([name = "", value = ""]) => [name, value])),
          headers: req.headers,
          body: Buffer.concat(chunks).toString(),
        };
        this.seen.push(seen);
        const next = this.#always ?? this.#answers.shift();
        if (next === undefined) this.leftOver.push(seen);
        const made = typeof next === "function" ? next(seen) : (next ?? { status: 418, body: "nothing scripted" });
        res.writeHead(made.status ?? 200, { "content-type": "application/xml", ...made.headers });
        res.end(made.body);
      });
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get asked(): string[] {
    return this.seen.map(({ method, path }) => `${method} ${path}`);
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const servers: ScriptedServer[] = [];
const sessions: S3Session[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  for (const server of servers.splice(0)) {
    await server.stop();
    expect(server.leftOver, "requests that the test did not expect").toEqual([]);
  }
});

/** A scripted server and a session on its bucket `bucket`, ended with the test. */
export async function script(
  answers: readonly Answer[] | ((seen: Seen) => Scripted),
  options: Partial<S3SessionOptions> = {},
): Promise<{ server: ScriptedServer; session: S3Session }> {
  const server = new ScriptedServer(answers);
  await server.start();
  servers.push(server);
  const session = openS3Session({
    endpoint: server.endpoint,
    region: "us-east-1",
    bucket: "bucket",
    credentials: { accessKeyId: "AK", secretAccessKey: "SK" },
    // No waiting between tries.
    random: { float: () => 0, hex: (bytes) => "0".repeat(bytes * 2) },
    ...options,
  });
  sessions.push(session);
  return { server, session };
}

/** An S3 error document. */
export function refusal(status: number, code: string, message = "no"): Scripted {
  return { status, body: `<Error><Code>${code}</Code><Message>${message}</Message></Error>` };
}
