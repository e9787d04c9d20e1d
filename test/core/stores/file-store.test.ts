/**
 * The file store where it is most delicate: writers and readers stopped between two file operations while others go on,
 * disks that fail, directories that are not ours. Real processes are in file-store.processes.test.ts.
 */
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidError, openFileStore, type Store, StoreError } from "@bucketlock/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openFileStoreOn } from "../../../packages/core/src/file-store.js";
import { collect } from "./collect.js";
import { PausedDisk } from "./paused-disk.js";

let dir: string;
let disk: PausedDisk;
/** Its operations can be stopped. */
let slow: Store;
/** Another process, as far as the directory can tell. */
let others: Store;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
  disk = new PausedDisk();
  slow = openFileStoreOn(disk, { dir });
  others = openFileStore({ dir });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function text(store: Store, key: string): Promise<string | undefined> {
  const answer = await store.get(key);
  return answer.found ? Buffer.from(answer.body).toString() : undefined;
}

async function writes(count: number, key = "other"): Promise<void> {
  for (let i = 0; i < count; i++) await others.put(key, String(i));
}

/** One write by each of so many writers that never wrote before. */
async function crowd(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await openFileStore({ dir }).put("other", `one of ${count}`);
}

function files(folder: string): string[] {
  return readdirSync(join(dir, folder)).sort();
}

const BIG = "b".repeat(10_000);

describe("a writer stopped before its link", () => {
  it("is late and tries again, its number taken", async () => {
    const hold = disk.hold("before", "link");
    const put = slow.put("k", "mine");
    await hold.reached;
    await writes(1);
    hold.letGo();
    expect((await put).outcome).toBe("stored");
    expect([await text(others, "k"), await text(slow, "other")]).toEqual(["mine", "0"]);
  });

  // Its link succeeds: the number it asks for was swept long ago. The draft would be swept too (next test), so it is
  // brought back here: a sweeper that was stopped as well would not have come to it.
  async function lateLink(go: () => Promise<void>, call: () => Promise<unknown>): Promise<unknown> {
    await writes(1);
    const hold = disk.hold("before", "link");
    const result = call();
    await hold.reached;
    const [draft] = files("tmp");
    const bytes = await readFile(join(dir, "tmp", draft!));
    await go();
    await writeFile(join(dir, "tmp", draft!), bytes);
    hold.letGo();
    return result;
  }

  it("sees that its file came too late, and writes again", async () => {
    expect(
      await lateLink(
        () => writes(50),
        () => slow.put("k", "mine"),
      ),
    ).toMatchObject({ outcome: "stored" });
    expect(disk.done.filter((operation) => operation.startsWith("link")).length).toBe(2);
    expect([await text(others, "k"), await text(slow, "other")]).toEqual(["mine", "49"]);
    expect(files("generations")).not.toContain("0000000000000002");
  });

  it("evaluates its condition again", async () => {
    const late = lateLink(
      () => writes(50, "k"),
      () => slow.put("k", "mine", { condition: { absent: true } }),
    );
    expect(await late).toMatchObject({ outcome: "conflict" });
    expect(await text(others, "k")).toBe("49");
  });

  it("evaluates an If-Match again", async () => {
    const late = lateLink(
      () => writes(20),
      async () => {
        const { etag } = (await slow.head("other")) as { etag: string };
        return slow.put("other", "mine", { condition: { etag } });
      },
    );
    expect(await late).toMatchObject({ outcome: "conflict" });
    expect(await text(others, "other")).toBe("19");
  });

  it("sees it however many writes came after, and says unknown only after too many writers", async () => {
    expect(
      await lateLink(
        () => writes(200),
        () => slow.put("k", "1"),
      ),
    ).toMatchObject({ outcome: "stored" });
    expect(
      await lateLink(
        () => crowd(62),
        () => slow.put("k", "2"),
      ),
    ).toMatchObject({ outcome: "stored" });
    const unclear = { outcome: "unknown", cause: { code: "STORE_UNCLEAR", kind: "unknown" } };
    expect(
      await lateLink(
        () => crowd(80),
        () => slow.put("k", "3"),
      ),
    ).toMatchObject(unclear);
    expect(await text(others, "k")).toBe("2");
    await expect(
      lateLink(
        () => crowd(80),
        () => slow.delete({ key: "k" }),
      ),
    ).rejects.toMatchObject({ kind: "unknown" });
    expect(await text(others, "k")).toBe("2");
  });

  it("survives the sweep of its draft", async () => {
    await writes(1);
    const hold = disk.hold("before", "link");
    const put = slow.put("k", "mine");
    await hold.reached;
    await writes(40);
    expect(files("tmp")).toEqual([]);
    hold.letGo();
    expect((await put).outcome).toBe("stored");
    expect(await text(others, "k")).toBe("mine");
  });

  it("survives the sweep of its body", async () => {
    await writes(1);
    const hold = disk.hold("before", "link");
    const put = slow.put("k", BIG);
    await hold.reached;
    await writes(40);
    expect(files("bodies")).toEqual([]);
    hold.letGo();
    expect((await put).outcome).toBe("stored");
    await writes(40);
    expect(await text(others, "k")).toBe(BIG);
    expect(files("bodies").length).toBe(1);
  });

  it("moves its body on to the next number", async () => {
    const hold = disk.hold("before", "link");
    const put = slow.put("k", BIG);
    await hold.reached;
    await others.delete({ key: "none" });
    await openFileStore({ dir }).put("other", "x");
    hold.letGo();
    expect((await put).outcome).toBe("stored");
    expect(await text(others, "k")).toBe(BIG);
    expect(files("bodies").length).toBe(1);
  });
});

