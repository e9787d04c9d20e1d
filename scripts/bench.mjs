/** `npm run bench`: installs what is missing, then runs bench with the arguments given; `npm run bench -- b2` the one of B2. */
import { bootstrap } from "./bootstrap.mjs";
import { typescript } from "./run.mjs";

bootstrap();
const [first, ...rest] = process.argv.slice(2);
process.exitCode =
  first === "b2" ? await typescript("bench/b2.ts", rest) : await typescript("bench/index.ts", process.argv.slice(2));
