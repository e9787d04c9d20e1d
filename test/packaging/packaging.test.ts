/**
 * What a user gets: the packages built, packed, checked by publint and attw, installed into an empty folder without a
 * registry, and a lock taken from there.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../servers/guard.js";
import { build, install, names, node, type PackageName, pack, root, script } from "./packages.js";

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
    const expected = /^(?:LICENSE|README\.md|package\.json|src\/[\w/-]+\.[tj]s|dist\/[\w/-]+\.(?:js|d\.ts)(?:\.map)?)$/;
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
    expect(devDependencies).toBeUndefined();
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
    expect(JSON.parse(said)).toEqual({ whileHeld: true, afterwards: true, keys: [], refused: "invalid", b2: "object" });
  });

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
});
