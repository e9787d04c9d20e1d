/** The lock conformance suite, by either protocol, on memory stores under virtual time, with and without versions. */
import { createMemoryStore } from "@bucketlock/core";
import { ManualClock } from "@bucketlock/core/testing";
import { lockConformance } from "@bucketlock/lock/testing";
import { describe, it } from "vitest";

const stores = [
  { name: "memory store", options: {} },
  { name: "memory store, timestamps of one second", options: { timestampStepMs: 1000 } },
  { name: "memory store that keeps versions", options: { versions: true } },
];

for (const protocol of ["two-object", "conditional"] as const) {
  for (const { name, options } of stores) {
    lockConformance(
      { describe, it },
      {
        name: `${protocol} on ${name}`,
        locksOptions: { protocol },
        open: () => {
          const clock = new ManualClock();
          return {
            store: createMemoryStore({ ...options, clock }),
            prefix: "some/where/",
            clock,
            drive: (promise) => clock.settle(promise),
          };
        },
      },
    );
  }
}
