/** Presigned and plain URLs: every verb of the table is one, and what is bound is bound. The emulator checks by itself. */
import { describe, expect, it } from "vitest";
import { openS3Session, type S3RequestName } from "../../../packages/core/src/index.js";
import { S3_REQUESTS } from "../../../packages/core/src/s3-requests.js";
import { setup as plainSetup } from "./rig.js";

// `fetch` keeps its connections for seconds, and the emulator waits for them to end.
const setup = (options: Parameters<typeof plainSetup>[0] = {}) => plainSetup({ closeConnections: true, ...options });
const keys = { accessKeyId: "AK", secretAccessKey: "SK" };

describe("a presigned URL", () => {
  it("there is of every verb, and its signature is right", async () => {
    const { emulator, session } = await setup({ objectLock: true });
    await session.putObject("k", "1");
    for (const [name, { method, target }] of Object.entries(S3_REQUESTS)) {
      const request = name as S3RequestName;
      const isOfUpload = /Part|completeM|abortM/.test(request);
      const query = isOfUpload ? { uploadId: "x", ...(/^uploadPart/.test(request) && { partNumber: "1" }) } : {};
      const url = session.presign(request, target === "object" ? { key: "k", query } : {});
      const answer = await fetch(url, { method });
      const text = await answer.text();
      // Many have no sense without a body; but none may be refused for what it is signed with.
      expect([name, text]).not.toEqual([
        name,
        expect.stringMatching(/SignatureDoesNotMatch|AccessDenied|NotImplemented/),
      ]);
      expect([name, answer.status]).not.toEqual([name, 501]);
    }
    expect(emulator.unknown).toEqual([]);
  });

  it("reads, lists and deletes, with more of the query bound", async () => {
    const { session } = await setup({ versions: true });
    const put = await session.putObject("a/ü +", "1");
    await session.putObject("a/ü +", "2");
    const text = async (url: string) => (await fetch(url)).text();
    expect(await text(session.presign("getObject", { key: "a/ü +" }))).toBe("2");
    const versionId = put.outcome === "stored" ? put.versionId : undefined;
    expect(await text(session.presign("getObject", { key: "a/ü +", versionId }))).toBe("1");
    const list = session.presign("listObjects", { query: { prefix: "a/", delimiter: "/", "max-keys": "1" } });
    expect(await text(list)).toContain("<Contents>");
    expect(await text(session.presign("listObjects", { query: { prefix: "b" } }))).not.toContain("<Contents>");
    // Bound: another prefix is another request.
    expect((await fetch(list.replace("prefix=a%2F", "prefix=b"))).status).toBe(403);
    expect(await text(session.presign("getBucketVersioning"))).toContain("Enabled");
    expect((await fetch(session.presign("deleteObject", { key: "a/ü +" }), { method: "DELETE" })).status).toBe(204);
    expect(await session.exists("a/ü +")).toBe(false);
  });

  it("has the headers bound that it was given, and gives those that it asks for", async () => {
    const { session } = await setup();
    const url = session.presign("putObject", { key: "k", headers: { "Content-Type": "text/x", "x-amz-meta-a": "b" } });
    const put = async (headers: Record<string, string>) =>
      (await fetch(url, { method: "PUT", headers, body: new Uint8Array([65]) })).status;
    expect(await put({ "content-type": "text/x", "x-amz-meta-a": "c" })).toBe(403);
    expect(await put({ "content-type": "text/x" })).toBeGreaterThanOrEqual(400);
    expect(await put({ "content-type": "text/x", "x-amz-meta-a": "b", "x-amz-meta-c": "d" })).toBe(403);
    expect(await put({ "content-type": "text/x", "x-amz-meta-a": "b" })).toBe(200);
    expect(await session.headObject("k")).toMatchObject({ found: true, metadata: { a: "b" } });
    const response = {
      contentDisposition: 'attachment; filename="ü x.txt"',
      contentType: "text/y",
      cacheControl: "no-store",
    };
    const got = await fetch(
      session.presign("getObject", { key: "k", response: { ...response, contentDisposition: "inline" } }),
    );
    expect(Object.fromEntries(got.headers)).toMatchObject({
      ...{ "content-type": "text/y", "cache-control": "no-store", "content-disposition": "inline" },
    });
    expect(session.presign("getObject", { key: "k", response })).toContain(
      "response-content-disposition=attachment%3B%20filename%3D%22%C3%BC%20x.txt%22",
    );
  });

  it("ends when it should, by the server's clock", async () => {
    for (const clockAheadMs of [0, 3_600_000, -3_600_000]) {
      const { session } = await setup({ clockAheadMs });
      await session.putObject("k", "1");
      expect((await fetch(session.presign("getObject", { key: "k", expiresMs: 5_000 }))).status).toBe(200);
    }
    const { session } = await setup({ clockAheadMs: 61_000 });
    // Nothing is known of the server's clock yet.
    expect((await fetch(session.presign("headBucket"), { method: "HEAD" })).status).toBe(403);
    expect(session.presign("headBucket", { expiresMs: 1_001 })).toContain("X-Amz-Expires=2&");
    for (const expiresMs of [999, 604_800_001, Number.NaN])
      expect(() => session.presign("headBucket", { expiresMs })).toThrow(/^expiresMs: must/);
  });

  it("waits for credentials where it may, and no longer than it may", async () => {
    let asked = 0;
    const credentials = async () => {
      asked++;
      return keys;
    };
    const session = openS3Session({ endpoint: "http://127.0.0.1:9", region: "r", bucket: "bucket", credentials });
    expect(session.canPresign).toBe(false);
    expect(() => session.presign("getObject", { key: "k" })).toThrow(/no credentials are at hand/);
    expect(await session.presigned("getObject", { key: "k" })).toContain("X-Amz-Credential=AK%2F");
    expect(session.presign("getObject", { key: "k" })).toContain("X-Amz-Signature=");
    expect(asked).toBe(1);
    const never = openS3Session({ region: "r", bucket: "bucket", credentials: () => new Promise(() => {}) });
    await expect(never.presigned("getObject", { key: "k", timeoutMs: 1 })).rejects.toMatchObject({
      code: "STORE_TIMEOUT",
    });
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(never.presigned("getObject", { key: "k", signal })).rejects.toBe(reason);
  });

  it("cannot be made of what cannot be meant", () => {
    const session = openS3Session({ region: "r", bucket: "bucket", credentials: keys });
    const wrong: (() => string)[] = [
      () => session.presign("getObject"),
      () => session.presign("getObject", { key: "../x" }),
      () => session.presign("nothing" as never),
      () => session.presign("toString" as never),
      () => session.presign("getObject", { key: "k", headers: { host: "elsewhere" } }),
      () => session.presign("getObject", { key: "k", headers: { "a b": "c" } }),
      () => session.presign("getObject", { key: "k", headers: { a: "b\r\nc: d" } }),
      () => session.presign("getObject", { key: "k", query: { "X-Amz-Expires": "9999999" } }),
      () => session.presign("putObject", { key: "k", response: { contentType: "a" } }),
      () => session.presign("getObject", { key: "k", response: { contentLength: "1" } as never }),
      () => session.presign("getObject", { key: "k", versionId: "" }),
    ];
    for (const call of wrong) expect(call).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });
});

