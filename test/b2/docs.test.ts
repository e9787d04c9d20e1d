/** Every `ts` block of docs/b2.md and the package's README runs to a good end on the emulator, and leaves nothing there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { useWorkers } from "../processes.js";
import { useEmulator } from "./rig.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
// Below test/, so that blocks find the workspace's packages; hidden, so that no other tool takes them for sources.
const folder = mkdtempSync(fileURLToPath(new URL("./.documents-", import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const start = useWorkers();

const blocks = ["docs/b2.md", "packages/b2/README.md"].flatMap((file) =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, text], index) => ({
    name: `${file}, block ${index + 1}`,
    text: text!,
  })),
);

it("there are blocks", () => expect(blocks.length).toBeGreaterThanOrEqual(5));

it.each(blocks)("$name runs", async ({ name, text }) => {
  const knobs = { minimumPartSize: 1000, recommendedPartSize: 2000 };
  const emulator = await useEmulator({ knobs });
  emulator.makeBucket("my-bucket");
  const path = join(folder, `${name.replace(/\W+/g, "-")}.ts`);
  // The emulator instead of the service.
  const here = `{ endpoint: ${JSON.stringify(emulator.endpoint)} }`;
  writeFileSync(
    path,
    text.replaceAll("fromEnv()", `fromEnv(${here})`).replace(/openB2Store\(("[^"]*")\)/g, `openB2Store($1, ${here})`),
  );
  const env = { B2_APPLICATION_KEY_ID: emulator.keyId, B2_APPLICATION_KEY: emulator.key, B2_BUCKET: "my-bucket" };
  const worker = start(path, { env });
  expect({ ...(await worker.exit(20_000)), stderr: worker.stderr }).toEqual({ code: 0, signal: null, stderr: "" });
  expect(emulator.seen.length).toBeGreaterThan(3);
  expect(emulator.stored).toEqual([]);
});
