/** TLS and proxies: who is trusted, who is refused and how that is said, what goes through a proxy and what does not. */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { type InvalidError, openS3Session, type S3SessionOptions } from "@bucketlock/core";
import { describe, expect, it } from "vitest";
import { failure, openSession, startEmulator } from "../s3/rig.js";
import { certificateFile, startProxy, startTlsFront } from "./rig.js";

async function behindTls(certificate: string, options: Partial<S3SessionOptions>) {
  const emulator = await startEmulator();
  const endpoint = await startTlsFront(emulator.endpoint, certificate);
  return { emulator, session: openSession(emulator, { endpoint, ...options }) };
}

describe("TLS", () => {
  it("works with the authority in caFile, over one connection", async () => {
    const { emulator, session } = await behindTls("server", { caFile: certificateFile("ca") });
    await session.putObject("k", "over TLS");
    expect(await session.getObject("k")).toMatchObject({ found: true, body: Buffer.from("over TLS") });
    expect(emulator.connections).toBe(1);
    await session.close();
  });

  it("works over the name as well as the address", async () => {
    const { emulator, session } = await behindTls("server", { caFile: certificateFile("ca") });
    const named = openSession(emulator, {
      endpoint: session.origin.replace("127.0.0.1", "localhost"),
      caFile: certificateFile("ca"),
    });
    expect(await named.putObject("k", "1")).toMatchObject({ outcome: "stored" });
  });

  it.each([
    ["an unknown authority", "server", {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["another authority", "server", { caFile: certificateFile("other-ca") }, "UNABLE_TO_"],
    ["another host's certificate", "misnamed", { caFile: certificateFile("ca") }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["an expired certificate", "expired", { caFile: certificateFile("ca") }, "CERT_HAS_EXPIRED"],
  ])("refuses %s at once, by name, before anything is sent", async (_what, certificate, options, why) => {
    const tries: number[] = [];
    const { emulator, session } = await behindTls(certificate, { ...options, onEvent: (e) => tries.push(e.tries) });
    const error = await failure(session.putObject("k", "secret"), emulator);
    expect(error).toMatchObject({ code: "STORE_UNTRUSTED", kind: "denied", retryable: false });
    expect(error.message).toContain(why);
    expect(tries).toEqual([1]);
    expect(emulator.seen).toEqual([]);
  });

  it("believes anyone only when told so by that name", async () => {
    for (const certificate of ["server", "misnamed", "expired"]) {
      const { session } = await behindTls(certificate, { dangerouslyDisableTlsVerification: true });
      expect(await session.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    }
  });

  it("says that a plain server does not speak TLS", async () => {
    const emulator = await startEmulator();
    const session = openSession(emulator, { endpoint: emulator.endpoint.replace("http:", "https:") });
    const error = await failure(session.headObject("k"), emulator);
    expect(error).toMatchObject({ code: "STORE_UNTRUSTED" });
    expect(error.message).toContain("does not speak TLS");
  });
});

describe("a proxy", () => {
  it("is tunnelled through to an https endpoint, the tunnel kept for the next request", async () => {
    const proxy = await startProxy();
    const { emulator, session } = await behindTls("server", {
      caFile: certificateFile("ca"),
      proxy: proxy.url.replace("//", "//me:pass%2Fword@"),
    });
    await session.putObject("k", "through");
    expect(await session.getObject("k")).toMatchObject({ body: Buffer.from("through") });
    expect(proxy.asked).toEqual([`CONNECT ${new URL(session.origin).host}`]);
    expect(proxy.authorized).toEqual([`Basic ${Buffer.from("me:pass/word").toString("base64")}`]);
    // Nothing for the proxy's eyes goes on to the server.
    expect(emulator.seen.every(({ headers }) => headers["proxy-authorization"] === undefined)).toBe(true);
  });

  it("does not make an unknown authority known", async () => {
    const proxy = await startProxy();
    const { emulator, session } = await behindTls("server", { proxy: proxy.url });
    const error = await failure(session.putObject("k", "1"), emulator);
    expect(error).toMatchObject({ code: "STORE_UNTRUSTED" });
  });

  it("is asked for a plain endpoint itself", async () => {
    const proxy = await startProxy();
    const emulator = await startEmulator();
    const session = openSession(emulator, { proxy: proxy.url });
    await session.putObject("k", "through");
    expect(await session.getObject("k")).toMatchObject({ body: Buffer.from("through") });
    expect(proxy.asked).toEqual([`PUT ${emulator.endpoint}`, `GET ${emulator.endpoint}`]);
  });

  it.each([
    ["127.0.0.1", 0],
    ["elsewhere.test, 127.0.0.1", 0],
    ["*", 0],
    ["", 1],
    ["elsewhere.test", 1],
    ["127.0.0.1:1", 1],
  ])("is left out for noProxy %j", async (noProxy, asked) => {
    const proxy = await startProxy();
    const emulator = await startEmulator();
    const session = openSession(emulator, { proxy: proxy.url, noProxy });
    await session.headObject("k");
    expect(proxy.asked.length).toBe(asked);
  });

  it("that refuses or is not there is told from a store, without its password", async () => {
    const refusing = await startProxy(407);
    const gone = "http://127.0.0.1:1";
    for (const url of [refusing.url, gone]) {
      const { emulator, session } = await behindTls("server", {
        caFile: certificateFile("ca"),
        proxy: url.replace("//", "//me:hunter2@"),
        maxTries: 1,
      });
      const error = await failure(session.headObject("k"), emulator);
      expect(error).toMatchObject({ code: "STORE_UNREACHABLE", kind: "unavailable" });
      expect(error.message).toContain(`proxy ${new URL(url).host}`);
      expect(error.message.includes("(407)")).toBe(url === refusing.url);
      expect(error.message).not.toContain("hunter2");
    }
  });
});

it("a proxy that wants a password for a plain endpoint is an error that ends", async () => {
  const proxy = await startProxy(407);
  const emulator = await startEmulator();
  const session = openSession(emulator, { proxy: proxy.url.replace("//", "//me:hunter2@"), maxTries: 1 });
  for (const work of [session.headObject("k"), session.putObject("k", "1"), session.streamObject("k")]) {
    const error = await failure(work, emulator);
    expect(error).toMatchObject({ code: "STORE_UNREACHABLE", kind: "unavailable" });
    expect(error.message).toContain(`the proxy ${new URL(proxy.url).host} wants other credentials (407)`);
    expect(`${error.cause}`).toContain("Proxy Authentication Required");
    expect(inspect(error)).not.toContain("hunter2");
  }
  expect(emulator.seen).toEqual([]);
});

describe("the options", () => {
  const refusal = (options: Partial<S3SessionOptions>): string => {
    try {
      openS3Session({
        region: "us-east-1",
        bucket: "bucket",
        credentials: { accessKeyId: "A", secretAccessKey: "B" },
        ...options,
      });
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
      return (error as InvalidError).message;
    }
    return expect.unreachable("not refused");
  };

  it("are refused by name when they make no sense", async () => {
    const dir = await mkdtemp(join(tmpdir(), "bucketlock-ca-"));
    try {
      const noPem = join(dir, "no.pem");
      writeFileSync(noPem, "not a certificate");
      expect(refusal({ caFile: noPem })).toMatch(
        /^caFile: must be a readable PEM file of certificates .*; got ".*no\.pem"$/,
      );
      expect(refusal({ caFile: join(dir, "gone.pem") })).toContain("caFile");
      expect(refusal({ caFile: certificateFile("ca"), dangerouslyDisableTlsVerification: true })).toContain("caFile");
      expect(refusal({ dangerouslyDisableTlsVerification: "yes" as never })).toContain("must be true or false");
      expect(refusal({ proxy: "" })).toContain("proxy");
      for (const proxy of ["socks5://me:hunter2@host", "http://me:hunter2@host:port"])
        expect(refusal({ proxy })).toMatch(
          /^proxy: must be a URL such as http:\/\/host:port .*; got "something else"$/,
        );
      expect(refusal({ noProxy: ["host"] as never })).toContain("noProxy");
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
