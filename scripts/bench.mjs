/** `npm run bench`: installs what is missing, then runs bench with the arguments given. */
import { bootstrap } from "./bootstrap.mjs";
import { typescript } from "./run.mjs";

bootstrap();
process.exitCode = await typescript("bench/index.ts", process.argv.slice(2));
