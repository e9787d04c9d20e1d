/** The command line from source, in a clone: `node scripts/bucketlock.mjs run ...`. Installs what is missing first. */
import { bootstrap } from "./bootstrap.mjs";
import { typescript } from "./run.mjs";

bootstrap();
process.exitCode = await typescript("packages/lock/src/cli/bucketlock.ts", process.argv.slice(2), {
  cwd: process.cwd(),
});
