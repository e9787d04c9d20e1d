/**
 * The shell of docs/cli.md, docs/recipes and README.md is real: every `sh` block that calls bucketlock runs in bash, stops at the first
 * command that fails, and prints what the `text` block right behind it says. A block that names something below /tmp gets its own.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { launch, useProgram } from "./program.js";

const program = useProgram();
const root = join(import.meta.dirname, "../..");
const pages = [
  "README.md",
  "docs/cli.md",
  ...readdirSync(join(root, "docs/recipes")).map((name) => `docs/recipes/${name}`),
];
const noBash = spawnSync("bash", ["--version"]).status !== 0;

interface Block {
  readonly where: string;
  readonly text: string;
  readonly output: string | undefined;
}

const blocks = pages.flatMap((page): Block[] => {
  const markdown = readFileSync(join(root, page), "utf8");
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$(?:\n+^```text\n([\s\S]*?)^```$)?/gm)].flatMap((match) => {
    const [, text = "", output] = match;
    if (!/^(?:\s*|.*\$\()bucketlock /m.test(text)) return [];
    if (/<!--\s*not run[^>]*-->$/i.test(markdown.slice(0, match.index).trimEnd())) return [];
    return [{ where: `${page}:${markdown.slice(0, match.index).split("\n").length}`, text, output }];
  });
});

describe.skipIf(noBash)("sh blocks run", () => {
  test("there are some, and most say what they print", () => {
    expect(blocks.length).toBeGreaterThan(8);
    expect(blocks.filter(({ output }) => output !== undefined).length).toBeGreaterThan(7);
  });

  test.each(blocks)("$where", async ({ text, output }) => {
    const home = program.directory();
    mkdirSync(join(home, "bin"), { recursive: true });
    const shim = join(home, "bin", "bucketlock");
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${program.file()}" "$@"\n`);
    chmodSync(shim, 0o755);
    const script = text.replaceAll(/\/tmp\//g, `${home}/`);
    const env = { ...program.env(), PATH: `${join(home, "bin")}${delimiter}${process.env.PATH}` };
    const running = launch("bash", ["-euo", "pipefail", "-c", script], { env, cwd: home, stdin: "ignore" });
    const { code, stdout, stderr } = await running.ended;
    expect([code, stderr.replace(/^bucketlock: .*\n/gm, "").replace(/^bash: line.*Killed.*\n/gm, "")]).toEqual([0, ""]);
    if (output !== undefined) expect(stdout).toBe(output);
  });
});
