/**
 * The classify table end to end: every S3 code and every status that matters, answered by the emulator to six kinds of
 * request of a real session. What comes out is the documented code, after the documented number of tries.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  openS3Session,
  type S3Session,
  type S3SessionOptions,
  type StoreError,
} from "../../packages/core/src/index.js";
import { S3Emulator } from "../emulators/s3/emulator.js";
import { errorInside200, refusing, type ScriptedFault } from "../emulators/s3/faults.js";

const MAX_TRIES = 5;
const ETAG = '"c4ca4238a0b923820dcc509a6f75849b"';
const VERBS = {
  get: (session: S3Session) => session.getObject("k"),
  list: (session: S3Session) => session.listObjects("").next(),
  delete: (session: S3Session) => session.deleteObject({ key: "k" }),
  put: (session: S3Session) => session.putObject("k", "1"),
  create: (session: S3Session) => session.putObject("k", "1", { condition: { absent: true } }),
  replace: (session: S3Session) => session.putObject("k", "1", { condition: { etag: ETAG } }),
} as const;
type Verb = keyof typeof VERBS;

/**
 * How a row ends, in the order get, list, delete, put, create, replace. `!CODE`: the error, after one try. `!CODE*n`: after n.
 * `?CODE`: the outcome `unknown` with that cause. Else the outcome itself.
 */
type Ending = readonly [get: string, list: string, del: string, put: string, create: string, replace: string];

const refused = (code: string): Ending => [`!${code}`, `!${code}`, `!${code}`, `!${code}`, `!${code}`, `!${code}`];
/** A listing is asked for in the old way too, before it is given up. */
const bothWays = (code: string): Ending => [`!${code}`, `!${code}*2`, `!${code}`, `!${code}`, `!${code}`, `!${code}`];
/** Sent again; may have been carried out. */
const unsure = (code: string): Ending => {
  const again = `!${code}*${MAX_TRIES}`;
  return [again, again, again, `?${code}*${MAX_TRIES}`, `?${code}`, `?${code}`];
};
/** Sent again; was certainly not carried out. */
const sure = (code: string): Ending => {
  const again = `!${code}*${MAX_TRIES}`;
  return [again, again, again, again, `!${code}`, `!${code}`];
};
const twice = (code: string): Ending => [
  `!${code}*2`,
  `!${code}*2`,
  `!${code}*2`,
  `!${code}*2`,
  `!${code}`,
  `!${code}`,
];
const GONE: Ending = ["absent", "!NO_BUCKET", "deleted", "!REFUSED", "!REFUSED", "conflict"];
const CONDITION: Ending = ["!REFUSED", "!REFUSED", "!REFUSED", "!REFUSED", "conflict", "conflict"];

