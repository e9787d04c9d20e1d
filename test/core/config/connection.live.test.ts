/** The real servers through TLS and through a tunnel of a proxy: several parts at once, both ways, nothing changed by it. */
import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { sessionOf, useBucket } from "../../live/buckets.js";
import { onEveryServer } from "../../servers/on-server.js";
import { certificateFile, startProxy, startTlsFront } from "./rig.js";

onEveryServer((server) => {
  const { bucket } = useBucket(server, "tls");

  it.each(["TLS", "TLS and a proxy"])("through %s", async (how) => {
    const endpoint = await startTlsFront(server.endpoint);
    const proxy = how === "TLS" ? undefined : await startProxy();
    await using session = sessionOf(server, bucket, { endpoint, caFile: certificateFile("ca"), proxy: proxy?.url });
    const body = randomBytes(12 * 1024 * 1024);
    expect(await session.upload("large", body, { partBytes: 5 * 1024 * 1024 })).toMatchObject({
      outcome: "stored",
      parts: 3,
    });
    const back = await session.getObject("large");
    expect(back.found && Buffer.from(back.body).equals(body)).toBe(true);
    await Promise.all(Array.from({ length: 20 }, (_, at) => session.putObject(`small/${at}`, `${at}`)));
    const names: string[] = [];
    for await (const { objects } of session.listObjects("small/")) names.push(...objects.map(({ key }) => key));
    expect(names.length).toBe(20);
    for (const asked of proxy?.asked ?? []) expect(asked).toBe(`CONNECT ${new URL(endpoint).host}`);
    if (proxy !== undefined) expect(proxy.asked.length).toBeGreaterThan(0);
    await using stranger = sessionOf(server, bucket, { endpoint });
    await expect(stranger.headObject("large")).rejects.toMatchObject({ code: "STORE_UNTRUSTED" });
  });
});
