/** Copies: what is kept, what is asked, large ones in parts, and what a server's answer to a copy may hide. */
import { describe, expect, it } from "vitest";
import { rangesOf } from "../../../packages/core/src/s3-copy.js";
import { refusing } from "../../emulators/s3/faults.js";
import { collect, failure, setup } from "./rig.js";
import { refusal, script } from "./scripted.js";

const SOURCE = {
  contentType: "text/x-mine",
  metadata: { holder: "me", n: "1" },
  headers: { "cache-control": "no-store", "content-disposition": "inline" },
};
const copied =
  '<CopyObjectResult><ETag>"e"</ETag><LastModified>2026-01-02T03:04:05.678Z</LastModified></CopyObjectResult>';

describe("copyObject", () => {
  it("keeps everything, across buckets and from a version", async () => {
    const { emulator, session } = await setup({ versions: true });
    await session.createBucket({ bucket: "other" });
    const first = await session.putObject("a b+%/ü", "old", SOURCE);
    await session.putObject("a b+%/ü", "new");
    const versionId = first.outcome === "stored" ? first.versionId : undefined;
    const answer = await session.copyObject({ key: "a b+%/ü", versionId }, "to", { bucket: "other" });
    expect(answer).toMatchObject({
      outcome: "stored",
      etag: expect.stringMatching(/^".*"$/),
      lastModifiedMs: expect.any(Number),
    });
    const got = await session.getObject("to", { bucket: "other" });
    expect(got).toMatchObject({ found: true, body: Buffer.from("old"), metadata: SOURCE.metadata });
    const back = await session.copyObject({ bucket: "other", key: "to" }, "back");
    expect(back.outcome).toBe("stored");
    expect(emulator.unknown).toEqual([]);
  });

  it("replaces metadata when told to, all of it", async () => {
    const { session } = await setup({ closeConnections: true });
    await session.putObject("a", "1", SOURCE);
    await session.copyObject("a", "b", { replace: { metadata: { x: "y" }, contentType: "text/new" } });
    const url = session.presign("headObject", { key: "b" });
    const head = await fetch(url, { method: "HEAD" });
    expect(Object.fromEntries(head.headers)).toMatchObject({ "content-type": "text/new", "x-amz-meta-x": "y" });
    for (const name of ["cache-control", "x-amz-meta-holder"]) expect(head.headers.get(name)).toBeNull();
  });

  it("answers absence and conditions instead of throwing", async () => {
    const { session } = await setup();
    const put = await session.putObject("a", "1");
    const etag = put.outcome === "stored" ? put.etag! : "";
    const outcome = async (options: Parameters<typeof session.copyObject>[2]) =>
      (await session.copyObject("a", "b", options)).outcome;
    expect((await session.copyObject("none", "b")).outcome).toBe("absent");
    for (const parts of [{}, { partsAboveBytes: 0 }]) {
      expect((await session.copyObject("none", "b", parts)).outcome).toBe("absent");
      expect(await outcome({ sourceEtag: '"no"', ...parts })).toBe("conflict");
      expect(await outcome({ sourceNotEtag: etag, ...parts })).toBe("conflict");
      expect(await outcome({ sourceChangedAfterMs: Date.now() + 60_000, ...parts })).toBe("conflict");
      expect(await outcome({ sourceUnchangedSinceMs: Date.now() - 600_000, ...parts })).toBe("conflict");
      expect(await outcome({ sourceEtag: etag, sourceUnchangedSinceMs: Date.now() + 60_000, ...parts })).toBe("stored");
      expect(await outcome({ condition: { absent: true }, ...parts })).toBe("conflict");
      expect((await collect(session.listUploads(""))).flatMap(({ uploads }) => uploads)).toEqual([]);
    }
  });

  it("sends RGW the names of the conditions that it knows", async () => {
    const { server, session } = await script([{ body: copied }, { body: copied }]);
    await session.copyObject("a", "b", { sourceEtag: '"e"' });
    expect(server.seen[0]!.headers).not.toHaveProperty("x-amz-copy-if-match");
    const rgw = await script([{ body: copied }, { status: 304 }], { bareIfMatch: true });
    await rgw.session.copyObject("a", "b", { sourceEtag: '"e"' });
    expect(rgw.server.seen[0]!.headers).toMatchObject({
      "x-amz-copy-if-match": '"e"',
      "x-amz-copy-source-if-match": '"e"',
    });
    expect((await rgw.session.copyObject("a", "b", { sourceNotEtag: '"e"' })).outcome).toBe("conflict");
    await session.copyObject("a", "b");
  });

  it("an error inside a 200 is one, also behind blanks; retried where it may pass", async () => {
    const inside = (code: string) => ({
      body: `${" ".repeat(100)}<Error><Code>${code}</Code><Message>m</Message></Error>`,
    });
    const { session } = await script([inside("InternalError"), { body: copied }, inside("AccessDenied")]);
    expect((await session.copyObject("a", "b")).outcome).toBe("stored");
    await expect(session.copyObject("a", "b")).rejects.toMatchObject({ code: "STORE_ACCESS_DENIED" });
  });

  it("a cut answer leaves it unknown, a lost one too", async () => {
    const cut = await script([{ body: copied.slice(0, 40) }], { maxTries: 1 });
    expect((await cut.session.copyObject("a", "b")).outcome).toBe("unknown");
    const lost = await script([refusal(500, "InternalError")], { maxTries: 1 });
    expect((await lost.session.copyObject("a", "b")).outcome).toBe("unknown");
  });

  it("gives an ETag that comes without quotes the quotes that HEAD shows", async () => {
    const bare = copied.replaceAll('"', "");
    const { session } = await script([{ body: bare }]);
    expect(await session.copyObject("a", "b")).toMatchObject({
      etag: '"e"',
      lastModifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    });
  });

  it("asks a server for as long as it works", async () => {
    const { session } = await script([{ body: copied }], { headersTimeoutMs: 1 });
    expect((await session.copyObject("a", "b")).outcome).toBe("stored");
  });

  it("wrong options are refused before anything is sent", async () => {
    const { emulator, session } = await setup({}, { bucket: undefined });
    const there = { bucket: "b-b" };
    const wrong: (() => Promise<unknown>)[] = [
      () => session.copyObject("a", "b", there),
      () => session.copyObject({ bucket: "x-x", key: "a" }, "b"),
      () => session.copyObject({ bucket: "x-x", key: "../a" }, "b", there),
      () => session.copyObject({ bucket: "x-x", key: "a", versionId: "" }, "b", there),
      () => session.copyObject({ bucket: "x-x", key: "a" }, "b", { ...there, partBytes: 0 }),
      () => session.copyObject({ bucket: "x-x", key: "a" }, "b", { ...there, parallel: 65 }),
      () => session.copyObject({ bucket: "x-x", key: "a" }, "b", { ...there, sourceEtag: "" }),
      () => session.copyObject({ bucket: "x-x", key: "a" }, "b", { ...there, sourceChangedAfterMs: Number.NaN }),
      () => session.copyObject({ bucket: "x-x", key: "a" }, "b", { ...there, replace: { metadata: { A: "1" } } }),
      () =>
        session.copyObject({ bucket: "x-x", key: "a" }, "b", {
          ...there,
          replace: { metadata: { a: "x".repeat(2048) } },
        }),
      () => session.updateMetadata("a", { headers: { host: "x" } }, there),
    ];
    for (const call of wrong) expect((await failure(call(), emulator)).code).toBe("INVALID_OPTION");
    expect(emulator.seen).toEqual([]);
  });
});

