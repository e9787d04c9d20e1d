/**
 * `npm run build`: compiles the packages into their `dist`, in the order in which they need each other. Each `dist` is
 * emptied first, so that nothing of a file that is gone gets published.
 *
 * tsc checks and writes the declarations; esbuild joins the modules of each entry into one file (and one for what entries
 * share): Node pays more for finding and linking seventy small files than for reading them, and importing this library
 * should cost next to nothing. What is imported lazily stays a file of its own.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";
import { bin, node } from "./run.mjs";

bootstrap();
// Found only once it is installed.
const { build } = await import("esbuild");

/** Programs that a package starts by their file name, beside its entries. */
const PROGRAMS = { lock: ["src/finalizer-child.js", "src/cli/bucketlock.ts", "src/cli/guard.js"] };

for (const name of ["core", "lock", "b2"]) {
  const home = join(root, "packages", name);
  rmSync(join(home, "dist"), { recursive: true, force: true });
  // Without the source condition: a package is compiled against what its neighbours publish, not against their source.
  const tsc = ["-p", join(home, "tsconfig.json"), "--customConditions", "null", "--emitDeclarationOnly"];
  process.exitCode = await node([bin("typescript", "tsc"), ...tsc]);
  if (process.exitCode !== 0) break;
  const { exports } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
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
    packages: "external",
    sourcemap: true,
    logLevel: "warning",
  });
}
