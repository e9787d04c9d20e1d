/** The verbs on the emulator, which checks every signature by itself. */
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  BucketlockError,
  openHttpSession,
  openS3Session,
  type PutUnknown,
  S3Session,
} from "../../../packages/core/src/index.js";
import { collect, expectNoSecret, failure, openSession, setup, startEmulator } from "./rig.js";
import { script } from "./scripted.js";

const ODD_KEYS = [
  "sp ace",
  "plus+",
  "pct%41%",
  "q?x=1&y",
  "hash#",
  "ü-\u{1F512}-\ufb00",
  `quote'"<>;`,
  "new\nline",
  "tab\t",
  "cr\r",
  "a//b",
  "trail/",
  "!()*",
  "$&,:=@~",
  "\u0001",
  "\\",
  "%2F",
  "~",
  "__proto__",
  "x".repeat(1024),
];

describe.each([
  ["with %20", { encoding: "percent" }],
  ["with +", { encoding: "plus" }],
  [
    "not encoded, whole seconds, closing connections, versions",
    { encoding: "none", wholeSeconds: true, closeConnections: true, versions: true },
  ],
] as const)("keys, listed %s", (_name, options) => {
  it("all survive put, get, head, list, delete", async () => {
    const { emulator, session } = await setup(options);
    // XML 1.0 cannot carry U+0001 unless it is percent-encoded.
    const keys = ODD_KEYS.filter((key) => !("versions" in options) || key !== "\u0001");
    for (const key of keys) {
      expect(await session.putObject(key, key, { metadata: { holder: "a  b" } })).toMatchObject({ outcome: "stored" });
      expect(await session.getObject(key)).toMatchObject({
        found: true,
        body: Buffer.from(key),
        metadata: { holder: "a  b" },
      });
      expect(await session.headObject(key)).toMatchObject({ found: true, size: Buffer.byteLength(key) });
    }
    expect(emulator.keysStored()).toEqual([...keys].sort());
    for (const pageSize of [1000, 3]) {
      const pages = await collect(session.listObjects("", { pageSize }));
      const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(pages.flatMap(({ objects }) => objects.map(({ key }) => key))).toEqual(sorted);
      expect(pages.length).toBe(Math.ceil(keys.length / pageSize));
    }
    expect((await session.deleteObjects(keys.map((key) => ({ key })))).failed).toEqual([]);
    expect(emulator.keysStored()).toEqual([]);
    expect(emulator.unknown).toEqual([]);
  });
});

