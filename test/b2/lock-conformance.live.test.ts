/**
 * Both lock modes on B2: the published suite of locks on the B2 store, on a calm service and on one whose uploads are stamped
 * at their begin by pods with different clocks and committed late.
 */
import { openB2Session } from "@bucketlock/b2";
import { afterAll, beforeAll, expect } from "vitest";
import { B2Emulator } from "../emulators/b2/emulator.js";
import type { Knobs } from "../emulators/b2/knobs.js";
import { lockConformanceInParts } from "../live/parts.js";

const SERVICES: Readonly<Record<string, Partial<Knobs>>> = {
  "B2, calm": {},
  "B2, late commits and pods that disagree": { podClocksMs: [0, -300, 500], commitDelayMs: 30, urlUses: 20 },
};

for (const [name, knobs] of Object.entries(SERVICES)) {
  let emulator: B2Emulator;
  beforeAll(async () => {
    emulator = await B2Emulator.start({ knobs });
    emulator.makeBucket("lock-conformance");
  });
  afterAll(async () => {
    const { stored, unknown } = emulator;
    await emulator.stop();
    expect({ stored, unknown }).toEqual({ stored: [], unknown: [] });
  });

  let n = 0;
  lockConformanceInParts({
    name,
    open: () => {
      const credentials = { applicationKeyId: emulator.keyId, applicationKey: emulator.key };
      const session = openB2Session({ endpoint: emulator.endpoint, bucket: "lock-conformance", credentials });
      const store = session.store();
      return { store, prefix: `suite-${n++}/`, cleanup: () => store.close() };
    },
  });
}
