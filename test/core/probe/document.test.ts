/** docs/probe.md has every code that a report can have, and every option of a probe. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const page = read("docs/probe.md");

test("every code", () => {
  const sources = ["core/src/probe-judge.ts", "core/src/probe-conditions.ts", "lock/src/conditional/probed.ts"];
  const text = sources.map((path) => read(`packages/${path}`)).join("\n");
  const codes = new Set([...text.matchAll(/"([A-Z]+(?:_[A-Z]+)+)"/g)].map(([, code]) => code!));
  // Not of a report.
  for (const other of ["INVALID_OPTION", "PROTOCOL_UNSAFE", "STORE_ACCESS_DENIED"]) codes.delete(other);
  expect(codes.size).toBeGreaterThan(25);
  expect([...codes].filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

test("every option", () => {
  const text = read("packages/core/src/probe.ts");
  const options = [...text.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name!);
  expect(options.length).toBeGreaterThan(8);
  const told = options.filter((name) => name !== "clock" && name !== "random");
  expect(told.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
