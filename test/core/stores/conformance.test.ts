/** Every store of this package that needs no server, through the published suite. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore, type MemoryStoreOptions, openFileStore, type Store } from "@bucketlock/core";
import { FaultyStore, RecordingStore, storeConformance } from "@bucketlock/core/testing";
import { collect } from "./collect.js";
import { runner } from "./runner.js";

/** A neighbour just outside the prefix must come through every test untouched, and alone. */
async function guarded(store: Store, cleanup: () => Promise<void> = async () => {}) {
  await store.put("suite", "neighbour");
  return {
    store,
    prefix: "suite/",
    cleanup: async () => {
      const versions = (await collect(store.listVersions(""))).flatMap((page) => page.versions);
      await store.close();
      await cleanup();
      assert.deepEqual(
        versions.map((version) => version.key),
        ["suite"],
      );
    },
  };
}

const memory = (options: MemoryStoreOptions) => () => guarded(createMemoryStore(options));

storeConformance(runner, {
  name: "memory",
  open: memory({}),
  skip: { versions: "switched off here" },
});

storeConformance(runner, { name: "memory with versions", open: memory({ versions: true }) });

storeConformance(runner, {
  name: "memory with timestamps in whole seconds",
  open: memory({ timestampStepMs: 1000 }),
  skip: { versions: "switched off here" },
});

storeConformance(runner, {
  name: "memory behind both wrappers",
  open: () => guarded(new RecordingStore(new FaultyStore(createMemoryStore()))),
  skip: { versions: "switched off here" },
});

for (const durable of [false, true]) {
  storeConformance(runner, {
    name: durable ? "file, durable" : "file",
    open: async () => {
      const dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
      return guarded(openFileStore({ dir, durable }), () => rm(dir, { recursive: true }));
    },
    skip: { versions: "the file store keeps none" },
    rounds: durable ? 40 : 200,
  });
}
