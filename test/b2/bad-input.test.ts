/** What a program gets when something is wrong: which code, of which kind, after how many requests. Retry only where it helps. */
import { type BucketlockError, StoreError } from "@bucketlock/core";
import { expect, it } from "vitest";
import type { B2Emulator } from "../emulators/b2/emulator.js";
import type { Fault } from "../emulators/b2/knobs.js";
import { BUCKET, callsOf, failure, useEmulator, useSession } from "./rig.js";

type Rig = { emulator: B2Emulator; session: ReturnType<typeof useSession> };

interface Row {
  readonly what: string;
  readonly code: string;
  readonly kind: string;
  /** Requests of this call that the emulator saw. */
  readonly requests: readonly [call: string, count: number];
  readonly details?: object;
  readonly open?: (emulator: B2Emulator) => ReturnType<typeof useSession>;
  readonly script?: readonly [call: string, fault: Fault, times: number];
  run(rig: Rig): Promise<unknown>;
}

const reply = (status: number, code: string, message = ""): Fault => ({ kind: "reply", status, code, message });
const upload = ({ session }: Rig) => session.upload("k", "x");
const withKey = (capabilities: string[], more: object = {}) => {
  return (emulator: B2Emulator) => {
    const key = emulator.makeKey({ capabilities, ...more });
    return useSession(emulator, { credentials: { applicationKeyId: key.id, applicationKey: key.secret } });
  };
};

const TABLE: readonly Row[] = [
  {
    what: "a wrong key",
    code: "STORE_BAD_CREDENTIALS",
    kind: "denied",
    requests: ["authorize_account", 1],
    open: (emulator) =>
      useSession(emulator, { credentials: { applicationKeyId: emulator.keyId, applicationKey: "s3cret" } }),
    run: upload,
  },
  {
    what: "a capped account",
    code: "STORE_CAP_EXCEEDED",
    kind: "denied",
    requests: ["upload_file", 1],
    details: { cap: "storage" },
    script: ["b2_upload_file", reply(403, "storage_cap_exceeded", "Cannot upload files, storage cap exceeded."), 9],
    run: upload,
  },
  {
    what: "a transaction cap",
    code: "STORE_CAP_EXCEEDED",
    kind: "denied",
    requests: ["list_file_names", 1],
    details: { cap: "transaction" },
    script: ["b2_list_file_names", reply(403, "transaction_cap_exceeded"), 9],
    run: ({ session }) => session.listFiles().next(),
  },
  {
    what: "a bucket outside the key's restriction, before anything is asked of it",
    code: "STORE_ACCESS_DENIED",
    kind: "denied",
    requests: ["list_buckets", 0],
    open: (emulator) =>
      withKey(["listFiles", "writeFiles"], { bucketIds: [emulator.makeBucket("another-one")] })(emulator),
    run: upload,
  },
  {
    what: "a name outside the key's prefix",
    code: "STORE_ACCESS_DENIED",
    kind: "denied",
    requests: ["upload_file", 1],
    open: (emulator) =>
      withKey(["listFiles", "writeFiles"], {
        bucketIds: [emulator.world.bucketNamed(BUCKET)!.id],
        namePrefix: "mine/",
      })(emulator),
    run: upload,
  },
  {
    what: "a listing outside the key's prefix",
    code: "STORE_ACCESS_DENIED",
    kind: "denied",
    requests: ["list_file_names", 1],
    open: (emulator) =>
      withKey(["listFiles"], { bucketIds: [emulator.world.bucketNamed(BUCKET)!.id], namePrefix: "mine/" })(emulator),
    run: ({ session }) => session.listFiles({ prefix: "" }).next(),
  },
  {
    what: "a missing capability",
    code: "STORE_ACCESS_DENIED",
    kind: "denied",
    requests: ["get_upload_url", 2],
    open: withKey(["listBuckets", "listFiles"]),
    run: upload,
  },
  {
    what: "a HEAD without the right to read: the token is renewed once, then it is about rights",
    code: "STORE_ACCESS_DENIED",
    kind: "denied",
    requests: ["authorize_account", 2],
    open: withKey(["listBuckets", "listFiles"]),
    run: ({ session }) => session.head({ name: "k" }),
  },
  {
    what: "a bucket that is not there",
    code: "STORE_NO_BUCKET",
    kind: "denied",
    requests: ["list_buckets", 1],
    open: (emulator) => useSession(emulator, { bucket: "no-such-bucket" }),
    run: upload,
  },
  {
    what: "a name with a control character",
    code: "INVALID_OPTION",
    kind: "invalid",
    requests: ["upload_file", 0],
    run: ({ session }) => session.upload("a\u0007b", "x"),
  },
  {
    what: "a name with //",
    code: "INVALID_OPTION",
    kind: "invalid",
    requests: ["upload_file", 0],
    run: ({ session }) => session.upload("a//b", "x"),
  },
  {
    what: "a name with 251 bytes between slashes",
    code: "INVALID_OPTION",
    kind: "invalid",
    requests: ["upload_file", 0],
    run: ({ session }) => session.upload(`a/${"k".repeat(251)}`, "x"),
  },
  {
    what: "an upload URL that always fails: five different ones, then no more",
    code: "STORE_DISCONNECTED",
    kind: "unavailable",
    requests: ["upload_file", 5],
    script: ["b2_upload_file", { kind: "reset", apply: false }, 99],
    run: upload,
  },
  {
    what: "pods that are always busy",
    code: "STORE_UNAVAILABLE",
    kind: "unavailable",
    requests: ["upload_file", 5],
    script: ["b2_upload_file", reply(503, "service_unavailable", "no tomes available"), 99],
    run: upload,
  },
  {
    what: "an upload that may be sent once, on a pod that is busy",
    code: "STORE_UNCLEAR",
    kind: "unknown",
    requests: ["upload_file", 1],
    script: ["b2_upload_file", reply(503, "service_unavailable"), 99],
    run: ({ session }) => session.upload("k", "x", { once: true }),
  },
  {
    what: "a service that never answers in time",
    code: "STORE_TIMEOUT",
    kind: "unavailable",
    requests: ["list_file_names", 1],
    script: ["b2_list_file_names", { kind: "hang", apply: false }, 99],
    run: ({ session }) => session.listFiles({ timeoutMs: 1_000 }).next(),
  },
  {
    what: "a proxy's web page",
    code: "STORE_NOT_B2",
    kind: "corrupt",
    requests: ["download_file_by_name", 1],
    script: ["b2_download_file_by_name", { kind: "reply", status: 404, body: "<html>not here</html>" }, 99],
    run: ({ session }) => session.get({ name: "k" }),
  },
  {
    what: "a key that is made twice for all we know",
    code: "STORE_UNCLEAR",
    kind: "unknown",
    requests: ["create_key", 1],
    script: ["b2_create_key", { kind: "reset", apply: true }, 99],
    run: ({ session }) => session.keys.create({ name: "k", capabilities: ["listFiles"] }),
  },
  {
    what: "a bucket name that is taken",
    code: "STORE_BUCKET_EXISTS",
    kind: "invalid",
    requests: ["create_bucket", 1],
    run: ({ session }) => session.buckets.create(BUCKET),
  },
  {
    what: "a redirect",
    code: "STORE_REDIRECT",
    kind: "denied",
    requests: ["list_file_names", 1],
    script: [
      "b2_list_file_names",
      { kind: "reply", status: 307, headers: { location: "https://elsewhere.example" } },
      99,
    ],
    run: ({ session }) => session.listFiles().next(),
  },
];

