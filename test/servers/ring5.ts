/**
 * Ring 5's set-up for one run: starts each real server once, tells the test files where it is or why it is not, and stops
 * all at the end. Runs only when a file of ring 5 is to run. BUCKETLOCK_RING5 decides what a missing server means:
 * `required` a failure, `off` a skip without looking, unset or `auto` a skip that says what to install.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { findProgram, runCommand } from "./daemon.js";
import { startMinio, whyNoContainer } from "./minio.js";
import { startRgw } from "./rgw.js";
import { type Server, type ServerFacts, ServerMissing, type ServerName, serverNames } from "./server.js";
import { startVersitygw } from "./versitygw.js";

export type Found<T> = { readonly found: T } | { readonly missing: string };

/** Plain JSON, handed to the test files by vitest. */
export interface Ring5 {
  readonly mode: "required" | "off" | "auto";
  readonly servers: Readonly<Record<ServerName, Found<ServerFacts>>>;
  /** A Python that can import s3func 0.9.6. */
  readonly s3func: Found<{ readonly python: string }>;
}

declare module "vitest" {
  export interface ProvidedContext {
    ring5: Ring5;
  }
}

const S3FUNC = "0.9.6";
const start: Record<ServerName, () => Promise<Server>> = {
  minio: startMinio,
  // Two gateways on one store: what one has written, the other must list.
  rgw: () => startRgw({ gateways: 2 }),
  versitygw: startVersitygw,
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const mode = readMode();
  const running: Server[] = [];
  const entries = await Promise.all(
    serverNames.map(async (name): Promise<[ServerName, Found<ServerFacts>]> => {
      if (mode === "off") return [name, { missing: "BUCKETLOCK_RING5=off" }];
      const from = performance.now();
      try {
        const server = await start[name]();
        running.push(server);
        // The functions stay here: facts travel as JSON.
        const { stop: _stop, kill: _kill, ...facts } = server;
        const why = name === "minio" && facts.how === "binary" ? ` (${await whyNoContainer()})` : "";
        say(`${name} on ${facts.endpoint}, ${facts.how}${why}, up in ${Math.round(performance.now() - from)} ms`);
        return [name, { found: facts }];
      } catch (error) {
        const reason = error instanceof ServerMissing ? error.message : `${name} did not start: ${String(error)}`;
        say(`${mode === "required" ? "MISSING" : "without"} ${name}: ${reason}`);
        return [name, { missing: reason }];
      }
    }),
  );
  const s3func = mode === "off" ? { missing: "BUCKETLOCK_RING5=off" } : await findS3func();
  if (mode === "off") say("off (BUCKETLOCK_RING5=off): no real server in this run");
  else say("found" in s3func ? `s3func ${S3FUNC} in ${s3func.found.python}` : `without s3func: ${s3func.missing}`);

  project.provide("ring5", {
    mode,
    servers: Object.fromEntries(entries) as Record<ServerName, Found<ServerFacts>>,
    s3func,
  });
  return async () => {
    await Promise.all(running.map((server) => server.stop()));
  };
}

function readMode(): Ring5["mode"] {
  const mode = process.env.BUCKETLOCK_RING5 ?? "auto";
  if (mode === "required" || mode === "off" || mode === "auto") return mode;
  throw new Error(`BUCKETLOCK_RING5: must be required, off or auto; got ${JSON.stringify(mode)}`);
}

async function findS3func(): Promise<Found<{ python: string }>> {
  const candidates = [
    process.env.BUCKETLOCK_PYTHON,
    join(homedir(), ".cache", "bucketlock", "venv", "bin", "python"),
    findProgram("python3"),
  ];
  const check = `from importlib.metadata import version; import s3func; assert version("s3func") == "${S3FUNC}"`;
  for (const python of candidates) {
    if (python === undefined) continue;
    try {
      await runCommand(python, ["-c", check], { limitMs: 30_000 });
      return { found: { python } };
    } catch {
      // The next one.
    }
  }
  return {
    missing: `no Python with s3func ${S3FUNC}: pip install s3func==${S3FUNC}, and name it in BUCKETLOCK_PYTHON`,
  };
}

function say(text: string): void {
  console.log(`ring 5: ${text}`);
}
