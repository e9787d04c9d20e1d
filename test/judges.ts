/**
 * The clients that judge the emulators, which nobody here wrote: where they are, or why they are not. As ring 5 has it:
 * BUCKETLOCK_RING5 `required` makes a missing one a failure, `off` a skip without looking, else a skip that says what to
 * install. Runs them; never decides what they should say.
 */
import { spawn } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { findProgram } from "./servers/daemon.js";

export type Found = { readonly program: string } | { readonly missing: string };

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(
  program: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly limitMs?: number; readonly cwd?: string } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const limit = setTimeout(() => child.kill("SIGKILL"), options.limitMs ?? 150_000);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", (error) => {
      clearTimeout(limit);
      reject(error);
    });
    child.once("close", (code) => {
      clearTimeout(limit);
      resolve({ code, stdout, stderr });
    });
  });
}

const mode = process.env.BUCKETLOCK_RING5 ?? "auto";

async function findRclone(): Promise<Found> {
  const program = findProgram("rclone");
  return program === undefined ? { missing: "no rclone: apt-get install rclone" } : { program };
}

async function findB2sdk(): Promise<Found> {
  const cached = join(homedir(), ".cache", "bucketlock", "venv", "bin", "python");
  for (const python of [process.env.BUCKETLOCK_PYTHON, cached, findProgram("python3")]) {
    if (python === undefined) continue;
    const { code } = await run(python, ["-c", "import b2sdk.v2"], { limitMs: 30_000 }).catch(() => ({ code: -1 }));
    if (code === 0) return { program: python };
  }
  return { missing: "no Python with b2sdk: pip install b2sdk, and name it in BUCKETLOCK_PYTHON" };
}

/** Declares the tests of one judge; a single skip or failure with the reason where it is missing. */
export async function describeJudge(name: "rclone" | "b2sdk", tests: (program: string) => void): Promise<void> {
  const find = name === "rclone" ? findRclone : findB2sdk;
  const found: Found = mode === "off" ? { missing: "BUCKETLOCK_RING5=off" } : await find();
  describe(name, () => {
    if ("program" in found) return tests(found.program);
    it("is there", (context) => {
      if (mode === "required") throw new Error(found.missing);
      context.skip(found.missing);
    });
  });
}
