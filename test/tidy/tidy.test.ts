/** The house rules, so that nobody has to remember them; and for each rule, that it can fail. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { describe, expect, it } from "vitest";
import { packages } from "./rooms.js";
import { deadLinks, machineTraces, missingFiles, type SourceFile, sourceRules } from "./rules.js";
import { importsOf, onlyCode, withoutComments } from "./source.js";

const root = join(import.meta.dirname, "..", "..");
const TEXT = /\.(?:ts|mjs|json|md|sh|yaml|yml|py)$|^\.ci\/|^[^.]*$/;
const SKIPPED = new Set(["node_modules", "dist", ".git", ".reports", "coverage"]);

/** Every text file of the project, by its path with forward slashes. */
const files = new Map<string, string>();
const directories = new Set<string>([""]);
(function walk(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    // What the test of the documents writes at the same time.
    if (SKIPPED.has(entry.name) || entry.name.startsWith(".documents-")) continue;
    const path = join(directory, entry.name);
    const name = relative(root, path).split(sep).join("/");
    if (entry.isDirectory()) {
      directories.add(name);
      walk(path);
    } else if (entry.isFile() && TEXT.test(name) && statSync(path).size < 1_000_000) {
      files.set(name, readFileSync(path, "utf8"));
    }
  }
})(root);

const sources: SourceFile[] = [...files]
  .filter(([path]) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path))
  .map(([path, text]) => ({ path: path.slice("packages/".length), text }));

describe("packages/*/src", () => {
  it.each(Object.entries(sourceRules))("%s", (_name, rule) => {
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap((file) => rule(file).map((complaint) => `${file.path} ${complaint}`))).toEqual([]);
  });

  it("has every file that rooms.ts names", () => {
    expect(missingFiles(sources.map(({ path }) => path))).toEqual([]);
  });
});

describe("the project", () => {
  it("names no path of one machine and no registry's host", () => {
    const traces = [...files]
      .filter(([path]) => !path.startsWith("test/tidy/") && !path.startsWith("test/vectors/"))
      .flatMap(([path, text]) => machineTraces(text).map((trace) => `${path} ${trace}`));
    expect(traces).toEqual([]);
  });

  it("has one version and one engines promise", () => {
    const manifests = ["package.json", "test/package.json", ...packages.map((name) => `packages/${name}/package.json`)];
    const facts = manifests.map((path) => {
      const { version, engines, type, license } = JSON.parse(files.get(path)!);
      return {
        path,
        version,
        node: engines?.node,
        type,
        license: path.startsWith("packages/") ? license : "Apache-2.0",
      };
    });
    const { version } = facts[0]!;
    for (const fact of facts) {
      expect(fact).toEqual({ path: fact.path, version, node: ">=20.19", type: "module", license: "Apache-2.0" });
    }
    expect(files.get("CHANGELOG.md")).toContain(`## [${version}]`);
  });

  it("has no dead relative link in its documents", () => {
    const textOf = (path: string) => {
      const clean = path.replace(/\/$/, "").replace(/^\.$/, "");
      return files.get(clean) ?? (directories.has(clean) ? "" : undefined);
    };
    const dead = [...files]
      .filter(([path]) => path.endsWith(".md"))
      .flatMap(([path, text]) => deadLinks(path, text, textOf).map((complaint) => `${path} ${complaint}`));
    expect(dead).toEqual([]);
  });
});

