/** Uploads of any size: whole or not at all, nothing left behind, and continued where they ended. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { type S3UploadProgress, systemClock } from "../../../packages/core/src/index.js";
import { multipartEtag } from "../../../packages/core/src/s3-multipart.js";
import type { Seen } from "../../emulators/s3/emulator.js";
import { errorInside200, refusing } from "../../emulators/s3/faults.js";
import { collect, failure, setup } from "./rig.js";

const MIB = 1024 * 1024;
const PART = 5 * MIB;
/** Two parts. */
const BODY = Buffer.alloc(5 * MIB + 300_007);
for (let at = 0; at + 4 <= BODY.length; at += 4) BODY.writeUInt32LE(at, at);

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function fileOf(body: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "bucketlock-upload-"));
  folders.push(folder);
  writeFileSync(join(folder, "source"), body);
  return join(folder, "source");
}
/** In chunks that fit into nothing. */
async function* chunks(body: Uint8Array, size = 1_000_003): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}
const isPart = ({ method, url }: Seen) => method === "PUT" && url.includes("partNumber=");
const isNth = (number: number) => (seen: Seen) => isPart(seen) && seen.url.includes(`partNumber=${number}&`);
const isComplete = ({ method, url }: Seen) => method === "POST" && url.includes("uploadId=");

