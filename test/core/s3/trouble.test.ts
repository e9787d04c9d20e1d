/** What goes wrong between a session and its server: each case a typed outcome, nothing hanging, no socket left. */
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { type S3Session, systemClock } from "../../../packages/core/src/index.js";
import { collect, failure, openSession, setup, startEmulator } from "./rig.js";

const HTML = "<!DOCTYPE html><html><body>Please log in</body></html>";
const list = (session: { listObjects(prefix: string): AsyncIterable<unknown> }) => collect(session.listObjects(""));

describe("bad input", () => {
  it("wrong credentials", async () => {
    const emulator = await startEmulator();
    const wrong = openSession(emulator, { credentials: { ...emulator.keys, secretAccessKey: "not-it" } });
    for (const work of [
      wrong.putObject("k", "1"),
      wrong.getObject("k"),
      list(wrong),
      wrong.deleteObject({ key: "k" }),
    ]) {
      const error = await failure(work, emulator);
      expect(error).toMatchObject({ code: "STORE_BAD_CREDENTIALS", kind: "denied" });
      expect(error.message).not.toContain("not-it");
    }
    expect(await failure(wrong.headObject("k"), emulator)).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect(emulator.seen.length).toBe(5);
  });

  it("a bucket that is not there", async () => {
    const emulator = await startEmulator();
    const session = openSession(emulator, { bucket: "no-such-bucket" });
    for (const work of [
      () => session.putObject("k", "1"),
      () => session.putObject("k", "1", { condition: { etag: '"x"' } }),
      () => session.getObject("k"),
      () => list(session),
    ]) {
      const error = await failure(work(), emulator);
      expect(error).toMatchObject({ code: "STORE_NO_BUCKET", kind: "denied" });
      expect(error.message).toContain("no-such-bucket");
    }
  });

  it.each([20, -20])("a clock %i minutes off is corrected once, and told about what is sent once", async (minutes) => {
    const { emulator, session } = await setup({ clockAheadMs: minutes * 60_000 });
    const error = await failure(session.putObject("k", "1", { once: true }), emulator);
    expect(error).toMatchObject({ code: "STORE_CLOCK_SKEW", kind: "denied" });
    expect(error.message).toMatch(/server less host -?(1199|1200|1201) s/);
    expect(emulator.seen.length).toBe(1);
    expect(await session.putObject("k", "1", { once: true })).toMatchObject({ outcome: "stored" });
    const other = openSession(emulator);
    expect(await other.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    expect(await openSession(emulator).headObject("k")).toMatchObject({ found: true });
    // A server whose Date does not help must not make a loop.
    const fooled = openSession(emulator);
    emulator.script(
      () => true,
      { kind: "reply", status: 403, body: "<Error><Code>RequestTimeTooSkewed</Code></Error>" },
      10,
    );
    const before = emulator.seen.length;
    expect(await failure(fooled.getObject("k"), emulator)).toMatchObject({ code: "STORE_CLOCK_SKEW" });
    expect(emulator.seen.length).toBe(before + 2);
  });

  it("a truncated listing without a token, with one that comes again, or of other keys", async () => {
    const { emulator, session } = await setup();
    await session.putObject("k", "1");
    emulator.script("GET", { kind: "edit", edit: (body) => body.replace("<IsTruncated>false", "<IsTruncated>true") });
    expect(await failure(list(session), emulator)).toMatchObject({ code: "STORE_CORRUPT_ANSWER", kind: "corrupt" });
    const again = "<IsTruncated>true</IsTruncated><NextContinuationToken>c2FtZQ==</NextContinuationToken>";
    emulator.script(
      "GET",
      { kind: "edit", edit: (body) => body.replace("<IsTruncated>false</IsTruncated>", again) },
      100,
    );
    expect(await failure(list(session), emulator)).toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
    expect(emulator.seen.length).toBe(4);
    const other = openSession(await startEmulator());
    await other.putObject("p/k", "1");
    expect(await collect(other.listObjects("p/"))).toMatchObject([{ objects: [{ key: "p/k" }] }]);
  });

  it("a store that ignores the prefix", async () => {
    const { emulator, session } = await setup();
    await session.putObject("p/k", "1");
    emulator.script("GET", { kind: "edit", edit: (body) => body.replace("p%2Fk", "stranger") });
    expect(await failure(collect(session.listObjects("p/")), emulator)).toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
  });

  it.each(["length", "close", "matching"] as const)("an answer cut in the middle (%s)", async (frame) => {
    const { emulator, session } = await setup();
    await session.putObject("k", "1");
    const code = frame === "length" ? "STORE_DISCONNECTED" : "STORE_CORRUPT_ANSWER";
    emulator.script("GET", { kind: "cut", share: 0.6, frame }, 5);
    expect(await failure(list(session), emulator)).toMatchObject({ code });
    expect(emulator.seen.length).toBe(6);
    // Once only is nothing: it is read again.
    emulator.script("GET", { kind: "cut", share: 0.6, frame });
    expect(await list(session)).toMatchObject([{ objects: [{ key: "k" }] }]);
  });

  it("foreign XML, JSON and web pages", async () => {
    const { emulator, session } = await setup();
    for (const body of ["<rss><channel/></rss>", '{"ok":true}', HTML]) {
      for (const status of [200, 400, 403, 404]) {
        emulator.script("GET", { kind: "reply", status, body });
        expect(await failure(list(session), emulator), `${status} ${body}`).toMatchObject({
          code: "STORE_NOT_S3",
          kind: "corrupt",
        });
      }
      emulator.script("GET", { kind: "reply", status: 404, body });
      expect(await failure(session.getObject("k"), emulator), body).toMatchObject({ code: "STORE_NOT_S3" });
      emulator.script("PUT", { kind: "reply", status: 403, body });
      expect(await failure(session.putObject("k", "1"), emulator)).toMatchObject({ code: "STORE_NOT_S3" });
    }
    emulator.script("HEAD", { kind: "reply", status: 404, headers: { "content-type": "text/html" } });
    expect(await failure(session.headObject("k"), emulator)).toMatchObject({ code: "STORE_NOT_S3" });
    emulator.script("PUT", { kind: "reply", status: 200, body: HTML });
    expect(await session.putObject("k", "1")).toMatchObject({
      outcome: "unknown",
      cause: { kind: "unknown", cause: { code: "STORE_NOT_S3" } },
    });
    // An object may be a web page.
    await session.putObject("page", HTML, { contentType: "text/html" });
    expect(await session.getObject("page")).toMatchObject({ found: true, body: Buffer.from(HTML) });
  });

  it("a redirect to a host is not followed, and named", async () => {
    const { emulator, session } = await setup();
    const elsewhere = await startEmulator();
    const location = `${elsewhere.endpoint}/test-bucket/k?X-Amz-Signature=abc`;
    for (const status of [301, 302, 307, 308]) {
      emulator.script("PUT", { kind: "reply", status, headers: { location } });
      const before = emulator.seen.length;
      const error = await failure(session.putObject("k", "1"), emulator);
      expect(error).toMatchObject({ code: "STORE_REDIRECT", kind: "denied" });
      expect(error.message).toContain(elsewhere.endpoint.slice("http://".length));
      expect(emulator.seen.length).toBe(before + 1);
    }
    expect(elsewhere.seen).toEqual([]);
  });

  it("another region is followed once and remembered, but not for what is sent once", async () => {
    const regionOf = ({ headers }: { headers: { authorization?: string | undefined } }) =>
      /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers.authorization ?? "")?.[1];
    const emulator = await startEmulator({ region: "eu-north-1" });
    for (const act of [
      (session: S3Session) => session.putObject("k", "1"),
      (session: S3Session) => session.getObject("k"),
      (session: S3Session) => list(session),
    ]) {
      const session = openSession(emulator, { region: "eu-west-9" });
      const before = emulator.seen.length;
      await act(session);
      await act(session);
      expect(emulator.seen.slice(before).map(regionOf)).toEqual(["eu-west-9", "eu-north-1", "eu-north-1"]);
    }
    // HEAD has no body: the header says it.
    const heads = openSession(emulator, { region: "eu-west-9" });
    emulator.script("HEAD", { kind: "reply", status: 400, headers: { "x-amz-bucket-region": "eu-north-1" } });
    expect(await heads.headObject("k")).toMatchObject({ found: true });
    // A circle is left after one step, and what was learned on it is forgotten.
    const fooled = openSession(emulator, { region: "eu-north-1" });
    emulator.script("GET", { kind: "reply", status: 301, headers: { "x-amz-bucket-region": "eu-south-1" } });
    expect(await failure(fooled.getObject("k"), emulator)).toMatchObject({ code: "STORE_WRONG_REGION" });
    expect(await fooled.getObject("k")).toMatchObject({ found: true });
    expect(regionOf(emulator.seen.at(-1)!)).toBe("eu-north-1");
    // Sent once is sent once; the next one knows.
    const once = openSession(emulator, { region: "eu-west-9" });
    expect(await failure(once.putObject("k", "1", { once: true }), emulator)).toMatchObject({
      code: "STORE_WRONG_REGION",
    });
    expect(await once.putObject("k", "1", { once: true })).toMatchObject({ outcome: "stored" });
    expect(new URL(once.presign("getObject", { key: "k" })).searchParams.get("X-Amz-Credential")).toContain(
      "/eu-north-1/",
    );
  });
});

