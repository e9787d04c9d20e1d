/** The knobs and faults of the emulator, which no other client asks for: each does what it says. Plain fetch and a bare signer. */
import { SignatureV4 } from "@smithy/signature-v4";
import { afterEach, describe, expect, it } from "vitest";
import { openS3Session, type S3Session } from "../../packages/core/src/index.js";
import { type EmulatorOptions, S3Emulator } from "../emulators/s3/emulator.js";
import { CUTS, errorInside200, redirecting, type ScriptedFault } from "../emulators/s3/faults.js";
import { Sha256 } from "./sha256.js";

const PUBLIC = { grantee: "http://acs.amazonaws.com/groups/global/AllUsers", permission: "READ" };
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(options: EmulatorOptions = {}): Promise<{ emulator: S3Emulator; session: S3Session }> {
  const emulator = await S3Emulator.start(options);
  open.push({ close: () => emulator.stop() });
  const { endpoint, region, bucket, keys } = emulator;
  const session = openS3Session({
    endpoint,
    region,
    bucket,
    credentials: keys,
    maxTries: 1,
    random: { float: () => 0, hex: (bytes) => "0".repeat(bytes * 2) },
  });
  open.push(session);
  return { emulator, session };
}

/** A presigned request, signed by other code than ours and the emulator's. */
async function presigned(
  emulator: S3Emulator,
  key: string,
  options: {
    method?: string;
    expiresIn?: number;
    signingDate?: Date;
    secret?: string;
    region?: string;
    bucket?: string;
  } = {},
): Promise<string> {
  const { method = "GET", expiresIn = 60, signingDate = new Date(), region = emulator.region } = options;
  const credentials = { ...emulator.keys, secretAccessKey: options.secret ?? emulator.keys.secretAccessKey };
  const signer = new SignatureV4({ service: "s3", region, credentials, sha256: Sha256, uriEscapePath: false } as never);
  const path = `/${options.bucket ?? emulator.bucket}/${key}`;
  const host = new URL(emulator.endpoint).host;
  const headers = { host, "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD" };
  const request = { method, protocol: "http:", hostname: host, path, headers, query: {} };
  const signed = await signer.presign(request, { expiresIn, signingDate });
  const query = Object.entries(signed.query!).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return `${emulator.endpoint}${path}?${query.join("&")}`;
}

async function answer(url: string, init?: RequestInit): Promise<string> {
  const got = await fetch(url, init);
  const text = await got.text();
  return `${got.status} ${/<Code>(\w+)/.exec(text)?.[1] ?? text}`;
}

describe("presigned", () => {
  it("for as long as it says, by these keys, for this", async () => {
    const { emulator } = await start();
    const put = await presigned(emulator, "k", { method: "PUT" });
    expect(await answer(put, { method: "PUT", body: "body" })).toBe("200 ");
    expect(await answer(await presigned(emulator, "k"))).toBe("200 body");
    expect(await answer(put)).toBe("403 SignatureDoesNotMatch");
    expect(await answer(await presigned(emulator, "k", { secret: "no" }))).toBe("403 SignatureDoesNotMatch");
    const ago = (ms: number) => new Date(Date.now() - ms);
    expect(await answer(await presigned(emulator, "k", { signingDate: ago(30_000) }))).toBe("200 body");
    expect(await answer(await presigned(emulator, "k", { signingDate: ago(62_000) }))).toBe("403 AccessDenied");
    expect(await answer(await presigned(emulator, "k", { signingDate: ago(-16 * 60_000) }))).toBe(
      "403 RequestTimeTooSkewed",
    );
    const week = await presigned(emulator, "k", { expiresIn: 604_800 });
    expect(await answer(week)).toBe("200 body");
    expect(await answer(week.replace("604800", "604801"))).toBe("400 AuthorizationQueryParametersError");
    expect(await answer(await presigned(emulator, "k", { region: "eu-west-9" }))).toBe(
      "400 AuthorizationHeaderMalformed",
    );
  });
});

it("who is not signed reads what is public, and nothing else", async () => {
  const { emulator, session } = await start();
  await session.putObject("k", "body");
  const url = `${emulator.endpoint}/${emulator.bucket}/k`;
  expect(await answer(url)).toBe("403 AccessDenied");
  emulator.stored("k")!.acl = [PUBLIC];
  expect(await answer(url)).toBe("200 body");
  expect(await answer(url, { method: "PUT", body: "x" })).toBe("403 AccessDenied");
  expect(emulator.bodyOf("k")).toBe("body");
});

describe("another region", () => {
  it.each([
    [400, "400 AuthorizationHeaderMalformed"],
    [301, "301 PermanentRedirect"],
    [307, "307 TemporaryRedirect"],
  ] as const)("is answered %i", async (wrongRegion, wanted) => {
    const { emulator } = await start({ wrongRegion });
    const url = await presigned(emulator, "k", { region: "eu-west-9" });
    expect(await answer(url, { redirect: "manual" })).toBe(wanted);
    expect((await fetch(url, { redirect: "manual" })).headers.get("x-amz-bucket-region")).toBe(emulator.region);
  });

  it("may be a bucket's own", async () => {
    const { emulator } = await start();
    emulator.world.makeBucket("far-away", { region: "eu-west-9" });
    const read = async (region: string) => answer(await presigned(emulator, "k", { region, bucket: "far-away" }));
    expect(await read("us-east-1")).toBe("400 AuthorizationHeaderMalformed");
    expect(await read("eu-west-9")).toBe("404 NoSuchKey");
  });
});