describe("an upload", () => {
  it.each([
    ["bytes", () => BODY],
    ["a file", () => ({ file: fileOf(BODY) })],
    ["an async iterable", () => chunks(BODY)],
    ["an iterable", () => [BODY.subarray(0, 7), BODY.subarray(7)]],
    ["a stream of Node", () => Readable.from(chunks(BODY))],
    ["a stream of the web", () => ReadableStream.from(chunks(BODY)) as ReadableStream<Uint8Array>],
  ] as const)("of %s is one request, or parts, with all that goes with it", async (_name, source) => {
    const { emulator, session } = await setup();
    const told: S3UploadProgress[] = [];
    const rest = { contentType: "text/plain", metadata: { a: "b" }, headers: { "Cache-Control": "no-store" } };
    const parts = await session.upload("parts", source(), {
      ...rest,
      partBytes: PART,
      onProgress: (progress) => told.push(progress),
    });
    expect(parts).toMatchObject({ outcome: "stored", size: BODY.length, parts: 2 });
    const one = await session.upload("one", source(), rest);
    expect(one).toMatchObject({ outcome: "stored", size: BODY.length, parts: 1 });
    for (const key of ["one", "parts"]) {
      const got = await session.getObject(key);
      expect(got).toMatchObject({ found: true, contentType: "text/plain", metadata: { a: "b" } });
      expect(got.found && got.headers["cache-control"]).toBe("no-store");
      expect(got.found && BODY.equals(got.body)).toBe(true);
    }
    expect(told.map(({ sentBytes }) => sentBytes).sort((a, b) => a - b)).toEqual(
      told.map(({ sentBytes }) => sentBytes),
    );
    expect(told.at(-1)).toMatchObject({ sentBytes: BODY.length });
    expect(emulator.uploads()).toEqual([]);
    expect(emulator.unknown).toEqual([]);
  });

  it("of nothing, and of exactly one part, is one request", async () => {
    const { emulator, session } = await setup();
    for (const body of [Buffer.alloc(0), BODY.subarray(0, PART)]) {
      for (const source of [body, chunks(body), { file: fileOf(body) }]) {
        expect(await session.upload("k", source, { partBytes: PART })).toMatchObject({ parts: 1, size: body.length });
        expect((await session.headObject("k")) as object).toMatchObject({ size: body.length });
      }
    }
    expect(emulator.seen.filter(isPart)).toEqual([]);
  });

  it.each([
    ["chunks", () => chunks(BODY)],
    ["a file", () => ({ file: fileOf(BODY) })],
  ] as const)("of %s sends again what fails on the way, also part by part", async (_name, source) => {
    const { emulator, session } = await setup();
    for (const fault of [
      refusing(500, "InternalError"),
      { kind: "reset", apply: true },
      { kind: "reset", apply: false, afterBytes: 100_000 },
    ] as const) {
      for (const number of [1, 2]) emulator.script(isNth(number), fault);
      expect(await session.upload("k", source(), { partBytes: PART })).toMatchObject({
        outcome: "stored",
        parts: 2,
      });
    }
    const got = await session.getObject("k");
    expect(got.found && BODY.equals(got.body)).toBe(true);
  });

  it("of a file that becomes shorter while a part of it is sent ends at once, and leaves none", async () => {
    const { emulator, session } = await setup();
    const file = fileOf(BODY);
    const uploading = session.upload(
      "k",
      { file },
      // It was hashed, and is read again to be sent.
      { partBytes: PART, onProgress: () => truncateSync(file, 3 * MIB) },
    );
    expect(await failure(uploading, emulator)).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("must not become shorter"),
    });
    expect(emulator.uploads()).toEqual([]);
    expect(emulator.seen.filter(isNth(1)).length).toBeLessThan(2);
  });

  it("that fails leaves no part behind, whatever fails", async () => {
    const { emulator, session } = await setup();
    emulator.script(isNth(2), refusing(403, "AccessDenied"));
    const denied = failure(session.upload("k", chunks(BODY), { partBytes: PART }), emulator);
    expect(await denied).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect(emulator.uploads()).toEqual([]);

    const own = new Error("the source's own");
    const failing = async function* () {
      yield BODY;
      yield BODY;
      throw own;
    };
    expect(await failure(session.upload("k", failing(), { partBytes: PART }), emulator)).toBe(own);
    expect(await failure(session.upload("k", Readable.from(failing()), { partBytes: PART }), emulator)).toBe(own);
    expect(emulator.uploads()).toEqual([]);

    const told = new Error("of onProgress");
    const throwing = session.upload("k", BODY, {
      partBytes: PART,
      onProgress: ({ sentBytes }) => {
        if (sentBytes > 0) throw told;
      },
    });
    expect(await failure(throwing, emulator)).toBe(told);
    expect(emulator.uploads()).toEqual([]);

    emulator.script(isComplete, refusing(400, "InvalidPart"));
    expect(await failure(session.upload("k", BODY, { partBytes: PART }), emulator)).toMatchObject({
      code: "STORE_REFUSED",
    });
    expect(emulator.uploads()).toEqual([]);
    expect(emulator.keysStored()).toEqual([]);
  });

  it("ends by its signal at any time, with the caller's own reason, and leaves no part", async () => {
    const clock = { ...systemClock, sleep: async () => {} };
    const { emulator, session } = await setup({}, { clock });
    const mine = new Error("mine");
    const stop = () => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort(mine) };
    };
    const between = stop();
    const sent = session.upload("k", BODY, {
      partBytes: PART,
      signal: between.signal,
      onProgress: ({ sentBytes }) => void (sentBytes > 0 && between.abort()),
    });
    expect(await failure(sent, emulator)).toBe(mine);
    const inPart = stop();
    emulator.script(
      (seen) => {
        if (!isNth(2)(seen)) return false;
        setImmediate(inPart.abort);
        return true;
      },
      { kind: "hang", apply: true },
    );
    const hanging = session.upload("k", chunks(BODY), { partBytes: PART, signal: inPart.signal });
    expect(await failure(hanging, emulator)).toBe(mine);
    // A source that is silent for ever.
    const waiting = stop();
    let closed = false;
    const silent = new Readable({
      read() {},
      destroy(error, done) {
        closed = true;
        done(error);
      },
    });
    silent.push(BODY);
    silent.push(BODY);
    setImmediate(() => setImmediate(waiting.abort));
    expect(await failure(session.upload("k", silent, { partBytes: PART, signal: waiting.signal }), emulator)).toBe(
      mine,
    );
    expect(closed).toBe(true);
    expect(emulator.uploads()).toEqual([]);
    expect(emulator.keysStored()).toEqual([]);
    const before = emulator.seen.length;
    const aborted = AbortSignal.abort(mine);
    expect(await failure(session.upload("k", BODY, { signal: aborted }), emulator)).toBe(mine);
    expect(emulator.seen.length).toBe(before);
  });

  it("says so when even the clearing away fails", async () => {
    const events: string[] = [];
    const { emulator, session } = await setup({}, { onEvent: (event) => events.push(event.type) });
    emulator.script(isNth(1), refusing(403, "AccessDenied"));
    emulator.script("DELETE", refusing(403, "AccessDenied"));
    const error = await failure(session.upload("k", BODY, { partBytes: PART, parallel: 1 }), emulator);
    expect(error).toMatchObject({ code: "UPLOAD_LEFT_BEHIND", cause: { code: "STORE_ACCESS_DENIED" } });
    const { uploadId } = (error as unknown as { details: { uploadId: string } }).details;
    expect(emulator.uploads()).toEqual([`k ${uploadId}`]);
    await session.abortUpload("k", uploadId);
    await session.abortUpload("k", uploadId);
    expect(emulator.uploads()).toEqual([]);
  });

  it.each([
    // Two parts of five, and one chunk to see that there is more.
    [{ parallel: 2 }, 2, 11],
    // One part and half of the next, and the chunk that has no room.
    [{}, 1, 8],
  ] as const)("holds no more of a stream in memory than it may: %j", async (options, parts, chunksTaken) => {
    const { emulator, session } = await setup();
    let release = () => {};
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    emulator.script(isPart, { kind: "hold", until }, 100);
    let taken = 0;
    const source = async function* () {
      for (let n = 0; n < 14; n++) {
        taken++;
        yield BODY.subarray(n * 1000, n * 1000 + MIB);
      }
    };
    const uploading = session.upload("k", source(), { partBytes: PART, ...options });
    while (emulator.seen.filter(isPart).length < parts) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBe(chunksTaken);
    release();
    expect(await uploading).toMatchObject({ outcome: "stored", parts: 3 });
  });
});