describe("objects", () => {
  it("answers facts, the server's time, and absence", async () => {
    const { session } = await setup({ clockAheadMs: 5_000_000 - 4_500_000 });
    const put = await session.putObject("k", "body", { contentType: "text/plain", metadata: { holder: "me", n: "" } });
    expect(put).toMatchObject({ outcome: "stored", etag: '"841a2d689ad86bd1611447453c22c6fc"' });
    const got = await session.getObject("k");
    expect(got).toMatchObject({ found: true, size: 4, metadata: { holder: "me" } });
    expect(got.serverTimeMs! % 1000).toBe(0);
    expect(await session.headObject("none")).toMatchObject({ found: false });
    expect(await session.getObject("none")).toMatchObject({ found: false });
    expect(await session.deleteObject({ key: "none" })).toMatchObject({});
  });

  it("answers that a delete marker, asked for by its version, is no object", async () => {
    const { emulator, session } = await setup({ versions: true });
    await session.putObject("k", "1");
    const { versionId } = await session.deleteObject("k");
    for (const work of [session.getObject, session.headObject, session.streamObject])
      expect(await work.call(session, "k", { versionId })).toMatchObject({ found: false });
    expect(await session.exists("k", { versionId })).toBe(false);
    expect(emulator.seen.filter(({ method }) => method === "GET" || method === "HEAD").length).toBe(4);
  });

  it("does not hold what is larger than memory should be, and says so before it came", async () => {
    const tries: number[] = [];
    const { server, session } = await script(
      () => ({ headers: { "content-length": String(257 * 1024 * 1024), etag: '"e"' } }),
      { onEvent: (event) => tries.push(event.tries) },
    );
    await expect(session.getObject("k")).rejects.toMatchObject({ code: "STORE_TOO_LARGE", kind: "invalid" });
    expect(await session.headObject("k")).toMatchObject({ found: true, size: 257 * 1024 * 1024 });
    const streamed = await session.streamObject("k");
    expect(streamed).toMatchObject({ found: true, size: 257 * 1024 * 1024 });
    if (streamed.found) streamed.body.destroy();
    expect(tries).toEqual([1, 1, 1]);
    expect(server.asked).toEqual(["GET /bucket/k", "HEAD /bucket/k", "GET /bucket/k"]);
  });

  it("takes the names of metadata that other clients use, and no value that would change on its way", async () => {
    const { emulator, session } = await setup();
    const metadata = { upload_timestamp: "1", "a.b-c": "two  words" };
    await session.putObject("k", "body", { metadata });
    expect(await session.headObject("k")).toMatchObject({ metadata });
    const seen = emulator.seen.length;
    for (const bad of [
      { Upper: "1" },
      { "": "1" },
      { a: " b" },
      { a: "b " },
      { a: " " },
      { a: "ä" },
      { a: 1 as never },
    ])
      expect((await failure(session.putObject("k", "body", { metadata: bad }), emulator)).code).toBe("INVALID_OPTION");
    expect(emulator.seen.length).toBe(seen);
  });

  it("keeps conditions: stored, conflict, and 404 on If-Match is a conflict", async () => {
    const { session } = await setup();
    expect(await session.putObject("k", "1", { condition: { absent: true } })).toMatchObject({ outcome: "stored" });
    expect(await session.putObject("k", "2", { condition: { absent: true } })).toMatchObject({ outcome: "conflict" });
    const head = await session.headObject("k");
    const etag = head.found ? head.etag! : "";
    expect(await session.putObject("k", "3", { condition: { etag } })).toMatchObject({ outcome: "stored" });
    expect(await session.putObject("k", "4", { condition: { etag } })).toMatchObject({ outcome: "conflict" });
    expect(await session.putObject("gone", "4", { condition: { etag } })).toMatchObject({ outcome: "conflict" });
  });

  it("sends If-Match without quotes when told to (Ceph RGW)", async () => {
    const { emulator, session } = await setup({}, { bareIfMatch: true });
    await session.putObject("k", "1", { condition: { etag: '"abc"' } });
    expect(emulator.seen.at(-1)!.headers["if-match"]).toBe("abc");
  });

  it("signs for virtual hosts, and with a session token", async () => {
    const aws = openS3Session({
      region: "eu-west-1",
      bucket: "my-bucket",
      credentials: { accessKeyId: "A", secretAccessKey: "B" },
    });
    expect(aws.presign("getObject", { key: "a b" })).toMatch(
      /^https:\/\/my-bucket\.s3\.eu-west-1\.amazonaws\.com\/a%20b\?/,
    );
    const dotted = openS3Session({
      region: "eu-west-1",
      bucket: "my.bucket",
      credentials: { accessKeyId: "A", secretAccessKey: "B" },
    });
    expect(dotted.presign("getObject", { key: "k" })).toMatch(
      /^https:\/\/s3\.eu-west-1\.amazonaws\.com\/my\.bucket\/k\?/,
    );
    const keys = { accessKeyId: "AK", secretAccessKey: "SK", sessionToken: "to/k+en==" };
    const { session } = await setup({ keys });
    expect(await session.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    expect(await session.putObject("k", "1", { validForMs: 1 })).toMatchObject({ outcome: "stored" });
    expect((await fetch(session.presign("getObject", { key: "k" }))).status).toBe(200);
  });

  it("signs a write with a short life once the server's clock is known, and the server refuses it later", async () => {
    for (const clockAheadMs of [0, 300_000, -300_000]) {
      const { emulator, session } = await setup({ clockAheadMs });
      expect(await session.putObject("k", "1", { validForMs: 2000 })).toMatchObject({ outcome: "stored" });
      expect(emulator.seen.at(-1)!.url).not.toContain("X-Amz-Expires");
      expect(await session.putObject("k", "1", { validForMs: 2000, metadata: { renewal: "1" } })).toMatchObject({
        outcome: "stored",
      });
      expect(emulator.seen.at(-1)!.url).toMatch(/X-Amz-Expires=[345]&/);
    }
  });

  it("says that an expired write was refused", async () => {
    const { emulator, session } = await setup();
    await session.headObject("k");
    const body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    emulator.script("PUT", { kind: "reply", status: 403, body });
    expect(await failure(session.putObject("k", "1", { validForMs: 1000, once: true }), emulator)).toMatchObject({
      code: "STORE_EXPIRED",
      kind: "unavailable",
    });
  });
});

describe("versions", () => {
  it("lists versions and markers by pages, and deletes exactly one", async () => {
    const { emulator, session } = await setup({ versions: true });
    for (const body of ["1", "2", "3"]) await session.putObject("k+", body);
    const put = await session.putObject("other", "x");
    expect(put).toMatchObject({ versionId: "v4" });
    await session.deleteObject({ key: "other" });
    const pages = await collect(session.listObjectVersions("", { pageSize: 2 }));
    expect(
      pages.flatMap(({ versions }) => versions).map((v) => [v.key, v.versionId, v.isLatest, v.isDeleteMarker]),
    ).toEqual([
      ["k+", "v3", true, false],
      ["k+", "v2", false, false],
      ["k+", "v1", false, false],
      ["other", "v5", true, true],
      ["other", "v4", false, false],
    ]);
    await session.deleteObjects([
      { key: "k+", versionId: "v2" },
      { key: "other", versionId: "v5" },
    ]);
    expect(await session.getObject("other")).toMatchObject({ found: true });
    expect((await collect(session.listObjectVersions("k")))[0]!.versions.map((v) => v.versionId)).toEqual(["v3", "v1"]);
    expect(emulator.unknown).toEqual([]);
  });

  it("gets on where a page begins with the last entry of the one before (versitygw)", async () => {
    const { emulator, session } = await setup({ versions: true, inclusiveMarkers: true });
    for (const key of ["a", "b", "c", "d", "e"]) await session.putObject(key, "1");
    for (const pageSize of [1, 2, 4, 5, 1000]) {
      const pages = await collect(session.listObjectVersions("", { pageSize }));
      expect(pages.flatMap(({ versions }) => versions.map(({ key }) => key))).toEqual(["a", "b", "c", "d", "e"]);
      expect(pages.every(({ versions }) => versions.length <= pageSize)).toBe(true);
    }
    expect(emulator.unknown).toEqual([]);
  });

  it("falls back to LIST on 501, and asks only once", async () => {
    const { emulator, session } = await setup({ listVersions: "refuse" });
    await session.putObject("k", "1");
    for (let i = 0; i < 2; i++) {
      const pages = await collect(session.listObjectVersions(""));
      expect(pages.flatMap(({ versions }) => versions)).toMatchObject([
        { key: "k", isLatest: true, isDeleteMarker: false },
      ]);
    }
    expect(emulator.seen.filter(({ url }) => url.includes("versions")).length).toBe(1);
  });
});

describe("deleting many", () => {
  it("needs one request per 1000 and reports every failed key", async () => {
    const { emulator, session } = await setup();
    const targets = Array.from({ length: 1500 }, (_, at) => ({ key: `k&${at}` }));
    await session.putObject("k&7", "1");
    const answer = await session.deleteObjects([
      ...targets,
      { key: "k&7" },
      { key: "locked/a" },
      { key: "locked/<b>" },
    ]);
    expect(answer.failed).toMatchObject([
      { key: "locked/a", code: "AccessDenied" },
      { key: "locked/<b>", code: "AccessDenied" },
    ]);
    expect(emulator.keysStored()).toEqual([]);
    expect(emulator.seen.filter(({ method }) => method === "POST").length).toBe(2);
  });
  it("goes one by one where the request is missing, and remembers", async () => {
    const { emulator, session } = await setup({ multiDelete: false });
    for (let round = 0; round < 2; round++) {
      for (const key of ["a", "b", "c"]) await session.putObject(key, "1");
      expect((await session.deleteObjects([{ key: "a" }, { key: "b" }, { key: "c" }])).failed).toEqual([]);
      expect(emulator.keysStored()).toEqual([]);
    }
    expect(emulator.seen.filter(({ method }) => method === "POST").length).toBe(1);
  });
  it("goes one by one where the request hangs", async () => {
    const { emulator, session } = await setup();
    await session.putObject("a$", "1");
    emulator.script("POST", { kind: "hang", apply: false }, 100);
    expect((await session.deleteObjects([{ key: "a$" }, { key: "b" }], { timeoutMs: 3_000 })).failed).toEqual([]);
    expect(emulator.keysStored()).toEqual([]);
  });
  it("takes an <Error> inside a 200 for what it is", async () => {
    const { emulator, session } = await setup();
    const body = "<Error><Code>InternalError</Code><Message>try again</Message></Error>";
    emulator.script("POST", { kind: "reply", status: 200, body });
    await session.putObject("a", "1");
    expect((await session.deleteObjects([{ key: "a" }, { key: "b" }])).failed).toEqual([]);
    expect(emulator.seen.filter(({ method }) => method === "POST").length).toBe(2);
    emulator.script("POST", { kind: "reply", status: 200, body: "<Error><Code>AccessDenied</Code></Error>" });
    expect(await failure(session.deleteObjects([{ key: "a" }, { key: "b" }]), emulator)).toMatchObject({
      code: "STORE_ACCESS_DENIED",
    });
  });
  it("does not believe an answer that leaves a key out", async () => {
    const { emulator, session } = await setup();
    emulator.script("POST", { kind: "edit", edit: (body) => body.replace("<Deleted><Key>b</Key></Deleted>", "") });
    expect((await session.deleteObjects([{ key: "a" }, { key: "b" }])).failed).toMatchObject([
      { key: "b", code: "NotAnswered" },
    ]);
  });
});

describe("the store", () => {
  it("keeps to its prefix and plans deletes that another process can do", async () => {
    const { emulator, session } = await setup({ versions: true });
    const store = session.store({ prefix: "p/" });
    expect(store.name).toBe("s3://test-bucket/p/");
    await session.putObject("outside", "1");
    const put = await store.put("a b+", "1");
    await store.put("c", "1");
    expect((await collect(store.list(""))).flatMap(({ objects }) => objects.map(({ key }) => key))).toEqual([
      "a b+",
      "c",
    ]);
    const plan = store.planDelete!([
      { key: "a b+", versionId: put.outcome === "stored" ? put.versionId : "" },
      { key: "c" },
    ])!;
    expect(plan.kind).toBe("http");
    for (const url of plan.kind === "http" ? plan.urls : [])
      expect((await fetch(url, { method: "DELETE" })).status).toBe(204);
    expect(emulator.keysStored()).toEqual(["outside"]);
    expect((await store.deleteMany([{ key: "locked/x" }, { key: "y" }])).failed).toEqual([]);
    await expect(store.put("", "1")).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });
  it("plans nothing before a provider was asked", async () => {
    const emulator = await startEmulator();
    const session = openSession(emulator, { credentials: async () => emulator.keys });
    const store = session.store();
    expect(store.planDelete!([{ key: "a" }])).toBeUndefined();
    await store.head("a");
    expect(store.planDelete!([{ key: "a" }])).toMatchObject({ kind: "http" });
  });
});

describe("settings", () => {
  const good = {
    endpoint: "http://127.0.0.1:1",
    region: "r",
    bucket: "bucket",
    credentials: { accessKeyId: "A", secretAccessKey: "very-secret" },
  };
  it.each([
    ["endpoint", { endpoint: "127.0.0.1:9000" }],
    ["endpoint", { endpoint: "http://user:very-secret@host" }],
    ["endpoint", { endpoint: "ftp://host" }],
    ["endpoint", { endpoint: "http://host/?a=very-secret" }],
    ["region", { region: "" }],
    ["region", { region: "us east" }],
    ["bucket", { bucket: "a" }],
    ["bucket", { bucket: "a/b" }],
    ["bucket", { bucket: "a..b" }],
    ["bucket", { bucket: "UPPER_case", forcePathStyle: false }],
    ["credentials.secretAccessKey", { credentials: { accessKeyId: "A", secretAccessKey: "very-secret\n" } }],
    ["credentials.accessKeyId", { credentials: { accessKeyId: "", secretAccessKey: "very-secret" } }],
    ["timeoutMs", { timeoutMs: -1 }],
    ["maxTries", { maxTries: 0 }],
  ])("%s %o is refused by name", (option, wrong) => {
    let error: unknown;
    try {
      openS3Session({ ...good, ...wrong });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "INVALID_OPTION", kind: "invalid", details: { option } });
    expect(inspect(error)).not.toContain("very-secret");
  });
  it("come from the environment, options first", async () => {
    const emulator = await startEmulator();
    const env = {
      AWS_ACCESS_KEY_ID: emulator.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: emulator.keys.secretAccessKey,
      AWS_SESSION_TOKEN: "",
      AWS_REGION: emulator.region,
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_ENDPOINT_URL_S3: emulator.endpoint,
      BUCKETLOCK_BUCKET: emulator.bucket,
    };
    const session = S3Session.fromEnv({}, env);
    expect(await session.headBucket()).toBe(true);
    await session.close();
    expect(S3Session.fromEnv({ bucket: "other-one" }, env).bucket).toBe("other-one");
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BUCKETLOCK_BUCKET"])
      expect(() => S3Session.fromEnv({}, { ...env, [name]: "" })).toThrow(name);
    expect(() =>
      S3Session.fromEnv({}, { ...env, AWS_REGION: "", AWS_ENDPOINT_URL: "", AWS_ENDPOINT_URL_S3: "" }),
    ).toThrow("AWS_REGION");
  });
  it("never show a secret", async () => {
    const { emulator, session } = await setup();
    await session.putObject("k", "1");
    expectNoSecret(session, emulator);
    expectNoSecret(session.store(), emulator);
  });
});

