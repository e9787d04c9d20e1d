/** Worker processes: messages both ways, signals, limits, and none left behind. */
import { describe, expect, it } from "vitest";
import { useWorkers, type Worker } from "./processes.js";

const start = useWorkers();
const file = new URL("./processes.worker.ts", import.meta.url);
type Message = { event: string; [name: string]: unknown };

describe("a worker", () => {
  let left: Worker | undefined;

  it("runs TypeScript from source and talks both ways", async () => {
    const worker = start(file, { args: ["a"] });
    const hello = await worker.message<Message>((m) => m.event === "hello");
    expect(hello).toEqual({ event: "hello", args: ["a"], clock: "number" });
    worker.send({ n: 1 });
    expect(await worker.message<Message>((m) => m.event === "echo")).toEqual({ event: "echo", message: { n: 1 } });
    expect(worker.otherLines).toEqual(["not JSON"]);
    worker.send({ exit: 3 });
    expect(await worker.exit()).toEqual({ code: 3, signal: null });
    await expect(worker.message((m: Message) => m.event === "never")).rejects.toThrow(/ended before/);
  });

  it("dies by a signal, even while stopped", async () => {
    const worker = start(file);
    await worker.message((m: Message) => m.event === "hello");
    worker.signal("SIGSTOP");
    await expect(worker.exit(50)).rejects.toThrow(/in vain/);
    expect(await worker.kill()).toEqual({ code: null, signal: "SIGKILL" });
  });

  it("is killed after its test (here it is left running)", async () => {
    left = start(file);
    await left.message((m: Message) => m.event === "hello");
    expect(left.running).toBe(true);
  });

  it("is gone now", () => {
    expect(left?.running).toBe(false);
    expect(() => process.kill(left!.pid, 0)).toThrow();
  });
});
