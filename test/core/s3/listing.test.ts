/** Listings: what they are asked for and answer, the first form as a fall-back, and answers that contradict themselves. */
import { describe, expect, it } from "vitest";
import { collect, failure, setup } from "./rig.js";
import { type Answer, refusal, type Seen, script } from "./scripted.js";

const KEYS = ["a", "a/1", "a/2", "a/b/3", "b/4", "c", "d e+f/5", "\u{1F512}/6"];
const listing = (inner: string) => ({ body: `<ListBucketResult>${inner}</ListBucketResult>` });
const entry = (key: string) =>
  `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>1</Size></Contents>`;
const common = (prefix: string) => `<CommonPrefixes><Prefix>${prefix}</Prefix></CommonPrefixes>`;
const last = "<IsTruncated>false</IsTruncated>";
const more = "<IsTruncated>true</IsTruncated>";

describe.each([
  ["of the second form", "honour"],
  ["of the first form, the second refused", "refuse"],
  ["of the first form, the second not understood", "ignore"],
] as const)("objects, by listings %s", (_name, listV2) => {
  it.each(["percent", "plus", "none"] as const)(
    "have common prefixes in any page size, encoded: %s",
    async (encoding) => {
      const { emulator, session } = await setup({ listV2, encoding });
      for (const key of KEYS) await session.putObject(key, key);
      for (const pageSize of [1000, 3, 2, 1]) {
        const pages = await collect(session.listObjects("", { delimiter: "/", pageSize }));
        expect(pages.flatMap(({ objects }) => objects.map(({ key }) => key))).toEqual(["a", "c"]);
        expect(pages.flatMap(({ prefixes }) => prefixes)).toEqual(["a/", "b/", "d e+f/", "\u{1F512}/"]);
        expect(pages.map(({ isLast }) => isLast)).toEqual(pages.map((_, index) => index === pages.length - 1));
        expect((await collect(session.objects("", { pageSize }))).map(({ key }) => key)).toEqual(KEYS);
        const after = await collect(session.objects("", { pageSize, startAfter: "a/2" }));
        expect(after.map(({ key }) => key)).toEqual(KEYS.slice(3));
        const below = await collect(session.listObjects("a/", { delimiter: "/", pageSize }));
        expect(below.flatMap(({ prefixes }) => prefixes)).toEqual(["a/b/"]);
      }
      expect(emulator.unknown).toEqual([]);
    },
  );

  it("has owners only where they are asked for", async () => {
    const { session } = await setup({ listV2 });
    await session.putObject("k", "");
    const [asked] = await collect(session.objects("", { withOwner: true }));
    expect(asked).toMatchObject({ storageClass: "STANDARD", owner: { id: expect.any(String) } });
    if (listV2 === "honour") expect((await collect(session.objects("")))[0]).not.toHaveProperty("owner");
  });

  it("asks a server only once for the form that it has not", async () => {
    const { emulator, session } = await setup({ listV2 });
    for (let n = 0; n < 3; n++) await collect(session.listObjects(""));
    const seconds = emulator.seen.filter(({ url }) => url.includes("list-type=2"));
    expect(seconds.length).toBe(listV2 === "honour" ? 3 : 1);
  });
});