describe("credentials", () => {
  it("are asked for once at a time, and again shortly before they expire", async () => {
    const emulator = await startEmulator();
    let asked = 0;
    let expiresMs = Date.now() + 3_600_000;
    const session = openSession(emulator, {
      credentials: async () => {
        asked++;
        return { ...emulator.keys, expiration: new Date(expiresMs) };
      },
    });
    await Promise.all([session.headObject("a"), session.headObject("b"), session.headObject("c")]);
    expect(asked).toBe(1);
    expiresMs = Date.now() + 30_000;
    const other = openSession(emulator, {
      credentials: async () => {
        asked++;
        return { ...emulator.keys, expiration: new Date(expiresMs) };
      },
    });
    await other.headObject("a");
    await other.headObject("a");
    expect(asked).toBe(3);
  });
  it("are renewed when the server calls them expired", async () => {
    const emulator = await startEmulator();
    let asked = 0;
    const session = openSession(emulator, {
      credentials: async () => {
        asked++;
        return emulator.keys;
      },
    });
    await session.headObject("a");
    emulator.script("GET", { kind: "reply", status: 400, body: "<Error><Code>ExpiredToken</Code></Error>" });
    expect(await session.getObject("a")).toMatchObject({ found: false });
    expect(asked).toBe(2);
  });
  it("that cannot be had are a typed error, in time", async () => {
    const emulator = await startEmulator();
    const failing = openSession(emulator, { credentials: async () => Promise.reject(new Error("no")) });
    expect(await failure(failing.headObject("a"), emulator)).toMatchObject({
      code: "STORE_BAD_CREDENTIALS",
      kind: "denied",
    });
    const silent = openSession(emulator, { credentials: () => new Promise(() => {}), maxTries: 1 });
    expect(await failure(silent.headObject("a", { timeoutMs: 50 }), emulator)).toMatchObject({ code: "STORE_TIMEOUT" });
    const stop = new AbortController();
    const waiting = silent.headObject("a", { signal: stop.signal });
    stop.abort("enough");
    await expect(waiting).rejects.toBe("enough");
    const old = openSession(emulator, { credentials: { ...emulator.keys, expiration: new Date(0) } });
    expect(await failure(old.headObject("a"), emulator)).toMatchObject({ code: "STORE_BAD_CREDENTIALS" });
    expect(emulator.seen).toEqual([]);
  });
});

