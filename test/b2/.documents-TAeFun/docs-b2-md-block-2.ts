import { B2Session } from "@bucketlock/b2";

// B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY, B2_BUCKET
await using session = B2Session.fromEnv({ endpoint: "http://127.0.0.1:40413" });

const file = await session.upload("reports/ü.txt", "hello", { info: { color: "blue" }, lastModifiedMs: 1_700_000_000_000 });
const got = await session.get({ name: "reports/ü.txt" });
if (got.found) console.log(got.file.id === file.id, got.file.info.color, got.body.length);

const part = await session.get({ id: file.id }, { range: { start: 0, end: 1 } });
console.log(part.found && part.totalSize);

for await (const page of session.listVersions({ prefix: "reports/" })) {
  for (const version of page.files) console.log(version.name, version.action, version.size);
}
await session.hide("reports/ü.txt"); // still there, no longer shown
await session.deleteAllVersions("reports/ü.txt"); // gone
