/**
 * The command line on real servers: a command under a lock, its neighbours seen and refused, its end when it is killed or frozen.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { newBucket, type TestBucket } from "../servers/bucket.js";
import { temporaryDirectory } from "../servers/guard.js";
import { onEveryServer } from "../servers/on-server.js";
import { kill, useProgram } from "./program.js";

const program = useProgram();
const sh = (script: string, ...args: string[]) => ["--", "sh", "-c", script, "sh", ...args];
const notLinux = process.platform !== "linux" && "looks for processes in /proc";

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

onEveryServer((server) => {
  const cache = temporaryDirectory("cli-cache");
  let bucket: TestBucket;
  let env: Record<string, string>;
  beforeAll(async () => {
    bucket = await newBucket(server);
    env = {
      BUCKETLOCK_STORE: `s3://${bucket.name}/cli?endpoint=${server.endpoint}&region=${server.region}`,
      AWS_ACCESS_KEY_ID: server.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
      // One probe for all.
      XDG_CACHE_HOME: cache.path,
    };
  });
  afterAll(async () => {
    await bucket.remove();
    cache.remove();
  });
  const run = (...args: string[]) => program.run(args, { env });

  test("doctor finds all well", async () => {
    const { code, stdout } = await run("doctor");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/can +delete[\s\S]*all is well/)]);
  });

  describe.each(["two-object", "conditional"])("%s", (protocol) => {
    const key = `jobs/${protocol}`;
    const more = ["--protocol", protocol];

    test("runs, is seen, keeps others out, and gives back", async () => {
      const running = program.start(["run", key, ...more, ...sh('echo "token $BUCKETLOCK_TOKEN"; read x; exit 7')], {
        env,
      });
      await running.shows("token 1");
      const info = JSON.parse((await run("inspect", key, "--json")).stdout);
      expect(info.holders).toEqual([expect.objectContaining({ mode: "exclusive", life: "alive" })]);
      expect((await run("run", key, ...more, "--no-wait", "--", "true")).code).toBe(193);
      running.stdin.end("\n");
      expect((await running.ended).code).toBe(7);
      expect((await run("run", key, ...more, ...sh('echo "token $BUCKETLOCK_TOKEN"'))).stdout).toBe("token 2\n");
    });

    test("once runs a slot once", async () => {
      const once = ["once", `once-${protocol}`, ...more, "--slot", "2026-12-01", ...sh("echo ran")];
      const ran = await Promise.all([1, 2, 3].map(() => run(...once)));
      expect(ran.map(({ code, stdout }) => [code, stdout]).sort()).toEqual([
        [0, ""],
        [0, ""],
        [0, "ran\n"],
      ]);
    });
  });

  test.skipIf(notLinux)("killed or stopped: the command is dead before the next one runs", async () => {
    await Promise.all(
      (["SIGKILL", "SIGSTOP"] as const).map(async (signal) => {
        const key = `jobs/${signal}`;
        const lease = ["--lease", "5s", "--grace", "200ms"];
        const script = `trap "" TERM HUP; echo $$ ready; while :; do sleep 0.05; done`;
        const running = program.start(["run", key, ...lease, ...sh(script)], { env });
        await running.shows("ready");
        const pid = Number(running.stdout().split(" ")[0]);
        kill(running.pid, signal);
        const check = `if kill -0 "$1" 2>/dev/null && ! grep -q "^State:.Z" "/proc/$1/status"; then echo alive; else echo dead; fi`;
        const next = await run("run", key, ...lease, ...sh(check, String(pid)));
        expect([next.code, next.stdout, next.stderr]).toEqual([0, "dead\n", ""]);
        await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 60_000 });
        kill(running.pid, "SIGCONT");
      }),
    );
  });
});
