/** The knobs of the emulator do what they say, and its price classes are those of the package; what the client makes of them. */
import { B2_CALLS } from "@bucketlock/b2";
import { createLocks } from "@bucketlock/lock";
import { expect, it } from "vitest";
import { classOf } from "../emulators/b2/knobs.js";
import { BUCKET, callsOf, failure, useEmulator, useSession } from "./rig.js";

const names = async (session: ReturnType<typeof useSession>) => {
  const all: string[] = [];
  for await (const page of session.listFiles()) all.push(...page.files.map(({ name }) => name));
  return all;
};

it("price classes are the same on both sides", () => {
  const ours = Object.entries(B2_CALLS).map(([call, { priceClass }]) => [call, priceClass]);
  expect(ours).toEqual(Object.keys(B2_CALLS).map((call) => [call, classOf(call)]));
});

it("a slow upload appears late, with the stamp of its begin, below what came meanwhile", async () => {
  let nowMs = Date.now();
  const emulator = await useEmulator({ nowMs: () => nowMs });
  const session = useSession(emulator);
  await session.upload("warm", "x");
  const beganMs = nowMs;
  let commit = () => {};
  const until = new Promise<void>((resolve) => {
    commit = resolve;
  });
  emulator.script("b2_upload_file", { kind: "hold", until });
  const before = emulator.seen.length;
  const first = session.upload("k", "first");
  await expect.poll(() => emulator.seen.length).toBe(before + 1);
  nowMs += 1_000;
  expect(await names(session)).toEqual(["warm"]);
  const second = await session.upload("k", "second");
  commit();
  const late = await first;
  expect([late.uploadedMs, second.uploadedMs]).toEqual([beganMs, beganMs + 1_000]);
  const got = await session.get({ name: "k" });
  expect(got.found && Buffer.from(got.body).toString()).toBe("second");
});

it("pods have clocks of their own", async () => {
  const emulator = await useEmulator({ knobs: { podClocksMs: [-60_000, 60_000] } });
  const session = useSession(emulator);
  const [a, b] = await Promise.all([session.upload("a", "x"), session.upload("b", "x")]);
  expect(Math.abs(a.uploadedMs - b.uploadedMs)).toBeGreaterThan(100_000);
});

it("a stale list shows the past; a lock waits until it shows its own objects", async () => {
  let nowMs = () => startMs;
  const startMs = Date.now();
  const emulator = await useEmulator({ knobs: { staleListMs: 300 }, nowMs: () => nowMs() });
  const session = useSession(emulator);
  const file = await session.upload("k", "x");
  expect(await names(session)).toEqual([]);
  nowMs = () => startMs + 1_000;
  expect(await names(session)).toEqual(["k"]);
  await session.deleteVersion(file);
  expect(await names(session)).toEqual(["k"]);
  nowMs = () => Date.now() + 2_000;
  expect(await names(session)).toEqual([]);
  const locks = createLocks(session.store(), { settleMs: 500 });
  const fromMs = Date.now();
  const lease = await locks.lock("line").acquire();
  expect(Date.now() - fromMs).toBeGreaterThan(500);
  await lease.release();
  // And one that never shows them is no store for locks.
  emulator.knobs.staleListMs = 3_600_000;
  const blind = createLocks(session.store(), { visibilityTimeoutMs: 300 });
  expect(await failure(blind.lock("line").acquire())).toMatchObject({ code: "LISTING_NOT_VISIBLE" });
  await locks.close();
  expect(emulator.stored).toEqual([]);
});

it("a connection dropped after the write leaves the write; once, it is unknown and not repeated", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  const store = session.store();
  emulator.script("b2_upload_file", { kind: "reset", apply: true });
  expect(await store.put("once", "x", { once: true })).toMatchObject({ outcome: "unknown" });
  emulator.script("b2_upload_file", { kind: "reset", apply: true });
  expect(await store.put("twice", "x")).toMatchObject({ outcome: "stored" });
  expect(emulator.stored).toEqual([`${BUCKET}/once upload`, `${BUCKET}/twice upload`, `${BUCKET}/twice upload`]);
  // Refused for certain: sent again even so.
  emulator.script("b2_upload_file", { kind: "reply", status: 401, code: "expired_auth_token" });
  expect(await store.put("again", "x", { once: true })).toMatchObject({ outcome: "stored" });
});

it("Retry-After is waited for, and the URL is kept", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  await session.upload("warm", "x");
  let headers = { "retry-after": "1" };
  emulator.script("b2_upload_file", { kind: "reply", status: 429, code: "too_many_requests", headers });
  const fromMs = performance.now();
  await session.upload("k", "x");
  expect(performance.now() - fromMs).toBeGreaterThan(990);
  // Longer than there is time: told at once.
  headers = { "retry-after": "3600" };
  emulator.script("b2_list_file_names", { kind: "reply", status: 429, code: "too_many_requests", headers }, 9);
  expect(await failure(session.listFiles().next())).toMatchObject({ code: "STORE_THROTTLED" });
});

it("reads take GET with a query, writes do not", async () => {
  const emulator = await useEmulator();
  await useSession(emulator).upload("k", "x");
  const auth = await fetch(`${emulator.endpoint}/b2api/v4/b2_authorize_account`, {
    headers: { authorization: `Basic ${Buffer.from(`${emulator.keyId}:${emulator.key}`).toString("base64")}` },
  });
  const { authorizationToken } = (await auth.json()) as { authorizationToken: string };
  const bucketId = emulator.world.bucketNamed(BUCKET)!.id;
  const get = (path: string) =>
    fetch(`${emulator.endpoint}/b2api/v4/${path}`, { headers: { authorization: authorizationToken } });
  const list = await get(`b2_list_file_names?bucketId=${bucketId}&maxFileCount=10`);
  expect(((await list.json()) as { files: unknown[] }).files.length).toBe(1);
  expect((await get(`b2_hide_file?bucketId=${bucketId}&fileName=k`)).status).toBe(405);
  expect(callsOf(emulator).at(-1)).toBe("hide_file");
});
