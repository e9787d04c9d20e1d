/** The verdicts, as one table: every status and code that matters, for every kind of request. */
import { describe, expect, it } from "vitest";
import {
  type Asked,
  classify,
  classifySilence,
  classifyUnreadable,
  type Said,
  type Verdict,
} from "../../../packages/core/src/classify.js";

const KINDS = {
  get: { method: "GET", target: "object", once: false, expires: false },
  head: { method: "HEAD", target: "object", once: false, expires: false },
  put: { method: "PUT", target: "object", once: false, expires: false },
  once: { method: "PUT", target: "object", once: true, expires: false },
  create: { method: "PUT", target: "object", once: true, expires: false, condition: "absent" },
  replace: { method: "PUT", target: "object", once: true, expires: false, condition: "etag" },
  delete: { method: "DELETE", target: "object", once: false, expires: false },
  list: { method: "GET", target: "bucket", once: false, expires: false },
} as const satisfies Record<string, Asked>;
const ORDER = Object.keys(KINDS) as (keyof typeof KINDS)[];

/** Short: done, absent, conflict; A:CODE again, nothing done; M:CODE again, maybe done; ?:CODE unclear; !:CODE refused. */
function short(verdict: Verdict): string {
  switch (verdict.verdict) {
    case "again":
      return `${verdict.landed ? "M" : "A"}:${verdict.code.slice(6)}${verdict.remedy === "wait" ? "" : `+${verdict.remedy}`}`;
    case "unclear":
      return `?:${verdict.code.slice(6)}`;
    case "refused":
      return `!:${verdict.code.slice(6)}`;
    default:
      return verdict.verdict;
  }
}
const says = (code: string, message = ""): Said => ({ code, message });
const all = (what: string) => ORDER.map(() => what).join(" ");
/** Certainly not done: sent again where it belongs, but not what is sent once. */
const place = (code: string) => ORDER.map((kind) => (KINDS[kind].once ? `!:${code}` : `A:${code}+place`)).join(" ");

const TABLE: readonly [status: number, said: Said, get_head_put_once_create_replace_delete_list: string][] = [
  [200, "none", all("done")],
  [204, "none", all("done")],
  [
    200,
    says("InternalError"),
    "A:UNAVAILABLE A:UNAVAILABLE M:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE M:UNAVAILABLE A:UNAVAILABLE",
  ],
  [
    200,
    says("SomethingNew"),
    "A:UNAVAILABLE A:UNAVAILABLE M:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE M:UNAVAILABLE A:UNAVAILABLE",
  ],
  [200, "page", "!:NOT_S3 !:NOT_S3 ?:NOT_S3 ?:NOT_S3 ?:NOT_S3 ?:NOT_S3 ?:NOT_S3 !:NOT_S3"],
  [301, says("PermanentRedirect"), place("REDIRECT")],
  [307, "page", place("REDIRECT")],
  [302, "none", place("REDIRECT")],
  [400, says("AuthorizationHeaderMalformed"), place("WRONG_REGION")],
  [
    400,
    says("RequestTimeout"),
    "A:UNAVAILABLE A:UNAVAILABLE A:UNAVAILABLE !:UNAVAILABLE !:UNAVAILABLE !:UNAVAILABLE A:UNAVAILABLE A:UNAVAILABLE",
  ],
  [400, says("InvalidArgument"), all("!:REFUSED")],
  [
    400,
    says("ExpiredToken"),
    "A:BAD_CREDENTIALS+credentials A:BAD_CREDENTIALS+credentials A:BAD_CREDENTIALS+credentials !:BAD_CREDENTIALS !:BAD_CREDENTIALS !:BAD_CREDENTIALS A:BAD_CREDENTIALS+credentials A:BAD_CREDENTIALS+credentials",
  ],
  [403, says("AccessDenied"), all("!:ACCESS_DENIED")],
  [403, says("NewReason"), all("!:ACCESS_DENIED")],
  [403, says("SignatureDoesNotMatch"), all("!:BAD_CREDENTIALS")],
  [403, says("InvalidAccessKeyId"), all("!:BAD_CREDENTIALS")],
  [
    403,
    says("RequestTimeTooSkewed"),
    "A:CLOCK_SKEW+clock A:CLOCK_SKEW+clock A:CLOCK_SKEW+clock !:CLOCK_SKEW !:CLOCK_SKEW !:CLOCK_SKEW A:CLOCK_SKEW+clock A:CLOCK_SKEW+clock",
  ],
  [403, "page", all("!:NOT_S3")],
  [404, says("NoSuchKey"), "absent absent !:REFUSED !:REFUSED !:REFUSED conflict absent !:NO_BUCKET"],
  [404, says("NoSuchBucket"), all("!:NO_BUCKET")],
  [404, says("XAdminUserNotFound"), all("!:BAD_CREDENTIALS")],
  [404, says("NewReason"), all("!:REFUSED")],
  [404, "page", all("!:NOT_S3")],
  [404, "foreign", all("!:NOT_S3")],
  [404, "none", "!:NOT_S3 absent !:NOT_S3 !:NOT_S3 !:NOT_S3 !:NOT_S3 !:NOT_S3 !:NOT_S3"],
  [405, says("MethodNotAllowed"), all("!:UNSUPPORTED")],
  [
    409,
    says("ConditionalRequestConflict"),
    "A:COLLISION A:COLLISION M:COLLISION ?:COLLISION ?:COLLISION ?:COLLISION M:COLLISION A:COLLISION",
  ],
  [409, says("BucketNotEmpty"), all("!:BUCKET_NOT_EMPTY")],
  [412, says("PreconditionFailed"), "!:REFUSED !:REFUSED !:REFUSED !:REFUSED conflict conflict !:REFUSED !:REFUSED"],
  [429, "page", "A:THROTTLED A:THROTTLED A:THROTTLED !:THROTTLED !:THROTTLED !:THROTTLED A:THROTTLED A:THROTTLED"],
  [
    500,
    says("InternalError"),
    "A:UNAVAILABLE A:UNAVAILABLE M:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE M:UNAVAILABLE A:UNAVAILABLE",
  ],
  [
    502,
    "page",
    "A:UNAVAILABLE A:UNAVAILABLE M:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE ?:UNAVAILABLE M:UNAVAILABLE A:UNAVAILABLE",
  ],
  [
    503,
    says("SlowDown"),
    "A:THROTTLED A:THROTTLED M:THROTTLED ?:THROTTLED ?:THROTTLED ?:THROTTLED M:THROTTLED A:THROTTLED",
  ],
  [501, says("NotImplemented"), all("!:UNSUPPORTED")],
  [501, "none", all("!:UNSUPPORTED")],
  [416, says("InvalidRange"), all("!:NO_SUCH_RANGE")],
  [416, "none", all("!:NO_SUCH_RANGE")],
  [507, says("XMinioStorageFull"), all("!:FULL")],
];

