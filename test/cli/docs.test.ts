/** docs/cli.md and `--help` say the same: every command, option, setting, exit code and variable is in both. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXIT_MEANINGS } from "../../packages/lock/src/cli/exit-code.js";
import { makeProgram } from "../../packages/lock/src/cli/program.js";
import { CHILD_VARIABLES, SETTINGS } from "../../packages/lock/src/cli/settings.js";
import { FORWARDED } from "../../packages/lock/src/cli/signals.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8");
const program = makeProgram([], "0.0.0", async () => {});
const commands = program.commands.filter((command) => command.name() !== "complete");

test("every command, with its arguments", () => {
  expect(commands.length).toBeGreaterThan(9);
  for (const command of commands) expect(page).toMatch(new RegExp(`^\\| \`${command.name()}[ \`]`, "m"));
  const told = [...page.slice(0, page.indexOf("## Settings")).matchAll(/^\| `([a-z]+)/gm)].map((match) => match[1]);
  expect(told.sort()).toEqual(commands.map((command) => command.name()).sort());
});

test("every option of every command, and no other", () => {
  const options = new Set(commands.flatMap((command) => command.options.map((option) => option.long!)));
  const rows = [...page.matchAll(/^\| (`--[^|]*)\|/gm)].flatMap(([, cell]) => cell!.match(/--[a-z-]+/g)!);
  expect([...new Set(rows)].sort()).toEqual([...options, "--help", "--version"].sort());
});

test("every setting has its flag, its variable and its key in one row", () => {
  for (const { flag, env, file } of Object.values(SETTINGS))
    expect(page).toContain(`| \`${flag}\` | \`${env}\` | \`${file}\` |`);
});

test("every setting's flag is an option somewhere", () => {
  const options = new Set(commands.flatMap((command) => command.options.map((option) => option.long)));
  for (const { flag } of Object.values(SETTINGS)) expect(options).toContain(flag);
});

test("every exit code and every variable", () => {
  for (const [code] of EXIT_MEANINGS) expect(page).toContain(`| ${code} |`);
  for (const variable of CHILD_VARIABLES) expect(page).toContain(`\`${variable}\``);
});

test("every signal that is passed on", () => {
  const told = page.slice(page.indexOf("## Signals")).match(/[A-Z0-9]{2,}/g)!;
  for (const signal of FORWARDED) expect(told).toContain(signal.slice(3));
});

test("every command has help with examples", () => {
  for (const command of commands.filter((one) => one.name() !== "completion")) {
    let text = "";
    command.configureOutput({ writeOut: (part) => (text += part) });
    command.outputHelp();
    expect(text).toMatch(/Examples:\n {2}\$ bucketlock /);
    for (const example of text.slice(text.indexOf("Examples:")).match(/--[a-z-]+/g) ?? [])
      if (example !== "--now") expect(command.options.map((option) => option.long)).toContain(example);
  }
});
