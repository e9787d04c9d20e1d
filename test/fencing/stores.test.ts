/** Fenced writes and tokens on the stores that need no server: memory, files, and the emulators of S3 and B2. */
import { createMemoryStore, openFileStore } from "@bucketlock/core";
import { afterEach } from "vitest";
import { useEmulator, useSession } from "../b2/rig.js";
import { setup } from "../core/s3/rig.js";
import { temporaryDirectory } from "../servers/guard.js";
import { fencingSuite } from "./suite.js";

const directories: { remove(): void }[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) directory.remove();
});

fencingSuite({
  name: "memory",
  conditional: true,
  open: async () => ({ store: createMemoryStore(), prefix: "" }),
});
fencingSuite({
  name: "memory with versions",
  conditional: true,
  open: async () => ({ store: createMemoryStore({ versions: true }), prefix: "p/" }),
});
fencingSuite({
  name: "files",
  conditional: true,
  open: async () => {
    const directory = temporaryDirectory("fencing");
    directories.push(directory);
    return { store: openFileStore({ dir: directory.path }), prefix: "" };
  },
});
for (const conditional of [true, false]) {
  fencingSuite({
    name: `the S3 emulator (conditional: ${conditional})`,
    conditional,
    open: async () => ({ store: (await setup({}, { random: undefined })).session.store(), prefix: "p/" }),
  });
}
fencingSuite({
  name: "the B2 emulator",
  conditional: false,
  open: async () => ({ store: useSession(await useEmulator()).store(), prefix: "p/" }),
});