it.each(TABLE)("$what: $code", async ({ code, kind, requests, details, open, script, run }) => {
  const emulator = await useEmulator();
  const session = open?.(emulator) ?? useSession(emulator);
  if (script) emulator.script(...script);
  const error = (await failure(run({ emulator, session }))) as BucketlockError;
  expect({ code: error.code, kind: error.kind }).toEqual({ code, kind });
  if (details) expect(error.details).toMatchObject(details);
  const [call, count] = requests;
  expect(callsOf(emulator).filter((one) => one === call).length, callsOf(emulator).join(" ")).toBe(count);
  // Neither a key nor a token nor an upload URL.
  const secrets = [emulator.key, "s3cret", ...emulator.world.uploadTokens.keys(), "_acct_", "/c00"];
  for (const secret of secrets) expect(JSON.stringify([error.message, error.details])).not.toContain(secret);
});

it("a file deleted while it is listed ends nothing early, and deleting it again is no error", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  const files = [];
  for (const name of ["a", "b", "c", "d"]) files.push(await session.upload(name, "x"));
  const seen: string[] = [];
  for await (const page of session.listVersions({ pageSize: 1 })) {
    const [file] = page.files;
    seen.push(file!.name);
    // The next one goes before its page is asked for.
    if (file!.name === "a") await session.deleteVersion(files[1]!);
  }
  expect(seen).toEqual(["a", "c", "d"]);
  await session.deleteVersion(files[1]!);
  const { failed } = await session.deleteMany(files);
  expect(failed).toEqual([]);
  expect(emulator.stored).toEqual([]);
});

it("every failure of a multi-delete is reported, and only those", async () => {
  const emulator = await useEmulator();
  const session = useSession(emulator);
  const files = [];
  for (const name of ["a", "b", "c"]) files.push(await session.upload(name, "x"));
  emulator.script("b2_delete_file_version", reply(403, "access_denied", "retention"), 2);
  const { failed } = await session.deleteMany(files);
  expect(failed.map(({ code }) => code)).toEqual(["access_denied", "access_denied"]);
  expect(failed.every(({ cause }) => cause instanceof StoreError)).toBe(true);
  expect(emulator.stored.length).toBe(2);
});
