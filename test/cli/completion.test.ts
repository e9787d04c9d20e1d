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
  const why = missing === false ? "" : ` (skipped: ${missing})`;
  test.skipIf(missing)(`completes commands and options, and leaves what is behind -- to the shell${why}`, async () => {
    // What zsh does when Tab is pressed, without a keyboard: its own functions tell what they were asked.
    const ask = (...words: string[]) =>
      `words=(bucketlock ${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length + 1}; _bucketlock`;
    const script = `
      autoload -U compinit; compinit -D; source ./completion
      echo $_comps[bucketlock]
      _describe() { print -rl -- \${(P)2} }; _files() { echo files }; _normal() { echo "$CURRENT: $words" }
      ${ask("ins")}
      ${ask("run", "k", "--on-lost", "")}
      ${ask("run", "k", "--lease", "")}
      ${ask("run", "k", "--", "ls", "$(touch evil)", "--s")}
      ls`;
    expect(await inShell("zsh", script)).toEqual([
      "_bucketlock",
      expect.stringMatching(/^inspect:Who holds/),
      ...["term", "ignore", "files", "3: ls $(touch evil) --s", "bin", "completion"],
    ]);
  });
});

describe("fish", () => {
  const missing = isMissing("fish");
  const why = missing === false ? "" : ` (skipped: ${missing})`;
  test.skipIf(missing)(`completes commands and options, and leaves what is behind -- to the shell${why}`, async () => {
    const script = `
      source completion
      complete -C "bucketlock ins"
      complete -C "bucketlock run k --on-lost "
      complete -C "bucketlock run --config compl"
      complete -C "bucketlock run k -- ls (touch evil) compl"
      complete -C "bucketlock run k -- bucketlock ins"
      ls`;
    const inspect = expect.stringMatching(/^inspect\tWho holds/);
    const proposed = await inShell("fish", script);
    expect(proposed).toEqual([
      inspect,
      ...["ignore", "term", "completion", "completion"],
      inspect,
      ...["bin", "completion"],
    ]);
  });
});