describe("a writer stopped after its link", () => {
  async function stoppedAfterLink(go: () => Promise<void>): Promise<unknown> {
    const hold = disk.hold("after", "link");
    const put = slow.put("k", "mine");
    await hold.reached;
    expect(await text(others, "k")).toBe("mine");
    await go();
    hold.letGo();
    return put;
  }

  it("knows its write among the later ones", async () => {
    expect(await stoppedAfterLink(() => writes(200))).toMatchObject({ outcome: "stored" });
    expect(disk.done.filter((operation) => operation.startsWith("link")).length).toBe(1);
  });

  it("knows it at the very edge of what is remembered, and says unknown beyond", async () => {
    expect(await stoppedAfterLink(() => crowd(63))).toMatchObject({ outcome: "stored" });
    expect(await stoppedAfterLink(() => crowd(64))).toMatchObject({ outcome: "unknown" });
  });

  it("throws the caller's reason when it cannot tell and the caller has aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const hold = disk.hold("after", "link");
    const put = slow.put("k", "mine", { signal: controller.signal });
    await hold.reached;
    await crowd(80);
    controller.abort(reason);
    hold.letGo();
    await expect(put).rejects.toBe(reason);
  });
});

describe("a reader stopped halfway", () => {
  it("looks again when its generation was swept", async () => {
    await writes(1);
    const hold = disk.hold("after", "names");
    const read = text(slow, "other");
    await hold.reached;
    await writes(30);
    hold.letGo();
    expect(await read).toBe("29");
  });

  it("is not deceived by a late link that took the number of its generation", async () => {
    await writes(1);
    // A writer that read generation 1 and would make generation 2.
    const lateDisk = new PausedDisk();
    const late = openFileStoreOn(lateDisk, { dir });
    const beforeLink = lateDisk.hold("before", "link");
    const afterLink = lateDisk.hold("after", "link");
    const put = late.put("k", "never was");
    await beforeLink.reached;
    const [draft] = files("tmp");
    const bytes = await readFile(join(dir, "tmp", draft!));
    // A reader that found generation 2, of others, to be the highest.
    await writes(1);
    const hold = disk.hold("after", "names");
    const read = text(slow, "k");
    await hold.reached;
    // Generation 2 is swept, and the late writer gets its number.
    await writes(30);
    await writeFile(join(dir, "tmp", draft!), bytes);
    beforeLink.letGo();
    await afterLink.reached;
    expect(files("generations")).toContain("0000000000000002");
    hold.letGo();
    expect(await read).toBeUndefined();
    afterLink.letGo();
    expect((await put).outcome).toBe("stored");
  });

  it("looks again when the body was replaced", async () => {
    await others.put("k", BIG);
    const hold = disk.hold("before", "read", "bodies");
    const read = text(slow, "k");
    await hold.reached;
    await others.put("k", `${BIG}2`);
    hold.letGo();
    expect(await read).toBe(`${BIG}2`);
    expect(files("bodies").length).toBe(1);
  });

  it("reads an unchanged store by one look at one directory", async () => {
    await writes(3);
    await text(slow, "other");
    disk.done.length = 0;
    await text(slow, "other");
    await slow.head("other");
    await collect(slow.list(""));
    expect(disk.done).toEqual(Array(3).fill(`names ${join(dir, "generations")}`));
  });
});

