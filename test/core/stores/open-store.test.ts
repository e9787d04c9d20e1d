/** Store URLs: which store each means, and what is refused, without ever showing a secret. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidError, openStore } from "@bucketlock/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const SECRET = "hunter2hunter2";
const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: SECRET };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bucketlock-"));
});
afterEach(() => rm(dir, { recursive: true }));

function refusal(url: unknown): string {
  try {
    openStore(url as string, { s3: { credentials, region: "eu-central-1" } });
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidError);
    return (error as Error).message;
  }
  return expect.unreachable(`not refused: ${url}`);
}

describe("openStore", () => {
  it("opens a memory store, a new one each time", async () => {
    const store = openStore("memory:");
    await store.put("k", "v");
    expect((await openStore("MEMORY:").head("k")).found).toBe(false);
  });

  it("opens a directory by both forms of a file URL", async () => {
    await openStore(`file:${dir}`).put("k", "v");
    const again = openStore(`file://${dir}`);
    expect(again.name).toBe(`file:${dir}`);
    expect((await again.head("k")).found).toBe(true);
  });

  it("makes a directory only when told, with its name unescaped", () => {
    const url = `file:${dir}/a%20b/c%3Fd`;
    expect(refusal(url)).toContain("must exist");
    openStore(`${url}?create=1&durable=true`);
    expect(existsSync(join(dir, "a b", "c?d", "bucketlock.json"))).toBe(true);
  });

  it("opens a bucket, below the prefix", async () => {
    const s3 = { credentials };
    for (const [url, name] of [
      ["s3://bucket?region=us-east-1", "s3://bucket/"],
      ["s3://bucket/a/b?region=us-east-1&path-style=1", "s3://bucket/a/b/"],
      ["s3://bucket/a%20b/?endpoint=http://127.0.0.1:9000", "s3://bucket/a b/"],
    ] as const) {
      const store = openStore(url, { s3 });
      expect(store.name).toBe(name);
      await store.close();
    }
  });

  it("refuses what it does not know, by name", () => {
    expect(refusal("gs://bucket")).toContain('must begin with memory:, file: or s3:; got "gs:"');
    expect(refusal("/var/lib/locks")).toContain("memory:, file: or s3:");
    expect(refusal("b2://bucket")).toContain("@bucketlock/b2");
    expect(refusal("memory:shared")).toContain("memory: alone");
    expect(refusal("s3://bucket?regoin=x")).toContain('endpoint, region, path-style, profile; got "regoin"');
    expect(refusal(`file:${dir}?region=x`)).toContain('create, durable; got "region"');
    expect(refusal("s3://bucket?path-style=maybe")).toContain("path-style");
    expect(refusal("s3://bucket?region=a&region=b")).toContain("once");
    expect(refusal("s3://bucket/a%zz")).toContain("%XX");
    expect(refusal("s3://bucket/a#b")).toContain("%23");
    expect(refusal("s3:bucket")).toContain("s3://bucket");
    expect(refusal("s3:///prefix")).toContain("s3://bucket");
    expect(refusal("")).toContain("not empty");
    expect(refusal(undefined)).toContain("not empty");
  });

  it("refuses relative paths and hosts", () => {
    for (const url of ["file:locks", "file:./locks", "file:../locks", "file:"]) {
      expect(refusal(url)).toContain("absolute path");
    }
    expect(refusal("file://elsewhere/var/lib")).toContain("this host");
  });

  it("refuses credentials without showing them", () => {
    for (const url of [
      `s3://AKID:${SECRET}@bucket/prefix`,
      `s3://AKID:${SECRET}/x@bucket`,
      `s3:AKID:${SECRET}@bucket`,
      `file://user:${SECRET}@host/dir`,
      `https://user:${SECRET}@host`,
      `AKID:${SECRET}`,
      `s3://bucket?secret=${SECRET}`,
      `s3://bucket?endpoint=http://user:${SECRET}@host`,
    ]) {
      expect(refusal(url)).not.toContain(SECRET);
    }
  });
});