describe("in parts", () => {
  const big = Buffer.alloc(10_500, "x").fill("y", 5_000);

  it("goes what is above the server's limit, without being told; everything is kept", async () => {
    const { emulator, session } = await setup({ partMinBytes: 1000, closeConnections: true });
    await session.putObject("big", big, SOURCE);
    const answer = await session.copyObject("big", "to", { partsAboveBytes: 10_000, partBytes: 1000, parallel: 3 });
    expect(answer).toMatchObject({ outcome: "stored", etag: expect.stringMatching(/-11"$/) });
    const got = await session.getObject("to");
    expect(got).toMatchObject({ found: true, body: big, metadata: SOURCE.metadata });
    const head = await fetch(session.presign("headObject", { key: "to" }), { method: "HEAD" });
    expect(Object.fromEntries(head.headers)).toMatchObject({ "content-type": "text/x-mine", ...SOURCE.headers });
    const ranges = emulator.seen.map(({ headers }) => headers["x-amz-copy-source-range"]).filter((range) => range);
    expect(ranges.length).toBe(11);
    // Below the threshold: one request.
    expect(await session.copyObject("big", "to", { partsAboveBytes: 10_500 })).toMatchObject({
      etag: expect.not.stringContaining("-"),
    });
  });

  it("is chosen when a server says that the source is too large, and only then", async () => {
    const tooLarge = refusal(
      400,
      "InvalidRequest",
      "The specified copy source is larger than the maximum allowable size",
    );
    const head = (bytes: number) => ({ headers: { "content-length": String(bytes), etag: '"e"' } });
    const large = await script([tooLarge, head(6 * 1024 ** 3), refusal(403, "AccessDenied")]);
    await expect(large.session.copyObject("a", "b")).rejects.toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect(large.server.asked).toEqual(["PUT /bucket/b", "HEAD /bucket/a", "POST /bucket/b"]);
    const small = await script([tooLarge, head(1000)]);
    await expect(small.session.copyObject("a", "b")).rejects.toMatchObject({ code: "STORE_REFUSED" });
  });

  it("of a source that is rewritten meanwhile is no copy, and leaves nothing behind", async () => {
    const { emulator, session } = await setup({ partMinBytes: 1000, conditions: "ignore" });
    await session.putObject("big", big);
    let parts = 0;
    const other = Buffer.alloc(10_500, "z");
    const watched = session.copyObject("big", "to", { partsAboveBytes: 0, partBytes: 1000, parallel: 1 });
    const writer = (async () => {
      while (parts < 3) {
        parts = emulator.seen.filter(({ url }) => url.includes("partNumber=")).length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await session.putObject("big", other);
    })();
    expect((await watched).outcome).toBe("conflict");
    await writer;
    expect(await session.exists("to")).toBe(false);
    expect((await collect(session.listUploads(""))).flatMap(({ uploads }) => uploads)).toEqual([]);
  });

  it("is looked at again at its end, for RGW ignores conditions of parts", async () => {
    const head = (etag: string) => ({ headers: { "content-length": "10", etag, "content-type": "a/b" } });
    const { server, session } = await script([
      head('"one"'),
      { body: "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>" },
      { body: '<CopyPartResult><ETag>"p"</ETag></CopyPartResult>' },
      head('"two"'),
      { status: 204 },
      refusal(404, "NoSuchUpload"),
    ]);
    expect(await session.copyObject("a", "b", { partsAboveBytes: 0 })).toMatchObject({ outcome: "conflict" });
    expect(server.asked.slice(3)).toEqual(["HEAD /bucket/a", "DELETE /bucket/b", "GET /bucket/b"]);
  });

  it("that fails, or is ended by its caller, leaves nothing behind", async () => {
    const { emulator, session } = await setup({ partMinBytes: 1000 }, { maxTries: 1 });
    await session.putObject("big", big);
    const options = { partsAboveBytes: 0, partBytes: 1000 };
    emulator.script((seen) => seen.url.includes("partNumber=4"), {
      kind: "reply",
      status: 403,
      body: "<Error><Code>AccessDenied</Code></Error>",
    });
    expect((await failure(session.copyObject("big", "to", options), emulator)).code).toBe("STORE_ACCESS_DENIED");
    const controller = new AbortController();
    const reason = new Error("enough");
    const ended = session.copyObject("big", "to", { ...options, signal: controller.signal });
    while (emulator.seen.filter(({ url }) => url.includes("partNumber=")).length < 8)
      await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    await expect(ended).rejects.toBe(reason);
    expect(await session.exists("to")).toBe(false);
    expect((await collect(session.listUploads(""))).flatMap(({ uploads }) => uploads)).toEqual([]);
  });

  it("that is ended while its upload is begun leaves no upload behind", async () => {
    const { emulator, session } = await setup();
    await session.putObject("big", big);
    const controller = new AbortController();
    const reason = new Error("enough");
    let answer = () => {};
    const until = new Promise<void>((resolve) => {
      answer = resolve;
    });
    emulator.script("POST", { kind: "hold", until });
    const ended = session.copyObject("big", "to", { partsAboveBytes: 0, signal: controller.signal });
    ended.catch(() => {});
    while (!emulator.seen.some(({ method }) => method === "POST"))
      await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    answer();
    await expect(ended).rejects.toBe(reason);
    expect((await collect(session.listUploads(""))).flatMap(({ uploads }) => uploads)).toEqual([]);
    expect(emulator.seen.some(({ url }) => url.includes("partNumber="))).toBe(false);
  });

  it("says that parts stay, where they could not be removed", async () => {
    const { emulator, session } = await setup({}, { maxTries: 1 });
    await session.putObject("big", big);
    emulator.script((seen) => seen.url.includes("partNumber="), refusing(403, "AccessDenied"));
    emulator.script("DELETE", refusing(503, "SlowDown"));
    const error = await failure(session.copyObject("big", "to", { partsAboveBytes: 0 }), emulator);
    const [page] = await collect(session.listUploads(""));
    expect(error).toMatchObject({
      code: "UPLOAD_LEFT_BEHIND",
      cause: { code: "STORE_ACCESS_DENIED" },
      details: { key: "to", uploadId: page!.uploads[0]!.uploadId, abort: "STORE_THROTTLED" },
    });
  });

  it("are cut so that every byte is in one, and at most 10 000", () => {
    expect(rangesOf(10, 4)).toEqual([
      { number: 1, from: 0, to: 3 },
      { number: 2, from: 4, to: 7 },
      { number: 3, from: 8, to: 9 },
    ]);
    expect(rangesOf(8, 4).map(({ to }) => to)).toEqual([3, 7]);
    const many = rangesOf(5 * 1024 ** 4, 5 * 1024 ** 2);
    expect(many.length).toBeLessThanOrEqual(10_000);
    expect(many.at(-1)!.to).toBe(5 * 1024 ** 4 - 1);
    for (let n = 1; n < many.length; n++) expect(many[n]!.from).toBe(many[n - 1]!.to + 1);
  });
});

describe("what is encrypted with a key of the caller's own", () => {
  const own = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": "bmV3",
  };
  const source = {
    "x-amz-copy-source-server-side-encryption-customer-algorithm": "AES256",
    "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key": "b2xk",
  };
  const head = { headers: { "content-length": "10", etag: '"e"' } };
  const keysOf = ({ headers }: { readonly headers: Readonly<Record<string, unknown>> }) => [
    headers["x-amz-server-side-encryption-customer-key"],
    headers["x-amz-copy-source-server-side-encryption-customer-key"],
  ];

  it("is looked at with the source's key, and copied in parts with both", async () => {
    const { server, session } = await script([
      head,
      { body: "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>" },
      { body: '<CopyPartResult><ETag>"p"</ETag></CopyPartResult>' },
      head,
      { body: '<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>' },
    ]);
    const answer = await session.copyObject("a", "b", { partsAboveBytes: 0, headers: { ...own, ...source } });
    expect(answer.outcome).toBe("stored");
    expect(server.seen.map(keysOf)).toEqual([
      ["b2xk", undefined],
      ["bmV3", undefined],
      ["bmV3", "b2xk"],
      ["b2xk", undefined],
      ["bmV3", undefined],
    ]);
  });

  it("gets new metadata", async () => {
    const { server, session } = await script([head, { body: copied }]);
    await session.updateMetadata("a", { metadata: { a: "b" } }, { headers: { ...own, ...source } });
    expect(server.seen.map(keysOf)).toEqual([
      ["b2xk", undefined],
      ["bmV3", "b2xk"],
    ]);
  });
});

describe("what other clients left with an object", () => {
  const headers = { "content-length": "1", etag: '"e"', "x-amz-meta-odd": "\u00c3\u00a4" };

  it("is kept: names with _ and . are usual in Python", async () => {
    const { session } = await setup();
    const metadata = { upload_timestamp: "1", "a.b": "2" };
    await session.putObject("k", "1", { metadata });
    await session.updateMetadata("k", { headers: { "cache-control": "no-store" } });
    expect(await session.headObject("k")).toMatchObject({ metadata });
    await session.copyObject("k", "to", { partsAboveBytes: 0 });
    expect(await session.headObject("to")).toMatchObject({ metadata });
  });

  it("is refused where it cannot be sent again, unless it is replaced", async () => {
    const { server, session } = await script([{ headers }, { headers }, { headers }, { body: copied }]);
    const refused = { code: "STORE_UNSUPPORTED", details: { name: "odd" } };
    await expect(session.updateMetadata("k", { contentType: "a/b" })).rejects.toMatchObject(refused);
    await expect(session.copyObject("k", "to", { partsAboveBytes: 0 })).rejects.toMatchObject(refused);
    expect((await session.updateMetadata("k", { metadata: { odd: "ae" } })).outcome).toBe("stored");
    expect(server.asked).toEqual(["HEAD /bucket/k", "HEAD /bucket/k", "HEAD /bucket/k", "PUT /bucket/k"]);
  });
});

describe("updateMetadata", () => {
  it("keeps what is not named", async () => {
    const { session } = await setup({ closeConnections: true });
    await session.putObject("k", "1", SOURCE);
    await session.updateMetadata("k", { headers: { "Cache-Control": "max-age=1" } });
    const shown = async () => Object.fromEntries((await fetch(session.presign("getObject", { key: "k" }))).headers);
    expect(await shown()).toMatchObject({
      ...{ "cache-control": "max-age=1", "content-disposition": "inline", "content-type": "text/x-mine" },
      ...{ "x-amz-meta-holder": "me", "x-amz-meta-n": "1" },
    });
    await session.updateMetadata("k", { metadata: { n: "2" } });
    expect(await shown()).toMatchObject({ "cache-control": "max-age=1", "x-amz-meta-n": "2" });
    expect(await shown()).not.toHaveProperty("x-amz-meta-holder");
    expect((await session.updateMetadata("none", {})).outcome).toBe("absent");
  });
  it("never overwrites what another wrote meanwhile", async () => {
    const head = { headers: { "content-length": "1", etag: '"old"', "content-type": "text/a" } };
    const { server, session } = await script([head, refusal(412, "PreconditionFailed")]);
    expect((await session.updateMetadata("k", { metadata: { a: "1" } })).outcome).toBe("conflict");
    expect(server.seen[1]!.headers).toMatchObject({
      ...{ "x-amz-copy-source-if-match": '"old"', "x-amz-copy-source": "bucket/k", "content-type": "text/a" },
      ...{ "x-amz-metadata-directive": "REPLACE" },
    });
  });
});
