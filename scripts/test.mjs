/**
 * `npm test`: installs what is missing, then runs the tests. Arguments go to vitest: `npm test -- lock/` runs the files
 * whose path has that text. Ring 5 (real servers) starts what it finds; see CONTRIBUTING.md.
 */
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";
import { bin, node } from "./run.mjs";

bootstrap();
const args = ["run", ...process.argv.slice(2)];
process.exitCode = await node([bin("vitest", "vitest", "test"), ...args], { cwd: join(root, "test") });
