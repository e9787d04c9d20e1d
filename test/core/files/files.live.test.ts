/** Files on the real servers: there and back, small and in parts, in two buckets, with metadata changed on the way. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFiles } from "@bucketlock/core/files";
import { afterAll, beforeAll, expect, it } from "vitest";
import { useBucket } from "../../live/buckets.js";
import { onEveryServer } from "../../servers/on-server.js";

onEveryServer((server) => {
  const { session } = useBucket(server, "files");
  const other = useBucket(server, "files-other");
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "bucketlock-files-"));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it.each([
    ["little", 10_000],
    // Two parts.
    ["big", 17 * 1024 * 1024],
  ])("a %s file", async (name, size) => {
    const bytes = Buffer.alloc(size);
    for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE(at, at);
    const [source, target] = [join(dir, name), join(dir, `${name}-back`)];
    writeFileSync(source, bytes);
    const files = openFiles(session());
    const there = { bucket: other.bucket, key: `a folder/${name}` };
    expect(await files.exists(name)).toEqual({ exists: false });
    await files.write(source, name, {
      headers: { "x-amz-meta-physics": "Kant", "x-amz-meta-morphosis": "Kafka", "content-type": "image/png" },
    });
    const metadata = { physics: "Kant", morphosis: "Kafka" };
    expect(await files.exists(name)).toMatchObject({ exists: true, metadata, size, contentType: "image/png" });
    await files.updateMetadata(name, { "x-amz-meta-morphosis": "Kafka, Franz" });
    const changed = { metadata: { morphosis: "Kafka, Franz" }, size, contentType: "image/png" };
    await files.copy(name, there);
    for (const from of [name, there]) {
      expect(await files.read(from, target)).toMatchObject(changed);
      expect(sha256(target)).toBe(sha256(source));
    }
    await files.copy(there, name, { headers: { "x-amz-meta-copied": "yes" } });
    expect(await files.exists(name)).toMatchObject({ metadata: { copied: "yes" }, contentType: "image/png" });
    await files.delete(name);
    await files.delete(name);
    expect(await files.exists(name)).toEqual({ exists: false });
    await expect(files.read(name, target)).rejects.toMatchObject({ code: "STORE_NO_OBJECT" });
    await expect(files.copy(name, there)).rejects.toMatchObject({ code: "STORE_NO_OBJECT" });
    expect(sha256(target)).toBe(sha256(source));
  });
});

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