it("a plain URL carries no right", async () => {
  const { emulator, session } = await setup();
  await session.putObject("a b/ü+'", "1");
  const url = session.urlOf("a b/ü+'");
  expect(url).toBe(`${emulator.endpoint}/${emulator.bucket}/a%20b/%C3%BC%2B%27`);
  expect((await fetch(url)).status).toBe(403);
  await session.putObjectAcl("a b/ü+'", "public-read");
  expect(await (await fetch(url)).text()).toBe("1");
  expect(session.urlOf()).toBe(`${emulator.endpoint}/${emulator.bucket}`);
  expect(session.urlOf("k", { bucket: "other", versionId: "v/1" })).toBe(
    `${emulator.endpoint}/other/k?versionId=v%2F1`,
  );
  const aws = openS3Session({ region: "eu-west-1", bucket: "mine", credentials: keys });
  expect(aws.urlOf("k")).toBe("https://mine.s3.eu-west-1.amazonaws.com/k");
  expect(aws.urlOf()).toBe("https://mine.s3.eu-west-1.amazonaws.com/");
  const china = openS3Session({ region: "cn-north-1", bucket: "mine", credentials: keys });
  expect(china.urlOf("k")).toBe("https://mine.s3.cn-north-1.amazonaws.com.cn/k");
});
