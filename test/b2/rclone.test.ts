/** rclone (Debian's package, API v1) works on the emulator as on B2: it judges the emulator, not our client. */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeJudge, run } from "../judges.js";
import { temporaryDirectory } from "../servers/guard.js";
import { useEmulator } from "./rig.js";

await describeJudge("rclone", (rclone) => {
  it("makes buckets, uploads, lists, reads ranges, copies, hides, keeps versions, syncs, shares and purges", async () => {
    const emulator = await useEmulator();
    const directory = temporaryDirectory("rclone");
    const env = {
      RCLONE_CONFIG: join(directory.path, "none.conf"),
      RCLONE_CONFIG_X_TYPE: "b2",
      RCLONE_CONFIG_X_ACCOUNT: emulator.keyId,
      RCLONE_CONFIG_X_KEY: emulator.key,
      RCLONE_CONFIG_X_ENDPOINT: emulator.endpoint,
    };
    let operations = 0;
    const rc = async (...args: string[]) => {
      operations++;
      const common = [
        "--retries",
        "1",
        "--low-level-retries",
        "2",
        "--b2-chunk-size",
        "5M",
        "--b2-upload-cutoff",
        "6M",
      ];
      const ran = await run(rclone, [...args, ...common], { env });
      if (ran.code !== 0) throw new Error(`rclone ${args.join(" ")}: ${ran.code}\n${ran.stderr}`);
      return ran.stdout;
    };
    const fails = async (...args: string[]) => {
      operations++;
      expect((await run(rclone, [...args, "--retries", "1"], { env })).code, args.join(" ")).not.toBe(0);
    };
    const lines = (text: string) => text.trim().split("\n").filter(Boolean).sort();
    const local = (name: string) => join(directory.path, name);
    try {
      // Buckets.
      await rc("mkdir", "x:rclone-one");
      await rc("mkdir", "x:rclone-one");
      await rc("mkdir", "x:rclone-two");
      expect(lines(await rc("lsf", "x:"))).toEqual(["bucket-for-tests/", "rclone-one/", "rclone-two/"]);

      // Uploads, names that need escaping, times, checksums.
      const names = ["a.txt", "dir/b c.txt", "dir/ü+1%.bin", "dir/sub/deep.txt", "empty"];
      for (const name of names) {
        mkdirSync(join(local("tree"), name, ".."), { recursive: true });
        writeFileSync(join(local("tree"), name), name === "empty" ? "" : `body of ${name}`);
      }
      await rc("copy", local("tree"), "x:rclone-one/tree");
      expect(lines(await rc("lsf", "-R", "--files-only", "x:rclone-one/tree"))).toEqual([...names].sort());
      expect(lines(await rc("lsf", "x:rclone-one/tree"))).toEqual(["a.txt", "dir/", "empty"]);
      expect(await rc("cat", "x:rclone-one/tree/dir/ü+1%.bin")).toBe("body of dir/ü+1%.bin");
      await rc("check", local("tree"), "x:rclone-one/tree");
      const sha1 = createHash("sha1").update("body of a.txt").digest("hex");
      expect(await rc("sha1sum", "x:rclone-one/tree/a.txt")).toContain(sha1);
      expect(JSON.parse(await rc("size", "--json", "x:rclone-one/tree"))).toMatchObject({ count: 5 });
      const before = emulator.costs.calls.b2_upload_file;
      await rc("copy", local("tree"), "x:rclone-one/tree");
      expect(emulator.costs.calls.b2_upload_file, "nothing changed, nothing sent").toBe(before);

      // Ranges.
      expect(await rc("cat", "--offset", "5", "--count", "2", "x:rclone-one/tree/a.txt")).toBe("of");
      expect(await rc("cat", "--head", "4", "x:rclone-one/tree/a.txt")).toBe("body");

      // Server-side copy and move.
      await rc("copyto", "x:rclone-one/tree/a.txt", "x:rclone-one/copied.txt");
      expect(await rc("cat", "x:rclone-one/copied.txt")).toBe("body of a.txt");
      await rc("moveto", "x:rclone-one/copied.txt", "x:rclone-one/moved.txt");
      expect(lines(await rc("lsf", "x:rclone-one"))).toEqual(["moved.txt", "tree/"]);
      await rc("copyto", "x:rclone-one/moved.txt", "x:rclone-two/other.txt");
      expect(await rc("cat", "x:rclone-two/other.txt")).toBe("body of a.txt");

      // Versions and hide markers: a delete hides.
      writeFileSync(local("v"), "one");
      await rc("copyto", local("v"), "x:rclone-one/v.txt");
      writeFileSync(local("v"), "two, longer");
      await rc("copyto", local("v"), "x:rclone-one/v.txt");
      expect(await rc("cat", "x:rclone-one/v.txt")).toBe("two, longer");
      expect(
        lines(await rc("lsf", "--b2-versions", "--files-only", "--include", "v*.txt", "x:rclone-one")).length,
      ).toBe(2);
      await rc("deletefile", "x:rclone-one/v.txt");
      expect(await rc("lsf", "x:rclone-one/v.txt")).toBe("");
      expect(lines(await rc("lsf", "--files-only", "--include", "v*.txt", "x:rclone-one"))).toEqual([]);
      expect(emulator.stored.filter((entry) => entry.includes("/v.txt "))).toEqual([
        "rclone-one/v.txt hide",
        "rclone-one/v.txt upload",
        "rclone-one/v.txt upload",
      ]);
      await rc("deletefile", "--b2-hard-delete", "x:rclone-one/moved.txt");
      expect(emulator.stored.some((entry) => entry.includes("moved.txt upload"))).toBe(false);
      await rc("cleanup", "x:rclone-one");
      expect(emulator.stored.filter((entry) => entry.includes("/v.txt "))).toEqual([]);

      // A large file in parts, and back.
      const large = randomBytes(11_000_000);
      writeFileSync(local("large"), large);
      await rc("copyto", local("large"), "x:rclone-two/large.bin");
      expect(emulator.costs.calls.b2_upload_part).toBeGreaterThanOrEqual(2);
      await rc("copyto", "x:rclone-two/large.bin", local("back"));
      expect(readFileSync(local("back")).equals(large)).toBe(true);
      await rc("copyto", "x:rclone-two/large.bin", "x:rclone-two/large-again.bin");
      expect(emulator.costs.calls.b2_copy_file ?? 0).toBeGreaterThanOrEqual(1);

      // Sync removes what is no more.
      await rc("sync", local("tree"), "x:rclone-two/synced");
      await rc("delete", local("tree"), "--include", "empty");
      await rc("sync", local("tree"), "x:rclone-two/synced");
      expect(lines(await rc("lsf", "-R", "--files-only", "x:rclone-two/synced"))).not.toContain("empty");
      expect(await rc("link", "x:rclone-two/other.txt")).toContain("/file/rclone-two/other.txt");

      // Away with everything.
      await fails("rmdir", "x:rclone-two");
      await rc("purge", "x:rclone-two");
      await rc("purge", "x:rclone-one");
      expect(lines(await rc("lsf", "x:"))).toEqual(["bucket-for-tests/"]);
      expect(emulator.stored).toEqual([]);
      console.log(
        `rclone: ${operations} operations, ${emulator.seen.length} requests, ${JSON.stringify(emulator.costs.classes)}`,
      );
      expect(operations).toBeGreaterThanOrEqual(36);
    } finally {
      directory.remove();
    }
  }, 120_000);

  it("is refused with a wrong key", async () => {
    const emulator = await useEmulator();
    const env = {
      RCLONE_CONFIG: "/nonexistent",
      RCLONE_CONFIG_X_TYPE: "b2",
      RCLONE_CONFIG_X_ACCOUNT: emulator.keyId,
      RCLONE_CONFIG_X_KEY: "wrong",
      RCLONE_CONFIG_X_ENDPOINT: emulator.endpoint,
    };
    const ran = await run(rclone, ["lsf", "x:", "--retries", "1"], { env });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain("401");
  });
});
