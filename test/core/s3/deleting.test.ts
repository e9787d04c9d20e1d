/** Deleting what is named, and purging: exactly that, every version of it, and no failure unsaid. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NotDeletedError, type S3Session } from "../../../packages/core/src/index.js";
import { commonPrefix } from "../../../packages/core/src/s3-purge.js";
import type { S3Emulator } from "../../emulators/s3/emulator.js";
import { collect, failure, setup } from "./rig.js";
import { refusal, type Seen, script } from "./scripted.js";

const deleted = (...inner: string[]) => ({ body: `<DeleteResult>${inner.join("")}</DeleteResult>` });
const gone = (key: string) => `<Deleted><Key>${key}</Key></Deleted>`;
const kept = (key: string, code: string) => `<Error><Key>${key}</Key><Code>${code}</Code><Message>m</Message></Error>`;
const requests = ({ seen }: S3Emulator, pattern: RegExp) =>
  seen.filter(({ method, url }) => pattern.test(`${method} ${url}`)).length;

async function keysLeft(session: S3Session): Promise<string[]> {
  return [...new Set((await collect(session.objectVersions(""))).map(({ key }) => key))];
}

describe("deleteObject", () => {
  it("tells of the marker that was laid, and of the version that is gone", async () => {
    const { session } = await setup({ versions: true });
    await session.putObject("k", "1");
    const marker = await session.deleteObject({ key: "k" });
    expect(marker).toMatchObject({ isDeleteMarker: true, versionId: expect.any(String) });
    expect(await session.deleteObject({ key: "k", versionId: marker.versionId })).toMatchObject({
      isDeleteMarker: true,
    });
    expect((await session.headObject("k")).found).toBe(true);
  });
  it("passes what retains a version only when told to", async () => {
    const { session } = await setup({ objectLock: true });
    const put = await session.putObject("k", "1");
    const target = { key: "k", versionId: put.outcome === "stored" ? put.versionId : undefined };
    await session.putObjectRetention("k", { mode: "governance", untilMs: Date.now() + 60_000 });
    await expect(session.deleteObject(target)).rejects.toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect((await session.deleteObjects([target, "other"])).failed).toMatchObject([{ key: "k", code: "AccessDenied" }]);
    expect((await session.deleteObjects([target, "other"], { bypassGovernance: true })).failed).toEqual([]);
    expect((await collect(session.objectVersions("k"))).length).toBe(0);
  });
});

describe("deleteObjects", () => {
  it("takes what is not mentioned for failed, but in quiet mode", async () => {
    for (const quiet of [false, true]) {
      const { server, session } = await script([deleted(kept("a", "AccessDenied"))]);
      const { failed } = await session.deleteObjects(["a", "b"], { quiet });
      expect(failed.map(({ key, code }) => [key, code])).toEqual(
        quiet
          ? [["a", "AccessDenied"]]
          : [
              ["a", "AccessDenied"],
              ["b", "NotAnswered"],
            ],
      );
      expect(server.seen[0]!.body).toContain(`<Quiet>${quiet}</Quiet>`);
      expect(server.seen[0]!.headers["content-md5"]).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    }
  });
  it("tries again, alone, what may pass", async () => {
    const { server, session } = await script([
      deleted(gone("a"), kept("b", "SlowDown"), kept("c", "AccessDenied"), kept("d", "InternalError")),
      ({ path }) => (path === "/bucket/b" ? { status: 204 } : refusal(403, "AccessDenied")),
      ({ path }) => (path === "/bucket/b" ? { status: 204 } : refusal(403, "AccessDenied")),
    ]);
    const { failed } = await session.deleteObjects(["a", "b", "c", "d"]);
    expect(failed.map(({ key, code }) => [key, code])).toEqual([
      ["c", "AccessDenied"],
      ["d", "AccessDenied"],
    ]);
    expect(server.asked.slice(1).sort()).toEqual(["DELETE /bucket/b", "DELETE /bucket/d"]);
  });
});

describe("purge", () => {
  it("removes every version of exactly the named keys, never of siblings, with one listing", async () => {
    const { emulator, session } = await setup({ versions: true });
    for (const key of ["1", "10", "100", "11", "1/a", "2"]) {
      for (const body of ["x", "y"]) await session.putObject(`p/${key}`, body);
    }
    await session.deleteObject({ key: "p/1" });
    expect(await session.purge(["p/1", "p/11", "p/1", "p/absent"])).toEqual({ deleted: 5 });
    expect(await keysLeft(session)).toEqual(["p/1/a", "p/10", "p/100", "p/2"]);
    // No marker was laid for what is not there.
    expect(requests(emulator, /^GET .*[?&]versions=/)).toBe(2);
    expect(requests(emulator, /^POST .*[?&]delete=/)).toBe(1);
    expect(requests(emulator, /^DELETE /)).toBe(1);
  });

  it("removes all of one key with many versions, and no sibling", async () => {
    const { session } = await setup({ versions: true });
    for (const key of ["p/1", "p/10", "p/1/a"]) await session.putObject(key, "x");
    // More than one page of it.
    for (let n = 0; n < 104; n++) await session.putObject("p/1", String(n));
    expect(await session.purge(["p/1"])).toEqual({ deleted: 105 });
    expect(await keysLeft(session)).toEqual(["p/1/a", "p/10"]);
  });

  it("asks a key again whose versions go on behind the page at which the one listing was given up", async () => {
    const { session } = await setup({ versions: true });
    for (const key of ["p/a", "p/m", "p/m", "p/m", "p/m", "p/z"]) await session.putObject(key, "x");
    expect(await session.purge(["p/a", "p/m", "p/z"], { pageSize: 3 })).toEqual({ deleted: 6 });
    expect(await keysLeft(session)).toEqual([]);
  });

  it("removes only the version that was named", async () => {
    const { session } = await setup({ versions: true });
    const put = await session.putObject("k", "1");
    await session.putObject("k", "2");
    const versionId = put.outcome === "stored" ? put.versionId : undefined;
    expect(await session.purge([{ key: "k", versionId }])).toEqual({ deleted: 1 });
    expect((await collect(session.objectVersions("k"))).length).toBe(1);
    // Named and open at once: no version is asked for twice.
    const [left] = await collect(session.objectVersions("k"));
    expect(await session.purge(["k", { key: "k", versionId: left!.versionId }])).toEqual({ deleted: 1 });
  });

  it("gives the one listing up when it costs more than one for each key", async () => {
    const { emulator, session } = await setup({ versions: true });
    await session.putObject("p/a", "1");
    await session.putObject("p/z", "1");
    for (let n = 0; n < 12; n++) await session.putObject(`p/m${n}`, "1");
    const before = emulator.seen.length;
    expect(await session.purge(["p/a", "p/z"], { pageSize: 3 })).toEqual({ deleted: 2 });
    const listings = emulator.seen.slice(before).filter(({ method }) => method === "GET");
    // One page of all; then what it had not reached, by itself.
    expect(listings.map(({ url }) => decodeURIComponent(/[?&]prefix=([^&]*)/.exec(url)![1]!))).toEqual(["p/", "p/z"]);
    expect((await keysLeft(session)).length).toBe(12);
  });

  it("is exact for any keys and versions", async () => {
    const { session } = await setup({ versions: true });
    const name = fc.string({ unit: fc.constantFrom("a", "b", "/", "\u{1F512}", "\uffee"), minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(name, { maxLength: 8 }),
        fc.uniqueArray(name, { maxLength: 5 }),
        async (puts, doomed) => {
          for (const key of puts) await session.putObject(key, key);
          await session.purge(doomed);
          const expected = [...new Set(puts)].filter((key) => !doomed.includes(key));
          expect((await keysLeft(session)).sort()).toEqual(expected.sort());
          await session.purge({ prefix: "" });
          expect(await keysLeft(session)).toEqual([]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("removes all under a prefix, page by page; `remove` lays markers", async () => {
    const { session } = await setup({ versions: true });
    for (const key of ["p/1", "p/1", "p/2", "q"]) await session.putObject(key, key);
    expect(await session.remove({ prefix: "p/" })).toEqual({ deleted: 2 });
    expect((await collect(session.objects(""))).map(({ key }) => key)).toEqual(["q"]);
    expect(await session.purge({ prefix: "p/" }, { pageSize: 2 })).toEqual({ deleted: 5 });
    expect(await keysLeft(session)).toEqual(["q"]);
    expect(await session.remove(["q"])).toEqual({ deleted: 1 });
    expect((await collect(session.objectVersions("q"))).length).toBe(2);
    expect(await session.purge([])).toEqual({ deleted: 0 });
  });

  it("deletes the objects where no versions are listed", async () => {
    const { session } = await setup({ listVersions: "refuse" });
    for (const key of ["p/1", "p/10", "p/2"]) await session.putObject(key, key);
    expect(await session.purge(["p/1", "p/2", "p/3"])).toEqual({ deleted: 2 });
    expect(await keysLeft(session)).toEqual(["p/10"]);
  });

  it("never falls back to deletes without a version when versions cannot be read", async () => {
    const { server, session } = await script([refusal(403, "AccessDenied")]);
    await expect(session.purge(["a"])).rejects.toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect(server.asked).toEqual(["GET /bucket"]);
  });

  it("tells every key that stayed, in one error, and does the rest", async () => {
    const keys = Array.from({ length: 2500 }, (_, n) => `k${String(n).padStart(4, "0")}`);
    let batch = 0;
    const { server, session } = await script(
      ({ body }: Seen) => {
        const named = [...body.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key!);
        if (++batch === 2) return refusal(503, "ServiceUnavailable");
        return deleted(...named.map((key) => (key === "k0007" ? kept(key, "AccessDenied") : gone(key))));
      },
      { maxTries: 1 },
    );
    const error = await session.remove(keys).catch((reason: unknown) => reason);
    if (!(error instanceof NotDeletedError)) throw error;
    expect(server.seen.length).toBe(3);
    expect(error).toMatchObject({ code: "STORE_NOT_DELETED", kind: "denied", deleted: 1499 });
    expect(error.failed.length).toBe(1001);
    expect(error.failed[0]).toMatchObject({ key: "k0007", code: "AccessDenied", message: "m" });
    expect(error.failed[1]).toMatchObject({ key: "k1000", code: "STORE_UNAVAILABLE" });
    expect(error.message).toContain('"k0007" (AccessDenied)');
    expect(error.message.length).toBeLessThan(400);
  });

  it("keeps what failed when the listing breaks later", async () => {
    const page = (inner: string) => ({ body: `<ListBucketResult>${inner}</ListBucketResult>` });
    const entry = "<Contents><Key>a</Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>1</Size></Contents>";
    const { session } = await script(
      [
        page(`<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>${entry}`),
        refusal(403, "AccessDenied"),
        refusal(500, "InternalError"),
      ],
      { maxTries: 1 },
    );
    const error = await session.remove({ prefix: "" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "STORE_NOT_DELETED",
      failed: [{ key: "a" }],
      cause: { code: "STORE_UNAVAILABLE" },
    });
  });

  it("ends with the caller's own reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { session } = await script(() => {
      controller.abort(reason);
      return { status: 204 };
    });
    await expect(session.purge(["a", "b"], { signal: controller.signal })).rejects.toBe(reason);
  });

  it("refuses what it cannot mean", async () => {
    const { emulator, session } = await setup();
    for (const what of [undefined, "k", {}, { prefix: 1 }, [""], [{ key: 1 }], [{ key: "k", versionId: "" }]])
      expect((await failure(session.purge(what as never), emulator)).code).toBe("INVALID_OPTION");
    expect(emulator.seen).toEqual([]);
  });
});

it("the common prefix never splits a character", () => {
  expect(commonPrefix(["a/1", "a/10", "a/2"])).toBe("a/");
  // Both begin with the same half of a pair.
  expect(commonPrefix(["a\u{1F512}", "a\u{1F513}"])).toBe("a");
  expect(commonPrefix(["a"])).toBe("a");
  expect(commonPrefix([])).toBe("");
});