describe("errors", () => {
  it("are ours, and unknown outcomes carry one", async () => {
    const { emulator, session } = await setup();
    emulator.script("PUT", { kind: "reset", apply: true });
    const put = (await session.putObject("k", "1", { once: true })) as PutUnknown;
    expect(put.outcome).toBe("unknown");
    expect(put.cause).toBeInstanceOf(BucketlockError);
    expectNoSecret(put, emulator);
    expect(emulator.bodyOf("k")).toBe("1");
  });
});

describe("headers of the caller's own", () => {
  it.each([
    "Host",
    "If-Match",
    "Content-Length",
    "x-amz-meta-a",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-range",
    "x-amz-copy-if-none-match",
    "a b",
  ])("%s is refused: it has an option, or frames the request", async (name) => {
    const { emulator, session } = await setup();
    const refused = { code: "INVALID_OPTION", details: { option: "headers" } };
    await expect(session.putObject("k", "x", { headers: { [name]: "v" } })).rejects.toMatchObject(refused);
    await expect(session.copyObject({ key: "a" }, "k", { headers: { [name]: "v" } })).rejects.toMatchObject(refused);
    expect(emulator.seen).toEqual([]);
  });

  it("goes with the request otherwise", async () => {
    const { emulator, session } = await setup();
    const headers = {
      "Cache-Control": "no-store",
      "x-amz-copy-source-server-side-encryption-customer-algorithm": "AES256",
    };
    await session.putObject("k", "x", { headers });
    expect(emulator.seen[0]!.headers).toMatchObject({ "cache-control": "no-store" });
    expect(emulator.seen[0]!.headers).toHaveProperty("x-amz-copy-source-server-side-encryption-customer-algorithm");
  });
});

