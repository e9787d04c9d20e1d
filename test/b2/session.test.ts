/** The session's verbs on the emulator: authorization, upload URLs, bytes, streams, large files, reading, listing, sharing. */
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { B2Session, openB2Reader, openB2Store } from "@bucketlock/b2";
import { type Clock, InvalidError, systemClock } from "@bucketlock/core";
import { describe, expect, it } from "vitest";
import type { Fault } from "../emulators/b2/knobs.js";
import { temporaryDirectory } from "../servers/guard.js";
import { BUCKET, callsOf, failure, useEmulator, useSession } from "./rig.js";

const count = (calls: readonly string[], call: string) => calls.filter((one) => one === call).length;
async function* chunks(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function joined(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of body) all.push(chunk);
  return Buffer.concat(all);
}
async function listed<T>(pages: AsyncIterable<{ readonly files: readonly T[] }>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page.files);
  return all;
}

describe("authorization", () => {
  it("is asked for once by concurrent callers", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    await Promise.all(Array.from({ length: 12 }, (_, i) => session.head({ name: `k${i}` })));
    expect(count(callsOf(emulator), "authorize_account")).toBe(1);
  });

  const kinds: readonly (readonly [string, Fault])[] = [
    ["expired_auth_token", { kind: "reply", status: 401, code: "expired_auth_token" }],
    ["bad_auth_token", { kind: "reply", status: 401, code: "bad_auth_token" }],
    ["no code (HEAD)", { kind: "reply", status: 401, body: "" }],
  ];
  it.each(kinds)("is renewed once on 401 %s, for all who wait", async (_what, fault) => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    await session.upload("k", "x");
    emulator.script("b2_download_file_by_name", fault, 4);
    const heads = await Promise.all(Array.from({ length: 4 }, () => session.head({ name: "k" })));
    expect(heads.every(({ found }) => found)).toBe(true);
    expect(count(callsOf(emulator), "authorize_account")).toBe(2);
  });

  it("outlives tokens that end all the time, as X-Bz-Test-Mode makes them", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator, { testMode: "expire_some_account_authorization_tokens" });
    for (let i = 0; i < 5; i++) {
      await session.upload(`k${i}`, "x");
      expect((await session.head({ name: `k${i}` })).found).toBe(true);
    }
  });

  it("is kept in a file on request, mode 0600, for this key only, and refused when others may read it", async () => {
    const emulator = await useEmulator();
    const directory = temporaryDirectory("token");
    const tokenFile = join(directory.path, "token");
    try {
      await useSession(emulator, { tokenFile }).head({ name: "k" });
      expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
      expect(readFileSync(tokenFile, "utf8")).not.toContain(emulator.key);
      await useSession(emulator, { tokenFile }).head({ name: "k" });
      expect(count(callsOf(emulator), "authorize_account")).toBe(1);
      // A token that ended meanwhile is replaced, in the file too.
      emulator.expireTokens();
      await useSession(emulator, { tokenFile }).head({ name: "k" });
      await useSession(emulator, { tokenFile }).head({ name: "k" });
      expect(count(callsOf(emulator), "authorize_account")).toBe(2);
      const wrong = { applicationKeyId: emulator.keyId, applicationKey: "another" };
      const refused = await failure(useSession(emulator, { tokenFile, credentials: wrong }).head({ name: "k" }));
      expect(refused).toMatchObject({ code: "STORE_BAD_CREDENTIALS" });
      writeFileSync(join(directory.path, "open"), "{}", { mode: 0o644 });
      const open = useSession(emulator, { tokenFile: join(directory.path, "open") });
      expect(await failure(open.head({ name: "k" }))).toBeInstanceOf(InvalidError);
    } finally {
      directory.remove();
    }
  });

  it("and upload URLs are replaced before they are too old", async () => {
    const emulator = await useEmulator();
    const hourMs = 3_600_000;
    let aheadMs = 0;
    const clock: Clock = {
      ...systemClock,
      wallMs: () => systemClock.wallMs() + aheadMs,
      monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    };
    const session = useSession(emulator, { clock });
    const calls = async (hours: number) => {
      aheadMs = hours * hourMs;
      emulator.seen.length = 0;
      await session.upload("k", "x");
      return callsOf(emulator);
    };
    await calls(0);
    expect(await calls(19)).toEqual(["upload_file"]);
    expect(await calls(21)).toEqual(["get_upload_url", "upload_file"]);
    expect(await calls(24)).toEqual(["authorize_account", "upload_file"]);
  });

  it("shows nobody the key or the token", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    await session.upload("k", "x");
    const shown =
      inspect(session, { depth: 12, showHidden: true }) + JSON.stringify(session) + JSON.stringify(session.events);
    for (const secret of [emulator.key, "_acct_", "_upld_", "Basic "]) expect(shown).not.toContain(secret);
  });

  it("comes from the environment", async () => {
    const emulator = await useEmulator();
    const env = { B2_APPLICATION_KEY_ID: emulator.keyId, B2_APPLICATION_KEY: emulator.key, B2_BUCKET: BUCKET };
    const session = B2Session.fromEnv({ endpoint: emulator.endpoint }, env);
    expect((await session.head({ name: "k" })).found).toBe(false);
    await session.close();
    expect(() => B2Session.fromEnv({}, { B2_APPLICATION_KEY_ID: "x" })).toThrow(/B2_APPLICATION_KEY/);
  });
});

