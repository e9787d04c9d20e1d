/** Verbs about buckets, their rights and locks: on the emulator, and with what other servers were seen to answer. */
import { describe, expect, it } from "vitest";
import { openS3Session } from "../../../packages/core/src/index.js";
import { failure, setup } from "./rig.js";
import { refusal, script } from "./scripted.js";

const ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers";

describe("buckets", () => {
  it("are created, found, listed with their owner, and deleted", async () => {
    const { emulator, session } = await setup();
    await session.createBucket({ bucket: "two" });
    await session.createBucket({ bucket: "three", objectLock: true, acl: "public-read" });
    expect(await session.headBucket({ bucket: "three" })).toBe(true);
    expect(await session.getObjectLockConfiguration({ bucket: "three" })).toMatchObject({ enabled: true });
    expect((await session.getBucketAcl({ bucket: "three" })).grants.length).toBe(2);
    const { buckets, owner } = await session.listBuckets();
    expect(buckets.map(({ name }) => name).sort()).toEqual(["test-bucket", "three", "two"]);
    expect(Math.abs(buckets[0]!.createdMs - Date.now())).toBeLessThan(60_000);
    expect(owner?.id).toMatch(/./);
    await session.deleteBucket({ bucket: "two" });
    expect(await session.headBucket({ bucket: "two" })).toBe(false);
    await session.putObject("k", "1");
    expect((await failure(session.deleteBucket(), emulator)).code).toBe("STORE_BUCKET_NOT_EMPTY");
    expect(emulator.unknown).toEqual([]);
  });

  it("say where they are to be made only where that means something", async () => {
    const ok = () => ({});
    const { server, session } = await script(ok, { region: "eu-west-1" });
    await session.createBucket();
    await session.createBucket({ location: "us-east-1" });
    await session.createBucket({ location: "eu-central-1" });
    const bodies = server.seen.map(({ body }) => /<LocationConstraint>(.*?)</.exec(body)?.[1]);
    expect(bodies).toEqual([undefined, undefined, "eu-central-1"]);
    await expect(session.createBucket({ location: "<a/>" })).rejects.toThrow(/^location: must/);
  });

  it.each([
    ["<LocationConstraint/>", "us-east-1"],
    ["<LocationConstraint></LocationConstraint>", "us-east-1"],
    ['<?xml version="1.0"?><LocationConstraint xmlns="x">EU</LocationConstraint>', "eu-west-1"],
    ["<LocationConstraint>eu-central-1</LocationConstraint>", "eu-central-1"],
  ])("are where %s says", async (body, region) => {
    const { session } = await script([{ body }]);
    expect(await session.getBucketLocation()).toBe(region);
  });

  it("are listed to the end, page by page, never in a circle", async () => {
    const page = (name: string, token?: string) => ({
      body: `<ListAllMyBucketsResult><Owner><ID>me</ID></Owner><Buckets><Bucket><Name>${name}</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket></Buckets>${token ? `<ContinuationToken>${token}</ContinuationToken>` : ""}</ListAllMyBucketsResult>`,
    });
    const { server, session } = await script([page("a", "t"), page("b")]);
    expect((await session.listBuckets()).buckets.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(server.asked).toEqual(["GET /", "GET /"]);
    expect(server.seen[1]!.query.get("continuation-token")).toBe("t");
    const round = await script(() => page("a", "t"));
    await expect(round.session.listBuckets()).rejects.toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
    const none = await script([{ body: "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>" }]);
    expect(await none.session.listBuckets()).toEqual({
      buckets: [],
      owner: undefined,
      serverTimeMs: expect.any(Number),
    });
  });

  it("are listed at the server's own address, whatever the style", () => {
    const aws = openS3Session({
      region: "eu-west-1",
      bucket: "mine",
      credentials: { accessKeyId: "A", secretAccessKey: "B" },
    });
    expect(aws.presign("listBuckets")).toMatch(/^https:\/\/s3\.eu-west-1\.amazonaws\.com\/\?/);
  });

  it("keep versions when told to", async () => {
    const { session } = await setup();
    expect(await session.getBucketVersioning()).toBe("never");
    await session.putBucketVersioning("enabled");
    expect(await session.getBucketVersioning()).toBe("enabled");
    await session.putBucketVersioning("suspended");
    expect(await session.getBucketVersioning()).toBe("suspended");
    await expect(session.putBucketVersioning("never" as never)).rejects.toThrow(/^state: must be one of/);
    const odd = await script([{ body: "<VersioningConfiguration><Status>Odd</Status></VersioningConfiguration>" }]);
    await expect(odd.session.getBucketVersioning()).rejects.toMatchObject({ code: "STORE_NOT_S3" });
  });

  it("log where they are told to", async () => {
    const { session } = await setup();
    await session.createBucket({ bucket: "logs" });
    expect(await session.getBucketLogging()).toBeUndefined();
    const grants = [{ grantee: { type: "group", uri: ALL_USERS }, permission: "READ" }] as const;
    await session.putBucketLogging({ bucket: "logs", prefix: "a&b/", grants });
    expect(await session.getBucketLogging()).toEqual({ bucket: "logs", prefix: "a&b/", grants });
    await session.putBucketLogging({ bucket: "logs", prefix: "" });
    expect(await session.getBucketLogging()).toEqual({ bucket: "logs", prefix: "" });
    await session.putBucketLogging(undefined);
    expect(await session.getBucketLogging()).toBeUndefined();
    const write = session.putBucketLogging({
      bucket: "logs",
      prefix: "",
      grants: [{ grantee: { type: "group", uri: ALL_USERS }, permission: "READ_ACP" }],
    } as never);
    await expect(write).rejects.toThrow(/^grants.permission: must be one of FULL_CONTROL, READ, WRITE/);
  });
});

describe("access control", () => {
  it("is read and written as grants, by name, and as the document itself", async () => {
    const { emulator, session } = await setup();
    await session.putObject("k", "1");
    for (const [get, put] of [
      [() => session.getBucketAcl(), (acl: never) => session.putBucketAcl(acl)],
      [() => session.getObjectAcl("k"), (acl: never) => session.putObjectAcl("k", acl)],
    ] as const) {
      const first = await get();
      expect(first.grants).toMatchObject([
        { grantee: { type: "user", id: first.owner.id }, permission: "FULL_CONTROL" },
      ]);
      await put("public-read" as never);
      const open = await get();
      expect(open.grants).toContainEqual({ grantee: { type: "group", uri: ALL_USERS }, permission: "READ" });
      await put({ document: first.document } as never);
      expect((await get()).grants).toEqual(first.grants);
      await put({ owner: open.owner, grants: open.grants } as never);
      expect((await get()).grants).toEqual(open.grants);
    }
    expect(emulator.unknown).toEqual([]);
  });

  it("says each kind of grantee as the schema wants it", async () => {
    const { server, session } = await script([{}]);
    await session.putBucketAcl({
      owner: { id: "o&1" },
      grants: [
        { grantee: { type: "user", id: "u", displayName: "U" }, permission: "READ" },
        { grantee: { type: "email", email: "a@b" }, permission: "WRITE_ACP" },
      ],
    });
    const xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
    expect(server.seen[0]!.body).toContain(
      `<Owner><ID>o&amp;1</ID></Owner><AccessControlList><Grant><Grantee ${xsi} xsi:type="CanonicalUser"><ID>u</ID><DisplayName>U</DisplayName></Grantee><Permission>READ</Permission></Grant><Grant><Grantee ${xsi} xsi:type="AmazonCustomerByEmail"><EmailAddress>a@b</EmailAddress></Grantee><Permission>WRITE_ACP</Permission></Grant></AccessControlList>`,
    );
    expect(server.seen[0]!.headers["content-md5"]).toMatch(/==$/);
  });

  it("is read as MinIO gives it, without ids, and a permission that nobody defined is a fault", async () => {
    const policy = (permission: string) =>
      `<AccessControlPolicy><Owner><ID></ID><DisplayName></DisplayName></Owner><AccessControlList><Grant><Grantee xmlns:xsi="x" xsi:type="CanonicalUser"><Type>CanonicalUser</Type></Grantee><Permission>${permission}</Permission></Grant></AccessControlList></AccessControlPolicy>`;
    const { session } = await script([{ body: policy("FULL_CONTROL") }, {}, { body: policy("ALL") }]);
    const acl = await session.getBucketAcl();
    expect(acl).toMatchObject({
      owner: {},
      grants: [{ grantee: { type: "user", id: "" }, permission: "FULL_CONTROL" }],
    });
    await session.putBucketAcl({ owner: acl.owner, grants: acl.grants });
    await expect(session.getBucketAcl()).rejects.toMatchObject({ code: "STORE_NOT_S3" });
  });

  it("that cannot be meant is refused before anything is sent", async () => {
    const { emulator, session } = await setup();
    const grants = [{ grantee: { type: "user", id: "u" }, permission: "READ" }];
    const wrong = [
      ...["public", undefined, {}, { grants }, { owner: { id: "o" }, grants: {} }],
      { owner: { id: "o" }, grants: [{ grantee: { type: "all" }, permission: "READ" }] },
      { owner: { id: "o" }, grants: [{ ...grants[0], permission: "ALL" }] },
      { owner: { id: "\u0001" }, grants },
    ];
    for (const acl of wrong)
      expect((await failure(session.putBucketAcl(acl as never), emulator)).code).toBe("INVALID_OPTION");
    expect(emulator.seen).toEqual([]);
  });
});

describe("object lock", () => {
  it("has a default for new versions", async () => {
    const { session } = await setup({ objectLock: true });
    expect(await session.getObjectLockConfiguration()).toMatchObject({ enabled: true, defaultRetention: undefined });
    for (const defaultRetention of [
      { mode: "compliance", years: 1 } as const,
      { mode: "governance", days: 3 } as const,
    ]) {
      await session.putObjectLockConfiguration({ defaultRetention });
      expect(await session.getObjectLockConfiguration()).toMatchObject({ enabled: true, defaultRetention });
    }
    await session.putObject("k", "1");
    expect(await session.getObjectRetention("k")).toMatchObject({ mode: "governance" });
    await session.putObjectLockConfiguration();
    expect((await session.getObjectLockConfiguration()).defaultRetention).toBeUndefined();
    const both = { defaultRetention: { mode: "governance", days: 1, years: 1 } } as const;
    await expect(session.putObjectLockConfiguration(both)).rejects.toThrow(/one of them/);
    const zero = { defaultRetention: { mode: "governance", days: 0 } } as const;
    await expect(session.putObjectLockConfiguration(zero)).rejects.toThrow(/defaultRetention.days: must be/);
  });

  it("keeps a version until an instant, and under a hold", async () => {
    const { emulator, session } = await setup({ objectLock: true });
    await session.putObject("k", "1");
    expect(await session.getObjectRetention("k")).toBeUndefined();
    expect(await session.getObjectLegalHold("k")).toBe(false);
    const untilMs = Math.ceil(Date.now() / 1000) * 1000 + 60_000;
    await session.putObjectRetention("k", { mode: "governance", untilMs });
    expect(await session.getObjectRetention("k")).toEqual({ mode: "governance", untilMs });
    await session.putObjectLegalHold("k", "on");
    expect(await session.getObjectLegalHold("k")).toBe(true);
    await session.putObjectRetention("k", undefined, { bypassGovernance: true });
    expect((await failure(session.purge(["k"]), emulator)).code).toBe("STORE_NOT_DELETED");
    await session.putObjectLegalHold("k", "off");
    expect(await session.purge(["k"])).toEqual({ deleted: 1 });
    const gone = await failure(session.getObjectRetention("k"), emulator);
    expect(gone).toMatchObject({ code: "STORE_REFUSED", details: { storeCode: "NoSuchKey" } });
  });

  it("is off where a server says so in one of its ways", async () => {
    const { session } = await setup();
    expect(await session.getObjectLockConfiguration()).toEqual({ enabled: false });
    const { session: other } = await script([
      refusal(404, "ObjectLockConfigurationNotFoundError"),
      refusal(404, "NoSuchObjectLockConfiguration"),
      refusal(404, "NoSuchObjectLockConfiguration"),
      {
        body: "<ObjectLockRetention><Mode>COMPLIANCE</Mode><RetainUntilDate>2026-01-02T03:04:05Z</RetainUntilDate></ObjectLockRetention>",
      },
      refusal(409, "InvalidBucketState"),
    ]);
    expect(await other.getObjectLockConfiguration()).toEqual({ enabled: false });
    expect(await other.getObjectRetention("k")).toBeUndefined();
    expect(await other.getObjectLegalHold("k")).toBe(false);
    // versitygw.
    expect(await other.getObjectRetention("k")).toEqual({ mode: "compliance", untilMs: Date.UTC(2026, 0, 2, 3, 4, 5) });
    // A 409, and yet no collision.
    await expect(other.putObjectLockConfiguration()).rejects.toMatchObject({ code: "STORE_REFUSED", kind: "invalid" });
  });

  it("refuses wrong instants and words", async () => {
    const { emulator, session } = await setup();
    const wrong: (() => Promise<unknown>)[] = [
      () => session.putObjectRetention("k", { mode: "governance", untilMs: Number.NaN }),
      () => session.putObjectRetention("k", { mode: "GOVERNANCE" as never, untilMs: 1 }),
      () => session.putObjectLegalHold("k", true as never),
      () => session.getObjectLegalHold(""),
    ];
    for (const call of wrong) expect((await failure(call(), emulator)).code).toBe("INVALID_OPTION");
    expect(emulator.seen).toEqual([]);
  });
});
