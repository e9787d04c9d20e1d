/** The published suite on the S3 store, over an emulator in each of the shapes that servers come in. */
import { afterAll, beforeAll, describe, it } from "vitest";
import { openS3Session, type S3Session } from "../../../packages/core/src/index.js";
import { type ConformanceTopic, storeConformance } from "../../../packages/core/src/testing/index.js";
import { type EmulatorOptions, S3Emulator } from "../../emulators/s3/emulator.js";

const SHAPES: readonly [name: string, options: EmulatorOptions, skip: Partial<Record<ConformanceTopic, string>>][] = [
  ["plain", {}, { versions: "the emulator keeps none here" }],
  ["versions, + for a space, whole seconds", { versions: true, encoding: "plus", wholeSeconds: true }, {}],
  [
    "no encoding of keys, no multi-delete, closing connections",
    { encoding: "none", multiDelete: false, closeConnections: true },
    { versions: "the emulator keeps none here", "key: control character": "XML cannot carry it unless it is encoded" },
  ],
];

for (const [name, options, skip] of SHAPES) {
  describe(name, () => {
    let emulator: S3Emulator;
    let session: S3Session;
    let serial = 0;
    beforeAll(async () => {
      emulator = await S3Emulator.start(options);
    });
    afterAll(() => emulator.stop());
    storeConformance(
      { describe, it },
      {
        name: `S3 store, ${name}`,
        skip,
        rounds: 50,
        open: async () => {
          session = openS3Session({
            endpoint: emulator.endpoint,
            region: emulator.region,
            bucket: emulator.bucket,
            credentials: emulator.keys,
          });
          return { store: session.store(), prefix: `c${++serial}/`, cleanup: () => session.close() };
        },
      },
    );
  });
}