describe("an unclear completion", () => {
  it("is resolved by looking", async () => {
    const { emulator, session } = await setup({}, { maxTries: 2 });
    // It landed and nobody heard; the next try finds no such upload.
    emulator.script(isComplete, { kind: "reset", apply: true });
    expect(await session.upload("k", BODY, { partBytes: PART })).toMatchObject({ outcome: "stored", parts: 2 });
    emulator.script(isComplete, errorInside200("InternalError"));
    expect(await session.upload("k", BODY, { partBytes: PART })).toMatchObject({ outcome: "stored", parts: 2 });
    // It did not, and may yet: nothing is taken away.
    emulator.script(isComplete, { kind: "reset", apply: false }, 2);
    const open = await session.upload("open", BODY, { partBytes: PART });
    expect(open).toMatchObject({ outcome: "unknown", cause: { kind: "unavailable" } });
    expect(emulator.uploads()).toEqual([`open ${open.uploadId}`]);
    expect(await session.upload("open", BODY, { uploadId: open.uploadId })).toMatchObject({ outcome: "stored" });
    // It landed, and another wrote since: nobody can tell.
    const overwrite = { kind: "reset", apply: true } as const;
    emulator.script(isComplete, overwrite);
    emulator.script(isComplete, { kind: "reset", apply: false });
    emulator.script("HEAD", { kind: "reply", status: 200, headers: { etag: '"another"' } });
    expect(await session.upload("k", BODY, { partBytes: PART })).toMatchObject({ outcome: "unknown" });
  });

  it("that was to be conditional is never sent twice", async () => {
    const { emulator, session } = await setup();
    const create = { partBytes: PART, condition: { absent: true } } as const;
    expect(await session.upload("k", BODY, create)).toMatchObject({ outcome: "stored" });
    expect(await session.upload("k", BODY, create)).toMatchObject({ outcome: "conflict" });
    expect(await session.upload("k", "small", { condition: { absent: true } })).toMatchObject({ outcome: "conflict" });
    expect(emulator.uploads()).toEqual([]);
    const before = emulator.seen.filter(isComplete).length;
    emulator.script(isComplete, { kind: "reset", apply: false });
    expect(await session.upload("new", BODY, create)).toMatchObject({ outcome: "unknown" });
    expect(emulator.seen.filter(isComplete).length).toBe(before + 1);
  });

  it("an error in its 200 is one, also after minutes of white space", async () => {
    const { emulator, session } = await setup({}, { maxTries: 1 });
    const body = `<?xml version="1.0" encoding="UTF-8"?>${" \n".repeat(2_000)}<Error><Code>InvalidPart</Code><Message>m</Message></Error>`;
    emulator.script(isComplete, { kind: "reply", status: 200, body });
    expect(await session.upload("k", BODY, { partBytes: PART })).toMatchObject({ outcome: "unknown" });
    expect(emulator.keysStored()).toEqual([]);
  });

  it("knows the ETag that the parts will have together", () => {
    const parts = [
      { number: 1, etag: '"b1946ac92492d2347c6235b4d2611184"' },
      { number: 2, etag: "591785b794601e212b260e25925636fd" },
    ];
    // printf 'b1946ac92492d2347c6235b4d2611184591785b794601e212b260e25925636fd' | xxd -r -p | md5sum
    expect(multipartEtag(parts)).toBe("8e7f49323f5c66d08d276743b43ae446-2");
    expect(multipartEtag([{ number: 1, etag: '"not-an-md5"' }])).toBeUndefined();
  });
});

