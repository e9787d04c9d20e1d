/** The law of bulk jobs: names, clashes, chunks, and what an ETag can prove. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  cutIntoChunks,
  etagShape,
  type JobItem,
  type LocalEntry,
  planGet,
  planPut,
} from "../../../packages/core/src/jobs/plan.js";

const MIB = 1024 * 1024;
const file = (name: string, size = 1): LocalEntry => ({ name, path: `/from/${name}`, size, isFolder: false });
const object = (key: string, size = 1) => ({ key, size, lastModifiedMs: 0 });
const local = {
  join: (parts: readonly string[]) => join("/to", ...parts),
  refuses: (part: string) => part.includes("?"),
};
const get = (keys: readonly string[], rename?: (name: string) => string | undefined) =>
  planGet(
    keys.map((key) => object(key, key.endsWith("/") ? 0 : 1)),
    "p/",
    rename,
    local,
  );

describe("what is sent", () => {
  it("gets the prefix before its name, a folder a slash behind it, and what is there beside it", () => {
    const there = object("p/a/b", 1);
    const folder: LocalEntry = { name: "empty", path: "/from/empty", size: 0, isFolder: true };
    const items = planPut([file("a/b"), folder], new Map([[there.key, there]]), "p/", undefined);
    expect(items.map(({ key, remote, isFolder }) => [key, remote, isFolder])).toEqual([
      ["p/a/b", there, false],
      ["p/empty/", undefined, true],
    ]);
  });

  it("is renamed, or left out", () => {
    const rename = (name: string) => (name.endsWith(".tmp") ? undefined : name.toUpperCase());
    expect(planPut([file("a.tmp"), file("b")], new Map(), "", rename).map(({ key }) => key)).toEqual(["B"]);
  });

  it("is refused where two would become one, and where a name is no key", () => {
    const same = () => planPut([file("a"), file("b")], new Map(), "", () => "one");
    expect(same).toThrow(expect.objectContaining({ code: "JOB_NAMES_CLASH", kind: "invalid" }));
    expect(() => planPut([file("a")], new Map(), "x/../", undefined)).toThrow(/key: must have no/);
  });
});

describe("what is read", () => {
  it("goes below the folder by the rest of its key; the folder's own key is nothing to do", () => {
    const items = get(["p/", "p/a", "p/sub/b", "p/empty/"]);
    expect(items.map(({ path, isFolder }) => [path, isFolder])).toEqual([
      ["/to/a", false],
      ["/to/sub/b", false],
      ["/to/empty", true],
    ]);
  });

  it.each(["p/../up", "p/a/../../up", "p//root", "p/./a", "p/a\0b", "p/what?"])("never leaves it: %j", (key) => {
    expect(() => get([key])).toThrow(expect.objectContaining({ code: "JOB_NAME_REFUSED", details: { key } }));
  });

  it("never leaves it by another name either", () => {
    expect(() => get(["p/a"], () => "../a")).toThrow(expect.objectContaining({ code: "JOB_NAME_REFUSED" }));
  });

  it("is refused where one path would be two files, or a file and a folder", () => {
    const clash = expect.objectContaining({ code: "JOB_NAMES_CLASH" });
    expect(() => get(["p/a", "p/b"], () => "one")).toThrow(clash);
    expect(() => get(["p/a", "p/a/b"])).toThrow(clash);
    expect(() => get(["p/a", "p/a/"])).toThrow(clash);
    expect(() => get(["p/a", "p/a-b", "p/c/d"])).not.toThrow();
  });

  it("is refused where a key ends like a folder and holds bytes", () => {
    expect(() => planGet([object("p/a/", 3)], "p/", undefined, local)).toThrow(/holds bytes/);
  });
});

describe("chunks", () => {
  const item = (key: string, size: number): JobItem => ({ path: key, key, size, isFolder: false, remote: undefined });

  it("hold every item once, in the order of the keys, within both limits", () => {
    const items = Array.from({ length: 57 }, (_, n) => item(`k${(n * 31) % 57}`, (n * 7) % 20));
    const chunks = cutIntoChunks(items, { chunkFiles: 6, chunkBytes: 40 });
    const sorted = items.map(({ key }) => key).sort();
    expect(chunks.flatMap((chunk) => chunk.items.map(({ key }) => key))).toEqual(sorted);
    for (const chunk of chunks) {
      expect(chunk.items.length).toBeLessThanOrEqual(6);
      expect(chunk.bytes).toBe(chunk.items.reduce((sum, { size }) => sum + size, 0));
      expect(chunk.bytes).toBeLessThanOrEqual(40);
    }
  });

  it("are one item where it is larger than a chunk", () => {
    const chunks = cutIntoChunks([item("a", 5), item("b", 500), item("c", 5)], { chunkFiles: 9, chunkBytes: 10 });
    expect(chunks.map(({ items }) => items.length)).toEqual([1, 1, 1]);
  });
});

describe("an ETag", () => {
  const md5 = "0".repeat(32);

  it.each([
    [`"${md5}"`, 7, []],
    [`"${md5}-1"`, 7, [16 * MIB, MIB]],
    [`"${md5}-3"`, 33 * MIB, [16 * MIB, 11 * MIB]],
    [`"${md5}-4"`, 20 * MIB, [5 * MIB]],
  ] as const)("%s of %i bytes may come of parts of these sizes", (etag, size, sizes) => {
    const shape = etagShape(etag, size, 16 * MIB);
    expect(shape?.md5).toBe(md5);
    expect(shape?.partSizes.slice(0, sizes.length)).toEqual(sizes);
    for (const bytes of shape!.partSizes)
      expect(Math.max(1, Math.ceil(size / bytes))).toBe(Number(etag.split("-")[1]?.slice(0, -1)));
  });

  it.each([undefined, '"x"', `"${md5}-"`, `"${md5}-2"`, `"${md5.toUpperCase()}Z"`])(
    "%s of 0 bytes proves nothing",
    (etag) => {
      expect(etagShape(etag, 0, 16 * MIB)).toBeUndefined();
    },
  );
});
