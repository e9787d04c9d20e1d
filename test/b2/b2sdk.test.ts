/** The official Python SDK (API v4) works on the emulator as on B2: it judges the emulator, not our client. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeJudge, run } from "../judges.js";
import { useEmulator } from "./rig.js";

await describeJudge("b2sdk", (python) => {
  it("runs a few dozen operations of every kind", async () => {
    const emulator = await useEmulator({ knobs: { minimumPartSize: 100_000, recommendedPartSize: 200_000 } });
    const script = join(import.meta.dirname, "b2sdk_script.py");
    const ran = await run(python, [
      "-W",
      "error::UserWarning",
      script,
      emulator.endpoint,
      emulator.keyId,
      emulator.key,
    ]);
    expect(ran.code, ran.stderr).toBe(0);
    const operations = Number(ran.stdout.trim());
    console.log(
      `b2sdk: ${operations} operations, ${emulator.seen.length} requests, ${JSON.stringify(emulator.costs.classes)}`,
    );
    expect(operations).toBeGreaterThanOrEqual(60);
    expect(emulator.stored).toEqual([]);
  }, 120_000);
});