describe("bad input", () => {
  const key = "k";
  const no = (value: unknown) => value as never;
  const calls: [option: string, call: (session: S3Session) => unknown][] = [
    ["signal", (s) => s.getObject(key, { signal: no(new AbortController()) })],
    ["signal", (s) => s.upload(key, "1", { signal: no({ aborted: false }) })],
    ["headers", (s) => s.getObject(key, { headers: no(new Headers({ a: "b" })) })],
    ["headers", (s) => s.putObject(key, "1", { headers: no([["a", "b"]]) })],
    ["metadata", (s) => s.putObject(key, "1", { metadata: no(new Map([["a", "b"]])) })],
    ["metadata", (s) => s.putObject(key, "1", { metadata: no("text") })],
    ["contentType", (s) => s.putObject(key, "1", { contentType: no(1) })],
    ["contentType", (s) => s.putObject(key, "1", { contentType: "text/plain\r\nx-amz-acl: public-read" })],
    ["condition", (s) => s.putObject(key, "1", { condition: no("absent") })],
    ["condition", (s) => s.putObject(key, "1", { condition: no(null) })],
    ["ifModifiedSinceMs", (s) => s.getObject(key, { ifModifiedSinceMs: no(new Date()) })],
    ["ifUnmodifiedSinceMs", (s) => s.getObject(key, { ifUnmodifiedSinceMs: no(null) })],
    ["onProgress", (s) => s.upload(key, "1", { onProgress: no(true) })],
    ["body", (s) => s.uploadPart(key, "u", 1, no("text"))],
    ["parts", (s) => s.completeUpload(key, "u", no({ number: 1 }))],
    ["parts", (s) => s.completeUpload(key, "u", [no("etag")])],
    ["parts.etag", (s) => s.completeUpload(key, "u", [no({ number: 1 })])],
    ["prefix", (s) => s.listUploads(no(undefined)).next()],
    ["key", (s) => s.deleteObject("")],
    ["target", (s) => s.deleteObject(no(null))],
    ["keys", (s) => s.deleteObjects(no("k"))],
    ["target", (s) => s.purge([no(undefined)])],
    ["replace", (s) => s.copyObject(key, "to", { replace: no([]) })],
    ["logging", (s) => s.putBucketLogging(no(null))],
    ["grants", (s) => s.putBucketAcl({ owner: { id: "a" }, grants: [no(null)] })],
    ["defaultRetention", (s) => s.putObjectLockConfiguration({ defaultRetention: no(null) })],
    ["retention", (s) => s.putObjectRetention(key, no(null))],
    ["headers", async (s) => s.presign("putObject", { key, headers: no(new Headers({ a: "b" })) })],
    ["query", async (s) => s.presign("listObjects", { query: no(new URLSearchParams("prefix=a")) })],
    ["response", async (s) => s.presign("getObject", { key, response: no("text/plain") })],
    ["onEvent", async (s) => openS3Session({ region: s.region, credentials: CREDENTIALS, onEvent: no({}) })],
    [
      "forcePathStyle",
      async (s) => openS3Session({ region: s.region, credentials: CREDENTIALS, forcePathStyle: no("no") }),
    ],
    ["bareIfMatch", async (s) => openS3Session({ region: s.region, credentials: CREDENTIALS, bareIfMatch: no("no") })],
    ["options", async () => openHttpSession(no("https://a"))],
  ];
  const CREDENTIALS = { accessKeyId: "a", secretAccessKey: "b" };

  it("is refused by its name, before anything is sent", async () => {
    const { emulator, session } = await setup();
    for (const [option, call] of calls) {
      const error = await failure(Promise.resolve(call(session)), emulator);
      expect([error.message.split(":")[0], error.code]).toEqual([option, "INVALID_OPTION"]);
    }
    expect(emulator.seen).toEqual([]);
  });

  it("is not that a key is named alone", async () => {
    const { emulator, session } = await setup();
    await session.putObject("k", "1");
    await session.deleteObject("k");
    expect(emulator.keysStored()).toEqual([]);
  });
});
