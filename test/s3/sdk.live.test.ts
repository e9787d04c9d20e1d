/**
 * The script of the AWS SDK on real servers: every answer is the book's (which the emulator gives, sdk.test.ts), but for the
 * differences that are listed, each with its reason. One that is not listed fails, and so does one that is gone.
 */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { DIFFERENCES } from "./differences.js";
import { runScript } from "./sdk-script.js";

onEveryServer((server) => {
  it("agrees with the emulator, but for what is listed", async () => {
    const told = await runScript(server, `sdk-${randomUUID().slice(0, 18)}`);
    const json = (value: unknown) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
    const got = told
      .map(([step, answer, book]) => ({ step, answer: json(answer), book: json(book) }))
      .filter(({ answer, book }) => !isEqual(answer, book))
      .map(({ step, answer }) => ({ step, answer }));
    console.log(`${server.name}: ${told.length} steps, ${got.length} other than the book`);
    if (process.env.BUCKETLOCK_DIFFERENCES)
      writeFileSync(`${process.env.BUCKETLOCK_DIFFERENCES}-${server.name}.json`, JSON.stringify(got));
    expect(got).toEqual(DIFFERENCES[server.name].map(({ step, answer }) => ({ step, answer })));
  });
});

function isEqual(a: unknown, b: unknown): boolean {
  try {
    expect(a).toEqual(b);
    return true;
  } catch {
    return false;
  }
}
