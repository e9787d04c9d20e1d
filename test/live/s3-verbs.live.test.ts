/**
 * The session's verbs on real servers: keys that S3 allows, listings of both forms, copies in parts, purges, object lock,
 * and presigned URLs in the hands of curl, which knows nothing of us. Where a server is known to differ, the table in
 * docs/stores.md says so (differences.live.test.ts).
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { S3RequestName, S3Session } from "@bucketlock/core";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { findProgram } from "../servers/daemon.js";
import { onEveryServer, onServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { customerKey } from "./differences.js";

const KEYS = [
  ...[
    "sp ace",
    " lead",
    "trail ",
    "plus+",
    "pct%",
    "pct%41",
    "a%2Fb",
    "'()*!",
    "q?x=1&y",
    "hash#",
    "\u{1F512}",
    "ü",
    "u\u0308",
  ],
  ...[
    "tab\t",
    "line\nbreak",
    "cr\r",
    "\u0001",
    `quote'"<>&;`,
    "$&,:;=@~",
    "back\\slash",
    "[a]{b}|^`",
    "a/b/c",
    "...",
    "a/.../b",
  ],
  ...["..a/b..", "__proto__", "000123", "true", "_", "-", "~", "%", "&amp;", `${"x".repeat(199)}/${"y".repeat(200)}`],
];

async function collect<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const entry of entries) all.push(entry);
  return all;
}
const inOrder = (keys: readonly string[]) => [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

onEveryServer((server) => {
  const { session: open } = useBucket(server, "verbs");
  let session: S3Session;
  beforeAll(() => {
    session = open({ bareIfMatch: server.name === "rgw" });
  });

  // versitygw does not encode keys in listings, and XML cannot carry this one.
  const keys = KEYS.filter((key) => server.name !== "versitygw" || key !== "\u0001");

  it("takes every key there and back, through every verb", { timeout: 60_000 }, async () => {
    for (const key of keys) {
      await session.putObject(`k/${key}`, key);
      const got = await session.getObject(`k/${key}`);
      expect([key, got.found && Buffer.from(got.body).toString()]).toEqual([key, key]);
      expect([key, await session.exists(`k/${key}`)]).toEqual([key, true]);
      expect([key, (await session.copyObject(`k/${key}`, `c/${key}`)).outcome]).toEqual([key, "stored"]);
      const answer = await fetch(session.presign("getObject", { key: `c/${key}` }));
      expect([key, await answer.text()]).toEqual([key, key]);
    }
    for (const prefix of ["k/", "c/"]) {
      for (const pageSize of [1000, 7]) {
        const listed = (await collect(session.objects(prefix, { pageSize }))).map(({ key }) => key.slice(2));
        expect(listed).toEqual(inOrder(keys));
      }
      const versions = (await collect(session.objectVersions(prefix, { pageSize: 7 }))).map(({ key }) => key.slice(2));
      expect(versions).toEqual(inOrder(keys));
    }
    // Each named by itself: whatever is before and behind it stays.
    const half = keys.filter((_, index) => index % 2 === 0);
    expect((await session.purge(half.map((key) => `k/${key}`))).deleted).toBe(half.length);
    const left = (await collect(session.objects("k/"))).map(({ key }) => key.slice(2));
    expect(left).toEqual(inOrder(keys.filter((key) => !half.includes(key))));
    expect((await session.deleteObjects(keys.map((key) => `c/${key}`))).failed).toEqual([]);
    expect(await collect(session.objects("c/"))).toEqual([]);
  });

  it.each(["a/./b", "a/../b", ".", "..", "../a", "a/.."])("refuses %s, which URLs cannot carry", async (key) => {
    for (const call of [
      () => session.putObject(key, ""),
      () => session.copyObject("a", key),
      () => session.deleteObject({ key }),
    ])
      await expect(call()).rejects.toThrow(/must have no '\.' or '\.\.' between slashes/);
  });

  it("lists by the first form what it lists by the second", async () => {
    for (const key of ["v1/a b", "v1/c/1", "v1/c/2", "v1/d+%", "v1/e/1"]) await session.putObject(key, key);
    const front = await withoutSecondForm(server.endpoint);
    const first = open({ endpoint: front.endpoint });
    for (const pageSize of [1000, 2, 1]) {
      const asked = async (own: S3Session) => {
        const pages = await collect(own.listObjects("v1/", { delimiter: "/", pageSize }));
        const entries = pages.map(({ objects, prefixes }) => [...objects.map(({ key }) => key), ...prefixes].sort());
        return entries.flat().sort();
      };
      expect(await asked(first)).toEqual(["v1/a b", "v1/c/", "v1/d+%", "v1/e/"]);
      expect(await asked(session)).toEqual(["v1/a b", "v1/c/", "v1/d+%", "v1/e/"]);
    }
    await first.close();
    await front.stop();
  });

  // MinIO takes keys over TLS only, and versitygw none: docs/stores.md.
  if (server.name === "rgw")
    it("keeps what is encrypted with a key of the caller's own", async () => {
      const size = 6 * 1024 * 1024;
      const body = Buffer.alloc(size, "0123456789abcdef");
      const headers = customerKey("a");
      const stored = await session.upload("sse/k", body, { headers, partBytes: 5 * 1024 * 1024 });
      expect(stored).toMatchObject({ outcome: "stored", parts: 2 });
      const wrong = [{}, customerKey("b")];
      for (const other of wrong) await expect(session.getObject("sse/k", { headers: other })).rejects.toThrow(/sse\/k/);
      const got = await session.getObject("sse/k", { headers });
      expect(got.found && Buffer.from(got.body).equals(body)).toBe(true);
      const range = await session.getObject("sse/k", { headers, range: { start: size - 5 } });
      expect(range.found && Buffer.from(range.body).equals(body.subarray(-5))).toBe(true);
      expect(await session.headObject("sse/k", { headers })).toMatchObject({ found: true, size });
      const streamed = await session.streamObject("sse/k", { headers });
      const chunks = streamed.found ? await collect<Buffer>(streamed.body) : [];
      expect(Buffer.concat(chunks).equals(body)).toBe(true);
      await session.putObject("sse/small", "small", { headers });
      expect(await session.getText("sse/small", { headers })).toMatchObject({ text: "small" });
      expect(await session.exists("sse/small", { headers })).toBe(true);
    });

  it("copies in parts what is told to be large, with everything on it", { timeout: 60_000 }, async () => {
    const size = 11 * 1024 * 1024;
    const body = Buffer.alloc(size, "0123456789abcdef").fill("z", size - 5);
    const metadata = { holder: "me" };
    await session.putObject("large", body, {
      metadata,
      contentType: "text/x",
      headers: { "cache-control": "no-store" },
    });
    const part = { partsAboveBytes: 1024, partBytes: 5 * 1024 * 1024 };
    expect((await session.copyObject("large", "parts/copy", part)).outcome).toBe("stored");
    const got = await session.getObject("parts/copy");
    expect(got.found && Buffer.from(got.body).equals(body)).toBe(true);
    expect(got).toMatchObject({ metadata, etag: expect.stringMatching(/-3"$/) });
    const head = await fetch(session.presign("headObject", { key: "parts/copy" }), { method: "HEAD" });
    expect(Object.fromEntries(head.headers)).toMatchObject({ "content-type": "text/x", "cache-control": "no-store" });
    expect((await session.copyObject("large", "parts/none", { ...part, sourceEtag: '"0"' })).outcome).toBe("conflict");
    expect((await session.updateMetadata("parts/copy", { metadata: { a: "b" } })).outcome).toBe("stored");
    expect(await session.headObject("parts/copy")).toMatchObject({ metadata: { a: "b" }, size });
  });

  describe("presigned URLs in the hands of curl", () => {
    const run = promisify(execFile);
    const dir = mkdtempSync(join(tmpdir(), "bucketlock-curl-"));
    afterAll(() => rmSync(dir, { recursive: true, force: true }));
    const program = findProgram("curl");
    const curl = async (...args: string[]) => {
      const { stdout } = await run(program!, ["-sS", "--path-as-is", "--globoff", "-w", "\n%{http_code}", ...args]);
      const at = stdout.lastIndexOf("\n");
      return { text: stdout.slice(0, at), status: Number(stdout.slice(at + 1)) };
    };
    const url = (request: S3RequestName, options?: Parameters<S3Session["presign"]>[1]) =>
      session.presign(request, options);

    it("read, write, list and delete", async (context) => {
      if (program === undefined) {
        if (inject("ring5").mode === "required") throw new Error("ring 5 is required: no curl");
        context.skip("no curl");
      }
      const file = join(dir, "body");
      writeFileSync(file, "from curl");
      const key = "curl/ä b+'%.txt";
      const bound = { "content-type": "text/x", "x-amz-meta-by": "curl" };
      const put = url("putObject", { key, headers: bound });
      const headers = ["-H", "content-type: text/x", "-H", "x-amz-meta-by: curl"];
      expect((await curl("-T", file, ...headers, put)).status).toBe(200);
      expect((await curl("-T", file, "-H", "content-type: text/y", "-H", "x-amz-meta-by: curl", put)).status).toBe(403);
      expect(await session.headObject(key)).toMatchObject({ metadata: { by: "curl" } });
      expect(await curl(url("getObject", { key }))).toEqual({ text: "from curl", status: 200 });
      const response = { contentDisposition: 'attachment; filename="x y.txt"', contentType: "text/z" };
      const shown = await curl("-i", url("getObject", { key, response }));
      expect(shown.text).toMatch(/content-disposition: attachment; filename="x y\.txt"/i);
      expect(shown.text).toMatch(/content-type: text\/z/i);
      expect((await curl("-I", url("headObject", { key }))).text).toMatch(/content-length: 9/i);
      const listed = await curl(url("listObjects", { query: { prefix: "curl/", "max-keys": "5" } }));
      expect(listed.text).toMatch(/<ListBucketResult[\s\S]*<Contents>/);
      expect((await curl(url("getBucketVersioning"))).text).toContain("<VersioningConfiguration");
      expect((await curl(url("listBuckets"))).text).toContain(session.bucket);
      const copy = { "x-amz-copy-source": `${session.bucket}/curl/%C3%A4%20b%2B%27%25.txt` };
      const source = ["-X", "PUT", "-H", `x-amz-copy-source: ${copy["x-amz-copy-source"]}`];
      expect((await curl(...source, url("copyObject", { key: "curl/copy", headers: copy }))).text).toMatch(
        /<CopyObjectResult/,
      );
      expect((await curl(`${url("getObject", { key })}0`)).status).toBe(403);
      expect((await curl("-X", "DELETE", url("deleteObject", { key }))).status).toBe(204);
      expect((await curl(url("getObject", { key }))).status).toBe(404);
      const made = `${session.bucket!}-curl`;
      expect((await curl("-X", "PUT", url("createBucket", { bucket: made }))).status).toBe(200);
      expect((await curl("-X", "DELETE", url("deleteBucket", { bucket: made }))).status).toBe(204);
    });
  });
});

/** The server, but for ListObjectsV2, which is answered 501. The Host header goes on as it came: it is signed. */
async function withoutSecondForm(endpoint: string): Promise<{ endpoint: string; stop(): Promise<void> }> {
  const front = createServer((req, res) => {
    if (req.url!.includes("list-type=2")) {
      res.writeHead(501).end("<Error><Code>NotImplemented</Code></Error>");
      return;
    }
    const { method, headers, url } = req;
    const back = request(`${endpoint}`, { method, headers, path: url! }, (answer) => {
      res.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(res);
    });
    req.pipe(back);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
    async stop() {
      front.closeAllConnections();
      await new Promise((resolve) => front.close(resolve));
    },
  };
}

for (const name of ["minio", "rgw"] as const) {
  onServer(name, (server) => {
    const { session: open } = useBucket(server, "versions");
    it("purges every version and marker of the named keys, and no other", async () => {
      const session = open();
      await session.putBucketVersioning("enabled");
      expect(await session.getBucketVersioning()).toBe("enabled");
      for (const body of ["1", "2", "3"])
        for (const key of ["p/1", "p/10", "p/1/1", "q"]) await session.putObject(key, body);
      const marker = await session.deleteObject({ key: "p/1" });
      expect(marker).toMatchObject({ isDeleteMarker: true, versionId: expect.any(String) });
      const [page] = await collect(session.listObjectVersions("", { delimiter: "/" }));
      expect(page!.prefixes).toEqual(["p/"]);
      expect(page!.versions.map(({ isLatest }) => isLatest)).toEqual([true, false, false]);
      expect(await session.purge(["p/1", "p/absent", "q"])).toEqual({ deleted: 7 });
      const left = (await collect(session.objectVersions(""))).map(({ key }) => key);
      expect([...new Set(left)]).toEqual(["p/1/1", "p/10"]);
      const old = (await collect(session.objectVersions("p/10"))).at(-1)!;
      expect((await session.copyObject({ key: "p/10", versionId: old.versionId }, "from/old")).outcome).toBe("stored");
      expect(await session.getObject("from/old")).toMatchObject({ body: Buffer.from("1") });
      expect((await fetch(session.presign("getObject", { key: "p/10", versionId: old.versionId }))).status).toBe(200);
      expect(await session.remove({ prefix: "p/" })).toEqual({ deleted: 2 });
      expect((await session.purge({ prefix: "" })).deleted).toBe(9);
      expect(await collect(session.objectVersions(""))).toEqual([]);
    });

    it("locks objects", async () => {
      const session = open();
      const there = { bucket: `${session.bucket}-locked` };
      await session.createBucket({ ...there, objectLock: true });
      const defaultRetention = { mode: "governance", days: 1 } as const;
      await session.putObjectLockConfiguration({ defaultRetention }, there);
      expect(await session.getObjectLockConfiguration(there)).toMatchObject({ enabled: true, defaultRetention });
      await session.putObject("k", "1", there);
      expect(await session.getObjectRetention("k", there)).toMatchObject({ mode: "governance" });
      const untilMs = Math.floor(Date.now() / 1000) * 1000 + 3 * 86_400_000;
      await session.putObjectRetention("k", { mode: "governance", untilMs }, there);
      expect(await session.getObjectRetention("k", there)).toEqual({ mode: "governance", untilMs });
      await session.putObjectLegalHold("k", "on", there);
      expect(await session.getObjectLegalHold("k", there)).toBe(true);
      const bypass = { ...there, bypassGovernance: true };
      await expect(session.purge(["k"], bypass)).rejects.toMatchObject({ code: "STORE_NOT_DELETED", deleted: 0 });
      await session.putObjectLegalHold("k", "off", there);
      await expect(session.purge(["k"], there)).rejects.toMatchObject({ failed: [{ key: "k" }] });
      expect(await session.purge({ prefix: "" }, bypass)).toEqual({ deleted: 1 });
      await session.deleteBucket(there);
    });
  });
}