describe("conditions", () => {
  const create = (session: S3Session) => session.putObject("k", "new", { condition: { absent: true } });

  it("409 where the key is deleted while the write is under way", async () => {
    const { emulator, session } = await start();
    emulator.script("PUT", { kind: "interleave" });
    expect(await create(session)).toMatchObject({ outcome: "unknown" });
    expect(emulator.keysStored()).toEqual([]);
    expect(await create(session)).toMatchObject({ outcome: "stored" });
    // Without a condition nobody minds.
    emulator.script("PUT", { kind: "interleave" });
    expect(await session.putObject("k", "2")).toMatchObject({ outcome: "stored" });
  });

  it("also without a script: a body that comes slowly is overtaken by a delete", async () => {
    const { emulator, session } = await start();
    const url = await presigned(emulator, "k", { method: "PUT" });
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(Buffer.from("half"));
        await gate;
        controller.close();
      },
    });
    const slow = answer(url, { method: "PUT", headers: { "if-none-match": "*" }, body, duplex: "half" } as never);
    await expect.poll(() => emulator.seen.length).toBe(1);
    await session.deleteObject({ key: "k" });
    go();
    expect(await slow).toBe("409 ConditionalRequestConflict");
  });

  it("a DELETE: 412 if it is another, 404 if it is nothing", async () => {
    const { emulator, session } = await start();
    await session.putObject("k", "1");
    const url = await presigned(emulator, "k", { method: "DELETE" });
    const remove = (match: string) => answer(url, { method: "DELETE", headers: { "if-match": match } });
    expect(await remove('"other"')).toBe("412 PreconditionFailed");
    expect(await remove("c4ca4238a0b923820dcc509a6f75849b")).toBe("412 PreconditionFailed");
    expect(await remove("*")).toBe("204 ");
    expect(await remove("*")).toBe("404 NoSuchKey");
  });
});

describe("faults", () => {
  it.each(CUTS.flatMap((at) => (["length", "close"] as const).map((frame) => [at, frame] as const)))(
    "an answer cut %s (%s) is never taken for a whole one",
    async (at, frame) => {
      const { emulator, session } = await start();
      for (const key of ["a", "b"]) await session.putObject(key, key);
      emulator.script("GET", { kind: "cut", at, frame });
      const list = async () => (await session.listObjects("").next()).value;
      await expect(list()).rejects.toMatchObject({ code: expect.stringMatching(/DISCONNECTED|CORRUPT_ANSWER/) });
      expect((await list())?.objects.length).toBe(2);
    },
  );

  it("twice: the first one's condition fails the second", async () => {
    const { emulator, session } = await start({ versions: true });
    emulator.script("PUT", { kind: "twice" }, 2);
    expect(await session.putObject("k", "1", { condition: { absent: true } })).toMatchObject({ outcome: "conflict" });
    expect(emulator.bodyOf("k")).toBe("1");
    await session.putObject("k", "2");
    expect(emulator.world.bucket(emulator.bucket).objects.get("k")?.length).toBe(3);
  });

  it("held back until it is let go, and early before the body came", async () => {
    const { emulator, session } = await start();
    await session.putObject("k", "0123456789");
    for (const after of ["nothing", "headers", "half"] as const) {
      let go = () => {};
      const until = new Promise<void>((resolve) => {
        go = resolve;
      });
      emulator.script("GET", { kind: "hold", until, after });
      let isDone = false;
      const got = session.getObject("k").finally(() => {
        isDone = true;
      });
      await expect.poll(() => emulator.seen.at(-1)?.method).toBe("GET");
      expect(isDone).toBe(false);
      go();
      expect(await got, after).toMatchObject({ found: true, body: Buffer.from("0123456789") });
    }
    const busy: ScriptedFault = { kind: "reply", status: 503, early: true };
    emulator.script("PUT", busy);
    const body = "x".repeat(4_000_000);
    const url = await presigned(emulator, "big", { method: "PUT" });
    expect(await answer(url, { method: "PUT", body })).toBe("503 ");
    expect(emulator.keysStored()).toEqual(["k"]);
    emulator.script("PUT", { kind: "reset", apply: false, afterBytes: 1000 });
    await expect(fetch(url, { method: "PUT", body })).rejects.toThrow();
    expect(emulator.keysStored()).toEqual(["k"]);
  });

  it("redirects and errors inside a 200 look as S3's do", async () => {
    const { emulator } = await start();
    const url = await presigned(emulator, "k");
    emulator.script("GET", redirecting(301, "eu-west-9", "http://elsewhere.example/k"));
    const got = await fetch(url, { redirect: "manual" });
    expect([got.status, got.headers.get("x-amz-bucket-region"), got.headers.get("location")]).toEqual([
      301,
      "eu-west-9",
      "http://elsewhere.example/k",
    ]);
    expect(await got.text()).toContain("<Code>PermanentRedirect</Code>");
    emulator.script("GET", errorInside200("InternalError"));
    expect(await answer(url)).toBe("200 InternalError");
  });
});

it("what it does not know is 501 and kept", async () => {
  const { emulator } = await start();
  const url = (await presigned(emulator, "k")).replace("?", "?tagging=&");
  expect(await answer(url)).toBe("403 SignatureDoesNotMatch");
  emulator.world.bucket(emulator.bucket).acl = [PUBLIC];
  expect(await answer(`${emulator.endpoint}/${emulator.bucket}/k?tagging`)).toBe("501 NotImplemented");
  expect(emulator.unknown).toEqual([`GET /${emulator.bucket}/k?tagging`]);
});
