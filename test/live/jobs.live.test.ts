/** Bulk jobs on the real servers: there and back, resumed, in parts, and a folder deleted without its siblings. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deleteFolder, getAll, putAll } from "@bucketlock/core/jobs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";

const MIB = 1024 * 1024;

onEveryServer((server) => {
  const { session } = useBucket(server, "jobs");
  let dir = "";
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "bucketlock-jobs-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it("moves a folder there and back, and moves nothing twice", async () => {
    const [from, to] = [join(dir, "from"), join(dir, "to")];
    await mkdir(join(from, "sub", "empty"), { recursive: true });
    const large = Buffer.alloc(12 * MIB + 1, "bucketlock");
    const files: Record<string, Uint8Array> = { large, none: Buffer.alloc(0), "sub/ü +%.txt": Buffer.from("odd") };
    for (let n = 0; n < 40; n++) files[`sub/${n}`] = Buffer.from(`file ${n}`);
    for (const [name, body] of Object.entries(files)) await writeFile(join(from, name), body);
    const options = { partBytes: 5 * MIB };
    const count = Object.keys(files).length;
    expect(await putAll(session(), from, "job/", options)).toMatchObject({ files: count, folders: 1 });
    expect(await putAll(session(), from, "job/", options)).toMatchObject({ files: 0, skippedFiles: count });
    expect(await getAll(session(), "job/", to, options)).toMatchObject({ files: count, folders: 1, unverified: [] });
    for (const [name, body] of Object.entries(files))
      expect((await readFile(join(to, name))).equals(body), name).toBe(true);
    expect(await getAll(session(), "job/", to, options)).toMatchObject({ files: 0, skippedFiles: count });

    await session().putObject("job2", "a sibling");
    expect(await deleteFolder(session(), "job")).toEqual({ deleted: count + 1 });
    const left: string[] = [];
    for await (const { objects } of session().listObjects("job")) left.push(...objects.map(({ key }) => key));
    expect(left).toEqual(["job2"]);
  });
});
