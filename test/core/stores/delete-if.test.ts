/** DELETE under an ETag, where a store has it for certain: memory and file. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore, openFileStore, type Store } from "@bucketlock/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "./collect.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each<[string, () => Store]>([
  ["memory", () => createMemoryStore()],
  ["memory, versions kept", () => createMemoryStore({ versions: true })],
  ["file", () => openFileStore({ dir })],
])("%s", (_name, open) => {
  it("deletes what still has that ETag, and nothing else", async () => {
    const store = open();
    const etags: string[] = [];
    for (const body of ["old", "new"]) {
      const put = await store.put("k", body);
      etags.push((put.outcome === "stored" && put.etag) || "");
    }
    expect(await store.deleteIf!("k", etags[0]!)).toMatchObject({ outcome: "conflict" });
    expect(await store.get("k")).toMatchObject({ found: true });
    expect(await store.deleteIf!("k", etags[1]!)).toMatchObject({ outcome: "deleted" });
    expect(await store.get("k")).toMatchObject({ found: false });
    expect(await store.deleteIf!("k", etags[1]!)).toMatchObject({ outcome: "conflict" });
    await expect(async () => store.deleteIf!("", etags[1]!)).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });

  it("as a plain delete, it lays a marker where versions are kept", async () => {
    const store = open();
    const put = await store.put("m", "1");
    if (put.outcome !== "stored") throw new Error("not stored");
    await store.deleteIf!("m", put.etag!);
    const [page] = await collect(store.listVersions("m"));
    const markers = page!.versions.map(({ isDeleteMarker }) => isDeleteMarker);
    expect(markers).toEqual(put.versionId === undefined ? [] : [true, false]);
  });
});
