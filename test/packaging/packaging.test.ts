/**
 * What a user gets: the packages built, packed, checked by publint and attw, installed into an empty folder without a
 * registry, and a lock taken from there.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build as bundle } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { temporaryDirectory, unwatch, watch } from "../servers/guard.js";
import { build, install, names, node, type PackageName, pack, root, script } from "./packages.js";

/** Prints, when a program ends, which files below node_modules it has loaded. */
const SPY = `
  import { register } from "node:module";
  import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
  const { port1, port2 } = new MessageChannel();
  register("./spy-hooks.js", import.meta.url, { data: port2, transferList: [port2] });
  process.on("exit", () => {
    const files = [];
    for (let told; (told = receiveMessageOnPort(port1)); ) files.push(told.message);
    process.getBuiltinModule("fs").writeSync(1, JSON.stringify(files));
  });
`;
const SPY_HOOKS = `
  let port;
  export const initialize = (given) => { port = given; };
  export const load = (url, context, next) => {
    const file = url.split("/node_modules/").at(-1);
    if (file !== url) port.postMessage(file);
    return next(url, context);
  };
`;

/** The files whose code is in a package's `dist`, by its maps. */
function sourcesOf(dist: string): string[] {
  const maps = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js.map"));
  return maps.flatMap((file) => JSON.parse(readFileSync(join(dist, file), "utf8")).sources as string[]);
}

const packageOf = (file: string): string | undefined =>
  /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(file)?.[1];

const directory = temporaryDirectory("packaging");
const user = join(directory.path, "user");
let tarballs: Record<PackageName, string>;

beforeAll(async () => {
  await build();
  tarballs = await pack(join(directory.path, "tarballs"));
}, 120_000);

afterAll(() => directory.remove());

