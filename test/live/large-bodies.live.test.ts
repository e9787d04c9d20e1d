/** Bodies that flow, on the real servers: there and back again, continued, and given up without a trace. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, expect, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";

const MIB = 1024 * 1024;
const PART = 5 * MIB;
const BODY = randomBytes(2 * PART + 1_000_003);
const SHA256 = createHash("sha256").update(BODY).digest("hex");

const folder = mkdtempSync(join(tmpdir(), "bucketlock-large-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function sha256(body: Readable): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

onEveryServer((server) => {
  const own = useBucket(server, "large");
  const session = () => own.session({ timeoutMs: 60_000, headersTimeoutMs: 60_000 });

  /** A server may know an upload that holds nothing for a while; parts are what costs. */
  async function partsLeft(key: string): Promise<number> {
    let parts = 0;
    for await (const { uploads } of session().listUploads(key)) {
      for (const upload of uploads.filter((one) => one.key === key)) {
        const listed = await session().listParts(key, upload.uploadId);
        parts += listed.found ? listed.parts.length : 0;
      }
    }
    return parts;
  }

  it("a file in parts, a stream in parts, and back as a stream and a file", async () => {
    const s3 = session();
    const source = join(folder, `source-${server.name}`);
    writeFileSync(source, BODY);
    const options = { partBytes: PART, metadata: { of: "two parts" }, contentType: "text/plain" };
    expect(await s3.upload("file", { file: source }, options)).toMatchObject({ outcome: "stored", parts: 3 });
    const chunks = function* () {
      for (let at = 0; at < BODY.length; at += 700_001) yield BODY.subarray(at, at + 700_001);
    };
    expect(await s3.upload("stream", Readable.from(chunks()), options)).toMatchObject({ outcome: "stored", parts: 3 });
    for (const key of ["file", "stream"]) {
      const answer = await s3.streamObject(key);
      expect(answer).toMatchObject({ found: true, size: BODY.length, metadata: { of: "two parts" } });
      expect(answer.found && (await sha256(answer.body))).toBe(SHA256);
      const path = join(folder, `back-${server.name}`);
      expect(await s3.download(key, path)).toMatchObject({ found: true, contentType: "text/plain" });
      expect(readFileSync(path).equals(BODY)).toBe(true);
    }
    const range = await s3.streamObject("file", { range: { start: PART - 5, end: PART + 4 } });
    expect(range).toMatchObject({ found: true, size: BODY.length });
    expect(range.found && (await sha256(range.body))).toBe(
      createHash("sha256")
        .update(BODY.subarray(PART - 5, PART + 5))
        .digest("hex"),
    );
    const last = await s3.getObject("file", { range: { lastBytes: 3 } });
    expect(last.found && Buffer.from(last.body)).toEqual(BODY.subarray(-3));
    await expect(s3.getObject("file", { range: { start: BODY.length } })).rejects.toMatchObject({
      code: "STORE_NO_SUCH_RANGE",
    });
  });

  it("reads only what meets its conditions", async () => {
    const s3 = session();
    await s3.putObject("small", "text", { headers: { "cache-control": "no-store" } });
    const head = await s3.headObject("small");
    if (!head.found) throw new Error("not found");
    expect(head.headers["cache-control"]).toBe("no-store");
    expect(await s3.getText("small", { ifMatch: head.etag })).toMatchObject({ found: true, text: "text" });
    expect(await s3.getObject("small", { ifMatch: '"00000000000000000000000000000000"' })).toMatchObject({
      found: false,
      changed: true,
    });
    expect(await s3.getObject("small", { unlessEtag: head.etag })).toMatchObject({ unchanged: true });
    // versitygw keeps fractions of a second that it does not show, so that nothing is unchanged since what it showed.
    if (server.name !== "versitygw")
      expect(await s3.getObject("small", { ifModifiedSinceMs: head.lastModifiedMs! })).toMatchObject({
        unchanged: true,
      });
    const past = head.lastModifiedMs! - 60_000;
    expect(await s3.getText("small", { ifModifiedSinceMs: past })).toMatchObject({ found: true, text: "text" });
    expect(await s3.getObject("small", { ifUnmodifiedSinceMs: past })).toMatchObject({ found: false, changed: true });
  });

  it("an upload that ended is continued, and one that is given up leaves no part", async () => {
    const s3 = session();
    const { uploadId } = await s3.createUpload("continued");
    await s3.uploadPart("continued", uploadId, 1, BODY.subarray(0, PART));
    await s3.uploadPart("continued", uploadId, 2, BODY.subarray(0, PART));
    expect(await s3.listParts("continued", uploadId)).toMatchObject({ found: true, parts: [{ number: 1 }, {}] });
    let sent = 0;
    const counting = own.session({
      timeoutMs: 60_000,
      onEvent: (event) => void (event.type === "request" && event.request === "uploadPart" && sent++),
    });
    expect(await counting.upload("continued", BODY, { uploadId })).toMatchObject({ outcome: "stored", parts: 3 });
    expect(sent).toBe(2);
    const answer = await s3.streamObject("continued");
    expect(answer.found && (await sha256(answer.body))).toBe(SHA256);

    const mine = new Error("mine");
    const stop = new AbortController();
    const uploading = s3.upload("given-up", BODY, {
      partBytes: PART,
      signal: stop.signal,
      onProgress: ({ sentBytes }) => void (sentBytes > 0 && stop.abort(mine)),
    });
    await expect(uploading).rejects.toBe(mine);
    expect(await partsLeft("given-up")).toBe(0);
    const failing = function* () {
      yield BODY;
      throw mine;
    };
    await expect(s3.upload("given-up", failing(), { partBytes: PART })).rejects.toBe(mine);
    expect(await partsLeft("given-up")).toBe(0);
    expect(await s3.headObject("given-up")).toMatchObject({ found: false });
    // RGW says "already in progress" (500) of an upload that is not there, so that it stays unknown there.
    const none = s3.completeUpload("given-up", uploadId, [{ number: 1, etag: '"x"' }]);
    if (server.name === "rgw") expect(await none).toMatchObject({ outcome: "unknown" });
    else await expect(none).rejects.toMatchObject({ code: "STORE_REFUSED" });
  });
});
