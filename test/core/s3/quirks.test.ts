/**
 * What stores were seen to stumble over, as far as no other file here has it. The others: escapes (uri), entities, encodings
 * and times of listings (xml, listing), a missing or hanging DeleteObjects (session), errors inside a 200 (session,
 * copying), no listing of versions (listing, session), another signature for every try (trouble), path style
 * (buckets-named), keys that URLs cannot carry (session).
 */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { collect } from "./rig.js";
import { refusal, type Seen, script } from "./scripted.js";

const EMPTY = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

it("a space is %20 everywhere, and a plus is %2B: MEGA takes no `+` for a space", async () => {
  const { server, session } = await script(({ method }) => ({ body: method === "GET" ? EMPTY : "" }));
  await session.putObject("a b+c", "1");
  await collect(session.listObjects("a b+", { delimiter: " ", startAfter: "a +" }));
  const url = session.presign("getObject", { key: "a b+c", response: { contentDisposition: "a b" } });
  for (const sent of [...server.seen.map((seen) => seen.url), url]) expect(sent).not.toContain("+");
  expect(server.seen[0]!.url).toBe("/bucket/a%20b%2Bc");
  expect(server.seen[1]!.url).toContain("prefix=a%20b%2B");
  expect(server.seen[1]!.url).toContain("start-after=a%20%2B");
  expect(url).toContain("response-content-disposition=a%20b");
});

it("bodies go with a plain length and their own hash, never in signed chunks or with trailers", async () => {
  const deleted = "<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted></DeleteResult>";
  const { server, session } = await script(({ method }) => ({ body: method === "POST" ? deleted : "" }));
  await session.putObject("k", "body");
  await session.putObject("k", "");
  await session.deleteObjects(["a", "b"]);
  await session.putBucketVersioning("enabled");
  await session.putBucketAcl("private");
  for (const { headers, body } of server.seen as readonly Seen[]) {
    for (const name of ["transfer-encoding", "content-encoding", "x-amz-trailer", "x-amz-decoded-content-length"])
      expect(headers).not.toHaveProperty(name);
    expect(headers["content-length"]).toBe(String(Buffer.byteLength(body)));
    expect(headers["x-amz-content-sha256"]).toBe(createHash("sha256").update(body).digest("hex"));
  }
});

it("of a header that comes twice the first counts: versitygw sends two request ids", async () => {
  const answer = { ...refusal(403, "AccessDenied"), headers: { "x-amz-request-id": ["first", "second"] } };
  const { session } = await script([answer]);
  await expect(session.getBucketAcl()).rejects.toMatchObject({ details: { requestId: "first" } });
});

it("documents are read whether they say a namespace or not, a declaration or not, with blanks and comments around", async () => {
  const inner = "<Status>Enabled</Status>";
  const bodies = [
    `<VersioningConfiguration>${inner}</VersioningConfiguration>`,
    `\ufeff<?xml version="1.0" encoding="UTF-8"?>\n\n<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n  ${inner}\n</VersioningConfiguration>\n`,
    `<?xml version="1.0"?><!-- a gateway --><VersioningConfiguration xmlns="x">${inner}</VersioningConfiguration>`,
  ];
  const { session } = await script(bodies.map((body) => ({ body })));
  for (const _body of bodies) expect(await session.getBucketVersioning()).toBe("enabled");
});

it("a page of a proxy, a cut document and foreign XML are three different things", async () => {
  const { session } = await script(
    [
      { body: "<html><body>login</body></html>", headers: { "content-type": "text/html" } },
      { body: "<VersioningConfiguration><Status>Ena" },
      { body: "<Something/>" },
      {
        body: '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><VersioningConfiguration>&e;</VersioningConfiguration>',
      },
    ],
    { maxTries: 1 },
  );
  const codes: unknown[] = [];
  for (let n = 0; n < 4; n++) codes.push(await session.getBucketVersioning().catch((error) => error.code));
  expect(codes).toEqual(["STORE_NOT_S3", "STORE_CORRUPT_ANSWER", "STORE_NOT_S3", "STORE_NOT_S3"]);
});
