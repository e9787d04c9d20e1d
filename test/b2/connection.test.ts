/** How a B2 session reaches its servers: whom it trusts, and through which proxy it goes. */
import { B2Session, openB2Reader, type openB2Session } from "@bucketlock/b2";
import { describe, expect, it } from "vitest";
import { certificateFile, startProxy, startTlsFront } from "../core/config/rig.js";
import { BUCKET, failure, useEmulator, useSession } from "./rig.js";

describe("a B2 session", () => {
  it("trusts the authority in caFile, and nobody else", async () => {
    const emulator = await useEmulator();
    const endpoint = await startTlsFront(emulator.endpoint);
    // The emulator names its plain address, which nobody who came by TLS goes to: it was read, so it was trusted.
    const trusted = { code: "STORE_CORRUPT_ANSWER", message: expect.stringContaining("apiUrl is no https URL") };
    const trusting = useSession(emulator, { endpoint, caFile: certificateFile("ca") });
    expect(await failure(trusting.allowed())).toMatchObject(trusted);
    const seen = emulator.seen.length;
    const other = useSession(emulator, { endpoint });
    expect(await failure(other.allowed())).toMatchObject({ code: "STORE_UNTRUSTED", kind: "denied" });
    expect(emulator.seen.length).toBe(seen);
    const careless = useSession(emulator, { endpoint, dangerouslyDisableTlsVerification: true });
    expect(await failure(careless.allowed())).toMatchObject(trusted);
    expect(() => useSession(emulator, { caFile: "/no/such/file" })).toThrowError(/^caFile/);
  });

  it("goes through a proxy to every host, and not to those that are excepted", async () => {
    const emulator = await useEmulator();
    const proxy = await startProxy();
    const session = useSession(emulator, { proxy: proxy.url });
    await session.upload("k", "1");
    expect(await session.get({ name: "k" })).toMatchObject({ found: true });
    expect(proxy.asked.length).toBe(emulator.seen.length);
    const { downloadUrl } = await session.allowed();
    const reader = openB2Reader({ downloadUrl, bucket: BUCKET, proxy: proxy.url });
    await failure(reader.get({ name: "k" }));
    await reader.close();
    expect(proxy.asked.length).toBe(emulator.seen.length);
    const asked = proxy.asked.length;
    const direct = useSession(emulator, { proxy: proxy.url, noProxy: "127.0.0.1" });
    expect(await direct.get({ name: "k" })).toMatchObject({ found: true });
    expect(proxy.asked.length).toBe(asked);
    const refusing = await startProxy(407);
    const refused = useSession(emulator, { proxy: refusing.url.replace("//", "//me:hunter2@"), maxTries: 1 });
    const error = (await failure(refused.allowed())) as Error;
    expect(error).toMatchObject({ code: "STORE_UNREACHABLE" });
    expect(error.message).not.toContain("hunter2");
  });

  it("takes the proxy of the environment, unless the program says another", async () => {
    const proxy = await startProxy(502);
    const keys = { B2_APPLICATION_KEY_ID: "id", B2_APPLICATION_KEY: "key" };
    const ask = async (options: Parameters<typeof openB2Session>[0] | object, env: Record<string, string>) => {
      const session = B2Session.fromEnv({ maxTries: 1, timeoutMs: 5_000, ...options }, { ...keys, ...env });
      const error = await failure(session.allowed());
      await session.close();
      return error;
    };
    const b2 = { endpoint: "https://b2.test" };
    expect(await ask(b2, { HTTPS_PROXY: proxy.url })).toMatchObject({ code: "STORE_UNREACHABLE" });
    expect(proxy.asked.splice(0)).toEqual(["CONNECT b2.test:443"]);
    await ask(b2, { https_proxy: proxy.url, HTTPS_PROXY: "http://127.0.0.1:1" });
    expect(proxy.asked.splice(0)).toEqual(["CONNECT b2.test:443"]);
    await ask({ ...b2, proxy: "http://127.0.0.1:1" }, { HTTPS_PROXY: proxy.url });
    expect(proxy.asked).toEqual([]);
    // This very host is never reached through one.
    await ask({ endpoint: "https://127.0.0.1:1" }, { HTTPS_PROXY: proxy.url });
    expect(proxy.asked).toEqual([]);
  });
});
