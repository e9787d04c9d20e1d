/**
 * `npm run build`: compiles the packages into their `dist`, in the order in which they need each other. Each `dist` is
 * emptied first, so that nothing of a file that is gone gets published.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";
import { bin, node } from "./run.mjs";

bootstrap();
for (const name of ["core", "lock", "b2"]) {
  rmSync(join(root, "packages", name, "dist"), { recursive: true, force: true });
  // Without the source condition: a package is compiled against what its neighbours publish, not against their source.
  const code = await node([
    bin("typescript", "tsc"),
    "-p",
    join(root, "packages", name, "tsconfig.json"),
    "--customConditions",
    "null",
  ]);
  if (code !== 0) {
    process.exitCode = code;
    break;
  }
}