/** Each code of the table with the status that it comes with. */
const BY_CODE: Readonly<Record<string, readonly [status: number, ending: Ending]>> = {
  AccessDenied: [403, refused("ACCESS_DENIED")],
  AllAccessDisabled: [403, refused("ACCESS_DENIED")],
  AccountProblem: [403, refused("ACCESS_DENIED")],
  UnauthorizedAccess: [403, refused("ACCESS_DENIED")],
  InvalidAccessKeyId: [403, refused("BAD_CREDENTIALS")],
  SignatureDoesNotMatch: [403, refused("BAD_CREDENTIALS")],
  // The keys here are fixed: there are no others to ask for.
  InvalidToken: [400, refused("BAD_CREDENTIALS")],
  ExpiredToken: [400, refused("BAD_CREDENTIALS")],
  TokenRefreshRequired: [400, refused("BAD_CREDENTIALS")],
  InvalidSecurity: [403, refused("BAD_CREDENTIALS")],
  XAdminUserNotFound: [404, refused("BAD_CREDENTIALS")],
  NotSignedUp: [403, refused("BAD_CREDENTIALS")],
  RequestTimeTooSkewed: [403, twice("CLOCK_SKEW")],
  RequestExpired: [400, twice("CLOCK_SKEW")],
  NoSuchBucket: [404, refused("NO_BUCKET")],
  InvalidBucketName: [400, bothWays("REFUSED")],
  NoSuchKey: [404, GONE],
  NoSuchVersion: [404, GONE],
  NoSuchUpload: [404, GONE],
  NotFound: [404, GONE],
  InvalidRange: [416, refused("NO_SUCH_RANGE")],
  PreconditionFailed: [412, CONDITION],
  ConditionalRequestConflict: [409, unsure("COLLISION")],
  OperationAborted: [409, unsure("COLLISION")],
  AuthorizationHeaderMalformed: [400, refused("WRONG_REGION")],
  IllegalLocationConstraintException: [400, refused("WRONG_REGION")],
  PermanentRedirect: [301, refused("REDIRECT")],
  TemporaryRedirect: [307, refused("REDIRECT")],
  SlowDown: [503, unsure("THROTTLED")],
  SlowDownRead: [503, unsure("THROTTLED")],
  SlowDownWrite: [503, unsure("THROTTLED")],
  TooManyRequests: [429, sure("THROTTLED")],
  Throttling: [400, sure("THROTTLED")],
  ThrottlingException: [400, sure("THROTTLED")],
  RequestLimitExceeded: [503, unsure("THROTTLED")],
  BandwidthLimitExceeded: [509, unsure("THROTTLED")],
  ServiceUnavailable: [503, unsure("UNAVAILABLE")],
  InternalError: [500, unsure("UNAVAILABLE")],
  InternalServerError: [500, unsure("UNAVAILABLE")],
  RequestTimeout: [400, sure("UNAVAILABLE")],
  ServerBusy: [503, unsure("UNAVAILABLE")],
  NotImplemented: [501, bothWays("UNSUPPORTED")],
  MethodNotAllowed: [405, bothWays("UNSUPPORTED")],
  QuotaExceeded: [403, refused("FULL")],
  InsufficientStorage: [507, refused("FULL")],
  XMinioStorageFull: [507, refused("FULL")],
  InvalidBucketState: [409, refused("REFUSED")],
  ObjectParentIsFile: [409, refused("REFUSED")],
  XMinioObjectExistsAsDirectory: [409, refused("REFUSED")],
  InvalidObjectState: [403, refused("REFUSED")],
  XMinioAdminBucketQuotaExceeded: [400, refused("FULL")],
  BucketAlreadyExists: [409, refused("BUCKET_EXISTS")],
  BucketAlreadyOwnedByYou: [409, refused("BUCKET_EXISTS")],
  BucketNotEmpty: [409, refused("BUCKET_NOT_EMPTY")],
};

/** Statuses with a code that is not known, with no body, and with a web page. */
const BY_STATUS: readonly (readonly [status: number, unknown: Ending, none: Ending, page: Ending])[] = [
  [302, refused("REDIRECT"), refused("REDIRECT"), refused("REDIRECT")],
  [400, bothWays("REFUSED"), bothWays("REFUSED"), refused("NOT_S3")],
  [401, refused("BAD_CREDENTIALS"), refused("BAD_CREDENTIALS"), refused("NOT_S3")],
  [403, refused("ACCESS_DENIED"), refused("ACCESS_DENIED"), refused("NOT_S3")],
  [404, refused("REFUSED"), refused("NOT_S3"), refused("NOT_S3")],
  [405, bothWays("UNSUPPORTED"), bothWays("UNSUPPORTED"), refused("NOT_S3")],
  [408, sure("UNAVAILABLE"), sure("UNAVAILABLE"), sure("UNAVAILABLE")],
  [409, unsure("COLLISION"), unsure("COLLISION"), unsure("COLLISION")],
  [412, CONDITION, CONDITION, refused("NOT_S3")],
  [416, refused("NO_SUCH_RANGE"), refused("NO_SUCH_RANGE"), refused("NOT_S3")],
  [429, sure("THROTTLED"), sure("THROTTLED"), sure("THROTTLED")],
  [500, unsure("UNAVAILABLE"), unsure("UNAVAILABLE"), unsure("UNAVAILABLE")],
  [501, bothWays("UNSUPPORTED"), bothWays("UNSUPPORTED"), bothWays("UNSUPPORTED")],
  [502, unsure("UNAVAILABLE"), unsure("UNAVAILABLE"), unsure("UNAVAILABLE")],
  [503, unsure("UNAVAILABLE"), unsure("UNAVAILABLE"), unsure("UNAVAILABLE")],
  [504, unsure("UNAVAILABLE"), unsure("UNAVAILABLE"), unsure("UNAVAILABLE")],
  [507, refused("FULL"), refused("FULL"), refused("FULL")],
];

let emulator: S3Emulator;
beforeAll(async () => {
  emulator = await S3Emulator.start();
});
afterAll(() => emulator.stop());

