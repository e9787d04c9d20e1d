/** Many objects to and from an appliance: whole folders, pieces, waiting, lost answers, failures, and nothing half-written. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "@bucketlock/core";
import type { Ds3TransferError, Ds3TransferEvent } from "@bucketlock/core/ds3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ready } from "./rig.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bucketlock-ds3-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const CONTENTS: Readonly<Record<string, string>> = {
  "a.txt": "a",
  "empty.bin": "",
  "deep/er/long.txt": "0123456789".repeat(35),
  "deep/b c+d%&'.txt": "odd",
  "ü.txt": "ü".repeat(101),
};

function makeFiles(): string {
  const folder = join(dir, "from");
  for (const [name, text] of Object.entries(CONTENTS)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  mkdirSync(join(folder, "empty", "folder"), { recursive: true });
  return folder;
}
const allFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

/** Nobody sleeps for real. */
const hurried: Clock = {
  ...systemClock,
  async sleep(_ms, { signal } = {}) {
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  },
};

describe("a folder", () => {
  it.each([
    ["in one job", {}, {}],
    ["in small pieces and jobs", { pieceBytes: 7, piecesPerChunk: 2, chunksReady: 3 }, { objectsPerJob: 2 }],
    [
      "one piece at a time, waiting",
      { pieceBytes: 50, piecesPerChunk: 1, chunksReady: 1, notReadyEvery: 3 },
      { concurrency: 1 },
    ],
    ["with checksums", { pieceBytes: 64, checksum: "crc32" }, { checksum: "crc32" }],
    ["with MD5", { pieceBytes: 64, checksum: "md5" }, { checksum: "md5" }],
  ] as const)("goes there and comes back, %s", async (_how, appliance, options) => {
    const { client, emulator } = await ready(appliance, "b", { clock: hurried });
    const put = await client.putAll("b", makeFiles(), { prefix: "in/", ...options });
    const { checksum: _, ...get } = options as { checksum?: string };
    const got = await client.getAll("b", join(dir, "to"), { prefix: "in/", ...get });
    expect(emulator.stored("b")).toEqual({
      ...Object.fromEntries(Object.entries(CONTENTS).map(([name, text]) => [`in/${name}`, text])),
      "in/empty/folder/": "",
    });
    const bytes = Object.values(CONTENTS).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    expect(put).toMatchObject({ objects: 6, bytes });
    expect(got.bytes).toBe(bytes);
    expect(allFiles(join(dir, "to", "in"))).toEqual(Object.keys(CONTENTS).sort());
    for (const [name, text] of Object.entries(CONTENTS))
      expect(readFileSync(join(dir, "to", "in", name), "utf8")).toBe(text);
    expect(existsSync(join(dir, "to", "in", "empty", "folder"))).toBe(true);
    expect(emulator.unknown).toEqual([]);
  });

  it("may be named differently on both sides, and says what it does", async () => {
    const { client, emulator } = await ready({}, "b");
    const folder = makeFiles();
    const events: Ds3TransferEvent[] = [];
    await client.putAll("b", [{ name: "renamed/A", path: join(folder, "a.txt") }, { name: "nothing/" }], {
      onEvent: (event) => events.push(event),
    });
    expect(emulator.stored("b")).toEqual({ "renamed/A": "a", "nothing/": "" });
    expect(events).toEqual([
      { type: "job", jobId: "job-1", objects: 2, bytes: 1 },
      expect.objectContaining({ type: "moved", jobId: "job-1" }),
      expect.objectContaining({ type: "moved", jobId: "job-1" }),
    ]);
    await client.getAll("b", join(dir, "to"), {
      names: ["renamed/A"],
      localName: (name) => `back/${name.slice(8)}.txt`,
    });
    expect(allFiles(join(dir, "to"))).toEqual(["back/A.txt"]);
  });

  it("never leads out of the folder it was given", async () => {
    const { client, emulator } = await ready({}, "b");
    for (const name of ["/etc/passwd", "a\\b", "c:d", "nul\0"]) {
      await expect(client.getAll("b", dir, { names: [name] })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    }
    emulator.put("b", "fine", "x");
    for (const local of ["../out", "a/../../out", "/out", ""])
      await expect(client.getAll("b", join(dir, "to"), { localName: () => local })).rejects.toMatchObject({
        code: "INVALID_OPTION",
      });
    expect(emulator.jobs.size).toBe(0);
    expect(existsSync(join(dir, "out"))).toBe(false);
  });
});

describe("trouble", () => {
  it("a piece whose answer was lost, cut or damaged is asked for again; what arrived is not sent again", async () => {
    const { client, emulator } = await ready({ pieceBytes: 100, checksum: "md5" }, "b", { clock: hurried });
    const folder = makeFiles();
    const isPiece = (method: string, offset: string) => (seen: { method: string; query: URLSearchParams }) =>
      seen.method === method && seen.query.get("offset") === offset;
    emulator.script(isPiece("PUT", "100"), { kind: "lost" });
    emulator.script(isPiece("PUT", "200"), { kind: "status", status: 500 });
    emulator.script(isPiece("GET", "100"), { kind: "cut", bytes: 10 });
    emulator.script(isPiece("GET", "200"), { kind: "damaged" });
    emulator.script(isPiece("GET", "300"), { kind: "status", status: 307 });
    const moved: Ds3TransferEvent[] = [];
    const source = [{ name: "long", path: join(folder, "deep/er/long.txt") }];
    await client.putAll("b", source, { onEvent: (event) => moved.push(event) });
    expect(emulator.stored("b")).toEqual({ long: CONTENTS["deep/er/long.txt"] });
    expect(moved.filter(({ type }) => type === "moved").length).toBe(4);
    expect(emulator.seen.filter(isPiece("PUT", "100")).length).toBe(1);
    expect(emulator.seen.filter(isPiece("PUT", "200")).length).toBe(2);
    await client.getAll("b", join(dir, "to"));
    expect(readFileSync(join(dir, "to", "long"), "utf8")).toBe(CONTENTS["deep/er/long.txt"]);
    for (const offset of ["100", "200"]) expect(emulator.seen.filter(isPiece("GET", offset)).length).toBe(2);
  });

  it("a piece that is shorter than planned is never taken for whole", async () => {
    const { client, emulator } = await ready({ pieceBytes: 100 }, "b", { clock: hurried });
    emulator.put("b", "long", CONTENTS["deep/er/long.txt"]!);
    const last = ({ method, query }: { method: string; query: URLSearchParams }) =>
      method === "GET" && query.get("offset") === "300";
    emulator.script(last, { kind: "short", bytes: 1 });
    await client.getAll("b", join(dir, "to"));
    expect(readFileSync(join(dir, "to", "long"), "utf8")).toBe(CONTENTS["deep/er/long.txt"]);
    emulator.script(last, { kind: "short", bytes: 1 }, 100);
    await expect(client.getAll("b", join(dir, "again"))).rejects.toMatchObject({
      code: "DS3_TRANSFER_FAILED",
      kind: "corrupt",
    });
    expect(allFiles(join(dir, "again"))).toEqual([]);
  });

  it("a piece that keeps failing ends it, or is named with all others at the end; no half file is left", async () => {
    for (const failFast of [true, false]) {
      const { client, emulator } = await ready({ pieceBytes: 100, chunksReady: 9 }, "b");
      const folder = makeFiles();
      await client.putAll("b", folder);
      const to = join(dir, `to-${failFast}`);
      mkdirSync(to);
      writeFileSync(join(to, "a.txt"), "from before");
      const denied = (seen: { method: string; path: string; query: URLSearchParams }) =>
        seen.method === "GET" && seen.query.has("job") && /long|a\.txt/.test(seen.path);
      emulator.script(denied, { kind: "status", status: 403 }, 100);
      const error = (await client.getAll("b", to, { failFast }).then(
        () => expect.unreachable("it worked"),
        (reason: unknown) => reason,
      )) as Ds3TransferError;
      expect(error).toMatchObject({ name: "Ds3TransferError", code: "DS3_TRANSFER_FAILED", kind: "denied" });
      if (failFast) expect(error.failures.length).toBeGreaterThan(0);
      else {
        expect(error.failures.length).toBe(5);
        expect(error.details.names).toEqual(expect.arrayContaining(["a.txt", "deep/er/long.txt"]));
        expect(allFiles(to)).toEqual(["a.txt", "deep/b c+d%&'.txt", "empty.bin", "ü.txt"]);
      }
      expect(error.failures[0]!.error).toMatchObject({ code: "STORE_ACCESS_DENIED" });
      expect(allFiles(to).filter((name) => name.endsWith(".part"))).toEqual([]);
      expect(readFileSync(join(to, "a.txt"), "utf8")).toBe("from before");
    }
  });

  it("what stands behind pieces that failed is named too, instead of waited for", async () => {
    const { client, emulator } = await ready({ pieceBytes: 100, piecesPerChunk: 1, chunksReady: 1 }, "b");
    await client.putAll("b", makeFiles());
    emulator.script(({ method, query }) => method === "GET" && query.has("offset"), { kind: "status", status: 403 }, 1);
    const error = await client.getAll("b", join(dir, "to"), { failFast: false }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "DS3_TRANSFER_FAILED" });
    const codes = (error as Ds3TransferError).failures.map(({ error: why }) => (why as { code: string }).code);
    expect(codes).toEqual(["STORE_ACCESS_DENIED", ...Array.from({ length: 9 }, () => "DS3_JOB_STALLED")]);
  });

  it("a file that is not there, or is named twice, is refused before a job is planned", async () => {
    const { client, emulator } = await ready({}, "b");
    await expect(client.putAll("b", [{ name: "k", path: join(dir, "none") }])).rejects.toMatchObject({
      code: "FILE_NOT_READ",
    });
    const path = join(makeFiles(), "a.txt");
    await expect(
      client.putAll("b", [
        { name: "k", path },
        { name: "k", path },
      ]),
    ).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect(emulator.jobs.size).toBe(0);
  });

  it("a canceled job ends it", async () => {
    const { client, emulator } = await ready({ pieceBytes: 10, chunksReady: 1 }, "b");
    let moved = 0;
    const onEvent = (event: Ds3TransferEvent) => {
      if (event.type === "moved" && ++moved === 1) emulator.jobs.get(event.jobId)!.status = "CANCELED";
    };
    await expect(client.putAll("b", makeFiles(), { onEvent, concurrency: 1 })).rejects.toMatchObject({
      code: "DS3_JOB_CANCELED",
    });
  });

  it("an appliance that makes nothing ready ends with the limit, and a signal ends the waiting", async () => {
    const { client } = await ready({ notReadyEvery: 1 }, "b", { clock: hurried });
    await expect(client.putAll("b", makeFiles(), { timeoutMs: 6_000 })).rejects.toMatchObject({
      code: "DS3_JOB_STALLED",
      details: { retryAfterMs: 7_000 },
    });
    const reason = new Error("enough");
    const ending = new AbortController();
    const onEvent = (event: Ds3TransferEvent) => {
      if (event.type === "waiting") ending.abort(reason);
    };
    await expect(client.putAll("b", makeFiles(), { signal: ending.signal, onEvent })).rejects.toBe(reason);
  });

  it("an appliance that is busy for long is waited for, at every step; nothing fails for it", async () => {
    const { client, emulator } = await ready({ pieceBytes: 100 }, "b", { clock: hurried, maxTries: 2 });
    const busy = { kind: "status", status: 503, headers: { "retry-after": "30" } } as const;
    const waits: Ds3TransferEvent[] = [];
    const onEvent = (event: Ds3TransferEvent) => event.type === "waiting" && waits.push(event);
    emulator.script(({ query }) => query.has("operation"), busy, 20);
    emulator.script(({ path }) => path === "/_rest_/job_chunk", busy, 20);
    emulator.script(({ query }) => query.has("offset"), busy, 40);
    await client.putAll("b", makeFiles(), { onEvent, concurrency: 1 });
    emulator.script(({ query }) => query.has("offset"), busy, 40);
    await client.getAll("b", join(dir, "to"), { onEvent, concurrency: 1 });
    expect(allFiles(join(dir, "to"))).toEqual(Object.keys(CONTENTS).sort());
    expect(waits.length).toBeGreaterThan(20);
    expect(waits).toContainEqual({ type: "waiting", jobId: undefined, waitMs: 30_000 });
    expect(waits).toContainEqual({ type: "waiting", jobId: "job-1", waitMs: 30_000 });
  });

  it("a signal ends what is under way, with its own reason", async () => {
    const { client } = await ready({ pieceBytes: 10 }, "b");
    const reason = new Error("enough");
    const ending = new AbortController();
    const onEvent = (event: Ds3TransferEvent) => {
      if (event.type === "moved") ending.abort(reason);
    };
    await expect(client.putAll("b", makeFiles(), { signal: ending.signal, onEvent })).rejects.toBe(reason);
  });
});