describe("upload URLs", () => {
  it("take one upload at a time each, and are used again, the last used first", async () => {
    // Long enough for all six to be under way together: a URL that is free again may be used by the next.
    const emulator = await useEmulator({ knobs: { commitDelayMs: 150 } });
    const session = useSession(emulator);
    await Promise.all(Array.from({ length: 6 }, (_, i) => session.upload(`k${i}`, "x")));
    const urls = () => emulator.seen.filter(({ call }) => call === "b2_upload_file").map(({ url }) => url);
    expect(new Set(urls()).size).toBe(6);
    for (let i = 0; i < 3; i++) await session.upload("again", "x");
    expect(new Set(urls().slice(6)).size).toBe(1);
    expect(count(callsOf(emulator), "get_upload_url")).toBeLessThanOrEqual(7);
  });

  it.each([
    ["a 503", { kind: "reply", status: 503, code: "service_unavailable" }],
    ["an expired one", { kind: "reply", status: 401, code: "expired_auth_token" }],
    ["auth_token_limit", { kind: "reply", status: 400, code: "auth_token_limit", message: "more than one" }],
    ["a connection that breaks", { kind: "reset", apply: false }],
  ] satisfies (readonly [string, Fault])[])("are never used again after %s", async (_what, fault) => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    await session.upload("warm", "x");
    emulator.seen.length = 0;
    emulator.script("b2_upload_file", fault);
    await session.upload("k", "x");
    const used = emulator.seen.filter(({ call }) => call === "b2_upload_file").map(({ url }) => url);
    expect(used.length).toBe(2);
    expect(used[0]).not.toBe(used[1]);
    await session.upload("k2", "x");
    expect(emulator.seen.at(-1)!.url).toBe(used[1]);
  });

  it("fail now and then, as X-Bz-Test-Mode makes them, and every upload succeeds", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator, { testMode: "fail_some_uploads" });
    for (let i = 0; i < 8; i++) await session.upload(`k${i}`, "x");
    expect(emulator.stored.length).toBe(8);
  });
});