describe.each(names)("@bucketlock/%s", (name) => {
  const manifest = () =>
    JSON.parse(execFileSync("tar", ["-xzOf", tarballs[name], "package/package.json"], { encoding: "utf8" }));

  it("holds what it should and nothing else", () => {
    const files = execFileSync("tar", ["-tzf", tarballs[name]], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map((file) => file.replace(/^package\//, ""));
    expect(files).toEqual(
      expect.arrayContaining([
        "LICENSE",
        "README.md",
        "package.json",
        "src/index.ts",
        "dist/index.js",
        "dist/index.d.ts",
      ]),
    );
    const expected =
      /^(?:LICENSE|NOTICE|README\.md|package\.json|src\/[\w/-]+\.[tj]s|dist\/[\w/-]+\.(?:js|d\.ts)(?:\.map)?)$/;
    expect(files.filter((file) => !expected.test(file) || /\.test\./.test(file))).toEqual([]);
    // Every source has its declarations and every declaration its source: nothing stale, nothing forgotten.
    const stems = (folder: string, end: string) =>
      files
        .filter((file) => file.startsWith(`${folder}/`) && file.endsWith(end))
        .map((file) => file.slice(folder.length + 1, -end.length))
        .sort();
    const sources = [...stems("src", ".ts"), ...stems("src", ".js")].sort();
    for (const end of [".d.ts", ".d.ts.map"]) expect(stems("dist", end)).toEqual(sources);
    // The code is joined: each entry and each program is a file, what they share or load lazily is a chunk; all with a map.
    expect(stems("dist", ".js.map")).toEqual(stems("dist", ".js"));
    const entries = Object.values(manifest().exports as Record<string, string | { default: string }>).flatMap(
      (entry) => (typeof entry === "string" ? [] : entry.default.slice("./".length)),
    );
    expect(files).toEqual(expect.arrayContaining(entries));
  });

  it("names versions, not the workspace", () => {
    const { version, dependencies = {}, devDependencies } = manifest();
    for (const [dependency, range] of Object.entries(dependencies)) {
      expect(range).toMatch(dependency.startsWith("@bucketlock/") ? version : /^\d/);
    }
    // What they are joined from; nobody who installs ours gets those.
    expect(Object.keys(devDependencies ?? {})).toEqual(name === "lock" ? ["croner", "ulid"] : []);
  });

  it("carries the license of every package whose code it contains", () => {
    const directory = join(root, "packages", name);
    const others = [...new Set(sourcesOf(join(directory, "dist")).flatMap((file) => packageOf(file) ?? []))].sort();
    expect(others).toEqual(name === "lock" ? ["croner", "ulid"] : []);
    for (const other of others) {
      const home = join(directory, "node_modules", other);
      const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
      const notice = readFileSync(join(directory, "NOTICE"), "utf8");
      expect(notice).toContain(`--- ${other} ${version} ---`);
      expect(notice).toContain(readFileSync(join(home, "LICENSE"), "utf8").trim());
    }
  });

  it("pleases publint", async () => {
    const tarball = readFileSync(tarballs[name]);
    const { messages } = await publint({
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, manifest(), { color: false }))).toEqual([]);
  });

  it("pleases attw", async () => {
    const attw = script("@arethetypeswrong/cli", join("dist", "index.js"));
    const json = await node(
      [attw, tarballs[name], "--profile", "esm-only", "--no-definitely-typed", "--format", "json"],
      directory.path,
    );
    expect(Object.keys(JSON.parse(json).analysis.entrypoints)).toContain(".");
  });
});

describe("installed into an empty folder", () => {
  beforeAll(async () => {
    await install(tarballs, user);
  }, 120_000);

  it("a user's program compiles, takes a lock and gives it back", async () => {
    copyFileSync(join(import.meta.dirname, "user.ts"), join(user, "user.ts"));
    const base = JSON.parse(readFileSync(join(root, "tsconfig.base.json"), "utf8"));
    const { customConditions: _source, declarationMap: _map, ...compilerOptions } = base.compilerOptions;
    writeFileSync(
      join(user, "tsconfig.json"),
      // Our declarations must stand without skipLibCheck, for users who do not skip.
      JSON.stringify({ compilerOptions: { ...compilerOptions, skipLibCheck: false }, files: ["user.ts"] }),
    );
    symlinkSync(join(root, "node_modules", "@types"), join(user, "node_modules", "@types"), "junction");
    await node([script("typescript", join("bin", "tsc"), root), "-p", "."], user);

    const said = await node(["user.js"], user, { NODE_OPTIONS: "" });
    expect(JSON.parse(said)).toEqual({
      ...{ whileHeld: true, afterwards: true, keys: [], refused: "invalid", b2: "object" },
      closed: "BucketlockError: these locks were closed",
    });
  });

  it("importing the locks loads four files of ours, nobody else's, and no part of Node that costs", async () => {
    writeFileSync(join(user, "spy.js"), SPY);
    writeFileSync(join(user, "spy-hooks.js"), SPY_HOOKS);
    const run = async (source: string, ...args: string[]) => {
      writeFileSync(join(user, "loads.js"), source);
      return JSON.parse(await node([...args, "loads.js"], user, { NODE_OPTIONS: "" }));
    };
    const files = (source: string): Promise<string[]> => run(source, "--import", "./spy.js");
    const parts = async (source: string): Promise<string[]> =>
      (
        await run(`${source}\n process.getBuiltinModule("fs").writeSync(1, JSON.stringify(process.moduleLoadList))`)
      ).map((name: string) => name.replace(/^NativeModule /, ""));

    const importing = `import { createLocks, openS3Session } from "@bucketlock/lock";`;
    expect((await files(importing)).map((file) => file.replace(/-[A-Z0-9]{8}\.js$/, ".js")).sort()).toEqual([
      "@bucketlock/core/dist/chunk.js",
      "@bucketlock/core/dist/index.js",
      "@bucketlock/lock/dist/chunk.js",
      "@bucketlock/lock/dist/index.js",
    ]);
    const empty = await parts("");
    const costly = /^(?:crypto|stream|https?|http2|net|tls|zlib|child_process|worker_threads|readline|fs\/promises)$/;
    expect((await parts(importing)).filter((name) => costly.test(name) && !empty.includes(name))).toEqual([]);
    // What is needed later is loaded later; and the spies do see it.
    const using = `${importing}
      const credentials = { accessKeyId: "a", secretAccessKey: "s" };
      const session = openS3Session({ endpoint: "http://127.0.0.1:9", region: "r", bucket: "bucket", credentials });
      await session.getObject("k", { timeoutMs: 1_000 }).catch(() => {});
      await session.close();`;
    expect((await files(using)).filter((file) => file.startsWith("undici/"))).not.toEqual([]);
    expect(await parts(using)).toEqual(expect.arrayContaining(["crypto", "stream"]));
  });

  it.each(["esm", "cjs"] as const)(
    "bundled into one file (%s), nothing is missing beside that file",
    async (format) => {
      const alone = join(directory.path, "alone");
      const outfile = join(alone, `bundled.${format === "esm" ? "mjs" : "cjs"}`);
      const source = join(user, "bundled.js");
      writeFileSync(
        source,
        `import { createLocks, openStore } from "@bucketlock/lock";
       async function main() {
         const locks = createLocks(openStore("file:${join(directory.path, format)}?create=1"));
         const job = locks.cron("nightly", "0 3 * * *", () => {});
         await locks.lock("k").run(async () => console.log("held"));
         await job.stop();
         // The child that would release it is in no bundle: that is missed in silence.
         await locks.lock("k").acquire();
         process.exit(3);
       }
       main();`,
      );
      await bundle({ entryPoints: [source], outfile, bundle: true, platform: "node", format, logLevel: "silent" });
      const ran = spawnSync(process.execPath, [outfile], { cwd: alone, encoding: "utf8", env: {} });
      expect([ran.status, ran.stdout, ran.stderr]).toEqual([3, "held\n", ""]);
    },
  );

  it("a program that exits while it holds finds its child in the installed package, and leaves nothing behind", async () => {
    const store = join(directory.path, "held");
    const program = `
      import { createLocks, openStore } from "@bucketlock/lock";
      await createLocks(openStore("file:${store}?create=1")).lock("k").acquire();
      process.exit(3);
    `;
    writeFileSync(join(user, "exits.js"), program);
    await expect(node(["exits.js"], user, { NODE_OPTIONS: "" })).rejects.toThrow();
    const look = `
      import { createLocks, openStore } from "@bucketlock/lock";
      const { holders, waiters } = await createLocks(openStore("file:${store}")).lock("k").inspect();
      console.log(JSON.stringify([holders.length, waiters.length]));
    `;
    writeFileSync(join(user, "looks.js"), look);
    expect(await node(["looks.js"], user, { NODE_OPTIONS: "" })).toContain("[0,0]");
  });

  describe("the command line", () => {
    const bucketlock = (...args: string[]) =>
      spawnSync(join(user, "node_modules", ".bin", "bucketlock"), args, {
        cwd: user,
        encoding: "utf8",
        env: { ...process.env, NODE_OPTIONS: "", BUCKETLOCK_STORE: `file:${join(directory.path, "cli")}?create=1` },
      });

    it("runs a command under a lock, by the name that npm gives it", () => {
      const script = "console.log(process.env.BUCKETLOCK_KEY, process.env.BUCKETLOCK_TOKEN); process.exitCode = 7";
      const ran = bucketlock("run", "k", "--", process.execPath, "-e", script);
      expect([ran.status, ran.stdout, ran.stderr]).toEqual([7, "k 1\n", ""]);
      const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
      expect(bucketlock("--version").stdout).toBe(`${version}\n`);
    });

    it.skipIf(process.platform !== "linux")("finds its guard in the installed package", async () => {
      const script = "console.log(process.pid); setInterval(() => {}, 1000)";
      const wrapper = spawn(
        process.execPath,
        ["node_modules/.bin/bucketlock", "run", "k", "--", process.execPath, "-e", script],
        {
          cwd: user,
          stdio: ["ignore", "pipe", "inherit"],
          env: {
            ...process.env,
            NODE_OPTIONS: "",
            BUCKETLOCK_STORE: `file:${join(directory.path, "guarded")}?create=1`,
          },
        },
      );
      watch("group", wrapper.pid!);
      const [said] = (await once(wrapper.stdout, "data")) as [Buffer];
      wrapper.kill("SIGKILL");
      await vi.waitFor(() => expect(() => process.kill(Number(String(said)), 0)).toThrow("ESRCH"), { timeout: 60_000 });
      unwatch("group", wrapper.pid!);
    });

    it("opens b2: stores where @bucketlock/b2 is installed", () => {
      const ran = bucketlock("ls", "--store", "b2://bucket/prefix");
      // It gets as far as asking for the keys.
      expect([ran.status, ran.stderr]).toEqual([196, expect.not.stringContaining("B2_NOT_INSTALLED")]);
    });

    it("is not loaded by the library: that works without what only the command line needs", async () => {
      for (const name of ["commander", "@bomb.sh/tab"]) rmSync(join(user, "node_modules", name), { recursive: true });
      const program = `import "@bucketlock/lock"; console.log("loaded");`;
      writeFileSync(join(user, "imports.js"), program);
      expect(await node(["imports.js"], user, { NODE_OPTIONS: "" })).toBe("loaded\n");
      expect(bucketlock("--version").status).not.toBe(0);
    });
  });
});
