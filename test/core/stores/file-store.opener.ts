/** Opens one new file store and writes one object, at the moment it is told to. */
import { once } from "node:events";
import { openFileStore } from "@bucketlock/core";

const [dir, name] = process.argv.slice(2) as [string, string];
process.stdout.write(`${JSON.stringify({ is: "ready" })}\n`);
await once(process.stdin, "data");
const store = openFileStore({ dir, create: true });
await store.put(name, "here");
process.stdin.destroy();
