import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { B2Session } from "@bucketlock/b2";

await using session = B2Session.fromEnv({ endpoint: "http://127.0.0.1:44793" });
const path = process.argv[1]!;
// Known length: read once, the SHA-1 follows the bytes. The function lets a failed try begin again.
await session.uploadStream("program", () => createReadStream(path), (await stat(path)).size);
// Any length: in parts, in parallel; resume continues where an earlier attempt stopped.
await session.uploadLarge("program.large", createReadStream(path), { parallel: 4, resume: true });

const read = await session.stream({ name: "program.large" });
let bytes = 0;
for await (const chunk of read!.body) bytes += chunk.length;
console.log(bytes);
await session.deleteAllVersions("program");
await session.deleteAllVersions("program.large");
