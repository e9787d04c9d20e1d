/**
 * `npm run check`: types of everything, format and lint, and the tidy test. Runs all of them even if one fails, so that
 * one run shows all there is to mend. Changes no file (`npm run format` does).
 */
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";
import { bin, node } from "./run.mjs";

bootstrap();
const tsc = bin("typescript", "tsc");
const steps = [
  // From source, without building: the neighbours' files then lie outside a package's own root.
  ...["core", "lock", "b2"].map((name) => ({
    name: `types: packages/${name}`,
    args: [tsc, "-p", join("packages", name), "--noEmit", "--rootDir", "."],
  })),
  { name: "types: test, bench, examples", args: [tsc, "-p", "."] },
  { name: "format and lint", args: [bin("@biomejs/biome", "biome"), "check", "."] },
  {
    name: "tidy",
    args: [bin("vitest", "vitest", "test"), "run", "--project", "fast", "tidy/"],
    cwd: join(root, "test"),
  },
];

const failed = [];
for (const { name, args, cwd } of steps) {
  console.log(`check: ${name}`);
  if ((await node(args, cwd === undefined ? {} : { cwd })) !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(`check: failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}
