/** `npm run bench`: installs what is missing, then runs bench with the arguments given; `npm run bench -- s3` or `-- b2` theirs. */
import { bootstrap } from "./bootstrap.mjs";
import { typescript } from "./run.mjs";

bootstrap();
const [first, ...rest] = process.argv.slice(2);
process.exitCode =
  first === "b2" || first === "s3"
    ? await typescript(`bench/${first}.ts`, rest)
    : await typescript("bench/index.ts", process.argv.slice(2));
