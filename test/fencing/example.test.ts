/** examples/fencing.ts runs as a reader would start it: the paused holder's late write is refused, whatever the store. */
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { useWorkers } from "../processes.js";
import { temporaryDirectory } from "../servers/guard.js";

const start = useWorkers();

test.each(["memory:", "file:"])("the example on %s", async (scheme) => {
  const directory = temporaryDirectory("fencing");
  try {
    const url = scheme === "file:" ? pathToFileURL(directory.path).href : scheme;
    const program = start(new URL("../../examples/fencing.ts", import.meta.url), { args: [url] });
    expect([await program.exit(), program.stderr]).toEqual([{ code: 0, signal: null }, ""]);
    expect(program.otherLines).toEqual([
      "one holds the lock, token 1",
      // Numbers may be left out: the take-over left a marker of its own.
      "two took over and wrote, token 3",
      "the late write of one was refused",
      'the report: { "by": "two" } token 3',
    ]);
  } finally {
    directory.remove();
  }
});
