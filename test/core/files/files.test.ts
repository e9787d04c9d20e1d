/** Files: every call of the Storage of the Python library `s3` 0.1.3, on the emulator, and that no failure is silent. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FilesConfig, openFiles, openFilesFromConfig, type S3Name } from "@bucketlock/core/files";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure, openSession, setup, startEmulator } from "../s3/rig.js";

let dir: string;
const local = (name: string) => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bucketlock-files-"));
  writeFileSync(local("example"), "an example\n");
});
afterEach(() => rmSync(dir, { recursive: true }));

const headers = { "x-amz-meta-physics": "Kant", "X-Amz-Meta-Morphosis": "Kafka", "content-type": "text/plain" };

describe("files", () => {
  it("go there and back, as in the README of the library", async () => {
    const { session } = await setup();
    const files = openFiles(session);
    expect(await files.exists("in-s3")).toEqual({ exists: false });
    await files.write(local("example"), "in-s3", { headers });
    expect(await files.exists("in-s3")).toMatchObject({
      exists: true,
      metadata: { physics: "Kant", morphosis: "Kafka" },
      contentType: "text/plain",
      size: 11,
    });
    await files.updateMetadata("in-s3", { "x-amz-meta-morphosis": "Kafka, Franz" });
    expect(await files.read("in-s3", local("from-s3"))).toMatchObject({
      metadata: { morphosis: "Kafka, Franz" },
      contentType: "text/plain",
      size: 11,
    });
    expect(readFileSync(local("from-s3"), "utf8")).toBe("an example\n");
    await files.delete("in-s3");
    expect(await files.exists("in-s3")).toEqual({ exists: false });
    await files.delete("in-s3");
  });

  it("are copied with their metadata, or with what the headers say instead", async () => {
    const { session } = await setup();
    const files = openFiles(session);
    await files.write(local("example"), "a", { headers: { ...headers, "cache-control": "no-store" } });
    const facts = async (name: S3Name) => {
      const { metadata, contentType } = await files.read(name, local("copy"));
      const head = await session.headObject(name as string);
      return { metadata, contentType, cache: head.found && head.headers["cache-control"] };
    };
    await files.copy("a", "same");
    expect(await facts("same")).toEqual({
      metadata: { physics: "Kant", morphosis: "Kafka" },
      contentType: "text/plain",
      cache: "no-store",
    });
    await files.copy("a", "other", { headers: { "x-amz-meta-only": "this" } });
    expect(await facts("other")).toEqual({ metadata: { only: "this" }, contentType: "text/plain", cache: "no-store" });
    await files.copy("a", "typed", { headers: { "content-type": "text/html" } });
    expect(await facts("typed")).toEqual({
      metadata: { physics: "Kant", morphosis: "Kafka" },
      contentType: "text/html",
      cache: "no-store",
    });
    expect(readFileSync(local("copy"), "utf8")).toBe("an example\n");
  });

  it("may be in another bucket than the default, and must be in one", async () => {
    const { emulator, session } = await setup();
    await openSession(emulator, { bucket: "other-bucket" }).createBucket();
    const files = openFiles(session);
    const there = { bucket: "other-bucket", key: "k" };
    await files.write(local("example"), there, { headers });
    expect(await files.exists("k")).toEqual({ exists: false });
    await files.copy(there, "k");
    expect(await files.exists("k")).toMatchObject({ exists: true, metadata: { physics: "Kant" } });
    await files.copy("k", { bucket: "other-bucket", key: "k2" }, { headers: { "x-amz-meta-a": "b" } });
    await files.updateMetadata({ bucket: "other-bucket", key: "k2" }, { "x-amz-meta-c": "d" });
    expect(await files.read({ bucket: "other-bucket", key: "k2" }, local("k2"))).toMatchObject({
      metadata: { c: "d" },
    });
    await files.delete({ bucket: "other-bucket", key: "k2" });
    expect(await files.exists({ bucket: "other-bucket", key: "k2" })).toEqual({ exists: false });

    const { bucket: _, ...nowhere } = { bucket: undefined };
    const homeless = openFiles(openSession(emulator, { bucket: undefined, ...nowhere }));
    for (const work of [
      homeless.read("k", local("x")),
      homeless.write(local("example"), "k"),
      homeless.copy("k", there),
      homeless.copy(there, { key: "k" }),
      homeless.exists({ key: "k" }),
      homeless.updateMetadata("k", headers),
      homeless.delete("k"),
    ]) {
      const error = await failure(work, emulator);
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
      expect(error.message).toMatch(/^(?:name|source|target): must name a bucket/);
    }
    expect(await homeless.exists(there)).toMatchObject({ exists: true });
  });

  it("never fail silently: what is not there, is refused, or may or may not have been written", async () => {
    const { emulator, session } = await setup({}, { maxTries: 1 });
    const files = openFiles(session);
    writeFileSync(local("kept"), "what was here before");
    for (const work of [
      () => files.read("none", local("kept")),
      () => files.copy("none", "k"),
      () => files.copy("none", "k", { headers }),
      () => files.updateMetadata("none", headers),
    ])
      expect(await failure(work(), emulator)).toMatchObject({ code: "STORE_NO_OBJECT", kind: "invalid" });
    expect(await failure(files.write(local("none"), "k"), emulator)).toMatchObject({ kind: "invalid" });
    // That the bucket is missing is no answer about a file, though a HEAD says the same.
    const nowhere = { bucket: "no-such-bucket", key: "k" };
    expect(await failure(files.exists(nowhere), emulator)).toMatchObject({ code: "STORE_NO_BUCKET", kind: "denied" });
    emulator.script(({ url }) => url === "/test-bucket", { kind: "reply", status: 403, body: "" }, 1);
    expect(await files.exists("none")).toEqual({ exists: false });
    await files.write(local("example"), "k");
    for (const status of [403, 500]) {
      for (const work of [
        () => files.read("k", local("kept")),
        () => files.write(local("example"), "k"),
        () => files.copy("k", "k2"),
        () => files.exists("k"),
        () => files.updateMetadata("k", headers),
        () => files.delete("k"),
      ]) {
        emulator.script(() => true, { kind: "reply", status, body: "" }, 1);
        expect(await failure(work(), emulator)).toMatchObject({ name: "StoreError" });
      }
    }
    emulator.script("PUT", { kind: "reset", apply: true });
    expect(await failure(files.write(local("example"), "k"), emulator)).toMatchObject({ kind: "unavailable" });
    expect(readFileSync(local("kept"), "utf8")).toBe("what was here before");
    expect(readdirSync(dir).sort()).toEqual(["example", "kept"]);
  });

  it("do not lose what another wrote between the two requests of a change", async () => {
    const { emulator, session } = await setup();
    const files = openFiles(session);
    await files.write(local("example"), "k", { headers });
    const written = await session.headObject("k");
    for (const change of [
      () => files.updateMetadata("k", { "x-amz-meta-physics": "Kant" }),
      () => files.copy("k", "k2", { headers: { "x-amz-meta-a": "b" } }),
    ]) {
      await change();
      expect(emulator.seen.at(-1)!.headers["x-amz-copy-source-if-match"]).toBe(written.found && written.etag);
    }
    let rewritten = false;
    const meddling = openSession(emulator, {
      onEvent: (event) => {
        if (event.type !== "request" || event.request !== "headObject" || rewritten) return;
        rewritten = true;
        emulator.script("PUT", { kind: "reply", status: 412, body: "<Error><Code>PreconditionFailed</Code></Error>" });
      },
    });
    const error = await failure(openFiles(meddling).updateMetadata("k", { "x-amz-meta-a": "b" }), emulator);
    expect(error).toMatchObject({ code: "STORE_CHANGED", kind: "contended", retryable: true });
    expect(await files.exists("k")).toMatchObject({ metadata: { physics: "Kant" } });
  });

  it("refuse headers that a copy cannot have, and names that are none", async () => {
    const { emulator, session } = await setup();
    const files = openFiles(session);
    const refused = async (work: Promise<unknown>) => {
      const error = await failure(work, emulator);
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
      return error.message;
    };
    expect(await refused(files.copy("a", "b", { headers: { "content-length": "1" } }))).toContain("headers");
    expect(await refused(files.write(local("example"), "k", { headers: { "content-length": "1" } }))).toContain(
      "headers",
    );
    for (const name of ["", 7, null, { bucket: "b" }]) {
      expect(await refused(files.exists(name as never))).toContain("name");
    }
    expect(emulator.seen).toEqual([]);
  });
});

describe("the configuration", () => {
  async function written(text: string): Promise<string> {
    writeFileSync(local("s3.yaml"), text);
    return local("s3.yaml");
  }

  it("is the YAML file of the library", async () => {
    const emulator = await startEmulator();
    const { accessKeyId, secretAccessKey } = emulator.keys;
    const path = await written(
      `---\ns3:\n    access_key_id: "${accessKeyId}"\n    secret_access_key: "${secretAccessKey}"\n    default_bucket: "${emulator.bucket}"\n    endpoint: "${new URL(emulator.endpoint).host}"\n    tls: False\n`,
    );
    await using files = await openFilesFromConfig(path);
    await files.write(local("example"), "k");
    expect(await files.exists("k")).toMatchObject({ exists: true });
    expect(files.defaultBucket).toBe(emulator.bucket);
  });

  it("says region, scheme and bucket", async () => {
    const keys = { access_key_id: "A", secret_access_key: "B" };
    const session = (config: Omit<FilesConfig, keyof typeof keys>) => openFiles({ ...keys, ...config }).session;
    expect(session({}).origin).toBe("https://s3.amazonaws.com");
    expect(session({})).toMatchObject({ region: "us-east-1", bucket: undefined });
    for (const endpoint of [
      "s3-us-west-2.amazonaws.com",
      "s3.us-west-2.amazonaws.com",
      "s3.dualstack.us-west-2.amazonaws.com",
    ])
      expect(session({ endpoint }).region).toBe("us-west-2");
    expect(session({ endpoint: "minio:9000", tls: false }).origin).toBe("http://minio:9000");
    expect(session({ endpoint: "minio", region: "eu-1" }).region).toBe("eu-1");
    expect(openFiles({ s3: { ...keys, default_bucket: "com.prometheus.files" } }).defaultBucket).toBe(
      "com.prometheus.files",
    );
  });

  it("is refused by the setting's name and never shown", async () => {
    const base = 's3:\n  access_key_id: "hunter1"\n  secret_access_key: "hunter2"\n';
    for (const [text, names] of [
      ["s3:\n  access_key_id: hunter1\n", "secret_access_key"],
      ['s3:\n  secret_access_key: "hunter2"\n', "access_key_id"],
      [
        "s3:\n  access_key_id: hunter1\n  secret_access_key: 12345678901\n",
        "secret_access_key: must be a string, in quotes",
      ],
      ["s3:\n  access_key_id: hunter1\n  secret_access_key:\n", "secret_access_key"],
      [`${base}  tls: perhaps\n`, "tls: must be true or false"],
      [`${base}  defualt_bucket: b\n`, '"defualt_bucket"'],
      [`${base}  endpoint: "http://hunter2@host"\n`, "endpoint: must be a host"],
      [`${base}  default_bucket: "x"\n`, "bucket"],
      ["s3: hunter2\n", "s3: must have settings"],
      ["- hunter2\n", "configuration: must have settings"],
      ["", "configuration: must have settings"],
      [`${base}  secret_access_key: hunter2\n`, "line 4"],
      ['s3:\n  secret_access_key: "hunter2\n', "must be YAML (line"],
    ] as const) {
      const path = await written(text);
      const error = (await openFilesFromConfig(path).then(
        () => expect.unreachable(`not refused: ${text}`),
        (reason: unknown) => reason,
      )) as Error;
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
      expect(error.message).toContain(names);
      expect(`${error.message} ${JSON.stringify(error)}`).not.toMatch(/hunter|12345678901/);
    }
    await expect(openFilesFromConfig(local("none.yaml"))).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect(existsSync(local("none.yaml"))).toBe(false);
  });
});
