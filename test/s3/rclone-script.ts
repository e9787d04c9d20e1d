/**
 * A script for rclone (Debian's package), which nobody here wrote. It runs against the emulator and against real servers and
 * expects the same of all; it knows none of them.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { type Ran, run } from "../judges.js";
import { temporaryDirectory } from "../servers/guard.js";
import type { Endpoint } from "./sdk-script.js";

// Names that need escaping, in the path and in the listing.
const NAMES = ["a.txt", "dir/b c.txt", "dir/ü+1%.bin", "dir/sub/deep.txt", "empty", "q&<x>='y'.txt"];

export interface Server extends Endpoint {
  /** Turns them on for a bucket; undefined: it keeps none. */
  readonly keepVersions?: ((bucket: string) => Promise<void>) | undefined;
  /** Whether it encodes keys in listings when asked to. */
  readonly encodes: boolean;
}

/** In two buckets of its own, `name`-one and `name`-two, gone at the end. Returns how often rclone ran. */
export async function runRclone(rclone: string, server: Server, name: string): Promise<number> {
  const directory = temporaryDirectory("rclone");
  let operations = 0;
  const env = {
    RCLONE_CONFIG: join(directory.path, "none.conf"),
    // Some environments name one, which this version cannot take.
    AWS_CA_BUNDLE: "",
    RCLONE_CONFIG_X_TYPE: "s3",
    RCLONE_CONFIG_X_PROVIDER: "Other",
    RCLONE_CONFIG_X_ACCESS_KEY_ID: server.accessKeyId,
    RCLONE_CONFIG_X_SECRET_ACCESS_KEY: server.secretAccessKey,
    RCLONE_CONFIG_X_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_X_REGION: server.region,
    RCLONE_CONFIG_X_FORCE_PATH_STYLE: "true",
    RCLONE_CONFIG_X_LIST_URL_ENCODE: String(server.encodes),
  };
  const limits = ["--retries", "1", "--low-level-retries", "2", "--s3-chunk-size", "5M", "--s3-upload-cutoff", "6M"];
  const attempt = (...args: string[]): Promise<Ran> => {
    operations++;
    return run(rclone, [...args, ...limits], { env });
  };
  const rc = async (...args: string[]) => {
    const ran = await attempt(...args);
    if (ran.code !== 0) throw new Error(`rclone ${args.join(" ")}: ${ran.code}\n${ran.stderr}`);
    return ran.stdout;
  };
  const lines = (text: string) => text.trim().split("\n").filter(Boolean).sort();
  const local = (path: string) => join(directory.path, path);
  const one = `x:${name}-one`;
  const two = `x:${name}-two`;
  try {
    // Buckets.
    for (const bucket of [one, one, two]) await rc("mkdir", bucket);
    expect(lines(await rc("lsf", "x:")).filter((bucket) => bucket.startsWith(name))).toEqual([
      `${name}-one/`,
      `${name}-two/`,
    ]);

    // Uploads, names, times, checksums.
    for (const path of NAMES) {
      mkdirSync(join(local("tree"), path, ".."), { recursive: true });
      writeFileSync(join(local("tree"), path), path === "empty" ? "" : `body of ${path}`);
    }
    await rc("copy", local("tree"), `${one}/tree`);
    expect(lines(await rc("lsf", "-R", "--files-only", `${one}/tree`))).toEqual([...NAMES].sort());
    expect(lines(await rc("lsf", `${one}/tree`))).toEqual(["a.txt", "dir/", "empty", "q&<x>='y'.txt"]);
    for (const path of NAMES.filter((path) => path !== "empty"))
      expect(await rc("cat", `${one}/tree/${path}`)).toBe(`body of ${path}`);
    await rc("check", local("tree"), `${one}/tree`);
    const md5 = createHash("md5").update("body of a.txt").digest("hex");
    expect(await rc("md5sum", `${one}/tree/a.txt`)).toContain(md5);
    expect(JSON.parse(await rc("size", "--json", `${one}/tree`))).toMatchObject({ count: NAMES.length });
    expect((await attempt("copy", "-v", local("tree"), `${one}/tree`)).stderr).toContain(
      "There was nothing to transfer",
    );

    // Ranges.
    expect(await rc("cat", "--offset", "5", "--count", "2", `${one}/tree/a.txt`)).toBe("of");
    expect(await rc("cat", "--tail", "3", `${one}/tree/a.txt`)).toBe("txt");

    // Copy and move on the server; the modification time is metadata, and changed by a copy to itself.
    await rc("copyto", `${one}/tree/dir/ü+1%.bin`, `${one}/copied é.bin`);
    expect(await rc("cat", `${one}/copied é.bin`)).toBe("body of dir/ü+1%.bin");
    await rc("moveto", `${one}/copied é.bin`, `${one}/moved.bin`);
    expect(lines(await rc("lsf", one))).toEqual(["moved.bin", "tree/"]);
    await rc("copyto", `${one}/moved.bin`, `${two}/other.bin`);
    await rc("touch", "--timestamp", "2021-02-03T04:05:06", `${two}/other.bin`);
    expect(await rc("lsf", "--format", "tp", `${two}/other.bin`)).toContain("2021-02-03 04:05:06");

    // A large file in parts, there and back, and copied.
    const large = randomBytes(11_000_000);
    writeFileSync(local("large"), large);
    await rc("copyto", local("large"), `${two}/large.bin`);
    await rc("copyto", `${two}/large.bin`, local("back"));
    expect(readFileSync(local("back")).equals(large)).toBe(true);
    await rc("copyto", "--s3-copy-cutoff", "6M", `${two}/large.bin`, `${two}/large-again.bin`);
    expect(await rc("md5sum", "--download", `${two}/large-again.bin`)).toContain(
      createHash("md5").update(large).digest("hex"),
    );
    expect((await rc("backend", "list-multipart-uploads", `${two}`)).replace(/\s/g, "")).toMatch(
      /^\{.*(?:\[\]|null|\{\}).*\}$/,
    );

    // Sync removes what is no more; a link is a signature in the query.
    await rc("sync", local("tree"), `${two}/synced`);
    await rc("delete", local("tree"), "--include", "empty");
    await rc("sync", local("tree"), `${two}/synced`);
    expect(lines(await rc("lsf", "-R", "--files-only", `${two}/synced`))).not.toContain("empty");
    const linked = await fetch((await rc("link", "--expire", "5m", `${two}/synced/dir/ü+1%.bin`)).trim());
    expect([linked.status, await linked.text()]).toEqual([200, "body of dir/ü+1%.bin"]);

    // Versions: a delete lays a marker.
    if (server.keepVersions) {
      await server.keepVersions(`${name}-one`);
      for (const text of ["one", "two, longer"]) {
        writeFileSync(local("v"), text);
        await rc("copyto", local("v"), `${one}/v.txt`);
      }
      const shown = async () =>
        lines(await rc("lsf", "--s3-versions", "--files-only", "--include", "v*.txt", one)).length;
      expect(await shown()).toBe(2);
      await rc("deletefile", `${one}/v.txt`);
      expect(lines(await rc("lsf", "--files-only", "--include", "v*.txt", one))).toEqual([]);
      expect(await shown()).toBe(2);
      await rc("backend", "cleanup-hidden", one);
      expect(await shown()).toBe(0);
    }

    // Away with everything.
    expect((await attempt("rmdir", two)).code).not.toBe(0);
    await rc("purge", two);
    await rc("purge", one);
    if (server.keepVersions) {
      await rc("backend", "cleanup-hidden", one).catch(() => {});
      await attempt("rmdir", one);
    }
    expect(lines(await rc("lsf", "x:")).filter((bucket) => bucket.startsWith(name))).toEqual([]);
    const wrong = await run(rclone, ["lsf", "x:", "--retries", "1"], {
      env: { ...env, RCLONE_CONFIG_X_SECRET_ACCESS_KEY: "wrong" },
    });
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toContain("SignatureDoesNotMatch");
    return operations;
  } finally {
    directory.remove();
  }
}