describe("answers", () => {
  for (const [status, said, expected] of TABLE) {
    const wanted = expected.split(" ");
    it(`${status} ${typeof said === "object" ? said.code : said}`, () => {
      expect(wanted.length).toBe(ORDER.length);
      const got = ORDER.map((kind) => `${kind} ${short(classify(status, said, KINDS[kind]))}`);
      expect(got).toEqual(ORDER.map((kind, at) => `${kind} ${wanted[at]}`));
    });
  }
  it("tells a query signature that came late from missing rights", () => {
    const late = says("AccessDenied", "Request has expired");
    expect(short(classify(403, late, { ...KINDS.put, expires: true }))).toBe("A:EXPIRED+clock");
    expect(short(classify(403, late, { ...KINDS.create, expires: true }))).toBe("!:EXPIRED");
    expect(short(classify(403, late, KINDS.put))).toBe("!:ACCESS_DENIED");
  });
});

describe("no write is ever called lost, or repeated, without proof", () => {
  const statuses = Array.from({ length: 500 }, (_, at) => at + 100);
  const bodies: Said[] = [
    "none",
    "page",
    "foreign",
    "cut",
    says("InternalError"),
    says("SlowDown"),
    says("OperationAborted"),
    says("Xyz"),
  ];
  for (const kind of ["once", "create", "replace"] as const) {
    it(kind, () => {
      for (const status of statuses) {
        for (const said of bodies) {
          const verdict = classify(status, said, KINDS[kind]);
          expect(verdict.verdict).not.toBe("again");
          // 409 and every 5xx but the honest refusals may have been carried out.
          if (status === 409) expect(verdict.verdict).toBe("unclear");
          if (status >= 500 && ![501, 507].includes(status)) expect(verdict.verdict).toBe("unclear");
          if (verdict.verdict === "conflict") expect([404, 412]).toContain(status);
        }
      }
    });
  }
});

describe("silence", () => {
  it.each([
    ["timeout", true, "A:TIMEOUT M:TIMEOUT ?:TIMEOUT"],
    ["timeout", false, "A:TIMEOUT A:TIMEOUT !:TIMEOUT"],
    ["unreachable", false, "A:UNREACHABLE A:UNREACHABLE !:UNREACHABLE"],
    ["disconnected", true, "A:DISCONNECTED M:DISCONNECTED ?:DISCONNECTED"],
    ["too long", true, "!:CORRUPT_ANSWER ?:CORRUPT_ANSWER ?:CORRUPT_ANSWER"],
  ] as const)("%s, sent %s", (why, sent, expected) => {
    expect(
      (["get", "put", "create"] as const).map((kind) => short(classifySilence({ why, sent }, KINDS[kind]))).join(" "),
    ).toBe(expected);
  });
});

describe("a body that cannot be read", () => {
  it("is read again where it was cut", () => {
    expect(short(classifyUnreadable("cut", KINDS.list))).toBe("A:CORRUPT_ANSWER");
    expect(short(classifyUnreadable("incomplete", KINDS.list))).toBe("!:CORRUPT_ANSWER");
    expect(short(classifyUnreadable("foreign", KINDS.list))).toBe("!:NOT_S3");
    expect(short(classifyUnreadable("html", KINDS.list))).toBe("!:NOT_S3");
  });
});
