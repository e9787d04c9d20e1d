/** The emulator with many keys, in a process of its own: a listing's cost is then the client's alone. Ends with its parent. */
import { S3Emulator } from "../test/emulators/s3/emulator.js";
import { FULL_CONTROL } from "../test/emulators/s3/world.js";

const { keys } = JSON.parse(process.argv[2]!) as { keys: number };
const emulator = await S3Emulator.start();
const bucket = emulator.world.bucket(emulator.bucket);
const what = { body: Buffer.from("1"), etag: '"c4ca4238a0b923820dcc509a6f75849b"', isDeleteMarker: false };
for (let n = 0; n < keys; n++)
  emulator.world.add(bucket, `prefix/of some/${String(n).padStart(8, "0")}-name.txt`, {
    ...what,
    headers: {},
    checksums: {},
    acl: FULL_CONTROL,
  });
const { endpoint, region } = emulator;
process.send!({ endpoint, region, bucket: emulator.bucket, ...emulator.keys });
process.once("disconnect", () => process.exit());