describe("an interrupted upload", () => {
  it("is continued: only what is missing or differs is sent", async () => {
    const { emulator, session } = await setup();
    let uploadId: string | undefined;
    emulator.script(isNth(3), refusing(403, "AccessDenied"));
    const twice = Buffer.concat([BODY, BODY.subarray(0, PART)]);
    const first = session.upload("k", twice, {
      partBytes: PART,
      keepParts: true,
      metadata: { a: "b" },
      onProgress: (progress) => {
        uploadId = progress.uploadId;
      },
    });
    expect(await failure(first, emulator)).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect((await collect(session.listUploads("")))[0]?.uploads).toMatchObject([{ key: "k", uploadId }]);
    // One of the two was of another content.
    await session.uploadPart("k", uploadId!, 2, Buffer.alloc(PART));
    const before = emulator.seen.length;
    const source = { file: fileOf(twice) };
    expect(await session.upload("k", source, { uploadId })).toMatchObject({ outcome: "stored", parts: 3, uploadId });
    const sent = emulator.seen.slice(before).filter(isPart);
    expect(sent.map(({ url }) => /partNumber=(\d)/.exec(url)?.[1]).sort()).toEqual(["2", "3"]);
    const got = await session.getObject("k");
    expect(got).toMatchObject({ found: true, metadata: { a: "b" } });
    expect(got.found && twice.equals(got.body)).toBe(true);
  });

  it("needs a source that can be read again, and an upload that is there", async () => {
    const { emulator, session } = await setup();
    const { uploadId } = await session.createUpload("k");
    expect(await failure(session.upload("k", chunks(BODY), { uploadId }), emulator)).toMatchObject({
      code: "INVALID_OPTION",
      details: { option: "source" },
    });
    expect(await failure(session.upload("k", BODY, { uploadId: "none" }), emulator)).toMatchObject({
      details: { option: "uploadId" },
    });
    // What was not begun here is not removed here.
    emulator.script(isNth(1), refusing(403, "AccessDenied"));
    await failure(session.upload("k", BODY, { uploadId }), emulator);
    expect(emulator.uploads()).toEqual([`k ${uploadId}`]);
    expect(await session.listParts("k", "none")).toMatchObject({ found: false });
    await session.abortUpload("k", uploadId);
  });

  it("is made of verbs that can be used alone", async () => {
    const { emulator, session } = await setup();
    const { uploadId } = await session.createUpload("k", { contentType: "text/plain" });
    const parts = [];
    for (let number = 1; number <= 2; number++) {
      const bytes = BODY.subarray((number - 1) * PART, number * PART);
      parts.push(await session.uploadPart("k", uploadId, number, bytes));
    }
    const listed = await session.listParts("k", uploadId);
    expect(listed).toMatchObject({ found: true, parts: [{ number: 1, size: PART }, { number: 2 }] });
    expect(await session.completeUpload("k", uploadId, parts)).toMatchObject({ outcome: "stored" });
    expect(await session.headObject("k")).toMatchObject({ size: BODY.length, contentType: "text/plain" });
    expect(await failure(session.completeUpload("k", "none", parts), emulator)).toMatchObject({
      code: "STORE_REFUSED",
    });
  });
});

describe("what is refused before anything is sent", () => {
  it.each([
    ["partBytes", BODY, { partBytes: MIB }],
    ["parallel", BODY, { parallel: 0 }],
    ["source", 7 as never, {}],
    ["source.file", { file: "/no/such/file" }, {}],
    ["source.file", { file: tmpdir() }, {}],
    ["metadata", BODY, { metadata: { a: "x".repeat(2048) } }],
    ["headers", BODY, { headers: { "Content-Length": "1" } }],
    ["headers", BODY, { headers: { "x-amz-meta-a": "1" } }],
    ["headers.expires", BODY, { headers: { Expires: "a\nb" } }],
  ])("%s", async (option, source, options) => {
    const { emulator, session } = await setup();
    const error = await failure(session.upload("k", source, options), emulator);
    expect(error).toMatchObject({ code: "INVALID_OPTION", details: { option } });
    expect(emulator.seen).toEqual([]);
  });

  it("metadata up to 2 KB passes, counted as AWS counts it", async () => {
    const { session } = await setup();
    const metadata = { ab: "x".repeat(1000), cd: "y".repeat(1044) };
    expect(await session.putObject("k", "1", { metadata })).toMatchObject({ outcome: "stored" });
    await expect(async () => session.putObject("k", "1", { metadata: { ...metadata, e: "" } })).rejects.toMatchObject({
      details: { option: "metadata" },
    });
  });

  it("chunks that are no bytes, and a file that changes", async () => {
    const { emulator, session } = await setup();
    const strings = Readable.from(["text"]) as unknown as AsyncIterable<Uint8Array>;
    expect(await failure(session.upload("k", strings), emulator)).toMatchObject({ details: { option: "source" } });
    const path = fileOf(BODY);
    const cut = session.upload(
      "k",
      { file: path },
      {
        partBytes: PART,
        parallel: 1,
        onProgress: () => writeFileSync(path, "short"),
      },
    );
    expect(await failure(cut, emulator)).toMatchObject({ details: { option: "source.file" } });
    expect(emulator.uploads()).toEqual([]);
  });
});