describe("again", () => {
  it("a plain write is sent again after 5xx, resets and hangs, and signed anew", async () => {
    for (const fault of [
      { kind: "reply", status: 500 },
      { kind: "reply", status: 500, apply: true },
      { kind: "reply", status: 502, body: HTML },
      { kind: "reset", apply: false },
      { kind: "reset", apply: true },
      { kind: "hang", apply: true },
    ] as const) {
      const { emulator, session } = await setup({}, fault.kind === "hang" ? { headersTimeoutMs: 1_000 } : {});
      emulator.script("PUT", fault);
      expect(await session.putObject("k", "1")).toMatchObject({ outcome: "stored" });
      expect(emulator.seen.length).toBe(2);
    }
  });

  it.each([
    ["once", { once: true }],
    ["create", { condition: { absent: true } }],
    ["replace", { condition: { etag: '"c4ca4238a0b923820dcc509a6f75849b"' } }],
  ] as const)("never what is sent once: %s", async (_name, options) => {
    const { emulator, session } = await setup();
    await session.putObject("k", "1");
    const key = "absent" in (("condition" in options && options.condition) || {}) ? "new" : "k";
    for (const fault of [
      { kind: "reply", status: 500, apply: true },
      { kind: "reply", status: 503, body: "<Error><Code>SlowDown</Code></Error>" },
      { kind: "reply", status: 409, body: "<Error><Code>ConditionalRequestConflict</Code></Error>" },
      { kind: "reset", apply: false },
      { kind: "hang", apply: false },
    ] as const) {
      const before = emulator.seen.length;
      emulator.script("PUT", fault);
      const limit = fault.kind === "hang" ? { timeoutMs: 1_000 } : {};
      const outcome = await session.putObject(key, "1", { ...options, ...limit });
      expect(outcome, JSON.stringify(fault)).toMatchObject({ outcome: "unknown" });
      expect(emulator.seen.length).toBe(before + 1);
    }
    emulator.script("PUT", { kind: "reply", status: 429 });
    expect(await failure(session.putObject(key, "1", options), emulator)).toMatchObject({
      code: "STORE_THROTTLED",
      retryable: true,
    });
  });

  it("a plain write that never gets through is unknown if any try may have landed, an error if none can", async () => {
    const { emulator, session } = await setup();
    emulator.script("PUT", { kind: "reset", apply: false });
    emulator.script("PUT", { kind: "reply", status: 403, body: "<Error><Code>AccessDenied</Code></Error>" });
    expect(await session.putObject("k", "1")).toMatchObject({
      outcome: "unknown",
      cause: { kind: "unknown", cause: { code: "STORE_ACCESS_DENIED" } },
    });
    emulator.script("PUT", { kind: "reply", status: 500 }, 5);
    expect(await session.putObject("k", "1")).toMatchObject({
      outcome: "unknown",
      cause: { code: "STORE_UNAVAILABLE" },
    });
    emulator.script("PUT", { kind: "reply", status: 403, body: "<Error><Code>AccessDenied</Code></Error>" });
    expect(await failure(session.putObject("k", "1"), emulator)).toMatchObject({ code: "STORE_ACCESS_DENIED" });
  });

  it("Retry-After is kept, and not waited for beyond the limit", async () => {
    const waits: number[] = [];
    const clock = { ...systemClock, sleep: async (ms: number) => void waits.push(ms) };
    const { emulator, session } = await setup({}, { clock });
    emulator.script("GET", {
      kind: "reply",
      status: 503,
      body: "<Error><Code>SlowDown</Code></Error>",
      headers: { "retry-after": "2" },
    });
    expect(await session.getObject("k")).toMatchObject({ found: false });
    expect(waits).toEqual([2000]);
    emulator.script("GET", { kind: "reply", status: 503, headers: { "retry-after": "3600" } });
    expect(await failure(session.getObject("k"), emulator)).toMatchObject({ details: { retryAfterMs: 3_600_000 } });
    expect(waits).toEqual([2000]);
  });
});

