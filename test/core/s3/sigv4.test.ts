/** The official vectors, stage by stage, in both forms; and that a signer shows no secret. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  amzDate,
  canonicalHeaders,
  canonicalRequest,
  type PathRule,
  Signer,
  type SigningRequest,
  sha256Hex,
  signature,
  signingKey,
  stringToSign,
} from "../../../packages/core/src/sigv4.js";
import type { Pair } from "../../../packages/core/src/uri.js";

const ROOT = join(import.meta.dirname, "../../vectors/sigv4/v4");
const names = readdirSync(ROOT).sort();

interface Context {
  credentials: { access_key_id: string; secret_access_key: string; token?: string };
  expiration_in_seconds: number;
  normalize: boolean;
  region: string;
  service: string;
  sign_body: boolean;
  timestamp: string;
  omit_session_token?: boolean;
}

function parse(text: string): { method: string; path: string; query: Pair[]; headers: Pair[]; body: string } {
  const end = text.indexOf("\n\n");
  const head = (end < 0 ? text : text.slice(0, end)).split("\n");
  const body = end < 0 ? "" : text.slice(end + 2);
  const first = /^(\S+) (.*) HTTP\/1\.1$/.exec(head[0]!)!;
  const [path, search] = split(first[2]!, "?");
  const query = (search === "" ? [] : search.split("&")).map((part): Pair => {
    const [name, value] = split(part, "=");
    return [decodeURIComponent(name), decodeURIComponent(value)];
  });
  const headers: Pair[] = [];
  for (const line of head.slice(1)) {
    if (line === "") continue;
    if (/^\s/.test(line)) {
      const [name, value] = headers.pop()!;
      headers.push([name, `${value}\n${line}`]);
    } else headers.push(split(line, ":"));
  }
  return { method: first[1]!, path, query, headers, body };
}

function split(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

describe("official vectors", () => {
  it("are all here", () => expect(names.length).toBe(38));

  for (const name of names) {
    const file = (part: string) => readFileSync(join(ROOT, name, part), "utf8");
    const context = JSON.parse(file("context.json")) as Context;
    const raw = parse(file("request.txt"));
    const rule: PathRule = context.normalize ? "normalized" : "encoded";
    const nowMs = Date.parse(context.timestamp);
    const scope = { region: context.region, service: context.service };
    const credentials = {
      accessKeyId: context.credentials.access_key_id,
      secretAccessKey: context.credentials.secret_access_key,
      sessionToken: context.credentials.token,
    };
    const request: SigningRequest = { ...raw, payloadHash: sha256Hex(raw.body) };
    const signer = new Signer({
      ...scope,
      pathRule: rule,
      tokenUnsigned: context.omit_session_token ?? false,
      payloadHeader: context.sign_body,
    });

    it(`${name}: stages`, () => {
      const headers: Pair[] = [...raw.headers, ["X-Amz-Date", amzDate(nowMs)]];
      if (context.sign_body) headers.push(["x-amz-content-sha256", request.payloadHash]);
      if (credentials.sessionToken !== undefined && !context.omit_session_token)
        headers.push(["x-amz-security-token", credentials.sessionToken]);
      const canonical = canonicalRequest({ ...request, headers }, rule);
      expect(canonical.text).toBe(file("header-canonical-request.txt"));
      const toSign = stringToSign(amzDate(nowMs), scope, canonical.text);
      expect(toSign).toBe(file("header-string-to-sign.txt"));
      const key = signingKey(credentials.secretAccessKey, amzDate(nowMs).slice(0, 8), scope);
      expect(signature(key, toSign)).toBe(file("header-signature.txt"));
    });

    it(`${name}: header form`, () => {
      const sent = signer.signHeaders(request, credentials, nowMs);
      const want = parse(file("header-signed-request.txt"));
      expect(asSet(sent)).toEqual(asSet(want.headers));
      const again = signer.signHeaders(request, credentials, nowMs);
      expect(again).toEqual(sent);
    });

    it(`${name}: query form`, () => {
      const query = signer.signQuery(request, credentials, nowMs, context.expiration_in_seconds);
      const want = parse(file("query-signed-request.txt"));
      const got = parse(`GET ${raw.path}?${query} HTTP/1.1\n\n`);
      expect(asSet(got.query)).toEqual(asSet(want.query));
      expect(query.endsWith(`&X-Amz-Signature=${file("query-signature.txt")}`)).toBe(true);
    });
  }
});

function asSet(pairs: readonly Pair[]): string[] {
  return pairs.map(([name, value]) => `${name.toLowerCase()}=${value}`).sort();
}

describe("Signer", () => {
  const request: SigningRequest = {
    method: "GET",
    path: "/bucket/a%20b//c",
    query: [],
    headers: [["host", "s3.test"]],
    payloadHash: sha256Hex(""),
  };
  const credentials = { accessKeyId: "AK", secretAccessKey: "very-secret" };

  it("leaves an S3 path as sent", () => {
    expect(canonicalRequest(request, "sent").text.split("\n")[1]).toBe("/bucket/a%20b//c");
  });

  it("makes a new key for a new day and for a new secret", () => {
    const signer = new Signer({ region: "r", service: "s3" });
    const day1 = Date.UTC(2026, 0, 1);
    const seen = new Set<string>();
    for (const [secret, at] of [
      ["a", day1],
      ["a", day1 + 86_400_000],
      ["b", day1 + 86_400_000],
    ] as const) {
      const made = signer.signHeaders(request, { ...credentials, secretAccessKey: secret }, at).at(-1)![1];
      const fresh = new Signer({ region: "r", service: "s3" });
      expect(fresh.signHeaders(request, { ...credentials, secretAccessKey: secret }, at).at(-1)![1]).toBe(made);
      seen.add(made);
    }
    expect(seen.size).toBe(3);
  });

  it("sorts and joins headers", () => {
    expect(
      canonicalHeaders([
        ["B", " x  y "],
        ["a", "1"],
        ["b", "z"],
      ]),
    ).toEqual({ lines: "a:1\nb:x y,z\n", signed: "a;b" });
  });

  it("shows no secret", () => {
    const signer = new Signer({ region: "r", service: "s3" });
    signer.signHeaders(request, credentials, 0);
    expect(inspect(signer, { depth: 9, showHidden: true })).not.toContain("very-secret");
    expect(JSON.stringify(signer)).not.toContain("very-secret");
  });
});