describe("files", () => {
  it("keep bytes, type, info and time", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    const info = { color: "bl ue+é%", other_1: "x" };
    const file = await session.upload("ü/+1 %.txt", "hello", { info, lastModifiedMs: 1_700_000_000_123 });
    expect(file).toMatchObject({ name: "ü/+1 %.txt", size: 5, action: "upload" });
    const got = await session.get({ name: "ü/+1 %.txt" });
    if (!got.found) throw new Error("not there");
    expect(Buffer.from(got.body).toString()).toBe("hello");
    const kept = { ...info, src_last_modified_millis: "1700000000123" };
    expect(got.file).toMatchObject({ id: file.id, contentType: "text/plain", info: kept, sha1: file.sha1 });
    expect((await session.fileInfo(file.id))?.info).toEqual(kept);
    const range = await session.get({ id: file.id }, { range: { start: 1, end: 3 } });
    expect(range.found && Buffer.from(range.body).toString()).toBe("ell");
    expect(range.found && range.totalSize).toBe(5);
  });

  it("come from streams, their SHA-1 at the end, again from the start where the source can", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    const bytes = randomBytes(300_000);
    emulator.script("b2_upload_file", { kind: "reset", apply: false });
    const file = await session.uploadStream("s", () => chunks(bytes, 10_000), bytes.length);
    expect(file.size).toBe(300_000);
    const read = await session.stream({ name: "s" });
    expect((await joined(read!.body)).equals(bytes)).toBe(true);
    // Once only: no second try.
    emulator.script("b2_upload_file", { kind: "reply", status: 503, code: "service_unavailable" });
    expect(await failure(session.uploadStream("t", chunks(bytes, 1000), bytes.length))).toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    const broken = new Error("the disk is gone");
    const source = async function* () {
      yield bytes.subarray(0, 1000);
      throw broken;
    };
    expect(await failure(session.uploadStream("u", source(), bytes.length))).toBe(broken);
    expect(await failure(session.uploadStream("v", chunks(bytes, 1000), 10))).toBeInstanceOf(InvalidError);
    expect(emulator.stored).toEqual([`${BUCKET}/s upload`]);
  });

  it("are told damaged when their SHA-1 does not fit", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    const { id } = await session.upload("k", "hello");
    emulator.world.files.get(id)!.body = Buffer.from("hullo");
    expect(await failure(session.get({ name: "k" }))).toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
    const read = await session.stream({ name: "k" });
    expect(await failure(joined(read!.body))).toMatchObject({ code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
  });

  it("are hidden, come back, and go with all their versions", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    for (const text of ["one", "two"]) await session.upload("k", text);
    await session.upload("k-sibling", "x");
    const marker = await session.hide("k");
    expect(marker).toMatchObject({ action: "hide", sha1: undefined });
    expect(await session.hide("k")).toBeUndefined();
    expect(await session.hide("never")).toBeUndefined();
    expect((await session.head({ name: "k" })).found).toBe(false);
    expect((await listed(session.listFiles())).map(({ name }) => name)).toEqual(["k-sibling"]);
    expect((await listed(session.listVersions({ prefix: "k" }))).map(({ action }) => action)).toEqual([
      "hide",
      "upload",
      "upload",
      "upload",
    ]);
    await session.deleteVersion(marker!);
    const back = await session.get({ name: "k" });
    expect(back.found && Buffer.from(back.body).toString()).toBe("two");
    expect(await session.deleteAllVersions("k")).toBe(2);
    expect(emulator.stored).toEqual([`${BUCKET}/k-sibling upload`]);
  });

  it("are copied, whole or in part, and listed in folders", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    const file = await session.upload("a/one", "hello", { info: { a: "1" } });
    expect(await session.copy(file, "a/two")).toMatchObject({ action: "copy", size: 5, info: { a: "1" } });
    const part = await session.copy({ id: file.id, range: { start: 1, end: 2 } }, "b", { info: { b: "2" } });
    expect(part).toMatchObject({ size: 2, info: { b: "2" } });
    const entries = await listed(session.listFiles({ delimiter: "/", pageSize: 1 }));
    expect(entries.map(({ name, action }) => [name, action])).toEqual([
      ["a/", "folder"],
      ["b", "upload"],
    ]);
    const from = await listed(session.listFiles({ startName: "a/two" }));
    expect(from.map(({ name }) => name)).toEqual(["a/two", "b"]);
  });
});

