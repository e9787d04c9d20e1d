/** Completion as shells see it: each script is sourced by the real shell, where that is installed, and asked. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { launch, useProgram } from "./program.js";

const program = useProgram();
const isMissing = (shell: string) =>
  spawnSync(shell, ["-c", "true"]).status === 0 ? false : `${shell} is not installed`;

async function inShell(shell: string, script: string): Promise<string[]> {
  const home = program.directory();
  mkdirSync(join(home, "bin"), { recursive: true });
  const shim = join(home, "bin", "bucketlock");
  writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${program.file()}" "$@"\n`);
  chmodSync(shim, 0o755);
  writeFileSync(join(home, "completion"), (await program.run(["completion", shell])).stdout);
  const env = { ...program.env(), PATH: `${join(home, "bin")}${delimiter}${process.env.PATH}` };
  const { stdout, stderr } = await launch(shell, ["-c", script], { env, cwd: home, stdin: "ignore" }).ended;
  expect(stderr).toBe("");
  return stdout.trim().split("\n");
}

test.each([
  [["ins"], ["inspect"]],
  [["run", "--gr"], ["--grace"]],
  [
    ["run", "k", "--on-lost", ""],
    ["term", "ignore"],
  ],
])("what is proposed after %j", async (words, proposed) => {
  const { stdout, code } = await program.run(["complete", "--", ...words]);
  expect(code).toBe(0);
  expect(stdout.split("\n").map((line) => line.split("\t")[0])).toEqual(expect.arrayContaining(proposed));
});

describe("bash", () => {
  test.skipIf(isMissing("bash"))("completes commands and options", async () => {
    // What bash does when Tab is pressed, without a keyboard.
    const ask = (...words: string[]) => `
      COMP_WORDS=(bucketlock ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}
      _bucketlock; echo "\${COMPREPLY[*]}"`;
    const script = `
      source completion; source completion
      complete -p bucketlock
      ${ask("ins")}
      ${ask("run", "--sem")}
      ${ask("run", "k", "--on-lost", "")}
      ${ask("run", "k", "--", "$(touch evil)", "--s")}
      ls`;
    expect(await inShell("bash", script)).toEqual([
      "complete -o default -F _bucketlock bucketlock",
      "inspect",
      "--semaphore",
      "term ignore",
      "",
      "bin",
      "completion",
    ]);
  });
});

describe("zsh", () => {
  const missing = isMissing("zsh");
  test.skipIf(missing)(`takes the script${missing === false ? "" : ` (skipped: ${missing})`}`, async () => {
    expect(
      await inShell("zsh", "autoload -U compinit; compinit -D; source ./completion; echo $_comps[bucketlock]"),
    ).toEqual([expect.stringMatching(/bucketlock/)]);
  });
});

describe("fish", () => {
  const missing = isMissing("fish");
  test.skipIf(missing)(`completes commands${missing === false ? "" : ` (skipped: ${missing})`}`, async () => {
    expect(await inShell("fish", 'source completion; complete -C "bucketlock ins"')).toEqual([
      expect.stringMatching(/^inspect/),
    ]);
  });
});
