/** The reference pages name everything there is: a code or an option that is added without a word fails here. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { STORE_CODES } from "@bucketlock/core";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = (name: string) => readFileSync(join(root, "docs", name), "utf8");

function sources(): string {
  return ["core", "lock", "b2"]
    .flatMap((name) => {
      const dir = join(root, "packages", name, "src");
      return readdirSync(dir, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts") && !file.startsWith("testing"))
        .map((file) => readFileSync(join(dir, file), "utf8"));
    })
    .join("\n");
}

test("docs/errors.md has every code that is thrown", () => {
  const thrown = new Set(
    [...sources().matchAll(/\bcode: "([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"/g)].map((match) => match[1]!),
  );
  for (const code of Object.keys(STORE_CODES)) thrown.add(code);
  expect(thrown.size).toBeGreaterThan(20);
  // A warning's code, not an error's.
  thrown.delete("BUCKETLOCK_LEAKED_LEASE");
  const text = readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map(page)
    .join("\n");
  expect([...thrown].filter((code) => !text.includes(`\`${code}\``))).toEqual([]);
});

test("docs/lock.md has every option of createLocks", () => {
  const settings = readFileSync(join(root, "packages/lock/src/settings.ts"), "utf8");
  const options = [
    ...settings.slice(0, settings.indexOf("export interface Settings")).matchAll(/^ {2}readonly (\w+)\?:/gm),
  ].map((match) => match[1]!);
  expect(options.length).toBeGreaterThan(10);
  // The two components are for tests.
  const told = options.filter((option) => option !== "clock" && option !== "random");
  expect(told.filter((option) => !page("lock.md").includes(`\`${option}\``))).toEqual([]);
});

test("docs/lock.md has every event", () => {
  const events = readFileSync(join(root, "packages/lock/src/events.ts"), "utf8");
  const names = [...events.matchAll(/type: "(\w+)"/g)].map((match) => match[1]!);
  expect(names.filter((name) => !page("lock.md").includes(name))).toEqual([]);
});
