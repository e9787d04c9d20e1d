/**
 * A probe's report as its row in docs/stores.md. The tests compare, so that the document says what was measured; a row that
 * differs is printed by the failure, ready to be pasted.
 */
import { readFileSync } from "node:fs";
import type { ProbeReport } from "@bucketlock/core";
import { expect } from "vitest";

const FORM = {
  asGiven: "with its quotes only",
  both: "with its quotes or without",
  bareOnly: "without its quotes only",
  never: "never",
  untried: "not tried",
} as const satisfies Record<ProbeReport["conditions"]["ifMatch"], string>;

export function rowOf(name: string, { protocols, conditions }: ProbeReport): string {
  const { safe, reasons } = protocols.conditional;
  const codes = reasons.map(({ code }) => code);
  const verdict = safe ? "safe" : `**no**: ${codes.map((code) => `\`${code}\``).join(", ")}`;
  // Whoever ignores a condition honours every form, for what that is worth.
  const form = codes.includes("CONDITIONS_IGNORED") ? "any, a stale one too" : FORM[conditions.ifMatch];
  return `| ${name} | ${verdict} | ${form} | ${conditions.onDelete} |`;
}

export function expectRow(name: string, report: ProbeReport): void {
  const text = readFileSync(new URL("../../../docs/stores.md", import.meta.url), "utf8");
  const rows = text.slice(text.indexOf("\n## Conditional writes\n")).split("\n");
  expect(rows.find((row) => row.startsWith(`| ${name} | `))).toBe(rowOf(name, report));
}
