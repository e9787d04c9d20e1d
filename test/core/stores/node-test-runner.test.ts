/** The published store suite needs no particular runner, and a store that is wrong fails it. */
import { describe, expect, it } from "vitest";
import { useWorkers } from "../../processes.js";

const start = useWorkers();

describe("the store conformance suite under node:test", () => {
  it.each([
    ["passes a right store", [], 0],
    ["fails a wrong one", ["broken"], 1],
  ] as const)("%s", async (_title, args, code) => {
    const worker = start(new URL("./node-test-runner.ts", import.meta.url), { args });
    expect((await worker.exit()).code).toBe(code);
    const report = worker.otherLines.join("\n");
    expect(report).toContain("takes a key with emoji");
    expect(report).toContain("skipped: switched off here");
  });
});
