import { B2Session, openB2Reader } from "@bucketlock/b2";

await using session = B2Session.fromEnv({ endpoint: "http://127.0.0.1:36615" });
await session.upload("shared/a", "for you");
// A token for one prefix, for an hour; who has it needs no key.
const token = await session.downloadAuthorization("shared/", 3_600_000);
const { downloadUrl } = await session.allowed();
await using reader = openB2Reader({ downloadUrl, bucket: process.env.B2_BUCKET!, token });
const got = await reader.get({ name: "shared/a" });
console.log(got.found);
await session.deleteAllVersions("shared/a");
