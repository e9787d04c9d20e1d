/**
 * Outlives the tests by a moment: when the process that started it is gone (its end of the pipe closes, whatever killed
 * it), ends the process groups, containers and directories that are still on the list. Never looks for anything that was
 * not put on the list. Plain JavaScript, so that it starts without a compiler.
 */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const entries = new Map();

// Ctrl-C reaches the whole terminal; the guard is what must stay.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { kind, id, gone } = JSON.parse(line);
  if (gone) entries.delete(`${kind} ${id}`);
  else entries.set(`${kind} ${id}`, { kind, id });
});
lines.on("close", () => {
  const of = (wanted) => [...entries.values()].filter(({ kind }) => kind === wanted).map(({ id }) => id);
  for (const pid of of("group")) {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }
  for (const id of of("container")) spawnSync("docker", ["rm", "--force", "--volumes", id], { stdio: "ignore" });
  // A process that was just killed may still be closing its files.
  for (const dir of of("directory")) rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});
