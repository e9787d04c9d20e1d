/** Each fault really happens, and only that: seen from the client and from the server. */
import { once } from "node:events";
import { createServer, request as openRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FaultProxy, Gate, startFaultProxy } from "./fault-proxy.js";
import { type Fault, faultKinds, scripted, seeded } from "./plan.js";

interface Seen {
  method: string;
  path: string;
  rawHeaders: string[];
  body: string;
}

const BODY = "an answer long enough to be cut in two";
let server: Server;
let proxy: FaultProxy;
let gate: Gate;
let seen: Seen[];

beforeEach(async () => {
  seen = [];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, url, rawHeaders } = request;
    seen.push({ method: method!, path: url!, rawHeaders, body: Buffer.concat(chunks).toString() });
    response.writeHead(200, { "x-Mixed": "Case", etag: '"abc"' });
    response.end(BODY);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  gate = new Gate();
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy = await startFaultProxy({ target, pause: gate.pause });
});

afterEach(async () => {
  await proxy.stop();
  server.close();
  await once(server, "close");
});

describe("a fault", () => {
  it("pass: both sides get what the other sent, the Host header as the client wrote it", async () => {
    const answer = await send({ headers: { "X-Amz-Meta-A": "b", Host: "signed.example:1234" }, body: "hello" });
    expect(answer).toMatchObject({ status: 200, body: BODY, complete: true });
    expect(answer.rawHeaders).toEqual(expect.arrayContaining(["x-Mixed", "Case", "etag", '"abc"']));
    expect(answer.rawHeaders.filter((name) => name.toLowerCase() === "date")).toHaveLength(1);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: "PUT", path: "/bucket/a%20b?x=1&y", body: "hello" });
    expect(seen[0]!.rawHeaders).toEqual(
      expect.arrayContaining(["X-Amz-Meta-A", "b", "Host", "signed.example:1234", "Content-Length", "5"]),
    );
  });

  it("pass: HEAD, and a body in chunks", async () => {
    expect(await send({ method: "HEAD" })).toMatchObject({ status: 200, body: "" });
    expect(await send({ headers: { "Transfer-Encoding": "chunked" }, body: "chunks" })).toMatchObject({ status: 200 });
    expect(seen[1]).toMatchObject({ body: "chunks" });
  });

  it("cutBefore: the server sees nothing", async () => {
    proxy.plan = scripted({ kind: "cutBefore" });
    await expect(send()).rejects.toThrow();
    await proxy.idle();
    expect(seen).toHaveLength(0);
  });

  it("cutAfter: the server has done it, the client knows nothing", async () => {
    proxy.plan = scripted({ kind: "cutAfter" });
    await expect(send()).rejects.toThrow();
    expect(seen).toHaveLength(1);
  });

  it("cutWithin: the client gets the head and half of the body", async () => {
    proxy.plan = scripted({ kind: "cutWithin" });
    const answer = await send();
    expect(answer).toMatchObject({ status: 200, complete: false, body: BODY.slice(0, BODY.length / 2) });
  });

  it("delay: the server sees it later, even when the client has gone", async () => {
    proxy.plan = scripted({ kind: "delay", ms: 500 });
    const gone = new AbortController();
    const sending = send({ signal: gone.signal });
    await expect.poll(() => gate.waiting).toBe(1);
    gone.abort();
    await expect(sending).rejects.toThrow();
    expect(seen).toHaveLength(0);
    gate.letGo();
    await proxy.idle();
    expect(seen).toHaveLength(1);
  });

  it("delayAnswer: the server sees it at once, the client waits", async () => {
    proxy.plan = scripted({ kind: "delayAnswer", ms: 500 });
    let answered = false;
    const sending = send().finally(() => {
      answered = true;
    });
    await expect.poll(() => gate.waiting).toBe(1);
    expect(seen).toHaveLength(1);
    expect(answered).toBe(false);
    gate.letGo();
    expect(await sending).toMatchObject({ status: 200, body: BODY });
    expect(seen).toHaveLength(1);
  });

  it("ghost: the client is cut first, the server sees it afterwards", async () => {
    proxy.plan = scripted({ kind: "ghost", afterMs: 500 });
    await expect(send()).rejects.toThrow();
    expect(seen).toHaveLength(0);
    await expect.poll(() => gate.waiting).toBe(1);
    gate.letGo();
    await proxy.idle();
    expect(seen).toHaveLength(1);
  });

  it("duplicate: the server sees the very same request twice, the client one answer", async () => {
    proxy.plan = scripted({ kind: "duplicate", afterMs: 500 });
    expect(await send({ body: "twice" })).toMatchObject({ status: 200, body: BODY });
    expect(seen).toHaveLength(1);
    await expect.poll(() => gate.waiting).toBe(1);
    gate.letGo();
    await proxy.idle();
    expect(seen).toHaveLength(2);
    expect(seen[1]).toEqual(seen[0]);
  });

  it("is counted", async () => {
    proxy.plan = scripted({ kind: "cutBefore" }, { kind: "duplicate", afterMs: 0 });
    await send().catch(() => {});
    await send();
    await send();
    await expect.poll(() => gate.waiting).toBe(1);
    gate.letGo();
    await proxy.idle();
    expect(proxy.counts).toMatchObject({ cutBefore: 1, duplicate: 1, pass: 1, serverFailed: 0 });
  });
});

