/**
 * An HTTP proxy between our clients and a real server that does to each request what its plan says, and counts it.
 * Forwards every request byte for byte as the client signed it (the Host header too, which then names the proxy), save
 * for the connection's own headers. Never answers in the server's name: when the server fails, the client's connection
 * is cut. A body is held in memory whole, which locks can afford.
 */
import { once, setMaxListeners } from "node:events";
import { createServer, type IncomingMessage, request as openRequest, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type FaultKind, faultKinds, type Plan, type ProxiedRequest, pass } from "./plan.js";

export interface FaultProxy {
  /** Give this to the client in the server's place. */
  readonly endpoint: string;
  /** What was done so far, by kind; and requests that the server itself failed to answer. */
  readonly counts: Readonly<Record<FaultKind | "serverFailed", number>>;
  /** May be changed at any time; holds for requests from then on. */
  plan: Plan;
  /** Resolves when no request, ghost or repetition is under way or waiting. */
  idle(): Promise<void>;
  /** Cuts all connections and forgets what was waiting. Idempotent. */
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

// These belong to one connection, not to the message (RFC 9110 7.6.1), and no client of ours signs them.
const HOP_BY_HOP = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "expect"]);

export async function startFaultProxy(options: {
  target: string;
  plan?: Plan;
  /** How a planned delay is waited for. Default: in real time. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}): Promise<FaultProxy> {
  const target = new URL(options.target);
  const pause = options.pause ?? inRealTime;
  const counts = Object.fromEntries([...faultKinds, "serverFailed"].map((kind) => [kind, 0])) as Record<
    FaultKind | "serverFailed",
    number
  >;
  const stopping = new AbortController();
  // Every request under way listens: that is no leak.
  setMaxListeners(0, stopping.signal);
  const sockets = new Set<Socket>();
  let busy = 0;
  let idlers: (() => void)[] = [];
  let n = 0;

  /** Everything that `idle` waits for runs in here. */
  const track = async (work: () => Promise<void>) => {
    busy++;
    try {
      await work();
    } finally {
      if (--busy === 0) {
        for (const wake of idlers) wake();
        idlers = [];
      }
    }
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse) => {
    const request = { n: n++, method: incoming.method!, path: incoming.url!, rawHeaders: incoming.rawHeaders };
    const fault = proxy.plan(request);
    counts[fault.kind]++;
    const body = await readAll(incoming);
    const cut = (): void => {
      incoming.socket.destroy();
    };
    const send = () => forward(target, request, body, stopping.signal);

    switch (fault.kind) {
      case "cutBefore":
        return cut();
      case "ghost":
        cut();
        await pause(fault.afterMs, stopping.signal);
        await send();
        return;
      case "cutAfter":
        await send();
        return cut();
      case "cutWithin": {
        const answer = await send();
        if (answer === undefined || answer.body.length === 0) return cut();
        writeHead(response, answer);
        // Destroyed only once the half is with the system: else the client may see nothing at all.
        response.write(answer.body.subarray(0, Math.ceil(answer.body.length / 2)), cut);
        return;
      }
      case "pass":
      case "delay":
      case "delayAnswer":
      case "duplicate": {
        if (fault.kind === "delay") await pause(fault.ms, stopping.signal);
        const answer = await send();
        if (fault.kind === "delayAnswer") await pause(fault.ms, stopping.signal);
        if (answer === undefined) {
          counts.serverFailed++;
          cut();
        } else {
          writeHead(response, answer);
          response.end(answer.body);
        }
        if (fault.kind === "duplicate") {
          await pause(fault.afterMs, stopping.signal);
          await send();
        }
      }
    }
  };

  const server = createServer({ keepAlive: true, requestTimeout: 0 }, (incoming, response) => {
    // A client that gives up is the everyday case here.
    for (const stream of [incoming, response]) stream.on("error", () => {});
    track(() => handle(incoming, response)).catch(() => incoming.socket.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    plan: options.plan ?? pass,
    async idle() {
      if (busy > 0) await new Promise<void>((resolve) => idlers.push(resolve));
    },
    async stop() {
      stopping.abort(new Error("the proxy stops"));
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

/** The server's whole answer; undefined when it gave none. On a connection of its own: a kept one that the server just
 * closed would look like a fault that was never planned. */
function forward(target: URL, request: ProxiedRequest, body: Buffer, signal: AbortSignal): Promise<Answer | undefined> {
  const chunked = request.rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === "transfer-encoding");
  return new Promise((resolve) => {
    const headers = [...endToEnd(request.rawHeaders), "connection", "close"];
    if (chunked) headers.push("transfer-encoding", "chunked");
    const outgoing = openRequest({
      host: target.hostname,
      port: target.port,
      method: request.method,
      path: request.path,
      // Names, order and repetitions stay; `host` is among them.
      headers,
      setHost: false,
      agent: false,
      signal,
    });
    outgoing.once("error", () => resolve(undefined));
    outgoing.once("response", (incoming) => {
      readAll(incoming).then(
        (answerBody) =>
          resolve({
            status: incoming.statusCode!,
            statusText: incoming.statusMessage!,
            rawHeaders: incoming.rawHeaders,
            body: answerBody,
          }),
        () => resolve(undefined),
      );
    });
    outgoing.end(body);
  });
}

/** As the server sent it; a body that came in chunks goes out with the length it turned out to have. */
function writeHead(response: ServerResponse, answer: Answer): void {
  response.sendDate = false;
  const headers = endToEnd(answer.rawHeaders);
  const hasLength = headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === "content-length");
  const mayHaveBody = response.req.method !== "HEAD" && answer.status !== 204 && answer.status !== 304;
  if (!hasLength && mayHaveBody) headers.push("content-length", String(answer.body.length));
  response.writeHead(answer.status, answer.statusText, headers);
}

function endToEnd(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!HOP_BY_HOP.has(rawHeaders[i]!.toLowerCase())) kept.push(rawHeaders[i]!, rawHeaders[i + 1]!);
  }
  return kept;
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function inRealTime(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}

/** In place of real time: every pause waits until it is let go, which a test can do when it has seen what it wants to see. */
export class Gate {
  #waiting: (() => void)[] = [];

  readonly pause = (_ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });

  /** Lets go whoever waits now. */
  letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  get waiting(): number {
    return this.#waiting.length;
  }
}
