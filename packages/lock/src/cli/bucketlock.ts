#!/usr/bin/env node
/**
 * The program `bucketlock`. Starts the command line and ends with its exit code; the library never loads this file.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { main } from "./program.js";

const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const { version } = JSON.parse(readFileSync(beside("../../package.json"), "utf8")) as { version: string };
const code = await main(process.argv.slice(2), { guardFile: beside("./guard.js") }, version);
// Everything is closed by now; what is left, such as a guard that was slow to go, must not hold the exit code back.
process.exit(code);
