/** What every lock must do through the public API, by either protocol, on the file store in real time. Needs no server. */
import { openFileStore } from "@bucketlock/core";
import { lockConformance } from "@bucketlock/lock/testing";
import { afterAll, describe, it } from "vitest";
import { temporaryDirectory } from "../servers/guard.js";

const directory = temporaryDirectory("locks");
afterAll(() => directory.remove());

let n = 0;
for (const protocol of ["two-object", "conditional"] as const) {
  lockConformance(
    { describe, it },
    {
      name: `${protocol} on the file store`,
      locksOptions: { protocol },
      open: () => ({ store: openFileStore({ dir: directory.path }), prefix: `suite-${n++}/` }),
    },
  );
}