describe("the proxy", () => {
  it("keeps a client's connection over several requests", async () => {
    const { Agent } = await import("node:http");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number>();
    for (let i = 0; i < 3; i++) ports.add((await send({ agent })).localPort);
    agent.destroy();
    expect(ports.size).toBe(1);
  });

  it("cuts the client when the server does not answer", async () => {
    const dead = await startFaultProxy({ target: "http://127.0.0.1:1" });
    await expect(send({ endpoint: dead.endpoint })).rejects.toThrow();
    expect(dead.counts.serverFailed).toBe(1);
    await dead.stop();
  });

  it("forgets on stop what was waiting", async () => {
    proxy.plan = scripted({ kind: "ghost", afterMs: 60_000 });
    await expect(send()).rejects.toThrow();
    await proxy.stop();
    await proxy.idle();
    expect(seen).toHaveLength(0);
  });
});

describe("a seeded plan", () => {
  const request = { n: 0, method: "GET", path: "/", rawHeaders: [] };
  const rates = {
    delay: 0.1,
    delayAnswer: 0.1,
    cutBefore: 0.1,
    cutAfter: 0.1,
    cutWithin: 0.1,
    ghost: 0.1,
    duplicate: 0.1,
  };
  const draw = (seed: number): Fault[] => {
    const plan = seeded(seed, { rates, delayMaxMs: 100 });
    return Array.from({ length: 2000 }, () => plan(request));
  };

  it("is the same for the same seed and another for another", () => {
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it("keeps to the rates and to the longest delay", () => {
    const faults = draw(7);
    for (const kind of faultKinds) {
      const share = faults.filter((fault) => fault.kind === kind).length / faults.length;
      expect(share).toBeCloseTo(kind === "pass" ? 0.3 : 0.1, 1);
    }
    for (const fault of faults) {
      if ("ms" in fault) expect(fault.ms).toBeLessThan(100);
      if ("afterMs" in fault) expect(fault.afterMs).toBeLessThan(100);
    }
  });
});

interface Sent {
  status: number;
  rawHeaders: string[];
  body: string;
  complete: boolean;
  localPort: number;
}

function send(
  options: {
    endpoint?: string;
    method?: string;
    headers?: Record<string, string>;
    body?: string;
    signal?: AbortSignal;
    agent?: import("node:http").Agent;
  } = {},
): Promise<Sent> {
  const { endpoint = proxy.endpoint, method = "PUT", headers = {}, body = "", signal, agent } = options;
  return new Promise((resolve, reject) => {
    const length = "Transfer-Encoding" in headers ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
    const request = openRequest(`${endpoint}/bucket/a%20b?x=1&y`, {
      method,
      headers: { ...headers, ...length },
      signal,
      agent: agent ?? false,
    });
    request.once("error", reject);
    request.once("response", (response) => {
      const { localPort } = response.socket;
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("error", () => {});
      response.once("close", () => {
        const { statusCode, rawHeaders, complete } = response;
        resolve({ status: statusCode!, rawHeaders, body: text, complete, localPort: localPort! });
      });
    });
    request.end(body);
  });
}
