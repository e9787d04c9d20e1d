/** What every lock must do through the public API, by either protocol, on the file store in real time. Needs no server. */
import { openFileStore } from "@bucketlock/core";
import { afterAll } from "vitest";
import { temporaryDirectory } from "../servers/guard.js";
import { lockConformanceInParts } from "./parts.js";

const directory = temporaryDirectory("locks");
afterAll(() => directory.remove());

let n = 0;
for (const protocol of ["two-object", "conditional"] as const) {
  lockConformanceInParts({
    name: `${protocol} on the file store`,
    locksOptions: { protocol },
    open: () => ({ store: openFileStore({ dir: directory.path }), prefix: `suite-${n++}/` }),
  });
}
