/**
 * The B2 store on the emulator, through the published suite of the store port: as a lock uses it (deletes sweep), with hide
 * markers, and on a service that is rough but correct.
 */
import assert from "node:assert/strict";
import { openB2Session } from "@bucketlock/b2";
import type { ConformanceTopic } from "@bucketlock/core/testing";
import { storeConformance } from "@bucketlock/core/testing";
import { runner } from "../core/stores/runner.js";
import { B2Emulator } from "../emulators/b2/emulator.js";
import type { Knobs } from "../emulators/b2/knobs.js";

const NO_SUCH_NAME = "B2 file names take no control characters, no // and no / at an end";
const skip: Partial<Record<ConformanceTopic, string>> = {
  "conditional-writes": "B2 has none",
  "key: trailing slash": NO_SUCH_NAME,
  "key: double slash": NO_SUCH_NAME,
  "key: leading slash": NO_SUCH_NAME,
  "key: newline": NO_SUCH_NAME,
  "key: control character": NO_SUCH_NAME,
};

async function open(deletes: "sweep" | "hide", knobs: Partial<Knobs> = {}) {
  const emulator = await B2Emulator.start({ knobs });
  emulator.makeBucket("conformance");
  const session = openB2Session({
    endpoint: emulator.endpoint,
    bucket: "conformance",
    credentials: { applicationKeyId: emulator.keyId, applicationKey: emulator.key },
  });
  const store = session.store({ deletes });
  return {
    store,
    prefix: "suite/",
    cleanup: async () => {
      await store.close();
      const { stored, unknown } = emulator;
      await emulator.stop();
      assert.deepEqual({ stored, unknown }, { stored: [], unknown: [] });
    },
  };
}

storeConformance(runner, {
  name: "B2, deletes sweep",
  open: () => open("sweep"),
  skip: { ...skip, versions: "a delete without a version id removes every version here" },
  rounds: 40,
});

storeConformance(runner, { name: "B2, deletes hide", open: () => open("hide"), skip, rounds: 40 });

storeConformance(runner, {
  name: "B2, upload URLs that expire and tokens that end",
  open: () => open("sweep", { urlUses: 3, tokenUses: 60, busyShare: 0.1, throttleShare: 0.03 }),
  skip: { ...skip, versions: "a delete without a version id removes every version here" },
  rounds: 20,
});
