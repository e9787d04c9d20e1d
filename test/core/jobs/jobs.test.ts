/** Bulk jobs on the emulator: what is moved, what is not moved twice, and what a failure says. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  deleteFolder,
  getAll,
  JobError,
  type JobEvent,
  type PutAllOptions,
  putAll,
} from "../../../packages/core/src/jobs/index.js";
import { refusing } from "../../emulators/s3/faults.js";
import { setup } from "../s3/rig.js";

const MIB = 1024 * 1024;
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folder(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "bucketlock-jobs-"));
  folders.push(dir);
  for (const [name, body] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    if (name.endsWith("/")) await mkdir(join(dir, name), { recursive: true });
    else await writeFile(join(dir, name), body);
  }
  return dir;
}

async function contents(dir: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(dir.length + 1);
    if (entry.isDirectory()) {
      if ((await readdir(path)).length === 0) found[`${name}/`] = "";
    } else found[name] = await readFile(path, "latin1");
  }
  return found;
}

const TREE = { "a.txt": "one", "sub/b.txt": "two", "sub/deep/ü c.txt": "three", "empty/": "", zero: "" };
const patterned = (bytes: number) =>
  Buffer.from(Array.from({ length: 4099 }, (_, n) => n % 251))
    .toString("latin1")
    .repeat(Math.ceil(bytes / 4099))
    .slice(0, bytes);

describe("a folder", () => {
  it("goes into a bucket and comes back the same, empty folders and files too", async () => {
    const { emulator, session } = await setup();
    const sent = await putAll(session, await folder(TREE), "job/");
    expect(sent).toEqual({ files: 4, bytes: 11, skippedFiles: 0, skippedBytes: 0, folders: 1, unverified: [] });
    expect(emulator.keysStored()).toEqual([
      "job/a.txt",
      "job/empty/",
      "job/sub/b.txt",
      "job/sub/deep/ü c.txt",
      "job/zero",
    ]);
    const to = await folder();
    expect(await getAll(session, "job/", to)).toEqual(sent);
    expect(await contents(to)).toEqual(TREE);
  });

  it("is not moved twice, but for what differs in size or bytes", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ ...TREE, changed: "old", shrunk: "long" });
    await putAll(session, from, "job/");
    await writeFile(join(from, "changed"), "new");
    await writeFile(join(from, "shrunk"), "s");
    emulator.seen.length = 0;
    expect(await putAll(session, from, "job/")).toMatchObject({ files: 2, skippedFiles: 4 });
    const put = emulator.seen.filter(({ method }) => method === "PUT").map(({ url }) => url.split("/").at(-1));
    expect(put.sort()).toEqual(["changed", "shrunk"]);

    const to = await folder({ "a.txt": "one", "sub/b.txt": "TWO", stray: "is left alone" });
    expect(await getAll(session, "job/", to)).toMatchObject({ files: 5, skippedFiles: 1 });
    expect(await contents(to)).toEqual({ ...TREE, changed: "new", shrunk: "s", stray: "is left alone" });
  });

  it("may hold files that go in parts, which are known again by their parts' checksums", async () => {
    const { emulator, session } = await setup();
    const big = patterned(11 * MIB + 5);
    const from = await folder({ big: Buffer.from(big, "latin1") });
    const options = { partBytes: 5 * MIB };
    expect(await putAll(session, from, "job/", options)).toMatchObject({ files: 1, bytes: big.length });
    expect(emulator.stored("job/big")?.etag).toMatch(/-3"?$/);
    expect(await putAll(session, from, "job/", options)).toMatchObject({ files: 0, skippedFiles: 1 });
    const to = await folder();
    // By other parts than it would send itself.
    expect(await getAll(session, "job/", to)).toMatchObject({ files: 1, unverified: [] });
    expect((await contents(to)).big === big).toBe(true);
    expect(await getAll(session, "job/", to)).toMatchObject({ skippedFiles: 1 });
    expect(emulator.uploads()).toEqual([]);
  });

  it("may be a list, under other names", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ x: "1", y: "2" });
    const list = [
      { file: join(from, "x"), name: "one" },
      { file: join(from, "y"), name: "two" },
    ];
    await putAll(session, list, "", { rename: (name) => `n/${name}` });
    expect(emulator.keysStored()).toEqual(["n/one", "n/two"]);
    const to = await folder();
    await getAll(session, "n/", to, { rename: (name) => (name === "one" ? undefined : `${name}.bak`) });
    expect(await contents(to)).toEqual({ "two.bak": "2" });
  });

  it("is deleted without its siblings", async () => {
    const { emulator, session } = await setup();
    for (const key of ["a/1", "a/b/2", "a/", "ab", "a.txt"]) await session.putObject(key, "x");
    expect(await deleteFolder(session, "a")).toEqual({ deleted: 3 });
    expect(emulator.keysStored()).toEqual(["a.txt", "ab"]);
    await expect(deleteFolder(session, "/")).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });

  it("is purged of every version where that is asked for", async () => {
    const { emulator, session } = await setup({ versions: true });
    for (const body of ["1", "2"]) await session.putObject("a/x", body);
    await session.putObject("ax", "stays");
    await deleteFolder(session, "a", { purge: true });
    expect(emulator.keysStored()).toEqual(["ax"]);
    expect(emulator.stored("a/x")).toBeUndefined();
  });
});

describe("progress", () => {
  it("tells of the plan, each item and each chunk", async () => {
    const { session } = await setup();
    const from = await folder(Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`f${n}`, "x".repeat(n)])));
    const events: JobEvent[] = [];
    await putAll(session, from, "", { parallel: 2, chunkFiles: 4, onProgress: (event) => events.push(event) });
    expect(events[0]).toEqual({ type: "planned", items: 10, bytes: 45, chunks: 3 });
    expect(events.filter(({ type }) => type === "item")).toHaveLength(10);
    expect(events.filter(({ type }) => type === "chunk").map((event) => "chunk" in event && event.chunk)).toEqual([
      1, 2, 3,
    ]);
    // A chunk is told of after its last item.
    expect(events.at(-1)).toMatchObject({ type: "chunk", chunk: 3, chunks: 3 });
  });

  it("is made by `parallel` at once, and by no more", async () => {
    const { emulator, session } = await setup();
    const from = await folder(Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`f${n}`, "x"])));
    const puts = () => emulator.seen.filter(({ method }) => method === "PUT").length;
    let release = () => {};
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    emulator.script("PUT", { kind: "hold", until, after: "nothing" }, 9);
    const putting = putAll(session, from, "", { parallel: 3 });
    await expect.poll(puts).toBe(3);
    // A fourth would have come with this one.
    await session.headBucket();
    expect(puts()).toBe(3);
    release();
    expect(await putting).toMatchObject({ files: 9 });
  });

  it("raises no warning of a leak, however many are under way", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    const { session } = await setup();
    const from = await folder(Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, "x"])));
    await putAll(session, from, "", { parallel: 32, signal: new AbortController().signal });
    // Warnings come a turn late.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  it("that throws ends the job with what it threw", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ a: "1", b: "2", c: "3" });
    const mine = new Error("enough");
    const onProgress = ({ type }: JobEvent) => {
      if (type === "item") throw mine;
    };
    await expect(putAll(session, from, "", { parallel: 1, onProgress })).rejects.toBe(mine);
    expect(emulator.keysStored()).toEqual(["a"]);
  });
});

describe("a failure", () => {
  it("is named with all others, after the rest was done, and a second run does what is left", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ a: "1", b: "2", c: "3", d: "4" });
    emulator.script(({ method, url }) => method === "PUT" && /[bd]$/.test(url), refusing(403, "AccessDenied"), 2);
    const error = (await putAll(session, from, "").catch((reason: unknown) => reason)) as JobError;
    expect(error).toBeInstanceOf(JobError);
    expect(error).toMatchObject({ code: "JOB_FAILED", kind: "denied", retryable: false, report: { files: 2 } });
    expect(error.failures.map(({ key }) => key).sort()).toEqual(["b", "d"]);
    expect(error.message).toMatch(/"b"/);
    expect(await putAll(session, from, "")).toMatchObject({ files: 2, skippedFiles: 2 });
  });

  it("ends the job at once where that is asked for", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ a: "1", b: "2", c: "3", d: "4" });
    emulator.script("PUT", refusing(403, "AccessDenied"));
    const failing = putAll(session, from, "", { errors: "first", parallel: 1 });
    await expect(failing).rejects.toMatchObject({ code: "JOB_FAILED", failures: [{ key: "a" }], report: { files: 0 } });
    expect(emulator.keysStored()).toEqual([]);
  });

  it("of the caller's signal is thrown as it is, and nothing goes on", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ a: "1", b: "2", c: "3" });
    const mine = new Error("stop");
    const controller = new AbortController();
    const onProgress = ({ type }: JobEvent) => type === "item" && controller.abort(mine);
    await expect(putAll(session, from, "", { parallel: 1, signal: controller.signal, onProgress })).rejects.toBe(mine);
    expect(emulator.keysStored()).toEqual(["a"]);
  });

  it("of a read leaves the file that was there, and no half one", async () => {
    const { emulator, session } = await setup({}, { maxTries: 1 });
    await session.putObject("a", "the new one, which is longer");
    const to = await folder({ a: "old" });
    emulator.script(({ method, url }) => method === "GET" && url.endsWith("/a"), refusing(403, "AccessDenied"));
    await expect(getAll(session, "", to)).rejects.toMatchObject({ code: "JOB_FAILED", failures: [{ key: "a" }] });
    expect(await contents(to)).toEqual({ a: "old" });
  });

  it("is no silence: a body that was changed on the way is one", async () => {
    const { emulator, session } = await setup({}, { maxTries: 1 });
    await session.putObject("a", "right");
    emulator.script(
      ({ method, url }) => method === "GET" && url.endsWith("/a"),
      { kind: "edit", edit: () => "wrong" },
      9,
    );
    const to = await folder();
    await expect(getAll(session, "", to)).rejects.toMatchObject({ code: "JOB_FAILED" });
    expect(await contents(to)).toEqual({});
  });
});

describe("bad input", () => {
  it.each([
    [{ parallel: 0 }, "parallel"],
    [{ errors: "some" }, "errors"],
    [{ partBytes: 1 }, "partBytes"],
    [{ paralel: 1 }, "paralel"],
    [{ rename: "x" }, "rename"],
  ])("%j is refused by name", async (options, name) => {
    const { emulator, session } = await setup();
    const putting = putAll(session, await folder({ a: "1" }), "", options as PutAllOptions);
    await expect(putting).rejects.toMatchObject({ code: "INVALID_OPTION", details: { option: name } });
    expect(emulator.seen).toEqual([]);
  });

  it("a link to a folder, a missing folder and a missing file are refused before anything is sent", async () => {
    const { emulator, session } = await setup();
    const from = await folder({ "real/a": "1" });
    await symlink(join(from, "real"), join(from, "link"));
    await expect(putAll(session, from, "")).rejects.toMatchObject({
      code: "INVALID_OPTION",
      details: { option: "from" },
    });
    await expect(putAll(session, join(from, "none"), "")).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(putAll(session, [{ file: join(from, "none"), name: "n" }], "")).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
    expect(emulator.seen).toEqual([]);
  });
});