describe("limits", () => {
  it("throws STORE_TIMEOUT when others are always first, with nothing written", async () => {
    disk.fail("link", "EEXIST");
    const put = slow.put("k", BIG, { timeoutMs: 60 });
    await expect(put).rejects.toMatchObject({ code: "STORE_TIMEOUT", kind: "unavailable", retryable: true });
    expect([files("tmp"), files("bodies"), await text(others, "k")]).toEqual([[], [], undefined]);
  });

  it("gives up standing in line by limit and by signal, and the line moves on", async () => {
    const hold = disk.hold("before", "link");
    const first = slow.put("a", "1");
    await hold.reached;
    const controller = new AbortController();
    const limited = slow.put("b", "2", { timeoutMs: 20 });
    const aborted = slow.put("c", "3", { signal: controller.signal });
    const patient = slow.put("d", "4");
    await expect(limited).rejects.toMatchObject({ code: "STORE_TIMEOUT" });
    controller.abort("enough");
    await expect(aborted).rejects.toBe("enough");
    hold.letGo();
    expect([(await first).outcome, (await patient).outcome]).toEqual(["stored", "stored"]);
    const keys = (await collect(others.list(""))).flatMap((page) => page.objects.map((object) => object.key));
    expect(keys).toEqual(["a", "d"]);
  });
});

describe("a signal", () => {
  it("ends a put at any step before its link, with nothing written", async () => {
    for (const [operation, part] of [
      ["names", "generations"],
      ["write", "bodies"],
      ["write", "tmp"],
    ] as const) {
      const controller = new AbortController();
      const reason = new Error(operation);
      const hold = disk.hold("after", operation, part);
      const put = slow.put("k", BIG, { signal: controller.signal });
      await hold.reached;
      controller.abort(reason);
      hold.letGo();
      await expect(put).rejects.toBe(reason);
    }
    expect([files("tmp"), files("bodies"), files("generations")]).toEqual([[], [], []]);
  });

  it("does not take back a put that is stored", async () => {
    const controller = new AbortController();
    const hold = disk.hold("after", "link");
    const put = slow.put("k", "v", { signal: controller.signal });
    await hold.reached;
    controller.abort();
    hold.letGo();
    expect((await put).outcome).toBe("stored");
  });
});

describe("disks that fail", () => {
  it.each([
    ["write", "ENOSPC", "STORE_FULL", "unavailable"],
    ["write", "EDQUOT", "STORE_FULL", "unavailable"],
    ["write", "EACCES", "STORE_ACCESS_DENIED", "denied"],
    ["write", "EROFS", "STORE_ACCESS_DENIED", "denied"],
    ["write", "EIO", "STORE_UNAVAILABLE", "unavailable"],
    ["link", "EPERM", "STORE_UNSUPPORTED", "unsupported"],
    ["link", "ENOSPC", "STORE_FULL", "unavailable"],
    ["names", "EACCES", "STORE_ACCESS_DENIED", "denied"],
    ["names", "EMFILE", "STORE_UNAVAILABLE", "unavailable"],
  ] as const)("%s fails with %s: %s", async (operation, errno, code, kind) => {
    disk.fail(operation, errno);
    const error = await slow.put("k", BIG).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ code, kind, cause: { code: errno }, message: expect.stringContaining(dir) });
    expect([files("tmp"), files("bodies"), await text(others, "k")]).toEqual([[], [], undefined]);
  });

  it("cannot tell after a link that failed for no clear reason", async () => {
    disk.fail("link", "EIO");
    expect(await slow.put("k", "v")).toMatchObject({ outcome: "unknown", cause: { cause: { code: "EIO" } } });
  });

  it("stores although sweeping fails", async () => {
    disk.fail("remove", "EACCES");
    for (let i = 0; i < 20; i++) expect((await slow.put("k", BIG)).outcome).toBe("stored");
    expect(files("generations").length).toBe(20);
    await writes(17);
    expect(files("generations").length).toBeLessThan(20);
    expect(files("bodies").length).toBe(1);
  });

  it("names a generation file that is not what this project wrote", async () => {
    for (const content of ["", "{", "null", '{"format":1}', '{"format":2,"generation":9,"writers":[],"objects":[]}']) {
      await writeFile(join(dir, "generations", "0000000000000009"), content);
      const error = await slow.get("k").catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "STORE_CORRUPT", kind: "corrupt" });
      expect((error as Error).message).toContain("0000000000000009");
    }
  });

  it("says that a body is lost, not that the object is absent", async () => {
    await slow.put("k", BIG);
    await rm(join(dir, "bodies", files("bodies")[0]!));
    await expect(slow.get("k")).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    expect((await slow.head("k")).found).toBe(true);
  });

  it("says that the directory is gone", async () => {
    await slow.put("k", "v");
    await rm(dir, { recursive: true });
    await expect(slow.get("k")).rejects.toMatchObject({ code: "STORE_NO_DIRECTORY", kind: "denied" });
    await expect(slow.put("k", "v")).rejects.toMatchObject({ code: "STORE_NO_DIRECTORY" });
  });
});