describe("the first form", () => {
  it("is not taken for missing when both are refused", async () => {
    const refuse = [refusal(400, "InvalidArgument", "second"), refusal(400, "InvalidArgument", "first")];
    const { session } = await script([...refuse, listing(last + entry("k"))]);
    await expect(collect(session.listObjects(""))).rejects.toThrow(/second/);
    expect((await collect(session.objects(""))).length).toBe(1);
  });
  it("is not tried after a page of the second", async () => {
    const page = listing(`${more}<NextContinuationToken>t</NextContinuationToken>${entry("k")}`);
    const { session } = await script([page, refusal(400, "InvalidArgument")]);
    await expect(collect(session.listObjects(""))).rejects.toMatchObject({ code: "STORE_REFUSED" });
  });
  it("is not tried when the server fails", async () => {
    const { server, session } = await script([refusal(500, "InternalError")], { maxTries: 1 });
    await expect(collect(session.listObjects(""))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(server.seen.length).toBe(1);
  });
  it("goes on behind the last entry where no marker is given, and behind the marker where one is", async () => {
    const asked = async (first: string) => {
      const { server, session } = await script([
        refusal(501, "NotImplemented"),
        listing(more + first),
        listing(last + entry("z")),
      ]);
      await collect(session.listObjects("", { delimiter: "/" }));
      return server.seen[2]!.query.get("marker");
    };
    expect(await asked(entry("a") + entry("b"))).toBe("b");
    expect(await asked(entry("b") + common("c/"))).toBe("c/");
    const url = "<EncodingType>url</EncodingType>";
    expect(await asked(`${url}<NextMarker>a%20b</NextMarker>${entry("a%20b")}`)).toBe("a b");
    // Encoded keys beside a marker that is not.
    expect(await asked(`${url}<NextMarker>50%</NextMarker>${entry("50%25")}`)).toBe("50%");
    expect(await asked(`<NextMarker>q</NextMarker>${entry("a")}`)).toBe("q");
  });
  it("that is cut short without an entry is an error, as is one that goes round", async () => {
    const empty = await script([refusal(501, "NotImplemented"), listing(more)]);
    await expect(collect(empty.session.listObjects(""))).rejects.toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
    const round: Answer[] = [refusal(501, "NotImplemented"), listing(more + entry("a")), listing(more + entry("a"))];
    const again = await script(round);
    await expect(collect(again.session.listObjects(""))).rejects.toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
  });
});

describe("versions", () => {
  it.each([false, true])("have common prefixes and a start, markers that include: %s", async (inclusiveMarkers) => {
    const { session } = await setup({ versions: true, inclusiveMarkers });
    for (const key of [...KEYS, ...KEYS]) await session.putObject(key, key);
    await session.deleteObject({ key: "c" });
    for (const pageSize of [1000, 3, 1]) {
      const pages = await collect(session.listObjectVersions("", { delimiter: "/", pageSize }));
      expect(pages.flatMap(({ prefixes }) => prefixes)).toEqual(["a/", "b/", "d e+f/", "\u{1F512}/"]);
      const shown = pages.flatMap(({ versions }) => versions);
      expect(shown.map(({ key, isLatest, isDeleteMarker, size }) => [key, isLatest, isDeleteMarker, size])).toEqual([
        ...[["a", true, false, 1] as const, ["a", false, false, 1] as const],
        ...[["c", true, true, undefined] as const, ["c", false, false, 1] as const, ["c", false, false, 1] as const],
      ]);
      const after = await collect(session.objectVersions("", { pageSize, startAfter: "a/2" }));
      expect([...new Set(after.map(({ key }) => key))]).toEqual(KEYS.slice(3));
    }
  });
  it("are the objects where the server has no such request", async () => {
    const { session } = await setup({ listVersions: "refuse" });
    for (const key of KEYS) await session.putObject(key, key);
    const [page] = await collect(session.listObjectVersions("", { delimiter: "/", startAfter: "a/1" }));
    expect(page!.versions).toEqual([expect.objectContaining({ key: "c", isLatest: true, size: 1 })]);
    expect(page!.prefixes).toEqual(["a/", "b/", "d e+f/", "\u{1F512}/"]);
  });
});

it("a prefix that was not asked for is an error", async () => {
  const { session } = await script([listing(last + common("x/"))]);
  await expect(collect(session.listObjects("a/", { delimiter: "/" }))).rejects.toMatchObject({
    code: "STORE_CORRUPT_ANSWER",
  });
});

it("wrong options are refused before anything is sent", async () => {
  const { emulator, session } = await setup();
  const wrong: (() => Promise<unknown>)[] = [
    () => collect(session.listObjects(1 as never)),
    () => collect(session.listObjects("", { delimiter: "" })),
    () => collect(session.listObjects("", { startAfter: 1 as never })),
    () => collect(session.listObjects("", { withOwner: "yes" as never })),
    () => collect(session.listObjects("", { pageSize: 1001 })),
    // Common prefixes would be lost without a word.
    () => collect(session.objects("", { delimiter: "/" } as never)),
    () => collect(session.objectVersions("", { delimiter: "/" } as never)),
  ];
  for (const call of wrong) expect((await failure(call(), emulator)).code).toBe("INVALID_OPTION");
  expect(emulator.seen).toEqual([]);
});

it("a walk that is left early asks for no further page", async () => {
  const answer = (seen: Seen) =>
    listing(`${more}<NextContinuationToken>${seen.query.size}</NextContinuationToken>${entry("k")}`);
  const { server, session } = await script([answer]);
  for await (const { key } of session.objects("")) {
    expect(key).toBe("k");
    break;
  }
  expect(server.seen.length).toBe(1);
});
