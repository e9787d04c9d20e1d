/** The published store suite under Node's own test runner: it must not need vitest. */
import { describe, it } from "node:test";
import { createMemoryStore } from "@bucketlock/core";
import { storeConformance } from "@bucketlock/core/testing";

storeConformance(
  { describe, it },
  {
    name: "memory",
    open: async () => ({ store: createMemoryStore(), prefix: "suite/" }),
    skip: { versions: "switched off here" },
    rounds: 10,
  },
);

/** And a store that drops what it is given: the suite must notice. */
if (process.argv[2] === "broken") {
  storeConformance(
    { describe, it },
    {
      name: "broken",
      open: async () => {
        const store = createMemoryStore();
        store.put = async () => ({ outcome: "stored" });
        return { store, prefix: "suite/" };
      },
      skip: { versions: "switched off here" },
      rounds: 1,
    },
  );
}