describe("each rule can fail", () => {
  const opening = "/** What it does. */\n";
  const complaints = (path: string, text: string) =>
    Object.entries(sourceRules).flatMap(([name, rule]) => (rule({ path, text }).length > 0 ? [name] : []));

  it.each<[string, string, string]>([
    ["only clock.ts names time", "core/src/s3-session.ts", "const a = Date.now();"],
    ["only clock.ts names time", "lock/src/lease.ts", "setTimeout(() => {}, 1);"],
    ["only clock.ts names time", "lock/src/lease.ts", "const a = `${performance.now()}`;"],
    ["only clock.ts names time", "lock/src/lease.ts", "const a = process.hrtime.bigint();"],
    ["only random.ts names chance", "core/src/file-store.ts", "const a = Math.random();"],
    ["only random.ts names chance", "lock/src/locks.ts", 'import { randomUUID } from "node:crypto";'],
    ["only request.ts imports undici", "core/src/s3-session.ts", 'import { request } from "undici";'],
    ["only request.ts imports undici", "core/src/s3-session.ts", 'const { Agent } = await import("undici");'],
    ["only request.ts imports undici", "lock/src/lock.ts", 'import http from "node:https";'],
    ["every file has a room", "core/src/new-file.ts", ""],
    ["imports go down only", "core/src/sigv4.ts", 'import { createS3 } from "./s3-session.js";'],
    ["imports go down only", "core/src/clock.ts", 'import { show } from "./errors.js";'],
    ["imports go down only", "core/src/s3-store.ts", 'export * from "./testing/index.js";'],
    ["imports go down only", "lock/src/keeper.ts", 'import type { Lease } from "./lease.js";'],
    ["imports go down only", "core/src/uri.ts", 'import { x } from "@bucketlock/lock";'],
    ["imports go down only", "b2/src/index.ts", 'import { x } from "@bucketlock/lock";'],
    ["imports go down only", "lock/src/lock.ts", 'import { x } from "@bucketlock/core/testing";'],
    ["imports go down only", "lock/src/lock.ts", 'import { x } from "../../core/src/uri.js";'],
    ["imports go down only", "lock/src/two-object/machine.ts", 'import { openFileStore } from "@bucketlock/core";'],
    ["law is pure", "lock/src/two-object/machine.ts", "export async function f() {}"],
    ["law is pure", "core/src/classify.ts", "console.log(1);"],
    ["law is pure", "core/src/uri.ts", 'import { readFileSync } from "node:fs";'],
    ["is not too long", "core/src/uri.ts", "let a;\n".repeat(401)],
    ["has no default export", "core/src/uri.ts", "export default 1;"],
  ])("%s: %s", (rule, path, text) => {
    expect(complaints(path, opening + text)).toEqual([rule]);
  });

  it("opens with what it does", () => {
    expect(complaints("core/src/uri.ts", "// A note.\n")).toEqual(["opens with what it does"]);
  });

  it.each(["utils", "string-utils", "helpers", "types", "manager", "LockImpl"])("is named after a noun: %s", (name) => {
    expect(complaints(`core/src/${name}.ts`, opening)).toContain("is named after a noun");
  });

  it("machine paths and registries", () => {
    for (const text of ["see /work/main", '"/root/.cache"', "(/home/me)", "https://registry.npmjs.org/x"]) {
      expect(machineTraces(text)).toHaveLength(1);
    }
    for (const text of ["/data", "./work/x", "a/home/b", "networked", "~/root/x"])
      expect(machineTraces(text)).toEqual([]);
  });

  it("dead links", () => {
    const textOf = (path: string) => ({ "docs/a.md": "# Top\n## Two words: here\n", docs: "" })[path];
    expect(deadLinks("README.md", "[a](docs/a.md#two-words-here) [b](docs) [c](https://x/y)", textOf)).toEqual([]);
    expect(deadLinks("docs/b.md", "[a](a.md) [b](#gone)", textOf)).toHaveLength(1);
    expect(deadLinks("README.md", "[a](docs/gone.md) [b](docs/a.md#gone)", textOf)).toHaveLength(2);
  });

  it("files that are gone", () => {
    expect(missingFiles(["core/src/clock.ts"])).toContainEqual(expect.stringContaining("core/src/random.ts"));
  });
});

describe("the scanner", () => {
  it("tells comments from code", () => {
    const text =
      'const url = "http://x"; // Date\n/* Date\n */ const a = /[/"]\\/\\//; `// ${/* Date */ b} "`; c / d; // e';
    expect(withoutComments(text)).not.toContain("Date");
    expect(withoutComments(text)).toContain('"http://x"');
    expect(withoutComments(text)).toContain('`// ${           b} "`; c / d;');
    expect(withoutComments(text).split("\n")).toHaveLength(3);
  });

  it("blanks what stands in quotes but not the code of a template", () => {
    const code = onlyCode("a('Date', `Date ${Date.now({ x: `Date` })} Date`, /Date/) // Date");
    expect([...code.matchAll(/Date/g)]).toHaveLength(1);
  });

  it("finds every kind of import", () => {
    const text = `import a from "a"; import type { B, type C as D } from "./b.js"; import "c";
      export * from "d"; export { E } from "e"; const f = await import("f"); // import "g"`;
    expect(importsOf(text)).toEqual([
      { from: "a", names: [] },
      { from: "./b.js", names: ["B", "C"] },
      { from: "d", names: [] },
      { from: "e", names: ["E"] },
      { from: "c", names: [] },
      { from: "f", names: [] },
    ]);
  });
});
