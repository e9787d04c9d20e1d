/**
 * `npm run build`: compiles the packages into their `dist`, in the order in which they need each other. Each `dist` is
 * emptied first, so that nothing of a file that is gone gets published.
 *
 * tsc checks and writes the declarations; esbuild joins all modules that a package's first entry needs into one file:
 * Node pays more for finding and linking seventy small files than for reading them, and importing this library
 * should cost next to nothing. What is imported lazily stays a file of its own.
 */
import { readFileSync, rmSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";
import { bin, node } from "./run.mjs";

bootstrap();
// Found only once it is installed.
const { build } = await import("esbuild");

/** Programs that a package starts by their file name, beside its entries. */
const PROGRAMS = { lock: ["src/finalizer-child.js", "src/cli/bucketlock.ts", "src/cli/guard.js"] };

/**
 * esbuild cuts shared modules into one file for each set of entries that share them: eighteen for core. So every other entry,
 * and everything lazy, is made to need the first entry too: then all share one file. Programs are left alone: they start
 * with little.
 */
const sharing = (home, [first, ...others]) => ({
  name: "sharing",
  setup(build) {
    const namespace = "sharing";
    const index = join(home, first);
    const entries = others.map((entry) => join(home, entry));
    build.onResolve({ filter: /^\.|^\// }, ({ kind, path, resolveDir, namespace: from }) => {
      const file = isAbsolute(path) ? path : join(resolveDir, path);
      if (file === index) return { path: index, sideEffects: true };
      const isFirstNeeded = entries.includes(file) || kind === "dynamic-import";
      return isFirstNeeded && from !== namespace ? { path: file.replace(/\.js$/, ".ts"), namespace } : undefined;
    });
    build.onLoad({ filter: /./, namespace }, ({ path }) => ({
      contents: `import ${JSON.stringify(index)}; export * from ${JSON.stringify(path)};`,
      resolveDir: dirname(path),
    }));
  },
});

for (const name of ["core", "lock", "b2"]) {
  const home = join(root, "packages", name);
  rmSync(join(home, "dist"), { recursive: true, force: true });
  // Without the source condition: a package is compiled against what its neighbours publish, not against their source.
  const tsc = ["-p", join(home, "tsconfig.json"), "--customConditions", "null", "--emitDeclarationOnly"];
  process.exitCode = await node([bin("typescript", "tsc"), ...tsc]);
  if (process.exitCode !== 0) break;
  const { exports, dependencies, peerDependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const entries = Object.values(exports).flatMap((entry) => entry["@bucketlock/source"] ?? []);
  await build({
    absWorkingDir: home,
    entryPoints: [...entries, ...(PROGRAMS[name] ?? [])],
    outbase: "src",
    outdir: "dist",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    // What is no dependency is joined as well: small packages that Node would take longer to find than to read.
    external: Object.keys({ ...dependencies, ...peerDependencies }).flatMap((other) => [other, `${other}/*`]),
    // For browsers it is the same code without node:crypto, which nobody asks: we hand it our own randomness.
    alias: { ulid: join(root, "packages", "lock", "node_modules", "ulid", "dist", "browser", "index.js") },
    sourcemap: true,
    logLevel: "warning",
    plugins: [sharing(home, entries)],
  });
}