describe("large files", () => {
  const knobs = { minimumPartSize: 1000, recommendedPartSize: 2000 };

  it("go in parts, in parallel, through busy pods", async () => {
    const emulator = await useEmulator({ knobs });
    const session = useSession(emulator);
    const bytes = randomBytes(11_111);
    emulator.script("b2_upload_part", { kind: "reply", status: 503, code: "service_unavailable" }, 2);
    const file = await session.uploadLarge("large", chunks(bytes, 777), { parallel: 3 });
    expect(file).toMatchObject({ size: 11_111, sha1: undefined });
    expect(count(callsOf(emulator), "upload_part")).toBe(6 + 2);
    expect((await joined((await session.stream({ id: file.id }))!.body)).equals(bytes)).toBe(true);
  });

  it("are cancelled when a part cannot be sent, or kept to be continued", async () => {
    const emulator = await useEmulator({ knobs });
    const session = useSession(emulator);
    const bytes = randomBytes(6_000);
    const capped: Fault = { kind: "reply", status: 403, code: "storage_cap_exceeded" };
    const third = () => emulator.script((seen) => seen.headers["x-bz-part-number"] === "3", capped);
    third();
    expect(await failure(session.uploadLarge("k", chunks(bytes, 500)))).toMatchObject({ code: "STORE_CAP_EXCEEDED" });
    expect(emulator.stored).toEqual([]);
    third();
    expect(await failure(session.uploadLarge("k", chunks(bytes, 500), { resume: true }))).toMatchObject({
      code: "STORE_CAP_EXCEEDED",
    });
    expect((await listed(session.listUnfinished())).map(({ name, action }) => [name, action])).toEqual([
      ["k", "start"],
    ]);
    emulator.seen.length = 0;
    await session.uploadLarge("k", chunks(bytes, 500), { resume: true });
    expect(count(callsOf(emulator), "upload_part")).toBe(1);
    expect(emulator.stored).toEqual([`${BUCKET}/k upload`]);
  });

  it("are put together on the server from other files", async () => {
    const emulator = await useEmulator({ knobs });
    const session = useSession(emulator);
    const bytes = randomBytes(3_000);
    const source = await session.upload("source", bytes);
    const large = await session.startLarge("joined", { contentType: "x/y", info: { a: "1" } });
    const first = await session.copyPart({ id: source.id, range: { start: 0, end: 1_999 } }, large.id, 1);
    const second = await session.copyPart({ id: source.id, range: { start: 2_000 } }, large.id, 2);
    expect(await session.listParts(large.id)).toEqual([first, second]);
    const file = await session.finishLarge(large.id, [first.sha1, second.sha1]);
    expect(file).toMatchObject({ id: large.id, size: 3_000, contentType: "x/y", info: { a: "1" } });
    expect((await joined((await session.stream({ id: file.id }))!.body)).equals(bytes)).toBe(true);
    const other = await session.startLarge("other");
    await session.cancelLarge(other.id);
    expect(await failure(session.cancelLarge(other.id))).toMatchObject({ code: "STORE_REFUSED" });
    expect(await listed(session.listUnfinished())).toEqual([]);
  });

  it("are finished once: where the answer is lost, the file tells", async () => {
    const emulator = await useEmulator({ knobs });
    const session = useSession(emulator);
    emulator.script("b2_finish_large_file", { kind: "reset", apply: true });
    expect(await session.uploadLarge("k", chunks(randomBytes(3_000), 500))).toMatchObject({ size: 3_000 });
    expect(count(callsOf(emulator), "finish_large_file")).toBe(1);
  });
});