function open(options: Partial<S3SessionOptions> = {}): S3Session {
  return openS3Session({
    endpoint: emulator.endpoint,
    region: emulator.region,
    bucket: emulator.bucket,
    credentials: emulator.keys,
    maxTries: MAX_TRIES,
    // No waiting between tries.
    random: { float: () => 0, hex: (bytes) => "0".repeat(bytes * 2) },
    ...options,
  });
}

/** As an Ending says it, with the number of tries. A session of its own: nothing is known from before. */
async function ending(verb: Verb, fault: ScriptedFault): Promise<string> {
  const session = open();
  const from = emulator.seen.length;
  const again = { times: MAX_TRIES + 1 };
  emulator.script(() => again.times-- > 0, fault, MAX_TRIES + 1);
  let end: string;
  try {
    const answer = (await VERBS[verb](session)) as { outcome?: string; found?: boolean; cause?: StoreError };
    end = answer.outcome ?? (answer.found === false ? "absent" : verb === "delete" ? "deleted" : "done");
    if (end === "unknown") {
      const { code, cause } = answer.cause!;
      end = `?${(code === "STORE_UNCLEAR" ? (cause as StoreError) : { code }).code.slice("STORE_".length)}`;
    }
  } catch (error) {
    end = `!${(error as StoreError).code.slice("STORE_".length)}`;
    // Of the last request; a listing may have made two.
    if (verb !== "list") expect((error as StoreError).details.tries).toBe(emulator.seen.length - from);
  } finally {
    again.times = 0;
    await session.close();
  }
  const tries = emulator.seen.length - from;
  return tries === 1 ? end : `${end}*${tries}`;
}

async function expectRow(fault: ScriptedFault, wanted: Ending): Promise<void> {
  const got: string[] = [];
  for (const verb of Object.keys(VERBS) as Verb[]) got.push(`${verb} ${await ending(verb, fault)}`);
  expect(got).toEqual(Object.keys(VERBS).map((verb, at) => `${verb} ${wanted[at]}`));
}

it("has a row for every code of the table", () => {
  const source = readFileSync(new URL("../../packages/core/src/classify.ts", import.meta.url), "utf8");
  const [table] = /const BY_S3_CODE[\s\S]*?\n\};/.exec(source)!;
  const codes = [...table.matchAll(/^ {2}(\w+): /gm)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(40);
  expect(Object.keys(BY_CODE).sort()).toEqual(codes.sort());
});

describe("by S3 code", () => {
  for (const [code, [status, wanted]] of Object.entries(BY_CODE))
    it(`${status} ${code}`, () => expectRow(refusing(status, code), wanted));
});

describe("by status", () => {
  const PAGE = "<!DOCTYPE html><html><body>no</body></html>";
  for (const [status, unknown, none, page] of BY_STATUS) {
    it(`${status} with a code that is not known`, () => expectRow(refusing(status, "NewReason"), unknown));
    it(`${status} without a body`, () => expectRow({ kind: "reply", status }, none));
    it(`${status} with a web page`, () => expectRow({ kind: "reply", status, body: PAGE }, page));
  }
});

describe("200 with an error inside", () => {
  const writes = async (fault: ScriptedFault) => [await ending("put", fault), await ending("create", fault)].join(" ");
  it("is judged by its code", async () => {
    expect(await writes(errorInside200("InternalError"))).toBe(`?UNAVAILABLE*${MAX_TRIES} ?UNAVAILABLE`);
    expect(await writes(errorInside200("SlowDown"))).toBe(`?THROTTLED*${MAX_TRIES} ?THROTTLED`);
    expect(await writes(errorInside200("AccessDenied"))).toBe("!ACCESS_DENIED !ACCESS_DENIED");
    expect(await writes(errorInside200("NewReason"))).toBe(`?UNAVAILABLE*${MAX_TRIES} ?UNAVAILABLE`);
  });
});

it("keys that can be had anew are asked for once", async () => {
  for (const code of ["InvalidToken", "ExpiredToken", "TokenRefreshRequired"]) {
    let asked = 0;
    const session = open({
      credentials: async () => {
        asked++;
        return emulator.keys;
      },
    });
    const from = emulator.seen.length;
    emulator.script("GET", refusing(400, code), 2);
    await expect(session.getObject("k")).rejects.toMatchObject({ code: "STORE_BAD_CREDENTIALS" });
    expect([emulator.seen.length - from, asked], code).toEqual([2, 2]);
    await session.close();
  }
});
