/** `npm run demo`: installs what is missing, then runs examples/demo with the arguments given. No account, no server. */
import { bootstrap } from "./bootstrap.mjs";
import { typescript } from "./run.mjs";

bootstrap();
process.exitCode = await typescript("examples/demo/index.ts", process.argv.slice(2));