describe("the account", () => {
  it("has buckets: created, listed, updated at a revision, deleted", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    const bucket = await session.buckets.create("made-here", { info: { a: "1" } });
    expect((await session.buckets.list()).map(({ name }) => name)).toEqual([BUCKET, "made-here"]);
    const updated = await session.buckets.update(bucket.id, { info: { a: "2" }, ifRevisionIs: bucket.revision });
    expect(updated).toMatchObject({ info: { a: "2" }, revision: bucket.revision + 1 });
    const stale = await session.buckets.update(bucket.id, { info: { a: "3" }, ifRevisionIs: bucket.revision });
    expect(stale).toBeUndefined();
    emulator.script("b2_delete_bucket", { kind: "reset", apply: true });
    await session.buckets.delete(bucket);
    await session.buckets.delete(bucket);
    expect((await session.buckets.list({ name: "made-here" })).length).toBe(0);
  });

  it("has keys: created, listed page by page, deleted", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    for (const name of ["one", "two", "three"]) await session.keys.create({ name, capabilities: ["listFiles"] });
    const names = [];
    const ids = [];
    for await (const key of session.keys.list({ pageSize: 2 })) {
      names.push(key.name);
      ids.push(key.id);
    }
    expect(names.sort()).toEqual(["one", "three", "two"]);
    await session.keys.delete(ids[0]!);
    expect(await failure(session.keys.delete(ids[0]!))).toMatchObject({ code: "STORE_REFUSED" });
  });

  it("shares a prefix by token, and a public bucket without one", async () => {
    const emulator = await useEmulator();
    const session = useSession(emulator);
    await session.upload("share/a", "shared");
    await session.upload("other", "kept");
    const { downloadUrl } = await session.allowed();
    const token = await session.downloadAuthorization("share/", 60_000);
    await using reader = openB2Reader({ downloadUrl, bucket: BUCKET, token });
    const got = await reader.get({ name: "share/a" });
    expect(got.found && Buffer.from(got.body).toString()).toBe("shared");
    expect(await failure(reader.get({ name: "other" }))).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    emulator.makeBucket("public-bucket", "allPublic");
    await useSession(emulator, { bucket: "public-bucket" }).upload("k", "for all");
    await using anyone = openB2Reader({ downloadUrl, bucket: "public-bucket" });
    expect((await anyone.head({ name: "k" })).found).toBe(true);
    await using nobody = openB2Reader({ downloadUrl, bucket: BUCKET });
    expect(await failure(nobody.get({ name: "share/a" }))).toMatchObject({ code: "STORE_ACCESS_DENIED" });
  });
});

describe("b2:// URLs", () => {
  it("open a store under a prefix", async () => {
    const emulator = await useEmulator();
    const credentials = { applicationKeyId: emulator.keyId, applicationKey: emulator.key };
    const url = `b2://${BUCKET}/a%20b?endpoint=${encodeURIComponent(emulator.endpoint)}`;
    const store = openB2Store(url, { credentials });
    expect(store.name).toBe(`b2://${BUCKET}/a b/`);
    await store.put("k", "x");
    expect(emulator.stored).toEqual([`${BUCKET}/a b/k upload`]);
    expect(await failure(store.put("k", "y", { condition: { absent: true } }))).toMatchObject({
      code: "STORE_UNSUPPORTED",
      kind: "unsupported",
    });
    await store.close();
  });

  it.each([
    ["b2://key:secret@bucket/x"],
    ["b2://bucket-1/x?key=secret"],
    ["b2:bucket"],
    ["s3://bucket-1"],
    ["b2://bucket-1/%zz"],
  ])("refuse %s without showing a secret", (url) => {
    const env = { applicationKeyId: "a", applicationKey: "b" };
    let error: unknown;
    try {
      openB2Store(url, { credentials: env });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(InvalidError);
    expect(String(error)).not.toContain("secret");
  });
});

it("nothing runs after close", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  await session.upload("k", "x");
  await session.close();
  await expect.poll(() => emulator.openSockets).toBe(0);
  expect(await failure(session.head({ name: "k" }))).toMatchObject({ code: "STORE_CLOSED" });
});
