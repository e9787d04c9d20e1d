/** The AWS SDK for JavaScript works on the emulator as the book says: it judges the emulator, not our client. */
import { afterEach, expect, it } from "vitest";
import { S3Emulator } from "../emulators/s3/emulator.js";
import { runScript } from "./sdk-script.js";

let emulator: S3Emulator | undefined;
afterEach(() => emulator?.stop());

it("answers every step by the book", async () => {
  emulator = await S3Emulator.start();
  const { endpoint, region, keys } = emulator;
  const told = await runScript({ endpoint, region, ...keys }, "judged-by-the-sdk");
  for (const [step, answer, book] of told) expect.soft(answer, step).toEqual(book);
  expect(told.length).toBeGreaterThan(110);
  expect(emulator.unknown).toEqual([]);
  expect([...emulator.world.buckets.keys()]).toEqual([emulator.bucket]);
});