describe("the directory", () => {
  it("stays small, and loses what killed processes left in it", async () => {
    await writes(1);
    for (const folder of ["tmp", "bodies"]) await writeFile(join(dir, folder, "0000000000000002-00ff"), "left");
    for (const folder of ["tmp", "bodies", "generations"]) await writeFile(join(dir, folder, "not-ours"), "kept");
    await writes(200);
    expect(files("tmp")).toEqual(["not-ours"]);
    expect(files("bodies")).toEqual(["not-ours"]);
    expect(files("generations").length).toBeLessThanOrEqual(8 + 16 + 1);
  });

  it("keeps what it held for whoever opens it later", async () => {
    await others.put("k", "v", { metadata: { a: "b" } });
    const again = openFileStore({ dir, create: true });
    expect(await again.get("k")).toMatchObject({ found: true, metadata: { a: "b" } });
    expect(again.planDelete?.([{ key: "k" }, { key: "l" }])).toEqual({ kind: "file", dir, keys: ["k", "l"] });
  });

  it("must be absolute, there, and a directory", async () => {
    await writeFile(join(dir, "file"), "");
    for (const [path, rule] of [
      ["relative/dir", "absolute"],
      [join(dir, "none"), "must exist"],
      [join(dir, "file"), "must be a directory"],
      ["", "not empty"],
    ] as const) {
      expect(() => openFileStore({ dir: path })).toThrow(InvalidError);
      expect(() => openFileStore({ dir: path })).toThrow(rule);
    }
    expect(existsSync(join(dir, "none"))).toBe(false);
    openFileStore({ dir: join(dir, "none/deeper"), create: true });
  });

  it("is refused when it holds something else, and left as it was", async () => {
    const foreign = join(dir, "foreign");
    await mkdir(foreign);
    await writeFile(join(foreign, "thesis.txt"), "precious");
    expect(() => openFileStore({ dir: foreign })).toThrow("must be empty or the directory of a file store");
    expect(readdirSync(foreign)).toEqual(["thesis.txt"]);
  });

  it("is refused when a later version or somebody else wrote it", async () => {
    const marker = join(dir, "bucketlock.json");
    const { version, ...rest } = JSON.parse(await readFile(marker, "utf8"));
    await writeFile(marker, JSON.stringify({ ...rest, version: version + 1 }));
    expect(() => openFileStore({ dir })).toThrow(expect.objectContaining({ code: "STORE_UNSUPPORTED" }));
    for (const content of ["{}", "", "null", "not JSON"]) {
      await writeFile(marker, content);
      expect(() => openFileStore({ dir })).toThrow("its bucketlock.json is not ours");
    }
  });

  it("is refused when it cannot be written", async (context) => {
    if (process.getuid?.() === 0) context.skip("root may write everywhere");
    const locked = join(dir, "locked");
    await mkdir(locked);
    await chmod(locked, 0o500);
    expect(() => openFileStore({ dir: locked })).toThrow(expect.objectContaining({ code: "STORE_ACCESS_DENIED" }));
  });

  it("gives a rewritten object another ETag, even for the same bytes", async () => {
    const first = await slow.put("k", "A");
    await others.put("k", "B");
    await others.put("k", "A");
    const { etag } = first as { etag: string };
    expect(await slow.put("k", "C", { condition: { etag } })).toMatchObject({ outcome: "conflict" });
  });
});
