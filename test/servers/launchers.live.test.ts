/**
 * The launchers themselves: each server is up, answers signed and unsigned, can be stopped and continued, and leaves
 * neither a process nor a directory.
 */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { startMinio } from "./minio.js";
import { onEveryServer, ring5 } from "./on-server.js";
import { startRgw } from "./rgw.js";
import type { Server, ServerName } from "./server.js";
import { startVersitygw } from "./versitygw.js";

describe("the run's servers", () => {
  onEveryServer((server) => {
    it("answers on every gateway", async () => {
      for (const endpoint of server.endpoints) {
        const answer = await fetch(endpoint);
        expect(answer.headers.get("date")).not.toBeNull();
        await answer.arrayBuffer();
      }
    });
  });
});

const launchers: [ServerName, string, () => Promise<Server>][] = [
  ["minio", "binary", () => startMinio({ how: "binary" })],
  ["rgw", "two gateways", () => startRgw({ gateways: 2 })],
  ["versitygw", "binary", startVersitygw],
];

describe.each(launchers)("a second %s (%s)", (name, _what, start) => {
  it("starts beside the first, freezes, goes on, and leaves nothing", async (context) => {
    const first = ring5(name);
    if ("missing" in first) return context.skip(first.missing);
    const server = await start();
    try {
      if ("found" in first) expect(server.endpoint).not.toBe(first.found.endpoint);
      expect(await answers(server)).toBe(true);
      await server.kill("SIGSTOP");
      expect(await answers(server, 300)).toBe(false);
      await server.kill("SIGCONT");
      expect(await answers(server)).toBe(true);
    } finally {
      await server.stop();
    }
    for (const { pid } of server.processes) expect(() => process.kill(pid, 0)).toThrow();
    await server.stop();
  });
});

describe("minio in a container", () => {
  it("starts, freezes, goes on, and leaves nothing", async (context) => {
    const first = ring5("minio");
    if ("missing" in first || first.found.how !== "container") return context.skip("no container engine in this run");
    const server = await startMinio({ how: "container" });
    const containers = () =>
      execFileSync("docker", ["ps", "--all", "--quiet"], { encoding: "utf8" }).trim().split("\n");
    const running = containers().length;
    try {
      expect(await answers(server)).toBe(true);
      await server.kill("SIGSTOP");
      expect(await answers(server, 300)).toBe(false);
      await server.kill("SIGCONT");
      expect(await answers(server)).toBe(true);
    } finally {
      await server.stop();
    }
    expect(containers().length).toBe(running - 1);
  });
});

async function answers(server: Server, limitMs = 10_000): Promise<boolean> {
  for (const endpoint of server.endpoints) {
    try {
      const answer = await fetch(endpoint, { signal: AbortSignal.timeout(limitMs) });
      await answer.arrayBuffer();
    } catch {
      return false;
    }
  }
  return true;
}