describe("limits and aborts", () => {
  const stages = [
    ["before the answer", { kind: "hang", apply: false }],
    ["after the headers", { kind: "hang", apply: true, after: "headers" }],
    ["in the body", { kind: "hang", apply: true, after: "half" }],
  ] as const;

  it.each(stages)("a limit below a second holds %s", async (_name, fault) => {
    const { emulator, session } = await setup();
    await session.putObject("k", "12345678");
    emulator.script("GET", fault, 100);
    expect(await failure(session.getObject("k", { timeoutMs: 80 }), emulator)).toMatchObject({
      code: "STORE_TIMEOUT",
      kind: "unavailable",
    });
  });

  it.each(stages)("an abort ends it %s, with the caller's own reason", async (_name, fault) => {
    const { emulator, session } = await setup();
    await session.putObject("k", "12345678");
    for (const reason of [new Error("mine"), "a string", { any: "thing" }]) {
      const stop = new AbortController();
      emulator.script((seen) => {
        if (seen.method !== "GET") return false;
        setImmediate(() => setImmediate(() => stop.abort(reason)));
        return true;
      }, fault);
      await expect(session.getObject("k", { signal: stop.signal })).rejects.toBe(reason);
    }
    expect(await session.headObject("k")).toMatchObject({ found: true });
  });

  it("an abort before anything, and between two tries", async () => {
    const { emulator, session } = await setup({}, { random: { float: () => 0.999, hex: () => "" } });
    const reason = new Error("mine");
    await expect(session.putObject("k", "1", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(emulator.seen).toEqual([]);
    const stop = new AbortController();
    emulator.script("PUT", { kind: "reply", status: 503, headers: { "retry-after": "5" } });
    const clock = {
      ...systemClock,
      sleep: (ms: number, options?: { signal?: AbortSignal | undefined }) => {
        stop.abort(reason);
        return systemClock.sleep(ms, options);
      },
    };
    const patient = openSession(emulator, { clock });
    await expect(patient.putObject("k", "1", { signal: stop.signal })).rejects.toBe(reason);
  });

  it("no connection: certainly not sent, so an error, also for what is sent once", async () => {
    const emulator = await startEmulator();
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    await new Promise((resolve) => taken.close(resolve));
    const session = openSession(emulator, { endpoint: `http://127.0.0.1:${port}` });
    for (const once of [true, false])
      expect(await failure(session.putObject("k", "1", { once }), emulator)).toMatchObject({
        code: "STORE_UNREACHABLE",
        kind: "unavailable",
      });
    const nowhere = openSession(emulator, { endpoint: "http://does-not-exist.invalid" });
    expect(await failure(nowhere.putObject("k", "1", { once: true }), emulator)).toMatchObject({
      code: "STORE_UNREACHABLE",
    });
  });

  it("a server that takes the connection and never speaks TLS: limited, and certainly not sent", async () => {
    const emulator = await startEmulator();
    const sockets: import("node:net").Socket[] = [];
    const mute = createServer((socket) => void sockets.push(socket.on("error", () => {}))).listen(0, "127.0.0.1");
    await new Promise((resolve) => mute.once("listening", resolve));
    const { port } = mute.address() as { port: number };
    const session = openSession(emulator, { endpoint: `https://127.0.0.1:${port}`, connectTimeoutMs: 60 });
    expect(await failure(session.putObject("k", "1", { once: true }), emulator)).toMatchObject({
      code: "STORE_TIMEOUT",
    });
    await session.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => mute.close(resolve));
  });

  it("closing ends what is under way; closed is closed", async () => {
    const { emulator, session } = await setup();
    emulator.script("GET", { kind: "hang", apply: false }, 10);
    const hanging = failure(session.getObject("k"), emulator);
    while (emulator.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await session.close();
    expect(await hanging).toMatchObject({ code: "STORE_CLOSED" });
    expect(await failure(session.headObject("k"), emulator)).toMatchObject({ code: "STORE_CLOSED", kind: "invalid" });
    await session.close();
  });
});

describe("connections", () => {
  it("are kept: one serves many requests, also after errors, HEAD, conflicts and long error pages", async () => {
    const { emulator, session } = await setup();
    for (let round = 0; round < 5; round++) {
      await session.putObject("k", "1");
      await session.headObject("k");
      await session.headObject("none");
      await session.getObject("none");
      await session.putObject("k", "2", { condition: { absent: true } });
      await list(session);
      await session.deleteObject({ key: "k" });
      emulator.script("GET", {
        kind: "reply",
        status: 403,
        body: `<Error><Code>AccessDenied</Code><Message>${"x".repeat(30_000)}</Message></Error>`,
      });
      expect(await failure(session.getObject("k"), emulator)).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    }
    expect(emulator.connections).toBe(1);
  });

  it("an error page without end is cut off, not read", async () => {
    const { emulator, session } = await setup();
    emulator.script("GET", { kind: "reply", status: 403, body: HTML + "x".repeat(5_000_000) });
    expect(await failure(session.getObject("k"), emulator)).toMatchObject({ code: "STORE_NOT_S3" });
    expect(await session.getObject("k")).toMatchObject({ found: false });
  });

  it("a listing longer than any listing is refused", async () => {
    const { emulator, session } = await setup();
    emulator.script("GET", { kind: "reply", status: 200, body: " ".repeat(17 * 1024 * 1024) });
    expect(await failure(list(session), emulator)).toMatchObject({ code: "STORE_CORRUPT_ANSWER" });
  });

  it("nothing is opened before the first request", async () => {
    const { emulator } = await setup();
    expect(emulator.connections).toBe(0);
  });
});
