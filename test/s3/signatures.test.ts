/**
 * Random requests signed by us and by a second implementation (@smithy/signature-v4, which the AWS SDK signs with): the same
 * signature in both forms. BUCKETLOCK_SIGNATURES is how many, BUCKETLOCK_SEED which.
 */
import { SignatureV4 } from "@smithy/signature-v4";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Signer, sha256Hex } from "../../packages/core/src/sigv4.js";
import { encodePath, type Pair } from "../../packages/core/src/uri.js";
import { Sha256 } from "./sha256.js";

const COUNT = Number(process.env.BUCKETLOCK_SIGNATURES ?? 10_000);
const SEED = Number(process.env.BUCKETLOCK_SEED ?? 20_261_121);

// -- What is signed ------------------------------------------------------------------------------------------------------

const odd = fc.constantFrom(
  ..." !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~",
  "%2F",
  "%",
  "+",
  "//",
  "\t",
  "\n",
  "é",
  "日本",
  "😀",
  "\u0301",
  "\u{10ffff}",
);
const text = (maxLength: number) =>
  fc
    .array(fc.oneof(odd, fc.constantFrom(..."abcXYZ0189"), fc.string({ unit: "grapheme", maxLength: 2 })), {
      maxLength,
    })
    .map((parts) => parts.join(""))
    .filter((made) => made.isWellFormed());
// White space of a header value: blanks and tabs, runs of them, and at the ends.
const value = fc
  .array(fc.constantFrom("a", "Z", "0", " ", "  ", "\t", "=", ";", ",", '"', "/", "%41", "ü", "é"), { maxLength: 12 })
  .map((parts) => parts.join(""));
const name = fc.constantFrom(
  "x-amz-meta-One",
  "X-Amz-Meta-two-words",
  "x-amz-acl",
  "Content-Type",
  "content-md5",
  "If-Match",
  "if-none-match",
  "range",
  "x-Custom",
  "Expires",
);
const request = fc.record({
  method: fc.constantFrom("GET", "HEAD", "PUT", "POST", "DELETE"),
  key: text(24),
  query: fc.array(fc.tuple(fc.oneof(text(4), fc.constantFrom("a", "A", "prefix", "uploads")), text(6)), {
    maxLength: 5,
  }),
  headers: fc.uniqueArray(
    fc.tuple(name, fc.oneof(value, fc.array(fc.constantFrom("a", "b  c", "d"), { maxLength: 3 }))),
    {
      maxLength: 6,
      selector: ([header]) => header.toLowerCase(),
    },
  ),
  body: fc.oneof(fc.constant(""), text(20)),
  host: fc.constantFrom("bucket.s3.amazonaws.com", "localhost:9000", "[::1]:80"),
  seconds: fc.integer({ min: 0, max: 4_000_000_000 }),
  expiresS: fc.integer({ min: 1, max: 604_800 }),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

const CREDENTIALS = [
  { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" },
  { accessKeyId: "ASIA", secretAccessKey: "s", sessionToken: "IQoJb3JpZ2lu//token+with/odd==" },
  { accessKeyId: "k", secretAccessKey: "ü é", sessionToken: "t t" },
];
const REGIONS = ["us-east-1", "eu-central-003", "auto", "default"];

describe(`${COUNT} random requests`, () => {
  const scope = fc.record({ who: fc.constantFrom(...CREDENTIALS), region: fc.constantFrom(...REGIONS) });

  it("are signed the same in the header", async () => {
    let signed = 0;
    await compare(scope, async (asked, { who, region }) => {
      const { path, date } = placeOf(asked);
      const query = asked.query.filter(([key]) => key !== "");
      const payloadHash = sha256Hex(asked.body);
      const ours = new Signer({ region, service: "s3" }).signHeaders(
        { method: asked.method, path, query, headers: pairs(asked), payloadHash },
        who,
        date.getTime(),
      );
      const theirs = await other(who, region).sign(
        { ...common(asked, path), headers: record(asked), query: bag(query), body: asked.body },
        { signingDate: date },
      );
      const find = (name: string) => ours.find(([header]) => header === name)?.[1];
      expect(find("authorization")).toBe(theirs.headers.authorization);
      expect(find("x-amz-date")).toBe(theirs.headers["x-amz-date"]);
      expect(find("x-amz-security-token")).toBe(theirs.headers["x-amz-security-token"]);
      signed++;
    });
    expect(signed).toBe(Math.ceil(COUNT / 2));
  }, 120_000);

  it("are signed the same in the query", async () => {
    let signed = 0;
    await compare(scope, async (asked, { who, region }) => {
      const { path, date } = placeOf(asked);
      const query = asked.query.filter(([key]) => key !== "");
      const payload: Pair = ["X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"];
      const ours = new Signer({ region, service: "s3" }).signQuery(
        {
          method: asked.method,
          path,
          query: [...query, payload],
          headers: pairs(asked),
          payloadHash: "UNSIGNED-PAYLOAD",
        },
        who,
        date.getTime(),
        asked.expiresS,
      );
      const headers = record(asked);
      // It would move them into the query, which is a choice and no rule.
      const unhoistableHeaders = new Set(Object.keys(headers).map((header) => header.toLowerCase()));
      const theirs = await other(who, region).presign(
        {
          ...common(asked, path),
          headers: { ...headers, "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD" },
          query: bag(query),
        },
        { signingDate: date, expiresIn: asked.expiresS, unhoistableHeaders },
      );
      expect(sortedPairs(ours)).toEqual(sortedBag(theirs.query!));
      signed++;
    });
    expect(signed).toBe(Math.ceil(COUNT / 2));
  }, 120_000);
});

async function compare<S>(scope: fc.Arbitrary<S>, check: (asked: Request, scope: S) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(request, scope, check), {
    numRuns: Math.ceil(COUNT / 2),
    seed: SEED,
  });
}

const signers = new Map<string, SignatureV4>();
function other(credentials: (typeof CREDENTIALS)[number], region: string): SignatureV4 {
  const name = `${credentials.accessKeyId} ${region}`;
  const known = signers.get(name);
  if (known !== undefined) return known;
  const made = new SignatureV4({ service: "s3", region, credentials, sha256: Sha256, uriEscapePath: false });
  signers.set(name, made);
  return made;
}

function placeOf({ key, seconds }: Request): { path: string; date: Date } {
  return { path: `/bucket/${encodePath(key)}`, date: new Date(seconds * 1000) };
}

function common({ method, host }: Request, path: string) {
  return { method, path, protocol: "https:", hostname: host };
}

function pairs({ host, headers }: Request): Pair[] {
  const all = headers.flatMap(([header, value]): Pair[] =>
    typeof value === "string" ? [[header, value]] : value.map((one): Pair => [header, one]),
  );
  return [["host", host], ...all];
}

/** Repeats joined by a comma, as RFC 9110 5.3 has it. */
function record(asked: Request): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [header, value] of pairs(asked))
    all[header] = all[header] === undefined ? value : `${all[header]},${value}`;
  return all;
}

function bag(query: readonly Pair[]): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = Object.create(null);
  for (const [key, value] of query) {
    const before = all[key];
    all[key] = before === undefined ? value : [...[before].flat(), value];
  }
  return all;
}

function sortedPairs(query: string): string[] {
  return query
    .split("&")
    .map((part) => part.split("=").map(decodeURIComponent).join("\0"))
    .sort();
}

function sortedBag(query: Record<string, string | string[] | null>): string[] {
  return Object.entries(query)
    .flatMap(([key, value]) => [value ?? ""].flat().map((one) => `${key}\0${one}`))
    .sort();
}
